//! Loss scaling of mixed precision. f16 holds no number below 2^-24, and gradients are small: the loss's gradient is multiplied
//! by a scale, the parameters' gradients are divided by it, and a step whose gradients left the finite numbers is skipped and
//! halves it (`torch.amp.GradScaler`). All of it stays on the device, for each model by itself.

use super::builder::PlanBuilder;
use crate::ir::{BufferId, Element, PhaseKind, Role};
use crate::kernel::optimizer::adjust_loss_scale::{self, AdjustLossScale};
use crate::kernel::optimizer::unscale_gradients::{self, UnscaleGradients};
use crate::kernel::{Launch, LaunchProgram};
use std::sync::Arc;

/// Launches and state of a scaled loss.
pub(super) struct LossScaling {
    /// After the backward pass: the gradients of the loss itself.
    unscale: Arc<dyn Launch>,
    /// Before the update: whether it is skipped, and the next step's scale.
    adjust: Arc<dyn Launch>,
    /// (models, HISTORY).
    pub(super) history: BufferId,
}

impl LossScaling {
    /// A step whose loss is scaled.
    pub(super) fn scaled(&self, step: LaunchProgram) -> LaunchProgram {
        step.with_last(PhaseKind::Backward, vec![self.unscale.clone()])
            .with_first(PhaseKind::Update, vec![self.adjust.clone()])
    }
}

impl PlanBuilder<'_> {
    /// Adds the buffers of loss scaling; `counters` and `scalars` are those of training.
    pub(super) fn loss_scaling(&mut self, counters: BufferId, scalars: BufferId) -> LossScaling {
        let (models, stride) = (self.models, self.out.layout.stride);
        let parts = unscale_gradients::parts(stride);
        let plan = &mut self.out.plan;
        let not_finite = plan.buffer("train.not_finite", Element::F32, models * parts, Role::Metrics);
        let history = plan.buffer("train.loss_scale", Element::U32, models * adjust_loss_scale::HISTORY, Role::State);
        let [gradients, counters, scalars, parts_of] =
            [self.gradients, counters, scalars, not_finite].map(|id| plan.whole(id));
        let shape = unscale_gradients::Params { len: stride as u32, parts: parts as u32 };
        let operands = unscale_gradients::Operands { gradients, counters, parts: parts_of };
        let unscale = Arc::new(UnscaleGradients { label: "unscale gradients".into(), shape, models, operands });
        let operands = adjust_loss_scale::Operands { parts: parts_of, counters, scalars, history: plan.whole(history) };
        let shape = adjust_loss_scale::Params { parts: parts as u32 };
        let adjust = Arc::new(AdjustLossScale { label: "loss scale".into(), shape, models, operands });
        LossScaling { unscale, adjust, history }
    }
}
