//! `[optimizer]`, `[train]` and `[sweep]`.

use super::keywords;
use crate::keys::Keyword;
use crate::metrics::{Measure, for_each_measure};
use std::fmt;

/// The update rule and its numbers, as PyTorch defines them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptimizerSpec {
    /// The rule.
    pub kind: OptimizerKind,
    /// The base learning rate, before the schedule.
    pub learning_rate: f32,
    /// SGD's momentum, in 0..1.
    pub momentum: f32,
    /// Whether SGD's momentum is Nesterov's.
    pub nesterov: bool,
    /// Adam's decay of the mean gradient.
    pub beta1: f32,
    /// Adam's decay of the mean squared gradient.
    pub beta2: f32,
    /// Adam's guard against division by zero.
    pub epsilon: f32,
    /// Penalty `l2 * sum(w²)` on weights, not biases, in the loss (Keras' l2).
    pub l2: f32,
    /// PyTorch's weight decay: added to the gradient, or decoupled with AdamW.
    pub weight_decay: f32,
    /// Whether weight decay applies to biases and the scales of norms too, as in PyTorch unless parameters are put into groups.
    pub decay_bias: bool,
    /// Gradients are scaled down to this norm, taken over all parameters.
    pub clip_norm: Option<f32>,
}

impl OptimizerSpec {
    /// PyTorch's defaults of a rule.
    pub fn new(kind: OptimizerKind) -> OptimizerSpec {
        OptimizerSpec {
            kind,
            learning_rate: 0.001,
            momentum: 0.0,
            nesterov: false,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            l2: 0.0,
            weight_decay: if kind == OptimizerKind::AdamW { 0.01 } else { 0.0 },
            decay_bias: true,
            clip_norm: None,
        }
    }
}

/// An update rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OptimizerKind {
    /// Stochastic gradient descent, with momentum if asked for.
    Sgd,
    /// Adam.
    Adam,
    /// Adam with decoupled weight decay.
    AdamW,
}

keywords!(OptimizerKind { "sgd" => Sgd, "adam" => Adam, "adamw" => AdamW });

/// The training loop.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainSpec {
    /// How many times the training set is gone through.
    pub epochs: u32,
    /// Examples per step.
    pub batch: Batch,
    /// Whether every epoch has an order of its own; otherwise batches come in file order.
    pub shuffle: bool,
    /// Whether a last, smaller batch is left out.
    pub drop_last: bool,
    /// Every so many steps a line of steps.jsonl is written; 0 = never.
    pub log_every: u32,
    /// With validation recorded: measures it at every Nth step, a multiple of `log_every`; 0 for every logged step.
    pub validate_every: u32,
    /// When to stop before the last epoch.
    pub early_stop: Option<EarlyStop>,
    /// Every so many epochs a checkpoint is written; 0 = never.
    pub checkpoint_every: u32,
    /// Every so many steps a checkpoint is written, also in the middle of an epoch; 0 = only by epoch.
    pub checkpoint_steps: u32,
    /// What is recorded beside loss and accuracy.
    pub record: Vec<Record>,
}

impl Default for TrainSpec {
    fn default() -> TrainSpec {
        TrainSpec {
            epochs: 10,
            batch: Batch::Size(128),
            shuffle: true,
            drop_last: false,
            log_every: 0,
            validate_every: 0,
            early_stop: None,
            checkpoint_every: 1,
            checkpoint_steps: 0,
            record: Vec::new(),
        }
    }
}

/// Examples per step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Batch {
    /// The whole training set in one step.
    Full,
    /// So many examples.
    Size(usize),
}

/// Stops when a metric no longer improves, and goes back to the best weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EarlyStop {
    /// What is watched.
    pub metric: Metric,
    /// Epochs without improvement after which training stops, as in Keras.
    pub patience: u32,
    /// The least change that counts as an improvement.
    pub min_delta: f32,
}

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Set {
    /// What is trained on.
    Train,
    /// What is watched while training.
    Validation,
    /// What is measured at the end.
    Test,
}

impl Set {
    /// All of them.
    pub const ALL: [Set; 3] = [Set::Train, Set::Validation, Set::Test];

    /// As plans, recipes and metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Set::Train => "train",
            Set::Validation => "validation",
            Set::Test => "test",
        }
    }
}

/// A number that can be watched: a measure of a set. Over the training set, only the loss and the accuracy of the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Metric {
    /// Where it is measured.
    pub set: Set,
    /// What is measured.
    pub measure: Measure,
}

macro_rules! metric_words {
    ($($word:literal => $measure:ident),+) => {
        impl Keyword for Metric {
            const WORDS: &'static [(&'static str, Metric)] = &[
                ("train_loss", Metric::of(Set::Train, Measure::Loss)),
                ("train_accuracy", Metric::of(Set::Train, Measure::Accuracy)),
                $((concat!("validation_", $word), Metric::of(Set::Validation, Measure::$measure)),)+
                $((concat!("test_", $word), Metric::of(Set::Test, Measure::$measure)),)+
            ];
        }
    };
}

for_each_measure!(metric_words);

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl Metric {
    /// The loss on the validation set: what is watched by default.
    pub const VALIDATION_LOSS: Metric = Metric::of(Set::Validation, Measure::Loss);

    /// A measure of a set.
    pub const fn of(set: Set, measure: Measure) -> Metric {
        Metric { set, measure }
    }

    /// True when a larger value is the better one.
    pub fn larger_is_better(&self) -> bool {
        self.measure.larger_is_better()
    }
}

/// What is recorded beside loss and accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Record {
    /// Norm of every parameter's gradient, with each logged step.
    GradientNorms,
    /// Norm of every parameter, with each logged step.
    WeightNorms,
    /// All weights: the initial ones, and those after every epoch.
    Weights,
    /// Loss and accuracy on the validation set, with each logged step or every `validate_every` steps.
    Validation,
    /// Loss and accuracy on the test set after every epoch.
    Test,
    /// Every metric after every epoch, of what is evaluated then; at the end of a run they are measured in any case.
    Metrics,
}

keywords!(Record {
    "gradient_norms" => GradientNorms,
    "weight_norms" => WeightNorms,
    "weights" => Weights,
    "validation" => Validation,
    "test" => Test,
    "metrics" => Metrics,
});

/// Variations of a recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepSpec {
    /// Recipe keys and the values each one takes; every combination is trained.
    pub grid: Vec<(String, Vec<toml::Value>)>,
    /// Whole recipes (paths, or names of bundled ones) that take the place of the base recipe.
    pub recipes: Vec<String>,
    /// Every combination is trained with so many seeds: seed, seed + 1, …
    pub trials: u32,
    /// What tells the best combination.
    pub metric: Metric,
    /// Whether the best combination is trained again on training and validation examples together.
    pub retrain: bool,
}

impl Default for SweepSpec {
    fn default() -> SweepSpec {
        SweepSpec {
            grid: Vec::new(),
            recipes: Vec::new(),
            trials: 1,
            metric: Metric::of(Set::Validation, Measure::Accuracy),
            retrain: false,
        }
    }
}
