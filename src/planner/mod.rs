//! From a model to a plan: the model's graph gets memory, its operations become launches, and the programs of training and
//! evaluation are put together from them.

mod builder;
mod fuse;
mod loss_scale;
mod update;

pub use crate::graph::ParameterLayout;
pub use builder::{BuildError, PlanBuilder, TrainingPlan};
pub use fuse::{Fusion, NotFused};
pub use update::hyper_words;
