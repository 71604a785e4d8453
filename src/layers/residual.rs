//! `{ residual = [LAYERS], shortcut = [LAYERS] }`: what the layers make of the input, plus the input itself, or what the shortcut
//! makes of it. The model holds the block's layers and an addition in its place.

use super::{
    Add, Entries, Forward, Keys, Layer, LayerKind, LayerProblem, LayerSpec, Reader, Shape, describe_activation,
};
use crate::graph::ValueId;
use crate::kernel::Activation;
use crate::keys::KeyError;
use crate::onnx;
use std::sync::Arc;

/// A block of layers whose input is added to its output (He et al., Deep Residual Learning for Image Recognition, 2016).
#[derive(Debug, Clone, PartialEq)]
pub struct Residual {
    /// The layers.
    pub layers: Vec<LayerSpec>,
    /// The layers that the input goes through before it is added; none adds it as it is.
    pub shortcut: Vec<LayerSpec>,
    /// Applied to the sum.
    pub activation: Activation,
}

pub(super) static READER: Reader = Reader {
    word: "residual",
    keys: &["shortcut", "activation"],
    example: "{ residual = [LAYERS] }",
    follows_activation: false,
    read,
};

fn read(keys: &Keys<'_>) -> Result<Arc<dyn LayerKind>, KeyError> {
    let layers = keys.layers(READER.word)?;
    if layers.is_empty() {
        return Err(keys.value.wrong("a list of at least one layer"));
    }
    Ok(Arc::new(Residual { layers, shortcut: keys.layers("shortcut")?, activation: keys.own_activation()? }))
}

impl Residual {
    /// The addition at the block's end.
    pub(crate) fn end(&self) -> Arc<dyn LayerKind> {
        Arc::new(Add { inputs: Vec::new(), activation: self.activation })
    }
}

impl LayerKind for Residual {
    fn word(&self) -> &'static str {
        READER.word
    }

    fn write(&self, entries: &mut Entries) {
        entries.layers("residual", &self.layers);
        if !self.shortcut.is_empty() {
            entries.layers("shortcut", &self.shortcut);
        }
        entries.word("activation", self.activation);
    }

    fn describe(&self, words: &mut Vec<String>) {
        words.push("residual".into());
        describe_activation(words, self.activation);
    }

    fn activation(&self) -> Option<Activation> {
        Some(self.activation)
    }

    fn with_activation(&self, activation: Activation) -> Option<Arc<dyn LayerKind>> {
        Some(Arc::new(Residual { activation, ..self.clone() }))
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
