//! `[optimizer]` and `[train]`.

use super::keywords;
use super::schedule::{RATE, SHARE};
#[cfg(test)]
use crate::keys::KeyReference;
use crate::keys::{
    Entry, Form, Inline, Item, KeyError, Keyed, Keyword, Number, Optional, Plain, Table, Unless, Value, Whole, Written,
    keyed,
};
use crate::metrics::{Measure, for_each_measure};
use std::fmt;

keyed! {
    /// The update rule and its numbers, as PyTorch defines them.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct OptimizerSpec {
        /// The rule.
        pub kind: OptimizerKind = OptimizerKind::Adam,
        /// The base learning rate, before the schedule.
        pub learning_rate: f32 [RATE] = match kind {
            OptimizerKind::RmsProp => 0.01,
            OptimizerKind::Lion => 0.0001,
            _ => 0.001,
        },
        /// The momentum of SGD, RMSprop and Muon, in 0..1.
        pub momentum: f32 [SHARE] where kind is (OptimizerKind::Sgd | OptimizerKind::RmsProp | OptimizerKind::Muon) =
            if kind == OptimizerKind::Muon { 0.95 } else { 0.0 },
        /// Whether the momentum of SGD and Muon is Nesterov's.
        pub nesterov: bool where kind is (OptimizerKind::Sgd | OptimizerKind::Muon) = kind == OptimizerKind::Muon,
        /// Iterations of Newton and Schulz that bring the singular values of a weight's direction near 1, in f32 also in mixed
        /// precision, with torch.optim.Muon's coefficients and guard against a norm of 0.
        pub ns_steps: u32 [Whole(1)] where kind is (OptimizerKind::Muon) = 5,
        /// By what Muon multiplies the learning rate of a weight, as torch.optim.Muon.
        pub adjust_lr_fn: LearningRateAdjustment where kind is (OptimizerKind::Muon) = LearningRateAdjustment::Original,
        /// The learning rate of the AdamW that trains what Muon does not: biases, and the scales of norms. It follows the
        /// schedule as `learning_rate` does.
        pub adam_learning_rate: f32 [RATE] where kind is (OptimizerKind::Muon) = 0.001,
        /// Adam's decay of the mean gradient, also beside Muon; Lion's in the direction of a step.
        pub beta1: f32 [SHARE]
            where kind is (OptimizerKind::Adam | OptimizerKind::AdamW | OptimizerKind::Lion | OptimizerKind::Muon) = 0.9,
        /// Adam's decay of the mean squared gradient, also beside Muon; Lion's of the mean gradient.
        pub beta2: f32 [SHARE]
            where kind is (OptimizerKind::Adam | OptimizerKind::AdamW | OptimizerKind::Lion | OptimizerKind::Muon) =
            if kind == OptimizerKind::Lion { 0.99 } else { 0.999 },
        /// RMSprop's decay of the mean squared gradient.
        pub alpha: f32 [SHARE] where kind is (OptimizerKind::RmsProp) = 0.99,
        /// Whether RMSprop divides by the deviation of the gradient instead of the root of its mean square.
        pub centered: bool where kind is (OptimizerKind::RmsProp) = false,
        /// Guard of Adam, also beside Muon, and of RMSprop against division by zero.
        pub epsilon: f32 [Number("a number above 0", |x| x > 0.0)]
            where kind is (OptimizerKind::Adam | OptimizerKind::AdamW | OptimizerKind::RmsProp | OptimizerKind::Muon) =
            1e-8,
        /// Penalty `l2 * sum(w²)` on weights, not biases, in the loss (Keras' l2).
        pub l2: f32 [NOT_NEGATIVE] = 0.0,
        /// PyTorch's weight decay: added to the gradient, or decoupled with AdamW, Lion and Muon.
        pub weight_decay: f32 [NOT_NEGATIVE] = match kind {
            OptimizerKind::AdamW => 0.01,
            OptimizerKind::Muon => 0.1,
            _ => 0.0,
        },
        /// Whether weight decay applies to biases and the scales of norms too, as in PyTorch unless parameters are put into groups.
        pub decay_bias: bool [Unless(true, Plain)],
        /// Gradients are scaled down to this norm, taken over all parameters.
        pub clip_norm: Option<f32> [Optional(Number("a norm above 0", |x| x > 0.0)); "1.0"],
    }
    check momentum_for_nesterov
}

