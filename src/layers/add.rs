//! `{ add = ["a", "b"] }`: the sum of the outputs of layers, of one shape.

use super::{Forward, Layer, LayerKind, LayerProblem, NAMES, Reader, Shape, describe_activation, from_fields, reader};
use crate::graph::ValueId;
use crate::graph::pointwise;
use crate::kernel::Activation;
use crate::keys::keyed;
use crate::onnx;
use std::sync::Arc;

keyed! {
    /// The sum of what layers give.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Add {
        /// The layers, by name; none in a residual block, which knows what it adds.
        pub inputs: Vec<String> [NAMES; "[\"stem\", \"branch\"]"],
        /// Applied to the sum.
        pub activation: Activation = Activation::Linear,
    }
}

pub(super) static READER: Reader = reader!(Add(inputs), "add", "{ add = [NAME, NAME] }");

impl LayerKind for Add {
    from_fields!(word, write, activation);

    fn describe(&self, words: &mut Vec<String>) {
        words.push("add".into());
        describe_activation(words, self.activation);
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
