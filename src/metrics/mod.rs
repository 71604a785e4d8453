//! How good answers are, by scikit-learn's definitions: pure functions of a model's outputs and the truth.
//!
//! Sums are taken in f64 over outputs in f32. What scikit-learn leaves undefined (NaN, or an error) is `None`, `null` in
//! files; an output that is not finite makes everything undefined.
//!
//! | measure | definition |
//! |---|---|
//! | `accuracy` | share of right answers; of several bits, each for itself |
//! | `balanced_accuracy` | mean of the recalls of the classes that have examples |
//! | `top5_accuracy` | share of examples whose class is among the five largest outputs, the later of equal ones first; 1 of up to five classes |
//! | `precision_macro`, `recall_macro`, `f1_macro` | means over the classes that occur among truth or answers; 0 where nothing is divided by nothing |
//! | `f1_weighted` | the mean of the classes' F1, each weighted by its number of examples |
//! | `roc_auc` | area under the ROC curve; of more than two classes the mean over each against the rest; undefined where a class has no example, or all |
//! | `average_precision` | the sum of precisions, each weighted by the recall it adds; of more than two classes the mean over each against the rest, 0 of one without examples |
//! | `log_loss` | mean of -ln(probability of the truth), probabilities clipped to 2^-23 from 0 and 1, as scikit-learn does with single precision |
//! | `brier` | mean of the summed squared errors of the probabilities; half of it for two classes |
//! | `calibration_error` | sum over 15 equal bins ((i/15, (i+1)/15]) of confidence (the largest probability): share of examples × \|share of right answers - mean confidence\| |
//! | `precision`, `recall`, `f1` | of the second of two classes, or of a bit being set |
//! | `subset_accuracy` | share of examples with every bit right |
//! | `mae`, `rmse`, `r2` | mean absolute error, root of the mean squared error, coefficient of determination; of several outputs the mean over them. `r2` of a constant truth is 1 where it is met, else 0; undefined for one example |
//! | `max_error` | the largest absolute error of all |
//!
//! `precision_macro` and its like, `roc_auc` and `average_precision` of several bits are means over the bits. `log_loss`, `brier`
//! and `calibration_error` need outputs that are the probabilities of classes. `calibration_error` is not in scikit-learn; it
//! is the expected calibration error of Guo et al. (2017).

mod bits;
mod classes;
mod measure;
mod ranking;
mod values;

pub use classes::{ClassReport, Classes};
pub use measure::{Measure, Measures, Metrics, Task, Unfit};
pub use ranking::{Ranked, RankedPoint};

pub(crate) use measure::for_each_measure;

/// Parts of a set's outputs of which more than these are not listed one by one.
pub const MOST_LISTED: usize = 256;

/// What a model's outputs (rows of `width`) are held against.
#[derive(Debug, Clone, Copy)]
pub enum Truth<'a> {
    /// The class of each example. `probabilities`: whether a row sums to one, or is the single probability of class 1.
    Classes {
        /// The classes, each below the number of outputs, or below 2 for a single output.
        truth: &'a [u32],
        /// Whether the outputs are the classes' probabilities.
        probabilities: bool,
        /// Of two classes: the answer is the second where its output is at least this. Without, the larger output, and of a
        /// single one whether it is above one half.
        threshold: Option<f32>,
    },
    /// As many zeros and ones as there are outputs; an output above one half is a one.
    Bits(&'a [f32]),
    /// As many values as there are outputs.
    Values(&'a [f32]),
}

/// The wanted measures of outputs; those that do not fit the truth are `None`.
pub fn measure(outputs: &[f32], width: usize, truth: Truth, wanted: &[Measure]) -> Measures {
    let of: Box<dyn Fn(Measure) -> Option<f64>> = if width == 0 || outputs.iter().any(|output| !output.is_finite()) {
        Box::new(|_| None)
    } else {
        match truth {
            Truth::Classes { truth, probabilities, threshold } => {
                let classes = Classes::new(outputs, width, truth, probabilities, threshold);
                Box::new(move |measure| classes.measure(measure))
            }
            Truth::Bits(targets) => {
                let bits = bits::Bits::new(outputs, targets, width);
                Box::new(move |measure| bits.measure(measure))
            }
            Truth::Values(targets) => Box::new(move |measure| values::measure(outputs, targets, width, measure)),
        }
    };
    wanted.iter().map(|&measure| (measure, of(measure))).collect()
}

/// All measures of outputs, those of each bit or value too where there are several of them, under their `names`.
pub fn measure_all(outputs: &[f32], width: usize, truth: Truth, names: &[String]) -> Metrics {
    let task = truth.task(width);
    let values = measure(outputs, width, truth, &task.measures());
    let (mut bits, mut each) = (Default::default(), Default::default());
    let column = |of: &[f32], number: usize| of.iter().skip(number).step_by(width).copied().collect::<Vec<f32>>();
    let listed = (2..=MOST_LISTED).contains(&width);
    let named = |number: usize| names.get(number).cloned().unwrap_or_else(|| number.to_string());
    match truth {
        Truth::Bits(targets) if listed => {
            let wanted = Task::Classes { classes: 2, probabilities: true }.measures();
            let of = |number: usize| {
                let truth: Vec<u32> = column(targets, number).iter().map(|target| u32::from(*target > 0.5)).collect();
                let truth = Truth::Classes { truth: &truth, probabilities: true, threshold: None };
                (named(number), measure(&column(outputs, number), 1, truth, &wanted))
            };
            bits = (0..width).map(of).collect();
        }
        Truth::Values(targets) if listed => {
            let of = |number: usize| {
                let truth = column(targets, number);
                (named(number), measure(&column(outputs, number), 1, Truth::Values(&truth), &task.measures()))
            };
            each = (0..width).map(of).collect();
        }
        _ => {}
    }
    Metrics { values, bits, outputs: each }
}

impl Truth<'_> {
    /// What is asked of a model with so many outputs.
    pub fn task(&self, width: usize) -> Task {
        match self {
            Truth::Classes { probabilities, .. } => {
                Task::Classes { classes: width.max(2), probabilities: *probabilities }
            }
            Truth::Bits(_) => Task::Bits { bits: width },
            Truth::Values(_) => Task::Values { outputs: width },
        }
    }
}

/// A quotient; 0 where nothing is divided by nothing, as scikit-learn's `zero_division=0`.
fn share(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

/// The mean; none of nothing, or where a value is missing.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        (sum, count) = (sum + value?, count + 1.0);
    }
    (count > 0.0).then(|| sum / count)
}
