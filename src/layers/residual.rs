//! `{ residual = [LAYERS], shortcut = [LAYERS] }`: what the layers make of the input, plus the input itself, or what the shortcut
//! makes of it. The model holds the block's layers and an addition in its place.

use super::{
    Add, Forward, Layer, LayerKind, LayerProblem, LayerSpec, Reader, Shape, describe_activation, from_fields, reader,
};
use crate::graph::ValueId;
use crate::kernel::Activation;
use crate::keys::{List, Plain, Unless, keyed};
use crate::onnx;
use std::sync::Arc;

keyed! {
    /// A block of layers whose input is added to its output (He et al., Deep Residual Learning for Image Recognition, 2016).
    #[derive(Debug, Clone, PartialEq)]
    pub struct Residual {
        /// The layers.
        pub layers: Vec<LayerSpec> [
            List("a list of at least one layer", Plain, |layers| !layers.is_empty()); "[{ dense = 64, activation = \"relu\" }]"
        ],
        /// The layers that the input goes through before it is added; none adds it as it is.
        pub shortcut: Vec<LayerSpec> [Unless(Vec::new(), List("a list of layers", Plain, |_| true)); "[{ dense = 64 }]"],
        /// Applied to the sum.
        pub activation: Activation = Activation::Linear,
    }
}

pub(super) static READER: Reader = reader!(Residual(layers), "residual", "{ residual = [LAYERS] }");

impl Residual {
    /// The addition at the block's end.
    pub(crate) fn end(&self) -> Arc<dyn LayerKind> {
        Arc::new(Add { inputs: Vec::new(), activation: self.activation })
    }
}

impl LayerKind for Residual {
    from_fields!(word, write, activation);

    fn describe(&self, words: &mut Vec<String>) {
        words.push("residual".into());
        describe_activation(words, self.activation);
    }

    fn without_init(&self) -> Option<Arc<dyn LayerKind>> {
        let mut plain = self.clone();
        for layer in plain.layers.iter_mut().chain(&mut plain.shortcut) {
            let without = layer.kind.without_init();
            layer.change(without);
        }
        Some(Arc::new(plain))
    }

    fn block(&self) -> Option<&Residual> {
        Some(self)
    }

    fn output(&self, inputs: &[Shape]) -> Result<Shape, LayerProblem> {
        self.end().output(inputs)
    }

    fn forward(&self, pass: &mut Forward<'_>, inputs: &[ValueId]) -> ValueId {
        self.end().forward(pass, inputs)
    }

    fn onnx(&self, layer: &Layer, inputs: &[&str], parameters: &[&str], graph: &mut onnx::Builder) {
        self.end().onnx(layer, inputs, parameters, graph);
    }
}
