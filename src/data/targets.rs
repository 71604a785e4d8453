//! Which targets a loss can be taken of.

use super::Targets;
use super::error::Problem;
use crate::model::Model;
use crate::recipe::Loss;

/// What a model's loss needs as targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// A class of `outputs` per example: softmax cross-entropy.
    Classes {
        /// Units of the last layer.
        outputs: usize,
    },
    /// `outputs` values per example: the squared losses.
    Values {
        /// Units of the last layer.
        outputs: usize,
    },
    /// `outputs` values from 0 to 1 per example: binary cross-entropy.
    Probabilities {
        /// Units of the last layer.
        outputs: usize,
    },
}

impl TargetKind {
    /// What targets a model takes.
    pub fn for_model(model: &Model) -> TargetKind {
        let outputs = model.outputs();
        match model.loss {
            Loss::SoftmaxCrossEntropy => TargetKind::Classes { outputs },
            Loss::BinaryCrossEntropy => TargetKind::Probabilities { outputs },
            Loss::Mse | Loss::HalfMse | Loss::Mae | Loss::Huber => TargetKind::Values { outputs },
        }
    }

    /// Units of the last layer.
    pub(super) fn outputs(self) -> usize {
        match self {
            TargetKind::Classes { outputs }
            | TargetKind::Values { outputs }
            | TargetKind::Probabilities { outputs } => outputs,
        }
    }
}

impl Targets {
    /// Refuses classes where values are wanted, values where classes are, and rows of other widths.
    pub(super) fn check_shape(&self, kind: TargetKind) -> Result<(), Problem> {
        let outputs = kind.outputs();
        let (found, expected) = match (self, kind) {
            (Targets::Classes { .. }, TargetKind::Classes { .. }) => return Ok(()),
            (Targets::Classes { labels, .. }, _) => {
                (vec![labels.len()], format!("(N, {outputs}), a value for each output of the model"))
            }
            (Targets::Values { values, outputs: width }, TargetKind::Classes { .. }) => {
                (vec![values.len() / width.max(&1), *width], "(N,), a class for each example".into())
            }
            (Targets::Values { outputs: width, .. }, _) if *width == outputs => return Ok(()),
            (Targets::Values { values, outputs: width }, _) => (
                vec![values.len() / width.max(&1), *width],
                format!("(N, {outputs}), a value for each output of the model"),
            ),
        };
        Err(Problem::Shape { found, expected })
    }

    /// Refuses targets that the losses of this kind mean nothing for: those of another shape, classes that the model does not
    /// have, values that are not finite, and probabilities outside of 0 to 1.
    pub(crate) fn check(&self, kind: TargetKind) -> Result<(), Problem> {
        self.check_shape(kind)?;
        match self {
            Targets::Classes { labels, classes } => {
                let outputs = kind.outputs().min(*classes);
                match labels.iter().position(|&label| label as usize >= outputs) {
                    Some(index) => Err(Problem::Label { index, value: labels[index].into(), outputs }),
                    None => Ok(()),
                }
            }
            Targets::Values { values, outputs } => {
                if let Some(index) = values.iter().position(|value| !value.is_finite()) {
                    return Err(Problem::NotFinite { row: index / outputs, value: values[index].into() });
                }
                let outside = values.iter().position(|value| !(0.0..=1.0).contains(value));
                match (kind, outside) {
                    (TargetKind::Probabilities { .. }, Some(index)) => {
                        let (row, value) = (index / outputs, values[index]);
                        Err(Problem::NotProbability { row, value, remedy: remedy(values) })
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

/// What to do with targets that are no probabilities, told from what they are.
fn remedy(values: &[f32]) -> String {
    let largest = values.iter().copied().fold(0.0, f32::max);
    let are = |two: [f32; 2]| values.iter().all(|value| two.contains(value));
    let change = |what: &str| format!("bring them there, in NumPy with {what}");
    if are([-1.0, 1.0]) {
        change("(y + 1) / 2")
    } else if are([1.0, 2.0]) {
        change("y - 1")
    } else if are([0.0, largest]) {
        change(&format!("y / {largest}"))
    } else if values.iter().all(|value| *value >= 0.0 && value.fract() == 0.0) {
        "for more than two classes take the loss softmax_cross_entropy with an output for each, for amounts the loss mse"
            .into()
    } else {
        "for values of any range take the loss mse".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[f32], outputs: usize) -> Result<(), String> {
        let targets = Targets::Values { values: values.to_vec(), outputs };
        targets.check(TargetKind::Values { outputs }).expect("the squared losses take any finite value");
        targets.check(TargetKind::Probabilities { outputs }).map_err(|problem| problem.to_string())
    }

    #[test]
    fn targets_outside_0_to_1_are_refused_with_what_to_do() {
        for (values, found, remedy) in [
            (&[1.0, -1.0, 1.0, 1.0][..], "row 1 has the target -1,", "(y + 1) / 2"),
            (&[1.0, 1.0, 2.0, 2.0], "row 2 has the target 2,", "y - 1"),
            (&[0.0, 255.0, 0.0, 0.0], "row 1 has the target 255,", "y / 255"),
            (&[0.0, 1.0, 2.0, 3.0], "row 2 has the target 2,", "softmax_cross_entropy"),
            (&[0.0, 1.0, 0.5, -0.25], "row 3 has the target -0.25,", "loss mse"),
            (&[1.000_001, 0.0, 0.0, 0.0], "row 0 has the target 1.000001,", "y / 1.000001"),
        ] {
            let text = check(values, 1).unwrap_err();
            assert!(text.contains(found) && text.contains("from 0 (no) to 1 (yes)") && text.contains(remedy), "{text}");
        }
        assert!(check(&[0.0, 1.0, 1.0, -1.0], 2).unwrap_err().contains("row 1 has"), "rows are examples");
        assert_eq!(check(&[0.0, -0.0, 1.0, 0.3], 2), Ok(()));
    }

    #[test]
    fn classes_of_another_model_and_values_that_are_not_finite_are_refused() {
        let classes = Targets::Classes { labels: vec![0, 3, 1], classes: 3 };
        let problem = classes.check(TargetKind::Classes { outputs: 3 }).unwrap_err();
        assert!(matches!(problem, Problem::Label { index: 1, value: 3, outputs: 3 }), "{problem}");
        let problem = classes.check(TargetKind::Classes { outputs: 1 }).unwrap_err();
        assert!(matches!(problem, Problem::Label { index: 1, value: 3, outputs: 1 }), "{problem}");
        assert!(
            classes.check(TargetKind::Values { outputs: 3 }).is_err(),
            "the loss would take the labels' bits for values"
        );
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let values = Targets::Values { values: vec![0.0, 0.0, 0.0, odd], outputs: 2 };
            for kind in [TargetKind::Values { outputs: 2 }, TargetKind::Probabilities { outputs: 2 }] {
                let problem = values.check(kind).unwrap_err();
                assert!(matches!(problem, Problem::NotFinite { row: 1, .. }), "{problem}");
            }
        }
    }
}
