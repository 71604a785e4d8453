//! Whether a training step of a network of dense layers is fused into two launches, and those launches.
//!
//! The choice never depends on how many models train side by side: their results must not. Where a step of one model is
//! fused and the memory of several does not fit a binding, the plan of the several is refused.

use super::builder::PlanBuilder;
use super::fusion::{Fusion, NotFused, Request, StepBuffers};
use crate::ir::{BufferId, Element, PhaseKind, Role};
use crate::kernel::fused::layers::DenseLayers;
use crate::kernel::optimizer::sgd::Momentum;
use crate::kernel::{Launch, LaunchPhase, fused};
use crate::model::Network;
use crate::recipe::{Loss, OptimizerKind, Precision, Record};
use std::sync::Arc;

/// Most bytes of weights in a fused step. Each workgroup reads all of them through one multiprocessor, at 64 bytes a clock:
/// 2 MiB take some 18 us, as long as the ten launches that fusing saves.
const MAX_WEIGHT_BYTES: usize = 2 << 20;
/// Most bytes of weights that all blocks of rows of a batch read together. From the cache that they share 128 MiB take some
/// 30 us; beyond that a product that reads each weight for many rows is faster.
const MAX_TRAFFIC_BYTES: usize = 128 << 20;

impl PlanBuilder<'_> {
    /// The layers of a step that is to be fused, or why it is not.
    pub(super) fn fusable(&self, network: &Network, request: &Request) -> Result<DenseLayers, NotFused> {
        match self.fusion {
            Fusion::Never => return Err(NotFused::Asked),
            Fusion::Auto if !self.limits.costly_launches => return Err(NotFused::CheapLaunches),
            Fusion::Auto | Fusion::Always => {}
        }
        if self.precision == Precision::Mixed {
            return Err(NotFused::Precision);
        }
        if network.augmentations > 0 {
            return Err(NotFused::Augments);
        }
        let layers = self.dense_layers(network)?;
        if !matches!(request.optimizer.kind, OptimizerKind::Sgd | OptimizerKind::Adam | OptimizerKind::AdamW) {
            return Err(NotFused::Optimizer(request.optimizer.kind));
        }
        if request.optimizer.clip_norm.is_some() {
            return Err(NotFused::ClipNorm);
        }
        if !request.optimizer.decay_bias {
            return Err(NotFused::DecayBias);
        }
        if request.train.record.iter().any(|r| matches!(r, Record::GradientNorms | Record::WeightNorms)) {
            return Err(NotFused::Norms);
        }
        if self.batch_gradients != self.gradients {
            return Err(NotFused::Accumulates);
        }
        if request.source.weights.is_some() {
            return Err(NotFused::Weighted);
        }
        if self.model.layers.iter().any(|layer| layer.frozen) {
            return Err(NotFused::Frozen);
        }
        self.fits(&layers, request)?;
        if self.fusion == Fusion::Auto {
            pays(&layers, request.source.batches.size).map(|()| layers)
        } else {
            Ok(layers)
        }
    }

    /// The forward pass as dense layers.
    fn dense_layers(&self, network: &Network) -> Result<DenseLayers, NotFused> {
        // The first operation takes the batch out of the data.
        let layers = network.graph.nodes[1..network.before_loss].iter().map(|node| {
            let layer = node.operation.dense_layer(&self.out.layout.offsets);
            layer.ok_or_else(|| NotFused::Operation(node.operation.describe()))
        });
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        if self.model.loss != Loss::SoftmaxCrossEntropy {
            return Err(NotFused::Loss(self.model.loss));
        }
        if self.model.label_smoothing != 0.0 {
            return Err(NotFused::LabelSmoothing);
        }
        if layers.is_empty() || layers.len() > fused::layers::MOST {
            return Err(NotFused::Layers(layers.len()));
        }
        Ok(DenseLayers(layers))
    }

    /// Whether the device has room for the fused step of one model.
    fn fits(&self, layers: &DenseLayers, request: &Request) -> Result<(), NotFused> {
        let (needed, limit) = (fused::forward_backward::workgroup_bytes(layers), self.limits.workgroup_bytes);
        if needed > limit as usize {
            return Err(NotFused::WorkgroupMemory { needed, limit });
        }
        let (needed, limit) =
            (4 * layers.trace(request.source.batches.size).len.max(self.out.layout.stride), self.limits.binding_bytes);
        if needed as u64 > limit {
            return Err(NotFused::Binding { needed, limit });
        }
        Ok(())
    }

    /// The two phases of a fused step, of a launch each.
    pub(super) fn fused_step(
        &mut self,
        layers: &DenseLayers,
        request: &Request,
        state: &StepBuffers,
    ) -> Vec<LaunchPhase> {
        let trace_stride = layers.trace(request.source.batches.size).len;
        let trace = self.out.plan.buffer("train.trace", Element::F32, self.models * trace_stride, Role::Activations);
        let forward_backward = self.forward_backward(layers, request, state, trace);
        let update = self.fused_update(layers, request, state, trace);
        vec![
            LaunchPhase::new(PhaseKind::Backward, vec![forward_backward]),
            LaunchPhase::new(PhaseKind::Update, vec![update]),
        ]
    }

    fn forward_backward(
        &self,
        layers: &DenseLayers,
        request: &Request,
        state: &StepBuffers,
        trace: BufferId,
    ) -> Arc<dyn Launch> {
        let (plan, source) = (&self.out.plan, request.source);
        let shape = fused::forward_backward::Params {
            rows: request.source.batches.size as u32,
            examples: source.layout.examples as u32,
            window: source.window_rows(),
            row_words: source.layout.row_words() as u32,
            parameter_stride: self.out.layout.stride as u32,
            trace_stride: layers.trace(request.source.batches.size).len as u32,
            multiply_adds: layers.multiply_adds() as u32,
            add: self.scaling_add,
        };
        let operands = fused::forward_backward::Operands {
            data: plan.whole(source.data),
            labels: plan.whole(source.targets),
            subtract: plan.whole(self.out.scaling[0]),
            divide: plan.whole(self.out.scaling[1]),
            counters: plan.whole(state.counters),
            scalars: plan.whole(state.scalars),
            parameters: plan.whole(self.trained),
            trace: plan.whole(trace),
        };
        let variant = fused::forward_backward::Variant { data: source.variant(), squares: request.optimizer.l2 != 0.0 };
        Arc::new(fused::forward_backward::ForwardBackward {
            label: "forward and backward".into(),
            shape,
            models: self.models,
            layers: layers.clone(),
            variant,
            operands,
        })
    }

    fn fused_update(
        &self,
        layers: &DenseLayers,
        request: &Request,
        state: &StepBuffers,
        trace: BufferId,
    ) -> Arc<dyn Launch> {
        let whole = |id: BufferId| self.out.plan.whole(id);
        let layout = layers.trace(request.source.batches.size);
        let (optimizer, penalty) = (request.optimizer, request.optimizer.l2 != 0.0);
        let shape = fused::update::Params {
            rows: request.source.batches.size as u32,
            examples: request.source.layout.examples as u32,
            parameter_stride: self.out.layout.stride as u32,
            trace_stride: layout.len as u32,
            penalty_parts: if penalty { layout.blocks as u32 } else { 0 },
            log_steps: state.log_steps as u32,
            multiply_adds: layers.weights() as u32,
        };
        let [trace, hyper, counters, scalars, log, parameters] =
            [trace, self.out.hyper, state.counters, state.scalars, state.log, self.trained].map(whole);
        let operands = fused::update::Operands { trace, hyper, counters, scalars, log, parameters };
        let label = "gradients and update";
        if optimizer.kind == OptimizerKind::Sgd {
            let velocity = state.moments.first().map_or(whole(self.unused), |id| whole(*id));
            let momentum = Momentum { any: optimizer.momentum != 0.0, nesterov: optimizer.nesterov };
            Arc::new(fused::update_sgd::UpdateSgd {
                label: label.into(),
                shape,
                models: self.models,
                layers: layers.clone(),
                momentum,
                penalty,
                operands,
                velocity,
            })
        } else {
            let decoupled = optimizer.kind == OptimizerKind::AdamW;
            let moments = [whole(state.moments[0]), whole(state.moments[1])];
            Arc::new(fused::update_adam::UpdateAdam {
                label: label.into(),
                shape,
                models: self.models,
                layers: layers.clone(),
                decoupled,
                penalty,
                operands,
                moments,
            })
        }
    }
}

/// Whether a fused step is faster than the plain one.
fn pays(layers: &DenseLayers, batch: usize) -> Result<(), NotFused> {
    let weights = 4 * layers.weights();
    if weights > MAX_WEIGHT_BYTES {
        return Err(NotFused::Weights { weights, most: MAX_WEIGHT_BYTES });
    }
    let bytes = weights * batch.div_ceil(fused::layers::BLOCK);
    if bytes > MAX_TRAFFIC_BYTES {
        return Err(NotFused::Traffic { bytes, most: MAX_TRAFFIC_BYTES });
    }
    Ok(())
}
