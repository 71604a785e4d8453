//! The loss.

use super::{Lowering, Node, Operation, ValueId};
use crate::ir::Slice;
use crate::kernel::loss::rows::{Gradient, Operands};
use crate::kernel::loss::{absolute_error, binary_cross_entropy, softmax_cross_entropy, squared_error};
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
        vec![match self.loss {
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
        }]
    }

    fn own_gradient(&self, node: &Node) -> Option<(ValueId, ValueId)> {
        node.writes.get(2).map(|gradient| (node.reads[0], *gradient))
    }

    fn describe(&self) -> String {
        format!("the loss {}", self.loss)
    }
}
