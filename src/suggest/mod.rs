//! A recipe for data that comes without one: what it is taken for, and the network, loss and loop that suit it.

mod network;

pub use network::default_network;

use crate::data::{DataError, Problem, RawTable, TargetKind, TrainedOn};
use crate::model::Shape;
use crate::recipe::{DataSpec, Loss, Recipe, RecipeError, RecipeText, Source};
use std::path::Path;

/// Why no recipe could be suggested.
#[derive(Debug, thiserror::Error)]
pub enum SuggestError {
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// What was asked for beside it cannot be used.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
}

/// The data that a recipe is to be made for, and what is to be in it.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// A folder of pictures, or a table.
    pub train: &'a str,
    /// The columns of a table that are to be predicted.
    pub target: &'a [String],
    /// A test set of the same kind.
    pub test: Option<&'a str>,
    /// Settings that the recipe will be read with: those of the data tell how to look at it.
    pub overrides: &'a [(String, String)],
}

/// What data looks like from outside.
struct Look {
    /// The input of a model for it.
    input: Shape,
    /// What such a model has to give.
    targets: TargetKind,
    /// Examples to train on, before any are held out.
    examples: usize,
    /// Lines of `[data]` beside the sets, each with its comment.
    data: Vec<String>,
    /// What the data is taken for, in words.
    notes: Vec<String>,
}

/// The recipe for data, as commented text.
pub fn recipe(wanted: &Wanted) -> Result<RecipeText, SuggestError> {
    let source = source(wanted);
    let test = wanted.test.map(|test| format!("test = {}\n", source.beside(test).toml()));
    let sets = format!("[data]\ntrain = {}\n{}", source.toml(), test.unwrap_or_default());
    // Read with a network that only fills its place, for the settings.
    let spec = Recipe::parse(&format!("{sets}[model]\nlayers = \"2\"\n"), wanted.train, wanted.overrides)?;
    let loss = wanted.overrides.iter().any(|(key, _)| key == "model.loss").then_some(spec.model.loss);
    let look = look(&spec.data, loss)?;
    let model = default_network(look.input, look.targets);
    let layers: String = model.layers.iter().map(|layer| format!("  {},\n", layer.toml())).collect();
    let notes: String =
        look.notes.iter().map(|note| format!("# {}\n", note.replace(|c: char| c.is_control(), " "))).collect();
    let data: String = look.data.iter().map(|line| format!("{line}\n")).collect();
    let (epochs, batch) = length(look.examples);
    let text = format!(
        "{notes}
{sets}validation = 0.1                  # this share is held out and watched while training
{data}
[model]
layers = [
{layers}]
loss = \"{loss}\"

[optimizer]
kind = \"adam\"
learning_rate = 0.001

[train]
epochs = {epochs}
batch = {batch}
",
        loss = model.loss
    );
    Ok(RecipeText { text: text.trim_start().into(), origin: wanted.train.into(), path: None })
}

/// What the path stands for.
fn source(wanted: &Wanted) -> Source {
    match Path::new(wanted.train).is_dir() {
        true => Source::Folder { folder: wanted.train.into() },
        false => Source::Table { table: wanted.train.into(), target: wanted.target.to_vec() },
    }
}

fn look(spec: &DataSpec, loss: Option<Loss>) -> Result<Look, DataError> {
    match &spec.train {
        Some(Source::Folder { folder }) => Err(Problem::NotYet { what: "folders of pictures" }.at(folder)),
        Some(Source::Table { table, target }) => {
            table_look(&RawTable::read(table, target, spec, &TrainedOn::default())?, loss)
        }
        _ => unreachable!("the text has a folder or a table"),
    }
}

fn table_look(table: &RawTable, loss: Option<Loss>) -> Result<Look, DataError> {
    let targets = table.target_kind(loss)?;
    let data = vec![
        "scale = \"standard\"                # each number less its mean, divided by its standard deviation; categories stay 1 and 0".into(),
        "missing = \"error\"                 # or fill missing values in: \"mean\", \"median\", \"indicator\"".into(),
        "# drop = [\"COLUMN\"]               # columns to leave out; or features = [\"COLUMN\", …], those to take".into(),
        "# categorical = [\"COLUMN\"]        # numbers that are categories".into(),
    ];
    Ok(Look { input: table.input(), targets, examples: table.rows(), data, notes: table.notes().to_vec() })
}

/// Epochs and examples of a batch for so many examples: enough steps for a small set, not too many for a large one.
fn length(examples: usize) -> (usize, usize) {
    let batch = (examples / 50).next_power_of_two().clamp(16, 256);
    let steps = 4000;
    (((steps * batch) / examples.max(1)).clamp(10, 200), batch)
}
