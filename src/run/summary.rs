//! `summary.json`: what came out of a run.

use crate::backend::DeviceInfo;
use crate::recipe::Recipe;
use crate::train::Outcome;
use serde::{Deserialize, Serialize};

/// The result of a run in one object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The recipe's name.
    pub name: String,
    /// Mean loss on the test set, with the final weights.
    pub test_loss: Option<f32>,
    /// Accuracy on the test set, with the final weights.
    pub test_accuracy: Option<f32>,
    /// Mean loss on the validation set, with the final weights.
    pub validation_loss: Option<f32>,
    /// Accuracy on the validation set, with the final weights.
    pub validation_accuracy: Option<f32>,
    /// Mean loss over the last epoch.
    pub train_loss: Option<f32>,
    /// Accuracy over the last epoch.
    pub train_accuracy: Option<f32>,
    /// Trained scalars.
    pub parameters: usize,
    /// Epochs taken.
    pub epochs: u32,
    /// Epoch of the final weights: an earlier one where early stopping restored it.
    pub best_epoch: u32,
    /// Optimizer steps taken.
    pub steps: u32,
    /// Seconds of training.
    pub seconds: f64,
    /// Steps per second of training.
    pub steps_per_second: f64,
    /// Seconds from the start of the process to the first step.
    pub startup_seconds: f64,
    /// Where it ran.
    pub backend: String,
    /// On what.
    pub device: String,
    /// Its driver.
    pub driver: String,
    /// Arithmetic.
    pub precision: String,
    /// Steps whose update was skipped, since a gradient was not finite; only in mixed precision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped_steps: Option<u32>,
    /// Seed.
    pub seed: u64,
    /// blake3 of the final weights.
    pub parameter_hash: String,
}

impl Summary {
    /// From a run's pieces; what the trainer alone knows is filled in by the caller.
    pub fn new(recipe: &Recipe, device: &DeviceInfo, outcome: &Outcome) -> Summary {
        Summary {
            name: recipe.name.clone(),
            test_loss: outcome.test.map(|s| s.loss),
            test_accuracy: outcome.test.and_then(|s| s.accuracy),
            validation_loss: outcome.validation.map(|s| s.loss),
            validation_accuracy: outcome.validation.and_then(|s| s.accuracy),
            train_loss: None,
            train_accuracy: None,
            parameters: outcome.parameters.iter().map(Vec::len).sum(),
            epochs: 0,
            best_epoch: outcome.epoch,
            steps: 0,
            seconds: 0.0,
            steps_per_second: 0.0,
            startup_seconds: 0.0,
            backend: device.backend.clone(),
            device: device.device.clone(),
            driver: device.driver.clone(),
            precision: recipe.precision.to_string(),
            skipped_steps: outcome.skipped_steps,
            seed: recipe.seed,
            parameter_hash: crate::export::parameter_hash(&outcome.parameters),
        }
    }
}
