//! `{ global_average_pool = true }` and `{ global_max_pool = true }`: the mean, or the largest value, of each channel.

use super::pool::{PoolForward, Pooling};
use super::{Forward, Layer, LayerKind, LayerProblem, Reader, Shape, Window, from_fields, reader};
use crate::graph::ValueId;
use crate::keys::{OfKind, Plain, keyed};
use crate::onnx;

keyed! {
    /// A pooling of whole channels.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct GlobalPool {
        /// What is taken of each channel.
        pub pooling: Pooling [OfKind(&[("global_average_pool", Pooling::Average), ("global_max_pool", Pooling::Max)])],
    }
    also {
        /// Always true.
        whole: () [Plain; "true"],
    }
}

pub(super) static AVERAGE: Reader =
    reader!(GlobalPool(pooling, whole), "global_average_pool", "{ global_average_pool = true }");
pub(super) static MAX: Reader = reader!(GlobalPool(pooling, whole), "global_max_pool", "{ global_max_pool = true }");

impl LayerKind for GlobalPool {
    from_fields!(write);

    fn word(&self) -> &'static str {
        match self.pooling {
            Pooling::Average => AVERAGE.word,
            Pooling::Max => MAX.word,
        }
    }

    fn describe(&self, words: &mut Vec<String>) {
        words.push(self.word().into());
    }

    fn output(&self, inputs: &[Shape]) -> Result<Shape, LayerProblem> {
        Ok(Shape::Features(inputs[0].image()?.0))
    }

    fn forward(&self, pass: &mut Forward<'_>, inputs: &[ValueId]) -> ValueId {
        pass.operation(PoolForward::new(pass.layer, self.pooling, Window::whole(pass.layer.input)), inputs)
    }

    fn onnx(&self, layer: &Layer, _inputs: &[&str], _parameters: &[&str], graph: &mut onnx::Builder) {
        let operation = match self.pooling {
            Pooling::Average => "GlobalAveragePool",
            Pooling::Max => "GlobalMaxPool",
        };
        graph.node(operation, &[], Vec::new());
        graph.flatten(layer.input.is_image());
    }
}
