//! The plain types of a recipe. They hold what the TOML says after defaults are filled in; reading and writing TOML
//! is the business of the modules beside this one.

mod data;
mod network;
mod schedule;
mod training;

pub use data::{DataSpec, Holdout, Scale, Source};
pub use network::ModelSpec;
pub use schedule::{Anneal, By, Phase, Schedule, ScheduleKind};
pub use training::{Batch, EarlyStop, Metric, OptimizerKind, OptimizerSpec, Record, SweepSpec, TrainSpec};

pub use crate::kernel::{Activation, Loss};
pub use crate::keys::Keyword;
pub use crate::layers::{Init, LayerSpec, Padding};

use crate::keys::keywords;

/// A whole training run: data, model, optimizer, schedule and loop.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// Names the run folder and the run in reports.
    pub name: String,
    /// Seeds the initial weights, the batch order and dropout; the held-out examples too, unless `data.seed` does.
    pub seed: u64,
    /// Arithmetic of the matrix products.
    pub precision: Precision,
    /// Where the examples come from.
    pub data: DataSpec,
    /// The network, its loss and its initial weights.
    pub model: ModelSpec,
    /// The update rule.
    pub optimizer: OptimizerSpec,
    /// How the learning rate changes over the epochs.
    pub schedule: Schedule,
    /// The loop.
    pub train: TrainSpec,
    /// The table of variations for `sweep`, if the recipe has one.
    pub sweep: Option<SweepSpec>,
}

impl Recipe {
    /// The seed that decides which examples are held out.
    pub fn data_seed(&self) -> u64 {
        self.data.seed.unwrap_or(self.seed)
    }
}

/// Arithmetic of the matrix products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// Everything in f32.
    #[default]
    F32,
    /// f16 operands, f32 accumulation and master weights.
    Mixed,
}

keywords!(Precision { "f32" => F32, "mixed" => Mixed });
