//! Lowering of what happens between the gradients and the next step: norms and the optimizer's update.

use super::builder::PlanBuilder;
use crate::ir::{BufferId, Slice};
use crate::kernel::step::state;
use crate::kernel::{self, Launch};
use crate::recipe::{OptimizerKind, OptimizerSpec, Precision};
use std::sync::Arc;

impl PlanBuilder<'_> {
    /// The sum of squared weights, for the L2 penalty.
    pub(super) fn penalty(&self, parts: Option<Slice>) -> Option<Arc<dyn Launch>> {
        let parts = parts?;
        Some(self.squares("l2 penalty", self.out.parameters, parts, [true, false]))
    }

    /// The sum of the squared gradient, for clipping.
    pub(super) fn gradient_norm(&self, parts: Option<Slice>, optimizer: &OptimizerSpec) -> Option<Arc<dyn Launch>> {
        let parts = parts?;
        Some(self.squares("gradient norm", self.gradients, parts, [false, optimizer.l2 != 0.0]))
    }

    /// The squared norm of each parameter's gradient, the L2 penalty's included, and of the parameter itself, into
    /// (models, parameters, 2) `norms`.
    pub(super) fn norm_records(&self, norms: BufferId, optimizer: &OptimizerSpec) -> Vec<Arc<dyn Launch>> {
        let plan = &self.out.plan;
        let layout = &self.out.layout;
        let both = [self.gradients, self.out.parameters];
        let each =
            (0..layout.lens.len()).flat_map(|index| both.into_iter().enumerate().map(move |(i, b)| (index, i, b)));
        let one = |(index, which, buffer): (usize, usize, BufferId)| -> Arc<dyn Launch> {
            let shape = kernel::reduce::sum_squares::Params {
                len: layout.lens[index] as u32,
                stride: layout.stride as u32,
                first: layout.offsets[index] as u32,
                parts: 1,
                output_stride: 2 * layout.lens.len() as u32,
                output_first: (2 * index + which) as u32,
            };
            let operands = kernel::reduce::sum_squares::Operands {
                values: layout.slice(buffer, index, index),
                weights: layout.slice(self.out.parameters, index, index),
                weight_blocks: plan.whole(self.out.weight_blocks),
                hyper: plan.whole(self.out.hyper),
                parts: plan.whole(norms),
            };
            let label = format!("norm of {}", self.model.parameters[index].name);
            let with_l2 = which == 0 && optimizer.l2 != 0.0;
            Arc::new(kernel::reduce::sum_squares::SumSquares {
                label,
                shape,
                models: self.models,
                weights_only: false,
                with_l2,
                operands,
            })
        };
        each.map(one).collect()
    }

    fn squares(
        &self,
        label: &str,
        values: BufferId,
        parts: Slice,
        [weights_only, with_l2]: [bool; 2],
    ) -> Arc<dyn Launch> {
        let plan = &self.out.plan;
        let stride = self.out.layout.stride as u32;
        let count = (parts.len / self.models) as u32;
        let shape = kernel::reduce::sum_squares::Params {
            len: stride,
            stride,
            first: 0,
            parts: count,
            output_stride: count,
            output_first: 0,
        };
        let operands = kernel::reduce::sum_squares::Operands {
            values: plan.whole(values),
            weights: plan.whole(self.out.parameters),
            weight_blocks: plan.whole(self.out.weight_blocks),
            hyper: plan.whole(self.out.hyper),
            parts,
        };
        Arc::new(kernel::reduce::sum_squares::SumSquares {
            label: label.into(),
            shape,
            models: self.models,
            weights_only,
            with_l2,
            operands,
        })
    }

    /// The optimizer's update of all parameters, in as many ranges as the device's bindings ask for.
    pub(super) fn update(
        &self,
        optimizer: &OptimizerSpec,
        moments: &[BufferId],
        scalars: BufferId,
        norm: Option<Slice>,
    ) -> Vec<Arc<dyn Launch>> {
        let layout = &self.out.layout;
        let whole = |id: BufferId| self.out.plan.whole(id);
        let range = |(first, len): (usize, usize)| -> Arc<dyn Launch> {
            let part = |buffer: BufferId| Slice { buffer, offset: first, len };
            let shape = kernel::optimizer::rules::Params {
                len: len as u32,
                first: first as u32,
                parameter_stride: layout.stride as u32,
                norm_parts: norm.map_or(0, |s| s.len / self.models) as u32,
            };
            let label = format!("update from {first}");
            let (clip, penalty) = (norm.is_some(), optimizer.l2 != 0.0);
            let (skips, spares_biases) = (self.precision == Precision::Mixed, !optimizer.decay_bias);
            let [weight_blocks, hyper, scalars] = [self.out.weight_blocks, self.out.hyper, scalars].map(whole);
            let (parameters, gradients) = (part(self.out.parameters), part(self.gradients));
            let norm_parts = norm.unwrap_or(scalars);
            if optimizer.kind == OptimizerKind::Sgd {
                let momentum = optimizer.momentum != 0.0;
                let velocity = moments.first().map_or(whole(self.unused), |id| part(*id));
                let nesterov = optimizer.nesterov;
                let terms = kernel::optimizer::sgd::Terms { momentum, nesterov, clip, penalty, skips, spares_biases };
                let operands = kernel::optimizer::sgd::Operands {
                    parameters,
                    gradients,
                    velocity,
                    weight_blocks,
                    hyper,
                    scalars,
                    norm_parts,
                };
                Arc::new(kernel::optimizer::sgd::Sgd { label, shape, terms, operands })
            } else {
                let decoupled = optimizer.kind == OptimizerKind::AdamW;
                let terms = kernel::optimizer::adam::Terms { decoupled, clip, penalty, skips, spares_biases };
                let (mean, variance) = (part(moments[0]), part(moments[1]));
                let operands = kernel::optimizer::adam::Operands {
                    parameters,
                    gradients,
                    mean,
                    variance,
                    weight_blocks,
                    hyper,
                    scalars,
                    norm_parts,
                };
                Arc::new(kernel::optimizer::adam::Adam { label, shape, terms, operands })
            }
        };
        layout.ranges(self.limits.binding_bytes).map(range).collect()
    }
}

/// The numbers of one model's `hyper` for an optimizer, at a learning rate.
pub fn hyper_words(optimizer: &OptimizerSpec, learning_rate: f32, warmup_steps: u64) -> [f32; state::HYPER] {
    let mut hyper = [0.0; state::HYPER];
    hyper[state::LEARNING_RATE] = learning_rate;
    hyper[state::MOMENTUM] = optimizer.momentum;
    hyper[state::BETA1] = optimizer.beta1;
    hyper[state::BETA2] = optimizer.beta2;
    hyper[state::ONE_MINUS_BETA1] = one_minus(optimizer.beta1);
    hyper[state::ONE_MINUS_BETA2] = one_minus(optimizer.beta2);
    hyper[state::EPSILON] = optimizer.epsilon;
    hyper[state::L2] = optimizer.l2;
    hyper[state::WEIGHT_DECAY] = optimizer.weight_decay;
    hyper[state::CLIP_NORM] = optimizer.clip_norm.unwrap_or(f32::INFINITY);
    hyper[state::WARMUP_STEPS] = warmup_steps.max(1) as f32;
    hyper
}

/// `1 - beta`, where `beta` is taken as the decimal number that it was written as: in f32, `1 - 0.999` is off by 5e-5.
fn one_minus(beta: f32) -> f32 {
    let written: f64 = beta.to_string().parse().unwrap_or(f64::from(beta));
    (1.0 - written) as f32
}
