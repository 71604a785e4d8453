//! `{ activation = NAME }`: an activation as a layer of its own.

use super::{Entries, Forward, Keys, Layer, LayerKind, LayerProblem, Reader, Shape};
use crate::graph::ValueId;
use crate::kernel::Activation;
use crate::keys::KeyError;
use crate::onnx;
use std::sync::Arc;

/// An activation as a layer of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActivationLayer(pub Activation);

pub(super) static READER: Reader =
    Reader { word: "activation", keys: &[], example: "{ activation = NAME }", follows_activation: false, read };

fn read(keys: &Keys<'_>) -> Result<Arc<dyn LayerKind>, KeyError> {
    Ok(Arc::new(ActivationLayer(keys.value.word()?)))
}

impl LayerKind for ActivationLayer {
    fn word(&self) -> &'static str {
        READER.word
    }

    fn write(&self, entries: &mut Entries) {
        entries.word("activation", self.0);
    }

    fn describe(&self, words: &mut Vec<String>) {
        words.push("activation".into());
        super::describe_activation(words, self.0);
    }

    fn activation(&self) -> Option<Activation> {
        Some(self.0)
    }

    fn with_activation(&self, activation: Activation) -> Option<Arc<dyn LayerKind>> {
        Some(Arc::new(ActivationLayer(activation)))
    }

    fn output(&self, inputs: &[Shape]) -> Result<Shape, LayerProblem> {
        Ok(inputs[0])
    }

    fn forward(&self, pass: &mut Forward<'_>, inputs: &[ValueId]) -> ValueId {
        pass.activation(self.0, inputs[0])
    }

    /// The activation follows.
    fn onnx(&self, _layer: &Layer, _inputs: &[&str], _parameters: &[&str], _graph: &mut onnx::Builder) {}
}
