//! Everything that a training reports, in a form that can be compared.

use crate::cases::{folder, sample_weights};
use gputrain::job::Job;
use gputrain::recipe::{Recipe, Source};
use gputrain::train::{Checkpoint, EpochMetrics, Observer, StepMetrics};

/// What one model's training reported.
#[derive(Debug, Default, PartialEq)]
pub struct Story {
    pub epochs: Vec<EpochMetrics>,
    pub steps: Vec<StepMetrics>,
    pub weights: Vec<Vec<Vec<f32>>>,
}

/// What is said of the run as a whole, and when to stop it.
#[derive(Default)]
pub struct Control {
    pub stop_after: Option<u64>,
    pub checkpoint: Option<Checkpoint>,
    done: u64,
}

/// The stories of all members.
pub struct Stories(pub Vec<Story>, pub Control);

impl Stories {
    pub fn new(members: usize) -> Stories {
        Stories((0..members).map(|_| Story::default()).collect(), Control::default())
    }
}

impl Observer for Stories {
    fn epoch(&mut self, member: usize, metrics: &EpochMetrics) {
        // The only thing in which equal runs differ.
        self.0[member].epochs.push(EpochMetrics { seconds: 0.0, ..metrics.clone() });
    }

    fn step(&mut self, member: usize, metrics: &StepMetrics) {
        self.0[member].steps.push(metrics.clone());
    }

    fn weights(&mut self, member: usize, _: u32, parameters: Vec<Vec<f32>>) {
        self.0[member].weights.push(parameters);
    }

    fn progress(&mut self, done: u64, _: u64) {
        self.1.done = done;
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) {
        self.1.checkpoint = Some(checkpoint);
    }

    fn interrupted(&mut self) -> bool {
        self.1.stop_after.is_some_and(|steps| self.1.done >= steps)
    }
}

/// A golden case's recipe, changed, with its data.
pub fn golden_job(name: &str, overrides: &[(&str, &str)]) -> Job {
    let overrides: Vec<(String, String)> = overrides.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let mut recipe = Recipe::load(&folder().join(format!("{name}.toml")), &overrides).unwrap();
    let key = |key: &str| format!("{}#{key}", folder().join(format!("{name}.npz")).display());
    recipe.data.train = Some(Source::Arrays { images: key("x"), labels: key("y") });
    recipe.data.sample_weights = sample_weights(name);
    Job::load(recipe).unwrap()
}
