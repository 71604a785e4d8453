//! A trained model with all that is needed to use it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::matching::{matching, tuple};
use super::tensors::{model_file, parameter_hash};
use super::{ExportError, tensors};
use crate::data::{Scaling, TrainedOn};
use crate::file::{FileError, write_whole};
use crate::model::{Model, Parameter, Shape};
use crate::recipe::Recipe;

/// Keys of the metadata.
const RECIPE: &str = "gputrain.recipe";
const SCALING: &str = "gputrain.scaling";
const DATA: &str = "gputrain.data";
const VERSION: &str = "gputrain.version";
const HASH: &str = "parameter_hash";

/// A trained model with all that is needed to use it.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedModel {
    /// The recipe it was trained with.
    pub recipe: Recipe,
    /// Its network.
    pub model: Model,
    /// How its inputs are scaled.
    pub scaling: Scaling,
    /// What it was trained on.
    pub trained_on: TrainedOn,
    /// Its weights and running statistics: a vector per tensor, in the model's order.
    pub parameters: Vec<Vec<f32>>,
}

/// The names of the features that a file's weights were trained on, where its metadata tell them.
pub(super) fn features(metadata: &BTreeMap<String, String>) -> Vec<String> {
    let stored = metadata.get(DATA).and_then(|text| serde_json::from_str::<TrainedOn>(text).ok());
    stored.unwrap_or_default().features
}

/// How the inputs of a file's weights were scaled, where its metadata tell it.
pub(super) fn scaling(metadata: &BTreeMap<String, String>) -> Option<Scaling> {
    serde_json::from_str::<StoredScaling>(metadata.get(SCALING)?).ok()?.narrow()
}

/// A [`Scaling`] in the metadata. Doubles, because their shortest decimals name every single-precision number exactly,
/// however a reader rounds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredScaling {
    subtract: Vec<f64>,
    divide: Vec<f64>,
    add: f64,
}

impl SavedModel {
    /// Writes the model to a .safetensors file, whole or not at all. The same model gives the same bytes.
    pub fn save(&self, path: &Path) -> Result<(), ExportError> {
        self.check(path)?;
        let mut recipe = self.recipe.clone();
        if recipe.model.input.is_empty() {
            // It came from the data, which the reader may not have.
            recipe.model.input = recipe_input(self.model.input);
        }
        recipe.model.look_up(self.trained_on.levels());
        let scaling = serde_json::to_string(&StoredScaling::new(&self.scaling));
        let [scaling, data] = [scaling, serde_json::to_string(&self.trained_on)]
            .map(|text| text.map_err(|error| FileError::at(path)(error.into())));
        let metadata = BTreeMap::from([
            (RECIPE, recipe.to_toml()),
            (SCALING, scaling?),
            (DATA, data?),
            (VERSION, env!("CARGO_PKG_VERSION").to_string()),
            (HASH, parameter_hash(&self.parameters)),
        ]);
        let named = self.model.tensors().zip(&self.parameters);
        let named: Vec<tensors::Tensor<'_>> = named.map(|(p, values)| (&*p.name, &*p.shape, &**values)).collect();
        let bytes = tensors::encode(metadata, &named);
        Ok(write_whole(path, &bytes)?)
    }

