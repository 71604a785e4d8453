//! What is to be known of the data that a model was trained on.

use serde::{Deserialize, Serialize};

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
}

impl TrainedOn {
    /// What a class is called: by its name or, without any, by its number.
    pub fn class(&self, class: usize) -> String {
        self.class_names.get(class).cloned().unwrap_or_else(|| class.to_string())
    }

    /// Reads what is stored with a model of so many features and outputs.
    pub(crate) fn parse(text: &str, features: usize, outputs: usize) -> Result<TrainedOn, String> {
        let stored: TrainedOn = serde_json::from_str(text).map_err(|error| format!("cannot be read: {error}"))?;
        let names = stored.features.len();
        if names != 0 && names != features {
            return Err(format!("names {names} features, expected {features}"));
        }
        // A single output tells two classes apart.
        let (names, classes) = (stored.class_names.len(), outputs.max(2));
        if names != 0 && names != classes {
            return Err(format!("names {names} classes, expected {classes}"));
        }
        Ok(stored)
    }
}
