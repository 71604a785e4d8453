//! `{ global_average_pool = true }` and `{ global_max_pool = true }`: the mean, or the largest value, of each channel.

use super::pool::{PoolForward, Pooling};
use super::{Entries, Forward, Keys, Layer, LayerKind, LayerProblem, Reader, Shape, Window};
use crate::graph::ValueId;
use crate::keys::KeyError;
use crate::onnx;
use std::sync::Arc;

/// A pooling of whole channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GlobalPool {
    /// What is taken of each channel.
    pub pooling: Pooling,
}

pub(super) static AVERAGE: Reader = Reader {
    word: "global_average_pool",
    keys: &[],
    example: "{ global_average_pool = true }",
    follows_activation: false,
    read: |keys| read(keys, Pooling::Average),
};

pub(super) static MAX: Reader = Reader {
    word: "global_max_pool",
    keys: &[],
    example: "{ global_max_pool = true }",
    follows_activation: false,
    read: |keys| read(keys, Pooling::Max),
};

fn read(keys: &Keys<'_>, pooling: Pooling) -> Result<Arc<dyn LayerKind>, KeyError> {
    keys.is_true()?;
    Ok(Arc::new(GlobalPool { pooling }))
}

impl LayerKind for GlobalPool {
    fn word(&self) -> &'static str {
        match self.pooling {
            Pooling::Average => AVERAGE.word,
            Pooling::Max => MAX.word,
        }
    }

    fn write(&self, entries: &mut Entries) {
        entries.value(self.word(), true);
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
