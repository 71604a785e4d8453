//! Lowering of what happens between the gradients and the next step: norms and the optimizer's update.

use super::builder::{BuildError, PlanBuilder};
use crate::ir::{BufferId, Element, Role, Slice};
use crate::kernel::optimizer::rules::{self, Terms};
use crate::kernel::optimizer::update::{Operands, Update};
use crate::kernel::optimizer::{adam, lion, muon, rmsprop, sgd};
use crate::kernel::step::state;
use crate::kernel::{self, Launch};
use crate::recipe::{OptimizerKind, OptimizerSpec, Precision, TrainSpec};
use std::sync::Arc;

impl PlanBuilder<'_> {
    /// The sum of squared weights, for the L2 penalty.
    pub(super) fn penalty(&self, parts: Option<Slice>, parameters: BufferId) -> Option<Arc<dyn Launch>> {
        let parts = parts?;
        Some(self.squares("l2 penalty", parameters, parts, [true, false]))
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
        let both = [self.gradients, self.trained];
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
                weights: layout.slice(self.trained, index, index),
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
        let (len, stride) = (self.out.layout.trained as u32, self.out.layout.stride as u32);
        let count = (parts.len / self.models) as u32;
        let shape = kernel::reduce::sum_squares::Params {
            len,
            stride,
            first: 0,
            parts: count,
            output_stride: count,
            output_first: 0,
        };
        let operands = kernel::reduce::sum_squares::Operands {
            values: plan.whole(values),
            weights: plan.whole(self.trained),
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
        // Centered RMSprop has two averages side by side for each parameter.
        let width = if optimizer.kind == OptimizerKind::RmsProp && optimizer.centered { 2 } else { 1 };
        let range = |(first, len): (usize, usize)| -> Arc<dyn Launch> {
            let part = |buffer: BufferId| Slice { buffer, offset: first, len };
            let shape = rules::Params {
                len: len as u32,
                first: first as u32,
                parameter_stride: layout.stride as u32,
                norm_parts: norm.map_or(0, |s| s.len / self.models) as u32,
            };
            let [weight_blocks, hyper, scalars] = [self.out.weight_blocks, self.out.hyper, scalars].map(whole);
            let moment = |index: usize| moments.get(index).map_or(whole(self.unused), |id| part(*id));
            let nesterov = optimizer.nesterov;
            let rule = match optimizer.kind {
                OptimizerKind::Sgd => sgd::rule(sgd::Momentum { any: optimizer.momentum != 0.0, nesterov }, moment(0)),
                OptimizerKind::Adam => adam::rule(false, [moment(0), moment(1)]),
                OptimizerKind::AdamW => adam::rule(true, [moment(0), moment(1)]),
                OptimizerKind::RmsProp => {
                    let form = rmsprop::Form { momentum: optimizer.momentum != 0.0, centered: optimizer.centered };
                    let averages = Slice { buffer: moments[0], offset: first * width, len: len * width };
                    rmsprop::rule(form, [averages, moment(1)])
                }
                OptimizerKind::Lion => lion::rule(moment(0)),
                OptimizerKind::Muon => muon::rule(nesterov, [moment(0), moment(1)]),
            };
            Arc::new(Update {
                label: format!("update from {first}"),
                rule,
                shape,
                terms: Terms {
                    clip: norm.is_some(),
                    penalty: optimizer.l2 != 0.0,
                    skips: self.precision == Precision::Mixed,
                    spares_biases: !optimizer.decay_bias,
                },
                operands: Operands {
                    parameters: part(self.trained),
                    gradients: part(self.gradients),
                    weight_blocks,
                    hyper,
                    scalars,
                    norm_parts: norm.unwrap_or(scalars),
                },
            })
        };
        layout.ranges(self.limits.binding_bytes / width as u64).map(range).collect()
    }
}

/// Most steps of all models whose rates are kept in a table: 256 MiB.
const MOST_RATES: usize = 1 << 26;

