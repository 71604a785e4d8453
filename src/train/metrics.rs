//! What a run measures, and who is told.

use super::Checkpoint;
use crate::data::Targets;
use crate::kernel::step::state;
use crate::metrics::{Measure, Metrics};
use crate::recipe::{Loss, Metric, Set};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Loss and accuracy over a set of examples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Mean loss over the examples, the L2 penalty included.
    pub loss: f32,
    /// Share of right answers; none where the targets of a squared loss name no classes: see [`Score::counts_answers`]. Of the
    /// binary cross-entropy each output is an answer: yes above 1/2, as is a target above 1/2, so that soft labels such as 0.9
    /// can be met (Keras' `binary_accuracy` compares the label itself, which only 0 and 1 can equal).
    pub accuracy: Option<f32>,
}

impl Score {
    /// Whether answers to these targets are right or wrong: always those of the cross entropies; those of the squared
    /// losses only where the targets are classes in other words (one-hot rows, or zeros and ones).
    pub fn counts_answers(loss: Loss, targets: &Targets) -> bool {
        !loss.takes_values() || targets.classes().is_some()
    }

    /// What the accuracy is of: under the binary cross-entropy each of several outputs counts for itself.
    pub fn accuracy_name(loss: Loss, outputs: usize) -> &'static str {
        if loss == Loss::BinaryCrossEntropy && outputs > 1 { "accuracy per output" } else { "accuracy" }
    }

    /// From one model's counters and scalars after a pass over a set.
    pub(crate) fn of(counters: &[u32], scalars: &[f32], counts_answers: bool) -> Score {
        let seen = counters[state::SEEN].max(1) as f32;
        let accuracy = counts_answers.then(|| scalars[state::CORRECT_SUM] / seen);
        Score { loss: scalars[state::LOSS_SUM] / seen, accuracy }
    }
}

/// One line of `metrics.jsonl`: an epoch of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// Number of the epoch, from 1.
    pub epoch: u32,
    /// Optimizer steps taken so far.
    pub step: u32,
    /// Mean loss over the epoch's examples, each at the weights of its step.
    pub train_loss: f32,
    /// Accuracy likewise, where answers are right or wrong.
    pub train_accuracy: Option<f32>,
    /// On the validation set, after the epoch.
    pub validation_loss: Option<f32>,
    /// On the validation set, after the epoch.
    pub validation_accuracy: Option<f32>,
    /// On the test set, where recorded every epoch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub test_loss: Option<f32>,
    /// On the test set, where recorded every epoch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub test_accuracy: Option<f32>,
    /// What else was measured after the epoch, by set: what early stopping or the plateau schedule watches, and everything
    /// where recorded.
    #[serde(skip_serializing_if = "MetricsBySet::is_empty", default)]
    pub metrics: MetricsBySet,
    /// The epoch's learning rate, without warm-up; where the schedule changes it from step to step, that of the epoch's last
    /// step, warm-up included.
    pub learning_rate: f32,
    /// The rate at which the epoch began, where the run was interrupted in it and went on at another.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub learning_rate_before: Option<f32>,
    /// Seconds since training began.
    pub seconds: f64,
}

impl EpochMetrics {
    /// The value of a metric, where it was measured.
    pub fn get(&self, metric: Metric) -> Option<f32> {
        match (metric.set, metric.measure) {
            (Set::Train, Measure::Loss) => Some(self.train_loss),
            (Set::Train, Measure::Accuracy) => self.train_accuracy,
            (Set::Validation, Measure::Loss) => self.validation_loss,
            (Set::Validation, Measure::Accuracy) => self.validation_accuracy,
            (Set::Test, Measure::Loss) => self.test_loss,
            (Set::Test, Measure::Accuracy) => self.test_accuracy,
            (set, measure) => {
                let value = self.metrics.get(set.name())?.values.get(&measure)?;
                value.map(|value| value as f32)
            }
        }
    }
}

/// Metrics by the name of the set that they were measured on.
pub type MetricsBySet = BTreeMap<String, Metrics>;

/// One line of `steps.jsonl`: a step of one model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StepMetrics {
    /// Number of the step, from 1.
    pub step: u32,
    /// Mean loss of the batch.
    pub loss: f32,
    /// Accuracy on the batch, where answers are right or wrong.
    pub accuracy: Option<f32>,
    /// On the validation set, where recorded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation_loss: Option<f32>,
    /// On the validation set, where recorded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation_accuracy: Option<f32>,
    /// Norm of each parameter's gradient, by name, where recorded: the L2 penalty's included, before clipping. None where it
    /// is not finite: see `skipped`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gradient_norms: Option<Norms>,
    /// Norm of each parameter, by name, where recorded: before the step's update, as the loss is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub weight_norms: Option<Norms>,
    /// In mixed precision, with norms: whether the step was left out, because gradients times the loss scale went beyond
    /// f16. Nothing is known of such gradients but that; the step changed nothing and halved the scale.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub skipped: Option<bool>,
}

/// A norm for each parameter by its name; none where it is not finite.
pub type Norms = BTreeMap<String, Option<f32>>;

/// Is told what happens in training. Every method has a default that ignores it.
pub trait Observer {
    /// A model finished an epoch. On a GPU this may come while later epochs already run.
    fn epoch(&mut self, member: usize, metrics: &EpochMetrics) {
        let _ = (member, metrics);
    }

    /// A logged step of a model.
    fn step(&mut self, member: usize, metrics: &StepMetrics) {
        let _ = (member, metrics);
    }

    /// The weights of a model after an epoch, where recorded; the initial ones come first, as those of epoch 0.
    fn weights(&mut self, member: usize, epoch: u32, parameters: Vec<Vec<f32>>) {
        let _ = (member, epoch, parameters);
    }

    /// Steps handed to the device so far, of all in the run.
    fn progress(&mut self, done: u64, total: u64) {
        let _ = (done, total);
    }

    /// Everything needed to go on from here.
    fn checkpoint(&mut self, checkpoint: Checkpoint) {
        let _ = checkpoint;
    }

    /// Asked between launches: true stops the run, to be resumed later.
    fn interrupted(&mut self) -> bool {
        false
    }
}

/// An observer that ignores everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}
