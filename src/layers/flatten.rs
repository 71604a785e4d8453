//! `{ flatten = true }`: an image to a vector, channel by channel.

use super::{Forward, Layer, LayerKind, LayerProblem, Reader, Shape, from_fields, reader};
use crate::graph::ValueId;
use crate::keys::{Plain, keyed};
use crate::onnx;

keyed! {
    /// An image to a vector.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Flatten;
    also {
        /// Always true.
        whole: () [Plain; "true"],
    }
}

pub(super) static READER: Reader = reader!(Flatten(whole), "flatten", "{ flatten = true }");

impl LayerKind for Flatten {
    from_fields!(word, write);

    fn describe(&self, words: &mut Vec<String>) {
        words.push("flatten".into());
    }

    fn keeps_values(&self) -> bool {
        true
    }

    fn output(&self, inputs: &[Shape]) -> Result<Shape, LayerProblem> {
        Ok(Shape::Features(inputs[0].len()))
    }

    /// The values lie in memory as a vector has them.
    fn forward(&self, _pass: &mut Forward<'_>, inputs: &[ValueId]) -> ValueId {
        inputs[0]
    }

    fn onnx(&self, layer: &Layer, _inputs: &[&str], _parameters: &[&str], graph: &mut onnx::Builder) {
        graph.flatten(layer.input.is_image());
    }
}
