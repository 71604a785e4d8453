//! What is measured of answers is what scikit-learn measures.

use gputrain::keys::Keyword;
use gputrain::metrics::{Measure, Measures, Metrics, Task, Truth, measure, measure_all};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A case of `tests/golden/metrics.py`.
#[derive(Deserialize)]
struct Case {
    name: String,
    task: String,
    #[serde(default)]
    probabilities: bool,
    #[serde(default)]
    threshold: Option<f32>,
    width: usize,
    outputs: Vec<f32>,
    targets: Vec<f32>,
    expected: BTreeMap<String, Option<f64>>,
}

impl Case {
    /// What this program measures.
    fn metrics(&self) -> Metrics {
        let classes: Vec<u32> = self.targets.iter().map(|&target| target as u32).collect();
        let truth = match &*self.task {
            "classes" => {
                let Case { probabilities, threshold, .. } = *self;
                Truth::Classes { truth: &classes, probabilities, threshold }
            }
            "bits" => Truth::Bits(&self.targets),
            _ => Truth::Values(&self.targets),
        };
        measure_all(&self.outputs, self.width, truth, &[])
    }
}

#[test]
fn every_measure_is_that_of_scikit_learn() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/metrics.json");
    let cases: Vec<Case> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut wrong = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for case in &cases {
        let found = case.metrics();
        let names: Vec<&str> = found.values.keys().map(|measure| measure.word()).collect();
        for (name, expected) in &case.expected {
            let measure = Measure::from_word(name).unwrap();
            let value = found.values.get(&measure);
            let same = match (value, expected) {
                (Some(Some(value)), Some(expected)) => (value - expected).abs() <= 1e-6 * expected.abs().max(1.0),
                (Some(None), None) => true,
                _ => false,
            };
            if !same {
                wrong.push(format!("{}: {name} is {value:?}, expected {expected:?}", case.name));
            }
            seen.insert(measure);
        }
        assert_eq!(names.len(), case.expected.len(), "{}: {names:?} and {:?}", case.name, case.expected.keys());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The loss is the model's own.
    assert_eq!(seen.len(), Measure::WORDS.len() - 1);
}

#[test]
fn each_bit_and_each_value_is_also_measured_by_itself() {
    let (outputs, targets) = ([0.9, 0.2, 0.8, 0.6, 0.1, 0.7], [1.0, 0.0, 0.0, 1.0, 0.0, 1.0]);
    let names = ["rain", "snow"].map(String::from);
    let bits = measure_all(&outputs, 2, Truth::Bits(&targets), &names).bits;
    let snow = &bits["snow"];
    assert_eq!(
        (snow[&Measure::Accuracy], snow[&Measure::RocAuc], snow[&Measure::F1]),
        (Some(1.0), Some(1.0), Some(1.0))
    );
    assert_eq!((bits["rain"][&Measure::Precision], bits["rain"][&Measure::Recall]), (Some(0.5), Some(1.0)));
    let values = measure_all(&outputs, 3, Truth::Values(&targets), &[]);
    assert_eq!(values.outputs.keys().collect::<Vec<_>>(), ["0", "1", "2"]);
    let rounded = |value: Option<f64>| value.map(|value| (1e6 * value).round());
    assert_eq!(rounded(values.outputs["1"][&Measure::MaxError]), Some(200_000.0));
    let text = serde_json::to_string(&values).unwrap();
    let read: Metrics = serde_json::from_str(&text).unwrap();
    let names = |metrics: &Metrics| metrics.outputs["2"].keys().copied().collect::<Vec<_>>();
    assert_eq!((rounded(read.values[&Measure::Rmse]), names(&read)), (Some(351_271.0), names(&values)), "{text}");
}

#[test]
fn what_is_not_finite_or_not_there_is_undefined() {
    let wanted = Task::Classes { classes: 2, probabilities: true }.measures();
    let of = |outputs: &[f32], truth: &[u32]| {
        measure(outputs, 2, Truth::Classes { truth, probabilities: true, threshold: None }, &wanted)
    };
    let all_undefined = |measures: Measures| measures.len() == wanted.len() && measures.values().all(Option::is_none);
    assert!(all_undefined(of(&[0.5, f32::NAN], &[1])));
    assert!(all_undefined(of(&[0.5, f32::INFINITY], &[1])));
    assert!(all_undefined(of(&[], &[])));
}

#[test]
fn errors_are_better_small_and_all_else_large() {
    let small = Measure::WORDS.iter().filter(|(_, measure)| !measure.larger_is_better()).map(|(word, _)| *word);
    assert_eq!(
        small.collect::<Vec<_>>(),
        ["loss", "log_loss", "brier", "calibration_error", "mae", "rmse", "max_error"]
    );
}

#[test]
fn what_means_nothing_is_refused_with_what_to_take() {
    let three = Task::Classes { classes: 3, probabilities: true };
    let values = Task::Values { outputs: 1 };
    for (task, measure, parts) in [
        (three, Measure::F1, ["more classes than two", "or test_f1_macro"]),
        (three, Measure::Rmse, ["not values", "test_accuracy"]),
        (three, Measure::SubsetAccuracy, ["not several bits", "test_accuracy"]),
        (values, Measure::RocAuc, ["neither right nor wrong", "test_rmse"]),
        (Task::Bits { bits: 4 }, Measure::Brier, ["several bits", "test_roc_auc"]),
        (Task::Bits { bits: 4 }, Measure::Recall, ["several bits", "test_recall_macro"]),
        (Task::Classes { classes: 2, probabilities: false }, Measure::LogLoss, ["no probabilities", "test_accuracy"]),
    ] {
        let problem = task.why_not(measure).unwrap().told("test");
        assert!(parts.iter().all(|part| problem.contains(part)), "{problem}");
    }
    assert_eq!(values.measures(), [Measure::Mae, Measure::Rmse, Measure::R2, Measure::MaxError]);
}