const NOT_NEGATIVE: Number = Number("a number, 0 or more", |x| x >= 0.0);

fn momentum_for_nesterov(spec: &OptimizerSpec, table: &Table<'_>) -> Result<(), KeyError> {
    match table.get("nesterov") {
        Some(item) if spec.kind == OptimizerKind::Sgd && spec.nesterov && spec.momentum == 0.0 => {
            Err(item.conflict("needs a momentum; add momentum = 0.9, or remove nesterov"))
        }
        _ => Ok(()),
    }
}

impl OptimizerSpec {
    /// PyTorch's defaults of a rule; Lion's, which PyTorch lacks, are its authors'.
    pub fn new(kind: OptimizerKind) -> OptimizerSpec {
        OptimizerSpec::with_defaults(&[("kind", kind.word())])
    }
}

keywords! {
    /// An update rule.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum OptimizerKind {
        /// Stochastic gradient descent, with momentum if asked for.
        "sgd" => Sgd,
        /// Adam.
        "adam" => Adam,
        /// Adam with decoupled weight decay.
        "adamw" => AdamW,
        /// RMSprop.
        "rmsprop" => RmsProp,
        /// Lion: steps by the sign of a mean gradient.
        "lion" => Lion,
        /// Muon for the weights of dense layers and convolutions, each as a matrix of outputs by all that one of them sees: momentum,
        /// then steps whose singular values are all near 1. All else is trained by AdamW.
        "muon" => Muon,
    }
}

keywords! {
    /// How Muon's learning rate suits the sides of a weight.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum LearningRateAdjustment {
        /// Times `sqrt(max(1, rows / columns))`, as Keller Jordan has it.
        "original" => Original,
        /// Times `0.2 * sqrt(max(rows, columns))`, so that rates tuned for AdamW fit.
        "match_rms_adamw" => MatchRmsAdamw,
    }
}

keyed! {
    /// The training loop.
    #[derive(Debug, Clone, PartialEq)]
    pub struct TrainSpec {
        /// How many times the training set is gone through; where it is left out, phases of a schedule say it.
        pub epochs: u32 [Whole(1)] = 10,
        /// Examples per step.
        pub batch: Batch = Batch::Size(128),
        /// Whether every epoch has an order of its own; otherwise batches come in file order.
        pub shuffle: bool = true,
        /// Whether a last, smaller batch is left out.
        pub drop_last: bool = false,
        /// Every so many steps a line of steps.jsonl is written; 0 = never.
        pub log_every: u32 [Whole(0)] = 0,
        /// With validation recorded: measures it at every Nth step, a multiple of `log_every`; 0 for every logged step.
        pub validate_every: u32 [Whole(0)] = 0,
        /// When to stop before the last epoch.
        pub early_stop: Option<EarlyStop> [Optional(EARLY_STOP); "{ patience = 5 }"],
        /// Every so many epochs a checkpoint is written; 0 = never.
        pub checkpoint_every: u32 [Whole(0)] = 1,
        /// Every so many steps a checkpoint is written, also in the middle of an epoch; 0 = only by epoch.
        pub checkpoint_steps: u32 [Whole(0)] = 0,
        /// What is recorded beside loss and accuracy.
        pub record: Vec<Record> [Records] = Vec::new(),
        /// Batches of one step: its gradient is the mean over the examples of all of them. The last step of an epoch takes what is
        /// left.
        pub accumulate: u32 [Whole(1)] = 1,
        /// The decay of a moving average of the weights, 0 or more and below 1, as PyTorch's `AveragedModel` with
        /// `get_ema_multi_avg_fn`: the average is what is evaluated and saved.
        pub ema: Option<f32> [Optional(Number("a decay, 0 or more and below 1, such as 0.999", |x| (0.0..1.0).contains(&x))); "0.999"],
    }
    check validation_at_logged_steps
}