    /// Reads a model from a .safetensors file, or from the run folder that holds it.
    pub fn load(path: &Path) -> Result<SavedModel, ExportError> {
        let path = &model_file(path)?;
        let contents = tensors::read(path)?;
        let entry = |key: &'static str| {
            let text = contents.metadata.get(key);
            text.ok_or(ExportError::NoDefinition { path: path.clone(), key })
        };
        let recipe = Recipe::parse(entry(RECIPE)?, RECIPE, &[]).map_err(|problem| {
            let version = contents.metadata.get(VERSION).map_or("an unknown version", String::as_str);
            ExportError::Recipe { path: path.clone(), version: version.to_string(), problem: Box::new(problem) }
        })?;
        let model = Model::of(&recipe, None)
            .map_err(|problem| ExportError::Model { path: path.clone(), problem: Box::new(problem) })?;
        let scaling = StoredScaling::parse(entry(SCALING)?, model.input)
            .map_err(|problem| ExportError::Scaling { path: path.clone(), problem })?;
        let (features, outputs) = (model.input.len(), model.outputs());
        let trained_on = contents.metadata.get(DATA);
        let trained_on = trained_on.map(|text| TrainedOn::parse(text, features, outputs)).transpose();
        let trained_on =
            trained_on.map_err(|problem| ExportError::TrainedOn { path: path.clone(), problem })?.unwrap_or_default();
        let parameters = matching(path, &model, contents.tensors)?;
        let found = parameter_hash(&parameters);
        match contents.metadata.get(HASH) {
            Some(expected) if *expected != found => {
                Err(ExportError::Hash { path: path.clone(), expected: expected.clone(), found })
            }
            _ => Ok(SavedModel { recipe, model, scaling, trained_on, parameters }),
        }
    }

    /// Refuses a model put together by hand whose weights do not fit it.
    pub(super) fn check(&self, path: &Path) -> Result<(), ExportError> {
        let expected: Vec<&Parameter> = self.model.tensors().collect();
        if self.parameters.len() < expected.len() {
            let missing = expected[self.parameters.len()..].iter().map(|p| p.name.clone()).collect();
            let expected = expected.iter().map(|p| p.name.clone()).collect();
            return Err(ExportError::Missing { path: path.into(), missing, expected });
        }
        if self.parameters.len() > expected.len() {
            let unknown = vec![format!("{} more tensors", self.parameters.len() - expected.len())];
            let expected = expected.iter().map(|p| p.name.clone()).collect();
            return Err(ExportError::Unknown { path: path.into(), unknown, expected });
        }
        match expected.iter().zip(&self.parameters).find(|(p, values)| p.len() != values.len()) {
            Some((parameter, values)) => Err(ExportError::Shape {
                path: path.into(),
                tensor: parameter.name.clone(),
                expected: tuple(&parameter.shape),
                found: tuple(&[values.len()]),
                remedy: "give one number per weight",
            }),
            None => Ok(()),
        }
    }
}

impl StoredScaling {
    fn new(scaling: &Scaling) -> StoredScaling {
        let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect();
        let Scaling { subtract, divide, add } = scaling;
        StoredScaling { subtract: wide(subtract), divide: wide(divide), add: f64::from(*add) }
    }

    /// In single precision; nothing where it has not as many numbers of one kind as of the other, or none.
    fn narrow(&self) -> Option<Scaling> {
        let narrow = |values: &[f64]| values.iter().map(|value| *value as f32).collect::<Vec<f32>>();
        let fits = self.subtract.len() == self.divide.len() && !self.subtract.is_empty();
        let (subtract, divide, add) = (narrow(&self.subtract), narrow(&self.divide), self.add as f32);
        fits.then_some(Scaling { subtract, divide, add })
    }

    fn parse(text: &str, input: Shape) -> Result<Scaling, String> {
        let stored: StoredScaling = serde_json::from_str(text).map_err(|e| format!("cannot be read: {e}"))?;
        let (subtract, divide) = (stored.subtract.len(), stored.divide.len());
        let scaling = stored.narrow().filter(|_| subtract == 1 || subtract == input.len());
        let Some(scaling) = scaling else {
            return Err(format!("has {subtract} and {divide} numbers, expected 1 or {} of each", input.len()));
        };
        let finite = scaling.subtract.iter().chain(&scaling.divide).chain([&scaling.add]).all(|x| x.is_finite());
        if !finite || scaling.divide.contains(&0.0) {
            return Err("divides by 0 or holds what is no number".to_string());
        }
        Ok(scaling)
    }
}

/// The shape as recipes write it.
fn recipe_input(shape: Shape) -> Vec<usize> {
    match shape {
        Shape::Features(features) => vec![features],
        Shape::Image { channels, height, width } => vec![height, width, channels],
    }
}
