//! The recipe and its overrides, as several commands take them.

use super::CliError;
use crate::job::Job;
use crate::recipe::Recipe;
use clap::Args;
use std::path::PathBuf;

/// A recipe on the command line.
#[derive(Debug, Clone, Default, Args)]
pub struct RecipeArgs {
    /// A recipe file, or the name of a bundled recipe [default: digits]
    #[arg(value_name = "RECIPE")]
    pub recipe: Option<String>,
    /// Overrides a key of the recipe, as in --set optimizer.learning_rate=0.01
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Folder in which the recipe's data files are looked for
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Times the training set is gone through
    #[arg(long, value_name = "N")]
    pub epochs: Option<String>,
    /// Examples per step, or "full"
    #[arg(long, value_name = "N")]
    pub batch: Option<String>,
    /// Learning rate
    #[arg(long = "lr", value_name = "RATE")]
    pub learning_rate: Option<String>,
    /// Seed of weights, split, batch order and dropout
    #[arg(long, value_name = "N")]
    pub seed: Option<String>,
    /// f32 or mixed
    #[arg(long, value_name = "PRECISION")]
    pub precision: Option<String>,
    /// The layers, as in "128:linear,64:relu,10"
    #[arg(long, value_name = "LAYERS")]
    pub layers: Option<String>,
    /// Training images (.npy, .npz#key, .hdf5#key, .idx, .csv)
    #[arg(long, value_name = "FILE", requires = "train_labels")]
    pub train_images: Option<String>,
    /// Training labels
    #[arg(long, value_name = "FILE", requires = "train_images")]
    pub train_labels: Option<String>,
    /// Test images
    #[arg(long, value_name = "FILE", requires = "test_labels")]
    pub test_images: Option<String>,
    /// Test labels
    #[arg(long, value_name = "FILE", requires = "test_images")]
    pub test_labels: Option<String>,
}

impl RecipeArgs {
    /// The overrides in the order in which they apply: the flags, then every --set.
    pub fn overrides(&self) -> Result<Vec<(String, String)>, CliError> {
        let flags = [
            ("train.epochs", &self.epochs),
            ("train.batch", &self.batch),
            ("optimizer.learning_rate", &self.learning_rate),
            ("seed", &self.seed),
            ("precision", &self.precision),
            ("model.layers", &self.layers),
            ("data.train.images", &self.train_images),
            ("data.train.labels", &self.train_labels),
            ("data.test.images", &self.test_images),
            ("data.test.labels", &self.test_labels),
        ];
        let mut overrides: Vec<(String, String)> =
            flags.into_iter().filter_map(|(key, value)| Some((key.to_string(), value.clone()?))).collect();
        for setting in &self.set {
            let Some((key, value)) = setting.split_once('=') else {
                return Err(CliError::Usage(format!(
                    "--set {setting}: expected KEY=VALUE, as in --set train.epochs=5"
                )));
            };
            overrides.push((key.trim().to_string(), value.trim().to_string()));
        }
        Ok(overrides)
    }

    /// The text of the recipe that was named.
    pub fn text(&self) -> Result<crate::recipe::RecipeText, CliError> {
        Ok(crate::recipe::RecipeText::find(self.recipe.as_deref().unwrap_or("digits"))?)
    }

    /// The recipe with overrides applied; its data paths are not resolved yet.
    pub fn recipe(&self) -> Result<Recipe, CliError> {
        Ok(self.text()?.parse(&self.overrides()?)?)
    }

    /// The recipe made ready: data found, loaded, split and scaled.
    pub fn job(&self) -> Result<Job, CliError> {
        let mut recipe = self.recipe()?;
        recipe.resolve_data(self.data.as_deref())?;
        Ok(Job::load(recipe)?)
    }
}
