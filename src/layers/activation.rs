//! `{ activation = NAME }`: an activation as a layer of its own.

use super::{Forward, Layer, LayerKind, LayerProblem, Reader, Shape, from_fields, reader};
use crate::graph::ValueId;
use crate::kernel::Activation;
use crate::keys::{Plain, keyed};
use crate::onnx;
use std::sync::Arc;

keyed! {
    /// An activation as a layer of its own.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct ActivationLayer(
        /// Applied to every value.
        pub function: Activation [Plain; "\"relu\""]
    );
}

pub(super) static READER: Reader = reader!(ActivationLayer(function), "activation", "{ activation = NAME }");

impl LayerKind for ActivationLayer {
    from_fields!(word, write);

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
