//! The recipe and its overrides, as several commands take them.

use super::CliError;
use super::examples::found_elsewhere;
use clap::Args;
use gputrain::data::{self, SourceRef};
use gputrain::job::Job;
use gputrain::recipe::{Loss, Recipe, RecipeText, Source};
use gputrain::suggest::{self, Wanted};
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
    /// The loss, such as softmax_cross_entropy or mse
    #[arg(long, value_name = "LOSS")]
    pub loss: Option<String>,
    /// The update rule: sgd, adam, adamw, rmsprop, lion or muon
    #[arg(long, value_name = "KIND")]
    pub optimizer: Option<String>,
    /// How features are scaled: none, unit, centered, minmax or standard
    #[arg(long, value_name = "SCALE")]
    pub scale: Option<String>,
    /// What is held out and watched while training: a share such as 0.1, or a count
    #[arg(long, value_name = "SHARE")]
    pub validation: Option<String>,
    /// A folder of pictures, a table (.csv, .tsv, .parquet, .arrow, .feather; also of pictures), a file of arrays such as x_train and
    /// y_train (.npz, .h5, .mat), or CIFAR's folder or archive to train on, by a recipe that suits it (gputrain init shows it)
    #[arg(long, value_name = "PATH", conflicts_with_all = ["recipe", "train_images"])]
    pub train: Option<String>,
    /// A column of the table that is to be predicted; may be given several times. Of a table of pictures, that of the labels
    #[arg(long, value_name = "COLUMN", requires = "train")]
    pub target: Vec<String>,
    /// Another folder, table or file of arrays, to measure the trained network on
    #[arg(long, value_name = "PATH", requires = "train")]
    pub test: Option<String>,
    /// Training images (.npy, .npz#key, .hdf5#key, .mat#key, .idx, .csv, .parquet)
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
            ("model.loss", &self.loss),
            ("optimizer.kind", &self.optimizer),
            ("data.scale", &self.scale),
            ("data.validation", &self.validation),
            ("data.train.images", &self.train_images),
            ("data.train.labels", &self.train_labels),
            ("data.test.images", &self.test_images),
            ("data.test.labels", &self.test_labels),
        ];
        let mut overrides: Vec<(String, String)> =
            flags.into_iter().filter_map(|(key, value)| Some((key.to_string(), value.clone()?))).collect();
        overrides.extend(settings(&self.set)?);
        Ok(overrides)
    }

    /// The text of the recipe that was named, or of one that suits the data that was.
    pub fn text(&self) -> Result<RecipeText, CliError> {
        let Some(train) = &self.train else {
            return Ok(RecipeText::find(self.recipe.as_deref().unwrap_or("digits"))?);
        };
        let overrides = self.overrides()?;
        let (target, test) = (&self.target, self.test.as_deref());
        Ok(suggest::recipe(&Wanted { train, target, test, overrides: &overrides })?)
    }

    /// The recipe with overrides applied; its data paths are not resolved yet.
    pub fn recipe(&self) -> Result<Recipe, CliError> {
        let text = self.text()?;
        let mut recipe = text.parse(&self.overrides()?)?;
        recipe.prefer_data(self.data.as_deref(), text.path.as_deref());
        Ok(recipe)
    }

    /// The recipe made ready: data found, loaded, split and scaled.
    pub fn job(&self) -> Result<Job, CliError> {
        let mut recipe = self.recipe()?;
        recipe.resolve_data(self.data.as_deref())?;
        let elsewhere = found_elsewhere(&recipe, self.data.as_deref());
        let network = self.default_network(&mut recipe)?;
        let mut job = Job::load(recipe)?;
        job.notes.extend(elsewhere.into_iter().chain(network));
        Ok(job)
    }

    /// Refuses a folder of data that nothing would be looked for in; of a run that goes on, its recipe decides.
    pub fn check_folder(&self, goes_on: bool) -> Result<(), CliError> {
        let Some(folder) = self.data.as_deref() else { return Ok(()) };
        let shown = folder.display();
        if !folder.is_dir() {
            return Err(CliError::Usage(format!("--data {shown}: there is no such folder")));
        }
        let unused = || {
            format!(
                "--data {shown}: the recipe names no files to look for there, it trains on generated digits; name the \
                 files, as in --train-images x.npy --train-labels y.npy --layers \"128:relu,10\", or give a folder of pictures \
                 or a table by --train PATH"
            )
        };
        if goes_on {
            return Ok(());
        }
        let Recipe { data, sweep, .. } = self.recipe()?;
        // A sweep over recipes takes their data.
        let others = sweep.is_some_and(|sweep| !sweep.recipes.is_empty());
        if data.sources().next().is_some() || others { Ok(()) } else { Err(CliError::Usage(unused())) }
    }

    /// Gives the default recipe's network as many outputs as the data of the command line asks for, where no layers were
    /// said; the words to say about it.
    fn default_network(&self, recipe: &mut Recipe) -> Result<Option<String>, CliError> {
        /// More are a mistake: labels that are no classes.
        const MAX_OUTPUTS: usize = 1000;
        let said = self.recipe.is_some() || self.train.is_some() || self.layers.is_some();
        let said = said || self.set.iter().any(|setting| setting.starts_with("model.layers"));
        let (Some(Source::Arrays { images, labels }), false) =
            (&recipe.data.train, said || recipe.data.targets.is_some())
        else {
            return Ok(None);
        };
        let classes = recipe.model.loss == Loss::SoftmaxCrossEntropy;
        let outputs = match recipe.data.classes {
            Some(wanted) if classes => wanted,
            _ => data::outputs(SourceRef { images, labels }, recipe.data.header, classes)?,
        };
        if outputs > MAX_OUTPUTS {
            return Err(CliError::Usage(format!(
                "{labels}: the labels name {outputs} classes, which is more than the default network is made for; say the \
                 layers, as in --layers \"128:relu,{outputs}\""
            )));
        }
        if let Some(last) = recipe.model.layers.last_mut() {
            let wider = last.kind.with_width(outputs);
            last.change(wider);
        }
        let what = match (classes, outputs) {
            (true, _) => format!("{outputs} classes"),
            (false, 1) => "value".into(),
            (false, _) => format!("{outputs} values"),
        };
        Ok(Some(format!("no --layers given: the default network, with outputs for the {what} of {labels}")))
    }
}

/// Keys and values of `--set KEY=VALUE`.
pub(super) fn settings(set: &[String]) -> Result<Vec<(String, String)>, CliError> {
    let setting = |setting: &String| {
        let (key, value) = setting.split_once('=').ok_or_else(|| {
            CliError::Usage(format!("--set {setting}: expected KEY=VALUE, as in --set train.epochs=5"))
        })?;
        Ok((key.trim().to_string(), value.trim().to_string()))
    };
    set.iter().map(setting).collect()
}
