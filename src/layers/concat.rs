//! `{ concat = ["a", "b"] }`: the outputs of layers one after the other: their features, or their channels.

use super::{Forward, Layer, LayerKind, LayerProblem, NAMES, Reader, Shape, from_fields, reader, within_limit};
use crate::graph::ValueId;
use crate::graph::columns::Join;
use crate::keys::keyed;
use crate::onnx;

keyed! {
    /// What layers give, one after the other.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Concat {
        /// The layers, by name.
        pub inputs: Vec<String> [NAMES; "[\"stem\", \"branch\"]"],
    }
}

pub(super) static READER: Reader = reader!(Concat(inputs), "concat", "{ concat = [NAME, NAME] }");

impl LayerKind for Concat {
    from_fields!(word, write);

    fn describe(&self, words: &mut Vec<String>) {
        words.push("concat".into());
    }

    fn named_inputs(&self) -> &[String] {
        &self.inputs
    }

    fn output(&self, inputs: &[Shape]) -> Result<Shape, LayerProblem> {
        let mut joined = inputs[0];
        for next in &inputs[1..] {
            joined = match (joined, *next) {
                (Shape::Features(a), Shape::Features(b)) => Shape::Features(a.saturating_add(b)),
                (Shape::Image { channels: a, height, width }, Shape::Image { channels: b, height: h, width: w })
                    if (height, width) == (h, w) =>
                {
                    Shape::Image { channels: a.saturating_add(b), height, width }
                }
                (first, other) => return Err(LayerProblem::Unjoinable { first, other }),
            };
        }
        let sizes = match joined {
            Shape::Features(features) => [features, 1, 1],
            Shape::Image { channels, height, width } => [channels, height, width],
        };
        within_limit("the output", &sizes)?;
        Ok(joined)
    }

    fn forward(&self, pass: &mut Forward<'_>, inputs: &[ValueId]) -> ValueId {
        let lens = inputs.iter().map(|value| pass.graph.values[value.0].len).collect();
        pass.operation(Join { lens }, inputs)
    }

    fn onnx(&self, _layer: &Layer, inputs: &[&str], _parameters: &[&str], graph: &mut onnx::Builder) {
        graph.node("Concat", &inputs[1..], vec![onnx::int("axis", 1)]);
    }
}
