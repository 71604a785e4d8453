//! `[optimizer]`, `[train]` and `[sweep]`.

use super::keywords;

/// The update rule and its numbers, as PyTorch defines them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptimizerSpec {
    /// The rule.
    pub kind: OptimizerKind,
    /// The base learning rate, before the schedule.
    pub learning_rate: f32,
    /// The momentum of SGD and RMSprop, in 0..1.
    pub momentum: f32,
    /// Whether SGD's momentum is Nesterov's.
    pub nesterov: bool,
    /// Adam's decay of the mean gradient; Lion's in the direction of a step.
    pub beta1: f32,
    /// Adam's decay of the mean squared gradient; Lion's of the mean gradient.
    pub beta2: f32,
    /// RMSprop's decay of the mean squared gradient.
    pub alpha: f32,
    /// Whether RMSprop divides by the deviation of the gradient instead of the root of its mean square.
    pub centered: bool,
    /// Guard of Adam and RMSprop against division by zero.
    pub epsilon: f32,
    /// Penalty `l2 * sum(w²)` on weights, not biases, in the loss (Keras' l2).
    pub l2: f32,
    /// PyTorch's weight decay, on every parameter: added to the gradient, or decoupled with AdamW and Lion.
    pub weight_decay: f32,
    /// Gradients are scaled down to this norm, taken over all parameters.
    pub clip_norm: Option<f32>,
}

impl OptimizerSpec {
    /// PyTorch's defaults of a rule; Lion's, which PyTorch lacks, are its authors'.
    pub fn new(kind: OptimizerKind) -> OptimizerSpec {
        OptimizerSpec {
            kind,
            learning_rate: match kind {
                OptimizerKind::RmsProp => 0.01,
                OptimizerKind::Lion => 0.0001,
                _ => 0.001,
            },
            momentum: 0.0,
            nesterov: false,
            beta1: 0.9,
            beta2: if kind == OptimizerKind::Lion { 0.99 } else { 0.999 },
            alpha: 0.99,
            centered: false,
            epsilon: 1e-8,
            l2: 0.0,
            weight_decay: if kind == OptimizerKind::AdamW { 0.01 } else { 0.0 },
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
    /// RMSprop.
    RmsProp,
    /// Lion: steps by the sign of a mean gradient.
    Lion,
}

keywords!(OptimizerKind { "sgd" => Sgd, "adam" => Adam, "adamw" => AdamW, "rmsprop" => RmsProp, "lion" => Lion });

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
    /// Batches of one step: its gradient is the mean over the examples of all of them. The last step of an epoch takes what is
    /// left.
    pub accumulate: u32,
    /// The decay of a moving average of the weights, 0 or more and below 1, as
    /// `torch.optim.swa_utils.AveragedModel` with `get_ema_multi_avg_fn`: the average is what is evaluated and saved.
    pub ema: Option<f32>,
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
            accumulate: 1,
            ema: None,
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

/// A number measured every epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Mean loss over the training set.
    TrainLoss,
    /// Accuracy on the training set.
    TrainAccuracy,
    /// Mean loss over the validation set.
    ValidationLoss,
    /// Accuracy on the validation set.
    ValidationAccuracy,
    /// Mean loss over the test set.
    TestLoss,
    /// Accuracy on the test set.
    TestAccuracy,
}

keywords!(Metric {
    "train_loss" => TrainLoss,
    "train_accuracy" => TrainAccuracy,
    "validation_loss" => ValidationLoss,
    "validation_accuracy" => ValidationAccuracy,
    "test_loss" => TestLoss,
    "test_accuracy" => TestAccuracy,
});

impl Metric {
    /// True when a larger value is the better one.
    pub fn larger_is_better(&self) -> bool {
        self.is_accuracy()
    }

    /// The loss on the same set.
    pub fn loss(&self) -> Metric {
        match self {
            Metric::TrainLoss | Metric::TrainAccuracy => Metric::TrainLoss,
            Metric::ValidationLoss | Metric::ValidationAccuracy => Metric::ValidationLoss,
            Metric::TestLoss | Metric::TestAccuracy => Metric::TestLoss,
        }
    }

    /// True for the share of right answers.
    pub fn is_accuracy(&self) -> bool {
        matches!(self, Metric::TrainAccuracy | Metric::ValidationAccuracy | Metric::TestAccuracy)
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
}

keywords!(Record {
    "gradient_norms" => GradientNorms,
    "weight_norms" => WeightNorms,
    "weights" => Weights,
    "validation" => Validation,
    "test" => Test,
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
            metric: Metric::ValidationAccuracy,
            retrain: false,
        }
    }
}
