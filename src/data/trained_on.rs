//! What is to be known of the data that a model was trained on.

use serde::{Deserialize, Serialize};

use super::{DataError, Features, Scaling, TableColumns};
use crate::model::Levels;
use crate::recipe::DataSpec;

/// What is to be known of the data that a model was trained on: other data is read by it. Models from before this was stored
/// know nothing of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainedOn {
    /// The names of the features, in the model's order; none where the training file had no names.
    pub features: Vec<String>,
    /// Whether the targets named classes; otherwise they were values, or several bits.
    pub classes: Option<bool>,
    /// The names of the classes, by their numbers; none where they have no names but these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// The columns of the table; none where it was no table with a target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<TableColumns>,
}

impl TrainedOn {
    /// What a class is called: by its name or, without any, by its number.
    pub fn class(&self, class: usize) -> String {
        self.class_names.get(class).cloned().unwrap_or_else(|| class.to_string())
    }

    /// What each of so many outputs is called: the names of the table's targets, or nothing where it has not as many.
    pub fn targets(&self, outputs: usize) -> Vec<String> {
        let targets = self.table.iter().flat_map(|columns| &columns.targets);
        let names: Vec<String> = targets.map(|column| column.name.clone()).collect();
        if names.len() == outputs { names } else { Vec::new() }
    }

    /// The levels that an embedding looks up, where the table's are numbered for one.
    pub(crate) fn levels(&self) -> Option<Levels> {
        self.table.as_ref().and_then(TableColumns::levels)
    }

    /// The scaling of training examples. Features that say which level a table's cell has stay as they are.
    pub fn scaling(&self, data: &DataSpec, train: &Features) -> Result<Scaling, DataError> {
        let mut scaling = Scaling::of(data, train).map_err(|problem| problem.at("[data]"))?;
        self.table.iter().for_each(|columns| columns.keep_levels(&mut scaling));
        Ok(scaling)
    }

    /// Reads what is stored with a model of so many features and outputs.
    pub(crate) fn parse(text: &str, features: usize, outputs: usize) -> Result<TrainedOn, String> {
        let mut stored: TrainedOn = serde_json::from_str(text).map_err(|error| format!("cannot be read: {error}"))?;
        stored.table = stored.table.map(TableColumns::rounded);
        let names = stored.features.len();
        if names != 0 && names != features {
            return Err(format!("names {names} features, expected {features}"));
        }
        // A single output tells two classes apart.
        let (names, classes) = (stored.class_names.len(), outputs.max(2));
        if names != 0 && names != classes {
            return Err(format!("names {names} classes, expected {classes}"));
        }
        match stored.table.as_ref().and_then(|columns| columns.problem(features)) {
            Some(problem) => Err(problem),
            None => Ok(stored),
        }
    }
}
