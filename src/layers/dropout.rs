//! `{ dropout = RATE }`: while training, zeroes values at random and scales the others up by 1 / (1 - rate).

use super::{Forward, Layer, LayerKind, LayerProblem, Reader, Shape, from_fields, reader};
use crate::graph::{Backward, Lowering, Node, Operation, ValueId};
use crate::ir::Slice;
use crate::kernel::Launch;
use crate::kernel::pointwise::dropout;
use crate::keys::{Number, keyed};
use crate::onnx;
use std::sync::Arc;

keyed! {
    /// Zeroes values at random while training.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Dropout {
        /// Probability of a zero, in 0..1.
        pub rate: f32 [Number("a rate, 0 or more and below 1", |rate| (0.0..1.0).contains(&rate)); "0.5"],
    }
}

pub(super) static READER: Reader = reader!(Dropout(rate), "dropout", "{ dropout = RATE }");

impl LayerKind for Dropout {
    from_fields!(word, write);

    fn describe(&self, words: &mut Vec<String>) {
        words.push(format!("dropout {}", self.rate));
    }

    fn keeps_values(&self) -> bool {
        true
    }

    fn output(&self, inputs: &[Shape]) -> Result<Shape, LayerProblem> {
        if (0.0..1.0).contains(&self.rate) { Ok(inputs[0]) } else { Err(LayerProblem::DropoutRate { rate: self.rate }) }
    }

    fn forward(&self, pass: &mut Forward<'_>, inputs: &[ValueId]) -> ValueId {
        if !pass.training || self.rate == 0.0 {
            return inputs[0];
        }
        let (name, seed) = (pass.layer.name.clone(), pass.layer.index);
        pass.operation(Mask { name, seed, rate: self.rate }, inputs)
    }

    fn onnx(&self, _layer: &Layer, _inputs: &[&str], _parameters: &[&str], _graph: &mut onnx::Builder) {}
}

/// input → output; backward the same: output gradient → input gradient.
#[derive(Debug, Clone)]
struct Mask {
    name: String,
    /// The layer's position, which seeds the mask.
    seed: usize,
    rate: f32,
}

impl Operation for Mask {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let shape = dropout::Params::new(at.per_model(reads[0]), self.seed as u32, self.rate);
        let operands = dropout::Operands { input: reads[0], counters: at.counters, output: writes[0] };
        let label = format!("{} dropout", self.name);
        vec![Arc::new(dropout::Dropout { label, shape, models: at.models, masks: at.masks, operands })]
    }

    fn backward(&self, node: &Node, gradient: ValueId, pass: &mut Backward) {
        pass.gradient(node.reads[0], Arc::new(self.clone()), &[gradient]);
    }

    fn describe(&self) -> String {
        format!("the dropout {}", self.name)
    }
}
