//! The plain types of a recipe. They hold what the TOML says after defaults are filled in; reading and writing TOML
//! is the business of the modules beside this one.

mod augment;
pub(super) mod data;
mod network;
mod schedule;
mod start;
mod sweep;
mod training;

pub use augment::{AugmentSpec, Flip, SizeRange};
pub use data::{Aim, Broken, ClassWeights, DataSpec, Fit, Holdout, ImageSpec, Missing, Normalize, Scale, Source};
pub use network::ModelSpec;
pub use schedule::{Anneal, By, Phase, Schedule, ScheduleKind};
pub use start::{Renames, StartSpec};
pub use sweep::SweepSpec;
pub use training::{
    Batch, EarlyStop, LearningRateAdjustment, Metric, OptimizerKind, OptimizerSpec, Record, Set, TrainSpec,
};

pub use crate::kernel::{Activation, Loss};
pub use crate::keys::Keyword;
pub use crate::layers::{Init, LayerSpec, Padding};
pub use crate::metrics::Measure;

use crate::keys::{Optional, Section, Text, Unless, Whole, keyed, keywords};

keyed! {
    /// A whole training run: data, model, optimizer, schedule and loop.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Recipe {
        /// Names the run folder and the run in reports; the file's name where it is left out.
        pub name: String [Text(NAME, is_folder_name)] = "recipe".into(),
        /// Seeds the initial weights, the batch order and dropout; the held-out examples too, unless `data.seed` does.
        pub seed: u64 [Whole(0)] = 0,
        /// Arithmetic of the matrix products.
        pub precision: Precision = Precision::F32,
        /// Where the examples come from.
        pub data: DataSpec [Section],
        /// The network, its loss and its initial weights.
        pub model: ModelSpec [network::Model],
        /// What training begins with.
        pub start: StartSpec [Unless(StartSpec::default(), Section)],
        /// Random changes of the training images.
        pub augment: AugmentSpec [Unless(AugmentSpec::NONE, Section)],
        /// The update rule.
        pub optimizer: OptimizerSpec [Section],
        /// How the learning rate changes over the epochs.
        pub schedule: Schedule [schedule::InSection],
        /// The loop.
        pub train: TrainSpec [Section],
        /// The table of variations for `sweep`, if the recipe has one.
        pub sweep: Option<SweepSpec> [Optional(Section)],
    }
}

const NAME: &str = "a name of 1 to 100 characters that can be a folder: no / \\ : * ? \" < > |, and not only dots";

/// Whether the name can be a folder on every system.
pub(super) fn is_folder_name(text: &str) -> bool {
    let forbidden = |c: char| c.is_control() || "/\\:*?\"<>|".contains(c);
    (1..=100).contains(&text.chars().count())
        && !text.contains(forbidden)
        && text.chars().any(|c| c != '.')
        && text.trim() == text
}

impl Recipe {
    /// The seed that decides which examples are held out.
    pub fn data_seed(&self) -> u64 {
        self.data.seed.unwrap_or(self.seed)
    }
}

keywords! {
    /// Arithmetic of the matrix products.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Precision = F32 {
        /// Everything in f32.
        "f32" => F32,
        /// f16 operands, f32 accumulation and master weights.
        "mixed" => Mixed,
    }
}
