//! The loss.

use super::mixup::Mixing;
use super::{Lowering, Node, Operation, ValueId, Weighing};
use crate::ir::Slice;
use crate::kernel::loss::rows::{Gradient, Operands};
use crate::kernel::loss::{
    absolute_error, binary_cross_entropy, softmax_cross_entropy, squared_error, sum_weights, weigh_rows,
};
use crate::kernel::mixup::losses;
use crate::kernel::{Launch, Loss};
use std::sync::Arc;

/// outputs → (row losses, row hits, and in training the gradient at the outputs). Where the batch is mixed, a loss that is linear in
/// the targets also writes those three by the others' targets, to mix them; any other reads mixed targets, and mixed weights if there
/// are some.
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
        let operands = |results: &[Slice]| Operands {
            output: reads[0],
            targets: at.targets,
            indices: at.indices,
            counters: at.counters,
            gradient: results.get(2).copied().unwrap_or(at.unused),
            row_loss: results[0],
            row_correct: results[1],
        };
        let own = operands(writes);
        if writes.len() < 3 {
            return vec![self.plain(own, Gradient::None, at)];
        }
        let weights = at.weighing.map(|weighing| weighing.weights);
        let launches = match at.mixing {
            None => self.by_targets(own, weights, at),
            Some(mixing) if self.loss.is_linear_in_targets() => {
                let other = Operands { indices: mixing.pairs.other_examples, ..operands(&writes[3..]) };
                let both = [self.by_targets(own, weights, at), self.by_targets(other, weights, at)];
                [both.concat(), vec![self.mixed(mixing, other, own, at)]].concat()
            }
            Some(mixing) => {
                let mixed = Operands { targets: reads[1], indices: mixing.pairs.own, ..own };
                self.by_targets(mixed, weights.and(reads.get(2).copied()), at)
            }
        };
        at.weighing.map(|weighing| self.sum_of_weights(weighing, at)).into_iter().chain(launches).collect()
    }

    fn own_gradient(&self, node: &Node) -> Option<(ValueId, ValueId)> {
        node.writes.get(2).map(|gradient| (node.reads[0], *gradient))
    }

    fn describe(&self) -> String {
        format!("the loss {}", self.loss)
    }
}

impl LossOperation {
    /// The loss and its gradient, by the weights of the rows where they have some.
    fn by_targets(&self, operands: Operands, weights: Option<Slice>, at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let gradient = if at.scaled_loss { Gradient::Scaled } else { Gradient::Plain };
        let loss = self.plain(operands, gradient, at);
        let weighed =
            at.weighing.zip(weights).map(|(weighing, weights)| self.weighed(weights, &operands, weighing, at));
        std::iter::once(loss).chain(weighed).collect()
    }

    /// The loss of a batch, its rows' mean.
    fn plain(&self, operands: Operands, gradient: Gradient, at: &Lowering) -> Arc<dyn Launch> {
        let [batch, examples, outputs] = [at.rows, at.source.layout.examples, self.outputs].map(|n| n as u32);
        let (label, models) = ("loss".to_string(), at.models);
        match self.loss {
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
        }
    }

    /// The sums of the weights of a batch and its update. Mixing leaves them as they are: each row is another's other once.
    fn sum_of_weights(&self, weighing: Weighing, at: &Lowering) -> Arc<dyn Launch> {
        let Weighing { weights, weight_sums, updates } = weighing;
        Arc::new(sum_weights::SumWeights {
            label: "sum of weights".into(),
            examples: at.source.layout.examples as u32,
            folds: at.source.layout.folds as u32,
            updates,
            shuffle: at.source.batches.shuffle,
            models: at.models,
            weights,
            counters: at.counters,
            weight_sums,
        })
    }

    /// What makes the means of a batch's loss those by the weights of its rows.
    fn weighed(&self, weights: Slice, operands: &Operands, weighing: Weighing, at: &Lowering) -> Arc<dyn Launch> {
        let Weighing { weight_sums, updates, .. } = weighing;
        let Operands { indices, counters, gradient, row_loss, .. } = *operands;
        Arc::new(weigh_rows::WeighRows {
            label: "weighed loss".into(),
            updates,
            outputs: self.outputs as u32,
            models: at.models,
            operands: weigh_rows::Operands { weights, indices, weight_sums, counters, gradient, row_loss },
        })
    }

    /// What makes of the losses by each row's own target and by the other's the loss by both.
    fn mixed(&self, mixing: Mixing, others: Operands, own: Operands, at: &Lowering) -> Arc<dyn Launch> {
        let results = |of: Operands| losses::Results {
            gradient: of.gradient,
            row_loss: of.row_loss,
            row_correct: of.row_correct,
        };
        Arc::new(losses::MixupLosses {
            label: "mixup: losses".into(),
            shape: losses::Params { rows: at.rows as u32, outputs: self.outputs as u32 },
            models: at.models,
            shares: mixing.pairs.shares,
            others: results(others),
            results: results(own),
        })
    }
}
