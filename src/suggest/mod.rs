//! A recipe for data that comes without one: what it is taken for, and the network, loss and loop that suit it.

mod network;

pub use network::default_network;

use crate::data::{
    DataError, Form, Loading, PictureFolder, PictureSets, RawTable, TargetKind, TrainedOn, picture_sets,
};
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
    let Sets { train, validation, test } = sets(wanted)?;
    let test = test.map_or(String::new(), |test| format!("test = {}\n", test.toml()));
    let sets = format!("[data]\ntrain = {}\n{test}", train.toml());
    let validation = match validation {
        Some(source) => source.toml(),
        None => "0.1                  # this share is held out and watched while training".into(),
    };
    // Read with a network that only fills its place, for the settings.
    let spec = Recipe::parse(&format!("{sets}[model]\nlayers = \"2\"\n"), wanted.train, wanted.overrides)?;
    let loss = wanted.overrides.iter().any(|(key, _)| key == "model.loss").then_some(spec.model.loss);
    let look = look(&spec.data, loss)?;
    let model = default_network(look.input, look.targets);
    let layers: String = model.layers.iter().map(|layer| format!("  {},\n", layer.toml())).collect();
    let notes: String =
        look.notes.iter().map(|note| format!("# {}\n", note.replace(|c: char| c.is_control(), " "))).collect();
    let data: String = look.data.iter().map(|line| format!("{line}\n")).collect();
    let Training { rate, schedule, epochs, batch } = training(look.input, look.examples);
    let text = format!(
        "{notes}
{sets}validation = {validation}
{data}
[model]
layers = [
{layers}]
loss = \"{loss}\"

[optimizer]
kind = \"adam\"
learning_rate = {rate}
{schedule}
[train]
epochs = {epochs}
batch = {batch}
",
        loss = model.loss
    );
    Ok(RecipeText { text: text.trim_start().into(), origin: wanted.train.into(), path: None })
}

/// The sets that a path stands for.
struct Sets {
    train: Source,
    validation: Option<Source>,
    test: Option<Source>,
}

fn sets(wanted: &Wanted) -> Result<Sets, DataError> {
    let folder = Path::new(wanted.train);
    if !folder.is_dir() {
        let train = Source::Table { table: wanted.train.into(), target: wanted.target.to_vec() };
        let test = wanted.test.map(|test| train.beside(test));
        return Ok(Sets { train, validation: None, test });
    }
    let source = |folder: &Path| Source::Folder { folder: folder.to_string_lossy().into_owned() };
    let named = wanted.test.map(|test| source(Path::new(test)));
    Ok(match picture_sets(folder)? {
        Some(PictureSets { train, validation, test }) => Sets {
            train: source(&train),
            validation: validation.as_deref().map(source),
            test: named.or(test.as_deref().map(source)),
        },
        None => Sets { train: source(folder), validation: None, test: named },
    })
}

fn look(spec: &DataSpec, loss: Option<Loss>) -> Result<Look, DataError> {
    match &spec.train {
        Some(Source::Folder { folder }) => {
            PictureFolder::look(Path::new(folder), &Loading::of(spec, None)).map(pictures)
        }
        Some(Source::Table { table, target }) => {
            table_look(&RawTable::read(table, target, spec, &TrainedOn::default())?, loss)
        }
        _ => unreachable!("the text has a folder or a table"),
    }
}

fn pictures(folder: PictureFolder) -> Look {
    let Form { height, width, channels, fit } = folder.form;
    let image = format!(
        "image = {{ size = [{height}, {width}], channels = {channels}, fit = \"{fit}\" }}    # height and width"
    );
    Look {
        input: Shape::Image { channels, height, width },
        targets: TargetKind::Classes { outputs: folder.classes.len() },
        examples: folder.counts.iter().sum(),
        data: vec![image],
        notes: folder.notes,
    }
}

/// How a network for such examples is trained.
struct Training {
    rate: f32,
    /// The recipe's `[schedule]`, where there is one.
    schedule: &'static str,
    epochs: usize,
    batch: usize,
}

/// The training on so many examples: enough steps for a small set, not too many for a large one.
fn training(input: Shape, examples: usize) -> Training {
    let batch = |most: usize| (examples / 50).next_power_of_two().clamp(16, most);
    if let Shape::Image { .. } = input {
        let (passes, batch) = (900_000, batch(128));
        let epochs = (passes / examples.max(1)).clamp(15, 60);
        return Training { rate: 0.002, schedule: "\n[schedule]\nkind = \"cosine\"\n", epochs, batch };
    }
    let (steps, batch) = (4000, batch(256));
    Training { rate: 0.001, schedule: "", epochs: ((steps * batch) / examples.max(1)).clamp(10, 200), batch }
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
