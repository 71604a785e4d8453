//! What a model's outputs mean to a visitor.

use crate::data::{Examples, TargetColumn};
use crate::export::SavedModel;
use crate::recipe::Activation;
use crate::run::Answers;
use crate::train::{Predictions, Score};
use serde::Serialize;

/// What the outputs mean.
#[derive(Serialize)]
pub(super) struct Answer {
    kind: &'static str,
    names: Vec<String>,
    activation: &'static str,
    units: Option<Vec<Units>>,
}

/// The units of a value: output * deviation + mean.
#[derive(Serialize)]
struct Units {
    mean: f64,
    deviation: f64,
}

impl Answer {
    /// That of a model, of which `blank` is an example; one that makes its input again answers pictures by pictures.
    pub(super) fn of(saved: &SavedModel, blank: &Examples, sees_pictures: bool) -> Answer {
        let width = saved.model.outputs();
        let score = Score { loss: 0.0, accuracy: None };
        let result = Predictions { score, outputs: vec![0.5; width], width };
        let answers = Answers::new(saved, blank, result, false);
        let kind = match (answers.classes.is_some(), answers.bits) {
            _ if answers.reconstructs && sees_pictures => "picture",
            (true, _) => "classes",
            (_, true) => "bits",
            _ => "values",
        };
        let activation = match saved.model.output_activation {
            Activation::Softmax => "softmax",
            Activation::Sigmoid => "sigmoid",
            _ => "linear",
        };
        Answer { kind, names: names(kind, saved, &answers), activation, units: units(kind, saved) }
    }
}

/// What each output is called; pixels have no names.
fn names(kind: &str, saved: &SavedModel, answers: &Answers) -> Vec<String> {
    let width = saved.model.outputs();
    match kind {
        "picture" => Vec::new(),
        "classes" => (0..width.max(2)).map(|class| saved.trained_on.class(class)).collect(),
        "bits" => {
            let targets = saved.trained_on.targets(width);
            if targets.is_empty() { (0..width).map(|bit| format!("bit {bit}")).collect() } else { targets }
        }
        _ => answers.output_names(),
    }
}

/// The units of each output, or of all of them.
fn units(kind: &str, saved: &SavedModel) -> Option<Vec<Units>> {
    let scaling = &saved.scaling;
    match kind {
        // The targets are the inputs, scaled as they are.
        "picture" => {
            let unit = |(subtract, divide): (&f32, &f32)| {
                let [subtract, divide, add] = [*subtract, *divide, scaling.add].map(f64::from);
                Units { mean: subtract - add * divide, deviation: divide }
            };
            Some(scaling.subtract.iter().zip(&scaling.divide).map(unit).collect())
        }
        "values" => {
            let columns = saved.trained_on.table.as_ref().filter(|columns| columns.scales(saved.model.outputs()))?;
            let unit = |target: &TargetColumn| Units { mean: target.mean, deviation: target.deviation };
            Some(columns.targets.iter().map(unit).collect())
        }
        _ => None,
    }
}
