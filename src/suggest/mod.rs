//! A recipe for data that comes without one: what it is taken for, and the network, loss and loop that suit it.

mod network;

pub use network::default_network;

use crate::data::{DataError, Problem, RawTable, TargetKind, TrainedOn};
use crate::model::Shape;
use crate::recipe::{DataSpec, Holdout, Loss, Recipe, RecipeError, RecipeText, Source, list};
use std::path::Path;

/// Epochs without a better loss on what is held out, after which training ends with the best weights.
const PATIENCE: u32 = 20;

/// The decay of weights for tables: strong, which made the network of two layers as good as scikit-learn's on small tables.
const TABLE_DECAY: f32 = 1.0;

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
    /// AdamW's decay of weights.
    weight_decay: f32,
    /// Lines of `[data]` beside the sets, each with its comment.
    data: Vec<String>,
    /// What the data is taken for, in words.
    notes: Vec<String>,
}

/// The recipe for data, as commented text.
pub fn recipe(wanted: &Wanted) -> Result<RecipeText, SuggestError> {
    let source = source(wanted);
    if matches!(&source, Source::Table { target, .. } if target.is_empty()) {
        // Says which columns there are.
        RawTable::read(wanted.train, &[], &DataSpec::default(), &TrainedOn::default())?;
    }
    let test = wanted.test.map(|test| format!("test = {}\n", source.beside(test).toml()));
    let sets = format!("[data]\ntrain = {}\n{}", source.toml(), test.unwrap_or_default());
    // Read with a network that only fills its place, for the settings.
    let spec =
        Recipe::parse(&format!("{sets}validation = 0.1\n[model]\nlayers = \"2\"\n"), wanted.train, wanted.overrides)?;
    let loss = wanted.overrides.iter().any(|(key, _)| key == "model.loss").then_some(spec.model.loss);
    let look = look(&spec.data, loss)?;
    let model = default_network(look.input, look.targets);
    let layers: String = model.layers.iter().map(|layer| format!("  {},\n", layer.toml())).collect();
    let notes: String =
        look.notes.iter().map(|note| format!("# {}\n", note.replace(|c: char| c.is_control(), " "))).collect();
    let data: String = look.data.iter().map(|line| format!("{line}\n")).collect();
    let (epochs, batch) = length(look.examples);
    // There is none to watch where it was said that nothing is held out.
    let is_watched = spec.data.validation != Holdout::None;
    // Another rule means another thing by the same number.
    let is_chosen = wanted.overrides.iter().any(|(key, _)| key == "optimizer.kind");
    let optimizer = match is_chosen {
        true => format!("kind = \"{}\"\n", spec.optimizer.kind),
        false => format!("kind = \"adamw\"\nlearning_rate = 0.001\nweight_decay = {:?}\n", look.weight_decay),
    };
    let early_stop = format!("early_stop = {{ metric = \"validation_loss\", patience = {PATIENCE} }}\n");
    let early_stop = if is_watched { early_stop } else { String::new() };
    let text = format!(
        "{notes}
{sets}{validation}
{data}
[model]
layers = [
{layers}]
loss = \"{loss}\"

[optimizer]
{optimizer}
[train]
epochs = {epochs}
batch = {batch}
{early_stop}",
        validation = commented("validation = 0.1", "this share is held out and watched while training"),
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
            table_look(spec, &RawTable::read(table, target, spec, &TrainedOn::default())?, loss)
        }
        _ => unreachable!("the text has a folder or a table"),
    }
}

fn table_look(spec: &DataSpec, table: &RawTable, loss: Option<Loss>) -> Result<Look, DataError> {
    let targets = table.target_kind(loss)?;
    let columns = |key: &str, columns: &[String], comment: &str| {
        let (mark, listed) = match columns {
            [] => ("# ", "[\"COLUMN\"]".to_string()),
            columns => ("", list(columns)),
        };
        commented(&format!("{mark}{key} = {listed}"), comment)
    };
    let data = vec![
        commented(
            &format!("scale = \"{}\"", spec.scale),
            "\"standard\": numbers less their mean, divided by their standard deviation",
        ),
        commented(
            &format!("missing = \"{}\"", spec.missing),
            "\"mean\", \"median\" and \"indicator\" fill missing values in",
        ),
        columns("drop", &spec.drop, "columns to leave out"),
        columns("features", &spec.features, "columns to take, in place of all but the target"),
        columns("categorical", &spec.categorical, "columns of numbers that are categories"),
    ];
    Ok(Look {
        input: table.input(),
        targets,
        examples: table.rows(),
        weight_decay: TABLE_DECAY,
        data,
        notes: table.notes().to_vec(),
    })
}

/// A line with its comment at one place.
fn commented(line: &str, comment: &str) -> String {
    format!("{line:<33} # {comment}")
}

/// Epochs and examples of a batch for so many examples: enough steps for a small set, not too many for a large one.
fn length(examples: usize) -> (usize, usize) {
    let batch = (examples / 50).next_power_of_two().clamp(16, 256);
    let steps = 4000;
    (((steps * batch) / examples.max(1)).clamp(10, 200), batch)
}
