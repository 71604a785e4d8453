//! From a model to a plan: the model's graph gets memory, its operations become launches, and the programs of training and
//! evaluation are put together from them.

mod builder;
mod fuse;
mod loss_scale;
mod update;

pub use crate::graph::{Batches, DataLayout, ParameterLayout, SourceBuffers, TargetLayout, Window};
pub use builder::{BuildError, Evaluation, PlanBuilder, Training, TrainingPlan};
pub use fuse::{Fusion, NotFused};
pub use update::hyper_words;
