//! From a model to a plan: the model's graph gets memory, its operations become launches, and the programs of training and
//! evaluation are put together from them.

mod builder;
mod fuse;
mod fusion;
mod loss_scale;
mod memory;
mod muon;
mod phases;
mod training;
mod update;

pub(crate) use builder::WEIGHT_SUMS_BUFFER;
pub use builder::{BuildError, Meetings, PlanBuilder, TrainingPlan};
pub use fusion::{Fusion, NotFused};
pub use update::hyper_words;
