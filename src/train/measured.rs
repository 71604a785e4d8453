//! Metrics that take a model's outputs: which of them mean something for its targets, and what they are.

use super::Score;
use crate::data::{Dataset, TableColumns, Targets, TrainedOn};
use crate::metrics::{Measure, Task, Truth, Unfit};
use crate::model::Model;
use crate::recipe::{Activation, Loss, Metric, Set};
use std::borrow::Cow;

/// Whether the answers to every set are right or wrong.
pub(crate) fn counts_answers(loss: Loss, data: &Dataset) -> bool {
    let mut sets = std::iter::once(&data.train).chain(&data.validation).chain(&data.test);
    sets.all(|set| Score::counts_answers(loss, &set.targets))
}

/// What is asked of a model by these targets, where those it was trained on name classes or not. Targets of the binary
/// cross-entropy between 0 and 1 are values.
pub fn task<'a>(model: &Model, names_classes: bool, targets: impl IntoIterator<Item = &'a Targets> + Clone) -> Task {
    let outputs = model.outputs();
    let several_bits = model.loss == Loss::BinaryCrossEntropy && outputs > 1;
    let are_bits = |targets: &Targets| match targets {
        Targets::Classes { .. } => false,
        Targets::Values { values, .. } => values.iter().all(|value| [0.0, 1.0].contains(value)),
    };
    let all = |is: &dyn Fn(&Targets) -> bool| targets.clone().into_iter().all(is);
    let classes = names_classes && all(&|targets| targets.classes().is_some());
    if classes {
        Task::Classes { classes: outputs.max(2), probabilities: gives_distribution(model) }
    } else if several_bits && all(&are_bits) {
        Task::Bits { bits: outputs }
    } else {
        Task::Values { outputs }
    }
}

/// The same of a data set.
pub(crate) fn task_of(model: &Model, data: &Dataset) -> Task {
    let sets = Set::ALL.into_iter().filter_map(|set| Some(&set.of(data)?.targets));
    task(model, true, sets)
}

/// Whether the outputs are the probabilities of classes, which sum to one: of all of them, or of the second of two.
fn gives_distribution(model: &Model) -> bool {
    let last = model.layers.last().and_then(|layer| layer.kind.activation());
    let ends = |activation| model.output_activation == activation || last == Some(activation);
    ends(Activation::Softmax) || model.outputs() == 1 && ends(Activation::Sigmoid)
}

/// A set's targets as what its outputs are held against.
#[derive(Debug)]
pub struct SetTruth<'a> {
    task: Task,
    classes: Vec<u32>,
    values: Cow<'a, [f32]>,
}

impl<'a> SetTruth<'a> {
    /// Of targets that the task fits; values in the units that they had in the data.
    pub fn new(task: Task, targets: &'a Targets, trained_on: &TrainedOn) -> SetTruth<'a> {
        let classes = match task {
            Task::Classes { .. } => targets.classes().unwrap_or_default(),
            _ => Vec::new(),
        };
        let mut values: Cow<[f32]> = match targets {
            Targets::Values { values, .. } => Cow::Borrowed(values),
            Targets::Classes { .. } => Cow::Borrowed(&[]),
        };
        if let (Task::Values { outputs }, Some(columns)) = (task, scaling_columns(task, trained_on)) {
            columns.unscale(values.to_mut(), outputs);
        }
        SetTruth { task, classes, values }
    }

    /// The truth; `threshold`: where the second of two classes begins.
    pub fn truth(&self, threshold: Option<f32>) -> Truth<'_> {
        match self.task {
            Task::Classes { probabilities, .. } => Truth::Classes { truth: &self.classes, probabilities, threshold },
            Task::Bits { .. } => Truth::Bits(&self.values),
            Task::Values { .. } => Truth::Values(&self.values),
        }
    }
}

/// The columns whose values are learned in other units than the data's, if there are any.
pub(super) fn scaling_columns(task: Task, trained_on: &TrainedOn) -> Option<&TableColumns> {
    match task {
        Task::Values { outputs } => trained_on.table.as_ref().filter(|columns| columns.scales(outputs)),
        _ => None,
    }
}

/// Why a metric cannot be watched in a training on this data: it means nothing there, or is undefined. Nothing where it can,
/// or its set is missing.
pub(crate) fn unfit(model: &Model, (data, trained_on): (&Dataset, &TrainedOn), metric: Metric) -> Option<Unfit> {
    let task = task_of(model, data);
    match metric.measure {
        Measure::Loss => return None,
        // Soft labels such as 0.9 have an accuracy too.
        Measure::Accuracy if counts_answers(model.loss, data) => return None,
        measure => {
            if let Some(problem) = task.why_not(measure) {
                return Some(problem);
            }
        }
    }
    undefined(task, &metric.set.of(data)?.targets, metric, trained_on)
}

/// Why a metric has no value over a set, if so: no epoch could be the best.
fn undefined(task: Task, targets: &Targets, metric: Metric, trained_on: &TrainedOn) -> Option<Unfit> {
    let set = metric.set.name();
    match (task, metric.measure) {
        (Task::Classes { classes, .. }, Measure::RocAuc) => {
            let mut seen = vec![false; classes];
            targets.classes()?.iter().for_each(|class| seen[*class as usize] = true);
            let absent = seen.iter().position(|seen| !seen)?;
            let name = trained_on.class(absent);
            let what = format!("class {name} has no example in the {set} set, so that roc_auc is undefined");
            Some(Unfit { what, instead: &[Measure::AveragePrecision, Measure::Loss] })
        }
        (Task::Bits { bits }, Measure::RocAuc) => {
            let Targets::Values { values, .. } = targets else { return None };
            let constant = |bit: &usize| values.iter().skip(*bit).step_by(bits).all(|value| *value == values[*bit]);
            let bit = (0..bits).find(constant)?;
            let what = format!("bit {bit} never changes in the {set} set, so that roc_auc is undefined");
            Some(Unfit { what, instead: &[Measure::AveragePrecision, Measure::Loss] })
        }
        (Task::Values { outputs }, Measure::R2) => {
            let Targets::Values { values, .. } = targets else { return None };
            let what = format!("the {set} set has one example, so that r2 is undefined");
            (values.len() <= outputs).then_some(Unfit { what, instead: &[Measure::Mae, Measure::Loss] })
        }
        (Task::Classes { classes: ..6, .. }, Measure::Top5Accuracy) => {
            let what = "there are no more than five classes, so that top5_accuracy is always 1".into();
            Some(Unfit { what, instead: &[Measure::Accuracy] })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_without_examples_is_called_by_its_name() {
        let targets = Targets::Classes { labels: vec![0, 0, 1], classes: 3 };
        let class_names = ["cat", "dog", "newt"].map(String::from).to_vec();
        let trained_on = TrainedOn { class_names, ..TrainedOn::default() };
        let task = Task::Classes { classes: 3, probabilities: true };
        let metric = Metric::of(Set::Validation, Measure::RocAuc);
        let unfit = undefined(task, &targets, metric, &trained_on).unwrap();
        assert!(unfit.what.starts_with("class newt has no example in the validation set"), "{}", unfit.what);
    }
}
