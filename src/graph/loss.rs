//! The loss.

use super::{Lowering, Node, Operation, ValueId, Weighing};
use crate::ir::Slice;
use crate::kernel::loss::rows::{Gradient, Operands};
use crate::kernel::loss::{
    absolute_error, binary_cross_entropy, softmax_cross_entropy, squared_error, sum_weights, weigh_rows,
};
use crate::kernel::{Launch, Loss};
use std::sync::Arc;

/// outputs → (row losses, row hits, and in training the gradient at the outputs).
#[derive(Debug)]
pub struct LossOperation {
    /// Which one.
    pub loss: Loss,
    /// Outputs per example.
    pub outputs: usize,
    /// The share of the target that softmax cross-entropy spreads over all classes.
    pub label_smoothing: f32,
    /// The difference up to which Huber's loss is quadratic.
    pub delta: f32,
}

impl Operation for LossOperation {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let [batch, examples, outputs] = [at.rows, at.source.layout.examples, self.outputs].map(|n| n as u32);
        let operands = Operands {
            output: reads[0],
            targets: at.targets,
            indices: at.indices,
            counters: at.counters,
            gradient: writes.get(2).copied().unwrap_or(at.unused),
            row_loss: writes[0],
            row_correct: writes[1],
        };
        let gradient = match (writes.len() > 2, at.scaled_loss) {
            (false, _) => Gradient::None,
            (true, false) => Gradient::Plain,
            (true, true) => Gradient::Scaled,
        };
        let (label, models) = ("loss".to_string(), at.models);
        let loss: Arc<dyn Launch> = match self.loss {
            Loss::SoftmaxCrossEntropy => {
                let smoothing = self.label_smoothing;
                let shape = softmax_cross_entropy::Params { batch, examples, classes: outputs, smoothing };
                Arc::new(softmax_cross_entropy::SoftmaxCrossEntropy { label, shape, models, gradient, operands })
            }
            Loss::Mse | Loss::HalfMse => {
                let scale = if self.loss == Loss::Mse { 1.0 } else { 0.5 };
                let shape = squared_error::Params { batch, examples, outputs, scale };
                Arc::new(squared_error::SquaredError { label, shape, models, gradient, operands })
            }
            Loss::Mae | Loss::Huber => {
                let huber = self.loss == Loss::Huber;
                let shape = absolute_error::Params { batch, examples, outputs, delta: self.delta };
                Arc::new(absolute_error::AbsoluteError { label, shape, huber, models, gradient, operands })
            }
            Loss::BinaryCrossEntropy => {
                let shape = binary_cross_entropy::Params { batch, examples, outputs };
                Arc::new(binary_cross_entropy::BinaryCrossEntropy { label, shape, models, gradient, operands })
            }
        };
        match at.weighing.filter(|_| gradient != Gradient::None) {
            None => vec![loss],
            Some(weighing) => self.weighed(loss, &operands, weighing, at),
        }
    }

    fn own_gradient(&self, node: &Node) -> Option<(ValueId, ValueId)> {
        node.writes.get(2).map(|gradient| (node.reads[0], *gradient))
    }

    fn describe(&self) -> String {
        format!("the loss {}", self.loss)
    }
}

impl LossOperation {
    /// The loss of a batch, and what makes its means those by the weights of its examples.
    fn weighed(
        &self,
        loss: Arc<dyn Launch>,
        operands: &Operands,
        weighing: Weighing,
        at: &Lowering,
    ) -> Vec<Arc<dyn Launch>> {
        let Weighing { weights, weight_sums, updates } = weighing;
        let sum = sum_weights::SumWeights {
            label: "sum of weights".into(),
            examples: at.source.layout.examples as u32,
            updates,
            shuffle: at.source.batches.shuffle,
            models: at.models,
            weights,
            counters: at.counters,
            weight_sums,
        };
        let Operands { indices, counters, gradient, row_loss, .. } = *operands;
        let weigh = weigh_rows::WeighRows {
            label: "weighed loss".into(),
            updates,
            outputs: self.outputs as u32,
            models: at.models,
            operands: weigh_rows::Operands { weights, indices, weight_sums, counters, gradient, row_loss },
        };
        vec![Arc::new(sum), loss, Arc::new(weigh)]
    }
}