impl PlanBuilder<'_> {
    /// The table of the learning rate's factors in every step of a run.
    pub(super) fn rate_factors(&mut self, train: &TrainSpec, steps_per_epoch: usize) -> Result<BufferId, BuildError> {
        let len = steps_per_epoch.checked_mul(train.epochs as usize).and_then(|steps| steps.checked_mul(self.models));
        match len {
            Some(len) if len <= MOST_RATES => {
                Ok(self.out.plan.buffer("train.rate_factors", Element::F32, len, Role::State))
            }
            _ => Err(BuildError::TooManyRates { most: MOST_RATES / self.models }),
        }
    }

    /// What takes a step's factor of the learning rate from the table, where there is one.
    pub(super) fn scheduled_rate(
        &self,
        factors: Option<BufferId>,
        counters: BufferId,
        scalars: BufferId,
    ) -> Vec<Arc<dyn Launch>> {
        let plan = &self.out.plan;
        let one = |factors: BufferId| -> Arc<dyn Launch> {
            let [factors, counters, scalars] = [factors, counters, scalars].map(|id| plan.whole(id));
            let (models, steps) = (self.models as u32, (factors.len / self.models) as u32);
            let shape = kernel::step::scheduled_rate::Params { models, steps };
            let label = "learning rate".into();
            Arc::new(kernel::step::scheduled_rate::ScheduledRate { label, shape, factors, counters, scalars })
        };
        factors.map(one).into_iter().collect()
    }

    /// What adds a batch's gradients to those of its update, where an update takes several batches. `batch` examples at a
    /// time, `examples` in an epoch, `batches` to an update.
    pub(super) fn accumulate(
        &self,
        [batch, examples, batches]: [usize; 3],
        counters: BufferId,
    ) -> Vec<Arc<dyn Launch>> {
        if self.batch_gradients == self.gradients {
            return Vec::new();
        }
        let range = |(first, len): (usize, usize)| -> Arc<dyn Launch> {
            let part = |buffer: BufferId| Slice { buffer, offset: first, len };
            let [batch, examples, batches] = [batch, examples, batches].map(|n| n as u32);
            let (len, first, parameter_stride) = (len as u32, first as u32, self.out.layout.stride as u32);
            Arc::new(kernel::optimizer::accumulate_gradients::AccumulateGradients {
                label: format!("add gradients from {first}"),
                shape: kernel::optimizer::accumulate_gradients::Params {
                    len,
                    first,
                    parameter_stride,
                    batch,
                    examples,
                    batches,
                },
                batch_gradients: part(self.batch_gradients),
                counters: self.out.plan.whole(counters),
                gradients: part(self.gradients),
            })
        };
        self.out.layout.ranges(self.limits.binding_bytes).map(range).collect()
    }

    /// What moves the average of the weights after a step was counted, where there is one that decays so.
    pub(super) fn average(&self, decay: Option<f32>, counters: BufferId) -> Vec<Arc<dyn Launch>> {
        let Some(decay) = decay else { return Vec::new() };
        let range = |(first, len): (usize, usize)| -> Arc<dyn Launch> {
            let part = |buffer: BufferId| Slice { buffer, offset: first, len };
            let (len, first, parameter_stride) = (len as u32, first as u32, self.out.layout.stride as u32);
            Arc::new(kernel::optimizer::average_weights::AverageWeights {
                label: format!("average from {first}"),
                shape: kernel::optimizer::average_weights::Params {
                    len,
                    first,
                    parameter_stride,
                    rest: one_minus(decay),
                },
                parameters: part(self.trained),
                counters: self.out.plan.whole(counters),
                average: part(self.out.parameters),
            })
        };
        self.out.layout.ranges(self.limits.binding_bytes).map(range).collect()
    }
}

/// The numbers of one model's `hyper` for an optimizer, at a learning rate.
pub fn hyper_words(optimizer: &OptimizerSpec, learning_rate: f32, warmup_steps: u64) -> [f32; state::HYPER] {
    let mut hyper = [0.0; state::HYPER];
    hyper[state::LEARNING_RATE] = learning_rate;
    hyper[state::MOMENTUM] = optimizer.momentum;
    hyper[state::BETA1] = optimizer.beta1;
    let beta2 = if optimizer.kind == OptimizerKind::RmsProp { optimizer.alpha } else { optimizer.beta2 };
    hyper[state::BETA2] = beta2;
    hyper[state::ONE_MINUS_BETA1] = one_minus(optimizer.beta1);
    hyper[state::ONE_MINUS_BETA2] = one_minus(beta2);
    hyper[state::EPSILON] = optimizer.epsilon;
    hyper[state::L2] = optimizer.l2;
    hyper[state::WEIGHT_DECAY] = optimizer.weight_decay;
    hyper[state::CLIP_NORM] = optimizer.clip_norm.unwrap_or(f32::INFINITY);
    hyper[state::WARMUP_STEPS] = warmup_steps.max(1) as f32;
    if optimizer.kind == OptimizerKind::Muon {
        hyper[state::ADAM_RATE] = optimizer.adam_learning_rate / optimizer.learning_rate;
        hyper[state::ONE_MINUS_MOMENTUM] = one_minus(optimizer.momentum);
    }
    hyper
}

/// `1 - beta`, where `beta` is taken as the decimal number that it was written as: in f32, `1 - 0.999` is off by 5e-5.
fn one_minus(beta: f32) -> f32 {
    let written: f64 = beta.to_string().parse().unwrap_or(f64::from(beta));
    (1.0 - written) as f32
}
