//! The names of what is measured, and which of them mean something for what.

use crate::keys::{Keyword, keywords};
use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};
use std::collections::BTreeMap;

/// What is measured of a set of examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the table in the room's documentation defines them")]
pub enum Measure {
    /// The mean of the model's loss, the L2 penalty included.
    Loss,
    Accuracy,
    BalancedAccuracy,
    Top5Accuracy,
    PrecisionMacro,
    RecallMacro,
    F1Macro,
    F1Weighted,
    RocAuc,
    AveragePrecision,
    LogLoss,
    Brier,
    CalibrationError,
    Precision,
    Recall,
    F1,
    SubsetAccuracy,
    Mae,
    Rmse,
    R2,
    MaxError,
}

/// Hands every measure and its word to a macro.
macro_rules! for_each_measure {
    ($with:ident) => {
        $with! {
            "loss" => Loss,
            "accuracy" => Accuracy,
            "balanced_accuracy" => BalancedAccuracy,
            "top5_accuracy" => Top5Accuracy,
            "precision_macro" => PrecisionMacro,
            "recall_macro" => RecallMacro,
            "f1_macro" => F1Macro,
            "f1_weighted" => F1Weighted,
            "roc_auc" => RocAuc,
            "average_precision" => AveragePrecision,
            "log_loss" => LogLoss,
            "brier" => Brier,
            "calibration_error" => CalibrationError,
            "precision" => Precision,
            "recall" => Recall,
            "f1" => F1,
            "subset_accuracy" => SubsetAccuracy,
            "mae" => Mae,
            "rmse" => Rmse,
            "r2" => R2,
            "max_error" => MaxError
        }
    };
}

pub(crate) use for_each_measure;

macro_rules! measure_words {
    ($($word:literal => $measure:ident),+) => { keywords!(Measure { $($word => $measure),+ }); };
}

for_each_measure!(measure_words);

impl Measure {
    /// True when a larger value is the better one.
    pub fn larger_is_better(self) -> bool {
        use Measure::{Brier, CalibrationError, LogLoss, Loss, Mae, MaxError, Rmse};
        !matches!(self, Loss | LogLoss | Brier | CalibrationError | Mae | Rmse | MaxError)
    }

    /// Whether every evaluation on a device gives it; all else takes the outputs.
    pub fn is_counted_on_device(self) -> bool {
        matches!(self, Measure::Loss | Measure::Accuracy)
    }
}

impl Serialize for Measure {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.word())
    }
}

impl<'de> Deserialize<'de> for Measure {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Measure, D::Error> {
        let word = String::deserialize(from)?;
        Measure::from_word(&word).ok_or_else(|| D::Error::custom(format!("{word} is no measure")))
    }
}

/// Values of measures; none where it is undefined.
pub type Measures = BTreeMap<Measure, Option<f64>>;

/// What was measured of a set of examples.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Metrics {
    /// Of all outputs together.
    #[serde(flatten)]
    pub values: Measures,
    /// Of each of several bits by its name, where there are not too many.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub bits: BTreeMap<String, Measures>,
    /// Of each of several values by its name, where there are not too many.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub outputs: BTreeMap<String, Measures>,
}

/// What is asked of a model, which decides what can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// To tell classes apart.
    Classes {
        /// How many, 2 or more.
        classes: usize,
        /// Whether the outputs are their probabilities.
        probabilities: bool,
    },
    /// To tell which of several bits are set.
    Bits {
        /// How many.
        bits: usize,
    },
    /// To come near values.
    Values {
        /// How many.
        outputs: usize,
    },
}

impl Task {
    /// What can be measured, beside the loss.
    pub fn measures(self) -> Vec<Measure> {
        let all = Measure::WORDS.iter().map(|(_, measure)| *measure);
        all.filter(|&measure| measure != Measure::Loss && self.why_not(measure).is_none()).collect()
    }

    /// Why a measure means nothing here; nothing where it means something.
    pub fn why_not(self, measure: Measure) -> Option<Unfit> {
        use Measure::*;
        let unfit = |what: &str, instead: &'static [Measure]| Some(Unfit { what: what.into(), instead });
        match (self, measure) {
            (_, Loss) => None,
            (Task::Values { .. }, Mae | Rmse | R2 | MaxError) => None,
            (Task::Values { .. }, _) => {
                unfit("the targets are values, which are neither right nor wrong", &[Loss, Mae, Rmse, R2, MaxError])
            }
            (_, Mae | Rmse | R2 | MaxError) => unfit("the targets are classes, not values", &[Loss, Accuracy]),
            (Task::Bits { .. }, BalancedAccuracy | Top5Accuracy | LogLoss | Brier | CalibrationError) => {
                unfit("the targets are several bits, not one class", &[Loss, Accuracy, RocAuc])
            }
            (Task::Bits { .. }, Precision | Recall | F1) => {
                unfit("there are several bits, not one", &[PrecisionMacro, RecallMacro, F1Macro])
            }
            (Task::Bits { .. }, _) => None,
            (Task::Classes { classes: 3.., .. }, Precision | Recall | F1) => {
                unfit("there are more classes than two", &[PrecisionMacro, RecallMacro, F1Macro])
            }
            (Task::Classes { .. }, SubsetAccuracy) => unfit("the targets are classes, not several bits", &[Accuracy]),
            (Task::Classes { probabilities: false, .. }, LogLoss | Brier | CalibrationError) => {
                unfit("the outputs are no probabilities of classes", &[Loss, Accuracy])
            }
            (Task::Classes { .. }, _) => None,
        }
    }
}

/// Why a measure means nothing, and what does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// Why.
    pub what: String,
    /// What to take in its place.
    pub instead: &'static [Measure],
}

impl Unfit {
    /// In words, with what to take of a set.
    pub fn told(&self, set: &str) -> String {
        let names: Vec<String> = self.instead.iter().map(|measure| format!("{set}_{measure}")).collect();
        let (last, first) = names.split_last().map_or((String::new(), &[][..]), |(last, first)| (last.clone(), first));
        let list = if first.is_empty() { last } else { format!("{} or {last}", first.join(", ")) };
        format!("{}; take {list}", self.what)
    }
}