const EARLY_STOP: Inline = Inline("{ metric = \"validation_loss\", patience = 5 }");

fn validation_at_logged_steps(spec: &TrainSpec, table: &Table<'_>) -> Result<(), KeyError> {
    let log_every = spec.log_every;
    match table.get("validate_every") {
        Some(item) if log_every > 0 && !spec.validate_every.is_multiple_of(log_every) => Err(item.conflict(format!(
            "only logged steps are validated; expected a multiple of train.log_every = {log_every}"
        ))),
        _ => Ok(()),
    }
}

impl Default for TrainSpec {
    fn default() -> TrainSpec {
        TrainSpec::with_defaults(&[])
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

impl Form<Batch> for Plain {
    fn expected(&self) -> String {
        "a number of examples, 1 or more, or \"full\"".into()
    }

    fn read(&self, item: &Item<'_>) -> Result<Batch, KeyError> {
        match &item.node.value {
            Value::String(word) if word == "full" => Ok(Batch::Full),
            Value::Integer(n) if (1..=i128::from(u32::MAX)).contains(n) => Ok(Batch::Size(*n as usize)),
            _ => Err(item.wrong(Form::<Batch>::expected(self))),
        }
    }
}

impl Written for Batch {
    fn written(&self) -> Option<Entry> {
        match self {
            Batch::Full => "full".written(),
            Batch::Size(size) => size.written(),
        }
    }
}

keyed! {
    /// Stops, or trains on more slowly, when a metric no longer improves, and goes back to the best weights.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct EarlyStop {
        /// What is watched.
        pub metric: Metric = Metric::VALIDATION_LOSS,
        /// Epochs without improvement after which training stops, as in Keras.
        pub patience: u32 [Whole(0); "5"],
        /// The least change that counts as an improvement.
        pub min_delta: f32 [NOT_NEGATIVE] = 0.0,
        /// Whether smaller changes add up from epoch to epoch, as in Keras; otherwise each epoch must be better by `min_delta` than
        /// the best one before it, as in scikit-learn.
        pub cumulative: bool [Unless(true, Plain)],
        /// Whether the weights of the best epoch are kept; otherwise those of the last one.
        pub restore_best: bool [Unless(true, Plain)],
        /// What the learning rate is multiplied by in place of stopping, as long as it is above `min_lr`, as often as `patience` is at
        /// its end.
        pub slow_down: Option<f32> [Optional(Number("a number between 0 and 1", |x| x > 0.0 && x < 1.0)); "0.2"],
        /// The learning rate at which `slow_down` ends, and training stops.
        pub min_lr: f32 [Unless(1e-6, NOT_NEGATIVE)],
    }
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

keywords! {
    /// What is recorded beside loss and accuracy.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Record {
        /// Norm of every parameter's gradient, with each logged step.
        "gradient_norms" => GradientNorms,
        /// Norm of every parameter, with each logged step.
        "weight_norms" => WeightNorms,
        /// All weights: the initial ones, and those after every epoch.
        "weights" => Weights,
        /// Loss and accuracy on the validation set, with each logged step or every `validate_every` steps.
        "validation" => Validation,
        /// Loss and accuracy on the test set after every epoch.
        "test" => Test,
        /// Every metric after every epoch, of what is evaluated then; at the end of a run they are measured in any case.
        "metrics" => Metrics,
    }
}

/// Each record once.
struct Records;

impl Form<Vec<Record>> for Records {
    fn expected(&self) -> String {
        "a list, such as [\"gradient_norms\", \"weights\"]".into()
    }

    #[cfg(test)]
    fn reference(&self, key: KeyReference) -> Vec<KeyReference> {
        Form::<Record>::reference(&Plain, key)
    }

    fn read(&self, item: &Item<'_>) -> Result<Vec<Record>, KeyError> {
        let mut records: Vec<Record> = Vec::new();
        for item in item.list(&self.expected())? {
            let record = item.word()?;
            if !records.contains(&record) {
                records.push(record);
            }
        }
        Ok(records)
    }
}
