//! `summary.json`: what came out of a run.

use crate::backend::DeviceInfo;
use crate::export::{Started, parameter_hash};
use crate::model::Model;
use crate::recipe::Recipe;
use crate::train::{EpochMetrics, MetricsBySet, Outcome};
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
    /// All that can be measured on the validation and the test set, with the final weights. Earlier versions did not.
    #[serde(default)]
    pub metrics: MetricsBySet,
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
    /// What `start.from` gave. A run that goes on after an interruption does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Started>,
    /// The ranks that shared its batches, where it was not one process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<Shared>,
}

/// How a run was shared by ranks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shared {
    /// How many there were.
    pub ranks: usize,
    /// Bytes of values that a rank sent to the others, by the steps since the run began or went on: gradients, and what ranks
    /// agree on after an epoch.
    pub bytes_per_step: f64,
}

impl Summary {
    /// Of a run that is over, with what its last epoch measured. One without an outcome diverged: it has no metrics and no
    /// weights.
    pub fn new(
        recipe: &Recipe,
        model: &Model,
        device: &DeviceInfo,
        last: Option<&EpochMetrics>,
        outcome: Option<&Outcome>,
        startup_seconds: f64,
    ) -> Summary {
        let measured = last.filter(|_| outcome.is_some());
        let [test, validation] = [outcome.and_then(|o| o.test), outcome.and_then(|o| o.validation)];
        let (epochs, steps, seconds) = last.map_or((0, 0, 0.0), |last| (last.epoch, last.step, last.seconds));
        Summary {
            name: recipe.name.clone(),
            test_loss: test.map(|score| score.loss),
            test_accuracy: test.and_then(|score| score.accuracy),
            validation_loss: validation.map(|score| score.loss),
            validation_accuracy: validation.and_then(|score| score.accuracy),
            train_loss: measured.map(|last| last.train_loss),
            train_accuracy: measured.and_then(|last| last.train_accuracy),
            metrics: outcome.map_or(MetricsBySet::new(), |outcome| outcome.metrics.clone()),
            parameters: model.parameters_count(),
            epochs,
            best_epoch: outcome.map_or(0, |outcome| outcome.epoch),
            steps,
            seconds,
            // A coarse clock may see no time at all: infinity is no JSON.
            steps_per_second: if seconds > 0.0 { f64::from(steps) / seconds } else { 0.0 },
            startup_seconds,
            backend: device.backend.clone(),
            device: device.device.clone(),
            driver: device.driver.clone(),
            precision: recipe.precision.to_string(),
            skipped_steps: outcome.and_then(|outcome| outcome.skipped_steps),
            seed: recipe.seed,
            parameter_hash: outcome.map_or(String::new(), |outcome| parameter_hash(&outcome.parameters)),
            start: None,
            shared: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Backend, cpu::CpuBackend};
    use crate::metrics::{Measure, Metrics};
    use crate::train::Score;

    #[test]
    fn a_summary_of_any_run_is_read_back() {
        let text = "[model]\ninput = [4]\nlayers = \"3:relu,2\"\n";
        let recipe = Recipe::parse(text, "small.toml", &[]).unwrap();
        let model = Model::build(&recipe.model, None).unwrap();
        let last = |seconds: f64| EpochMetrics {
            epoch: 3,
            step: 12,
            train_loss: 0.5,
            train_accuracy: Some(0.75),
            validation_loss: None,
            validation_accuracy: None,
            test_loss: None,
            test_accuracy: None,
            metrics: MetricsBySet::new(),
            learning_rate: 0.1,
            learning_rate_before: None,
            seconds,
        };
        let score = Some(Score { loss: 0.25, accuracy: None });
        let parameters = model.initialise(1);
        let brier =
            Metrics { values: [(Measure::Brier, Some(0.5)), (Measure::RocAuc, None)].into(), ..Metrics::default() };
        let metrics = MetricsBySet::from([("test".into(), brier)]);
        let outcome = Outcome {
            parameters,
            validation: None,
            test: score,
            metrics,
            epoch: 2,
            stopped: None,
            skipped_steps: None,
        };
        let backend = CpuBackend::new();
        let of = |seconds: f64, outcome: Option<&Outcome>| {
            let summary = Summary::new(&recipe, &model, backend.info(), Some(&last(seconds)), outcome, 0.5);
            let text = serde_json::to_string(&summary).unwrap();
            assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), summary, "{text}");
            summary
        };
        let timed = of(2.0, Some(&outcome));
        assert_eq!((timed.steps_per_second, timed.epochs, timed.best_epoch, timed.parameters), (6.0, 3, 2, 23));
        assert_eq!((timed.train_loss, timed.train_accuracy), (Some(0.5), Some(0.75)));
        assert_eq!((timed.test_loss, timed.test_accuracy, timed.validation_loss), (Some(0.25), None, None));
        assert_eq!(of(0.0, Some(&outcome)).steps_per_second, 0.0);
        let diverged = of(2.0, None);
        assert_eq!((diverged.epochs, diverged.steps, diverged.parameters), (3, 12, 23));
        assert_eq!((diverged.train_loss, diverged.test_loss, &*diverged.parameter_hash), (None, None, ""));
    }
}
