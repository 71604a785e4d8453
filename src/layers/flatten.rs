//! `{ flatten = true }`: an image to a vector, channel by channel.

use super::{Entries, Forward, Keys, Layer, LayerKind, LayerProblem, Reader, Shape};
use crate::graph::ValueId;
use crate::keys::KeyError;
use crate::onnx;
use std::sync::Arc;

/// An image to a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flatten;

pub(super) static READER: Reader =
    Reader { word: "flatten", keys: &[], example: "{ flatten = true }", follows_activation: false, read };

fn read(keys: &Keys<'_>) -> Result<Arc<dyn LayerKind>, KeyError> {
    keys.is_true()?;
    Ok(Arc::new(Flatten))
}

impl LayerKind for Flatten {
    fn word(&self) -> &'static str {
        READER.word
    }

    fn write(&self, entries: &mut Entries) {
        entries.value("flatten", true);
    }

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
