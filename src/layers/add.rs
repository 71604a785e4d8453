//! `{ add = ["a", "b"] }`: the sum of the outputs of layers, of one shape.

use super::{Entries, Forward, Keys, Layer, LayerKind, LayerProblem, Reader, Shape, describe_activation};
use crate::graph::ValueId;
use crate::graph::pointwise;
use crate::kernel::Activation;
use crate::keys::KeyError;
use crate::onnx;
use std::sync::Arc;

/// The sum of what layers give.
#[derive(Debug, Clone, PartialEq)]
pub struct Add {
    /// The layers, by name; none in a residual block, which knows what it adds.
    pub inputs: Vec<String>,
    /// Applied to the sum.
    pub activation: Activation,
}

pub(super) static READER: Reader =
    Reader { word: "add", keys: &["activation"], example: "{ add = [NAME, NAME] }", follows_activation: false, read };

fn read(keys: &Keys<'_>) -> Result<Arc<dyn LayerKind>, KeyError> {
    let activation = keys.own_activation()?;
    Ok(Arc::new(Add { inputs: keys.names()?, activation }))
}

impl LayerKind for Add {
    fn word(&self) -> &'static str {
        READER.word
    }

    fn write(&self, entries: &mut Entries) {
        entries.texts("add", &self.inputs);
        entries.word("activation", self.activation);
    }

    fn describe(&self, words: &mut Vec<String>) {
        words.push("add".into());
        describe_activation(words, self.activation);
    }

    fn activation(&self) -> Option<Activation> {
        Some(self.activation)
    }

    fn with_activation(&self, activation: Activation) -> Option<Arc<dyn LayerKind>> {
        Some(Arc::new(Add { activation, ..self.clone() }))
    }

    fn named_inputs(&self) -> &[String] {
        &self.inputs
    }

    fn output(&self, inputs: &[Shape]) -> Result<Shape, LayerProblem> {
        match inputs.iter().find(|shape| **shape != inputs[0]) {
            None => Ok(inputs[0]),
            Some(other) => Err(LayerProblem::Unequal { first: inputs[0], other: *other }),
        }
    }

    fn forward(&self, pass: &mut Forward<'_>, inputs: &[ValueId]) -> ValueId {
        let [first, others @ .., last] = inputs else { unreachable!("an addition has two inputs or more") };
        let sum = others.iter().fold(*first, |sum, next| {
            let total = pass.value("sum");
            pass.graph.node(Arc::new(pointwise::Add(Activation::Linear)), &[sum, *next], &[total]);
            total
        });
        pass.with_activation(self.activation, &[sum, *last], |activation| Arc::new(pointwise::Add(activation)))
    }

    fn onnx(&self, _layer: &Layer, inputs: &[&str], _parameters: &[&str], graph: &mut onnx::Builder) {
        for input in &inputs[1..] {
            graph.node("Add", &[input], Vec::new());
        }
    }
}
