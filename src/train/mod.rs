//! The training loop: feeds a backend, asks for steps, and records what comes back.

pub(crate) mod check;
mod checkpoint;
mod draft;
mod evaluate;
mod feed;
pub(crate) mod measured;
mod member;
mod metrics;
mod moment;
pub(crate) mod mounted;
mod population;
mod ranks;
mod results;
pub(crate) mod spec;
mod steps;
mod tracker;
mod trainer;
pub(crate) mod upload;

pub use crate::recipe::Set;
pub use checkpoint::{Checkpoint, CheckpointError, DataChanges, DataSeen, Progress};
pub use draft::Draft;
pub use evaluate::Predictions;
pub use measured::{SetTruth, task};
pub use member::Member;
pub use metrics::{EpochMetrics, MetricsBySet, Norms, Observer, Score, Silent, StepMetrics};
pub use population::Population;
pub use spec::{Mixed, Seen, TrainerSpec};
pub use tracker::Tracker;
pub use trainer::{Outcome, Stop, Trainer};

use crate::backend::BackendError;
use crate::data::DataError;
use crate::ir::PlanError;
use crate::planner::BuildError;
use crate::ranks::RankError;

/// Why training could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The plan does not fit the device.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The device failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// Nothing to train.
    #[error("the network has no parameters to train; add a layer that has, such as {{ dense = 10 }}")]
    NoParameters,
    /// Changes of images that make no sense here.
    #[error("{0}")]
    Augment(String),
    /// Nothing to train on.
    #[error("the training set is empty after {held_out} examples were held out; lower data.validation or data.test")]
    NoExamples {
        /// Examples in the validation and test sets.
        held_out: usize,
    },
    /// `drop_last` leaves no batch.
    #[error(
        "a batch of {batch} is larger than the {examples} training examples, and train.drop_last drops it; lower train.batch"
    )]
    NoBatch {
        /// Examples in a batch.
        batch: usize,
        /// Examples in the training set.
        examples: usize,
    },
    /// A batch norm over single values.
    #[error(
        "{layer} normalises over the batch, and {what} has one value of each of its features, which has no variance; {remedy}",
        what = if *last {
            format!("the last batch of {examples} examples in batches of {batch}")
        } else {
            format!("a batch of {batch}")
        },
        remedy = if *last { "set train.drop_last = true, or another train.batch" } else { "raise train.batch" }
    )]
    OneValue {
        /// The layer.
        layer: String,
        /// Examples in a batch.
        batch: usize,
        /// Examples in the set.
        examples: usize,
        /// Whether it is the last, short batch that is too small.
        last: bool,
    },
    /// A layer takes running statistics in training, of which there are none here.
    #[error(
        "{layer} is frozen (start.freeze) and normalises by its running statistics in training too; a landscape, which knows weights \
         alone, would show another loss than the one that was trained"
    )]
    FrozenStatistics {
        /// The layer.
        layer: String,
    },
    /// The loss left the finite numbers.
    #[error(
        "the loss was not finite at step {step} (epoch {epoch}); lower optimizer.learning_rate or optimizer.l2, set optimizer.clip_norm, or check the data's scale (data.scale)"
    )]
    NotFinite {
        /// Number of the step, from 1.
        step: u32,
        /// Number of the epoch, from 1.
        epoch: u32,
    },
    /// The loss was finite up to the last step, but what it led to is not.
    #[error(
        "the run ended with {what} that is not finite; lower optimizer.learning_rate or optimizer.l2, set optimizer.clip_norm, or check the data's scale (data.scale)"
    )]
    NotFiniteEnd {
        /// What is not finite.
        what: &'static str,
    },
    /// A trained model gives no number.
    #[error(
        "the model's output for example {example} (counted from 0) is {value}; check that the data is of the range that the model was trained on"
    )]
    NotFiniteOutput {
        /// The example, counted from 0.
        example: usize,
        /// Its output.
        value: f32,
    },
    /// A metric that early stopping or the plateau schedule watches does not exist in this run.
    #[error("{watcher} watches {metric}, but there is no such set; add data.{set}")]
    NoMetric {
        /// Who asks.
        watcher: &'static str,
        /// The metric's name.
        metric: String,
        /// The missing set.
        set: &'static str,
    },
    /// A set to evaluate that does not exist.
    #[error("there is no {set} set to evaluate; add data.{set}")]
    NoSet {
        /// Its name.
        set: String,
    },
    /// A plan that is to hold its examples has no room for them.
    #[error(
        "the {set} set takes {bytes} bytes, more than one buffer of the device may show to a kernel, so that it would be streamed; a \
         plan that holds its examples takes fewer of them: lower data.examples"
    )]
    StreamedPlan {
        /// The set.
        set: String,
        /// Bytes of its examples.
        bytes: u64,
    },
    /// A plan that was read is that of something else.
    #[error("the plan is not that of this training: {0}; write it anew with gputrain inspect --plan --out")]
    OtherPlan(String),
    /// The gradients of a step and its update in two launches.
    #[error("a fused step keeps no gradients: make the trainer with Fusion::Never to take a step in two halves")]
    NoHalves,
    /// Weights or gradients that are not those of the model.
    #[error("{0}")]
    NotOfModel(String),
    /// An update without the gradients of a step, or a step between the two.
    #[error("{0}")]
    HalfStep(&'static str),
    /// A watched metric that means nothing, or is undefined.
    #[error("{watcher} watches {metric}, but {problem}")]
    NoMeaning {
        /// Who asks.
        watcher: &'static str,
        /// The metric's name.
        metric: String,
        /// Why, and what to watch.
        problem: String,
    },
    /// Targets that the loss means nothing for.
    #[error(transparent)]
    Data(Box<DataError>),
    /// Folds that the models cannot take.
    #[error("{folds} folds cannot train side by side: {problem}")]
    Folds {
        /// Number of folds.
        folds: usize,
        /// Why not, and the remedy.
        problem: String,
    },
    /// More steps than a counter holds.
    #[error("the run would take {steps} steps, more than {}; lower train.epochs or raise train.batch", u32::MAX)]
    TooManySteps {
        /// Epochs times steps of each.
        steps: u64,
    },
    /// Ranks that cannot train together.
    #[error(transparent)]
    Ranks(#[from] RankError),
    /// A checkpoint that is not this run's.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl From<PlanError> for TrainError {
    fn from(error: PlanError) -> TrainError {
        TrainError::Build(error.into())
    }
}

impl From<DataError> for TrainError {
    fn from(error: DataError) -> TrainError {
        TrainError::Data(Box::new(error))
    }
}
