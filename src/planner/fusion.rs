//! What is asked of a fused training step, and why a step is not fused.

use crate::ir::{BufferId, SourceBuffers};
use crate::kernel::fused;
use crate::recipe::{Loss, OptimizerKind, OptimizerSpec, TrainSpec};

/// Whether to fuse training steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fusion {
    /// Where it is possible and pays.
    #[default]
    Auto,
    /// Where it is possible; otherwise the plan is refused.
    Always,
    /// Nowhere.
    Never,
}

/// Why a training step is not fused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFused {
    /// The plan was read from a file.
    #[error("the plan that was read is not fused")]
    Read,
    /// Unfused steps were asked for.
    #[error("it was asked for")]
    Asked,
    /// Products are in mixed precision.
    #[error("precision is mixed, and a fused step computes in f32")]
    Precision,
    /// The device launches at no cost.
    #[error("this backend launches kernels at no cost, and has faster ones for each operation")]
    CheapLaunches,
    /// An operation has no fused form.
    #[error("{0} is not fused; only dense layers whose activation's derivative follows from their output are")]
    Operation(String),
    /// The loss has no fused form.
    #[error("the loss is {0}; only softmax_cross_entropy is fused")]
    Loss(Loss),
    /// The loss smooths its labels.
    #[error("model.label_smoothing has no fused form")]
    LabelSmoothing,
    /// There are too many layers.
    #[error("it has {0} layers; at most {most} are fused", most = fused::layers::MOST)]
    Layers(usize),
    /// The optimizer has no fused form.
    #[error("the optimizer is {0}; only sgd, adam and adamw are fused")]
    Optimizer(OptimizerKind),
    /// The gradient's norm must be known before the update.
    #[error("optimizer.clip_norm needs all gradients before the first weight changes")]
    ClipNorm,
    /// Weight decay leaves out the biases.
    #[error("optimizer.decay_bias is false, and a fused step's weight decay knows no biases")]
    DecayBias,
    /// Gradients are recorded.
    #[error("train.record asks for norms, and a fused step keeps no gradients")]
    Norms,
    /// Ranks add up their gradients.
    #[error("ranks add up their gradients, and a fused step keeps none")]
    Ranks,
    /// The gradients of several batches are added up.
    #[error("train.accumulate adds gradients up, and a fused step keeps none")]
    Accumulates,
    /// Examples have weights.
    #[error("examples have weights (data.class_weights or data.sample_weights), and a fused step's loss knows none")]
    Weighted,
    /// Layers are not trained.
    #[error("start.freeze keeps layers as they are, and a fused step updates all of them")]
    Frozen,
    /// The batch's images are changed.
    #[error("[augment] changes the batch, and a fused step takes the examples as they are")]
    Augments,
    /// The activations of a block of rows do not fit.
    #[error("a workgroup would need {needed} bytes of memory, and this device has {limit}")]
    WorkgroupMemory {
        /// Bytes needed.
        needed: usize,
        /// Bytes there are.
        limit: u32,
    },
    /// One model's parameters or trace do not fit a binding.
    #[error("a binding would need {needed} bytes, and this device allows {limit}")]
    Binding {
        /// Bytes needed.
        needed: usize,
        /// Bytes allowed.
        limit: u64,
    },
    /// The network is so large that reading its weights would cost more than the launches do.
    #[error("its {weights} bytes of weights are more than the {most} up to which fusing pays")]
    Weights {
        /// Bytes of weights.
        weights: usize,
        /// Most that are fused.
        most: usize,
    },
    /// The batch is so large that reading the weights again and again would cost more than the launches do.
    #[error("its batch would read {bytes} bytes of weights, more than the {most} up to which fusing pays")]
    Traffic {
        /// Bytes that all blocks of rows read.
        bytes: usize,
        /// Most that are fused.
        most: usize,
    },
}

/// What a training plan is made for.
pub(super) struct Request<'a> {
    pub(super) source: &'a SourceBuffers,
    pub(super) train: &'a TrainSpec,
    pub(super) optimizer: &'a OptimizerSpec,
}

/// Buffers of the step's state.
pub(super) struct StepBuffers<'a> {
    pub(super) counters: BufferId,
    pub(super) scalars: BufferId,
    pub(super) log: BufferId,
    pub(super) log_steps: usize,
    pub(super) moments: &'a [BufferId],
}
