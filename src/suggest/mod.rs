//! A recipe for data that comes without one: what it is taken for, and the network, loss and loop that suit it.

mod network;

pub use network::default_network;

use crate::data::{
    ArraySets, DataError, Form, Loading, PictureFolder, PictureSets, Problem, RawExamples, RawTable, SourceRef,
    TableOptions, TargetKind, TrainedOn, array_sets, is_picture_table, label_column, picture_sets,
};
use crate::model::Shape;
use crate::recipe::{DataSpec, Holdout, Loss, Recipe, RecipeError, RecipeText, Source, list};
use std::path::Path;

/// Epochs without a better loss on what is held out, after which training ends with the best weights.
const PATIENCE: u32 = 20;

/// The decay of weights for tables: strong, which made the network of two layers as good as scikit-learn's on small tables.
const TABLE_DECAY: f64 = 1.0;

/// Rows from which a table needs less of it, the more rows the less: of 400,000 it took half a percent of the answers.
const MANY_ROWS: usize = 20_000;

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
    /// A folder of pictures, a table, a table of pictures, or a file of named arrays.
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
    if matches!(&train, Source::Table { target, .. } if target.is_empty()) {
        // Says which columns there are.
        RawTable::read(wanted.train, &[], &DataSpec::default(), &TrainedOn::default())?;
    }
    let test = test.map_or(String::new(), |test| format!("test = {}\n", test.toml()));
    let sets = format!("[data]\ntrain = {}\n{test}", train.toml());
    let validation = match validation {
        Some(source) => format!("validation = {}", source.toml()),
        None => commented("validation = 0.1", "this share is held out and watched while training"),
    };
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
    // There is none to watch where it was said that nothing is held out.
    let is_watched = spec.data.validation != Holdout::None;
    let training = training(&look, is_watched);
    let Training { schedule, epochs, batch, early_stop, .. } = training;
    // Another rule means another thing by the same numbers.
    let is_chosen = wanted.overrides.iter().any(|(key, _)| key == "optimizer.kind");
    let optimizer = if is_chosen { format!("kind = \"{}\"\n", spec.optimizer.kind) } else { training.optimizer };
    let text = format!(
        "{notes}
{sets}{validation}
{data}
[model]
layers = [
{layers}]
loss = \"{loss}\"

[optimizer]
{optimizer}{schedule}
[train]
epochs = {epochs}
batch = {batch}
{early_stop}",
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
    if is_picture_table(folder)? {
        let label = match wanted.target {
            [] => label_column(folder)?,
            [label] => label.clone(),
            several => return Err(Problem::SeveralTargets { count: several.len() }.at(wanted.train)),
        };
        let train = Source::Pictures { pictures: wanted.train.into(), label };
        let test = wanted.test.map(|test| train.beside(test));
        return Ok(Sets { train, validation: None, test });
    }
    if let Some(ArraySets { train, validation, test }) = array_sets(wanted.train)? {
        return arrays(wanted, train, validation, test);
    }
    if !folder.is_dir() {
        let train = Source::Table { table: wanted.train.into(), target: wanted.target.to_vec() };
        let test = wanted.test.map(|test| train.beside(test));
        return Ok(Sets { train, validation: None, test });
    }
    if let [column, ..] = wanted.target {
        let what = "a folder of pictures, whose classes are its subfolders";
        return Err(Problem::NoColumns { what, column: column.clone() }.at(wanted.train));
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

/// The sets of a file of named arrays.
fn arrays(
    wanted: &Wanted,
    train: [String; 2],
    validation: Option<[String; 2]>,
    test: Option<[String; 2]>,
) -> Result<Sets, DataError> {
    if let [column, ..] = wanted.target {
        let what = "a file of arrays, one of which is the labels";
        return Err(Problem::NoColumns { what, column: column.clone() }.at(wanted.train));
    }
    let source = |[images, labels]: [String; 2]| Source::Arrays { images, labels };
    let test = match wanted.test {
        // Of a file for testing its test set or, without any, all it has.
        Some(file) => {
            let sets = array_sets(file)?.ok_or_else(|| Problem::NotArrays.at(file))?;
            Some(sets.test.unwrap_or(sets.train))
        }
        None => test,
    };
    Ok(Sets { train: source(train), validation: validation.map(source), test: test.map(source) })
}

fn look(spec: &DataSpec, loss: Option<Loss>) -> Result<Look, DataError> {
    match &spec.train {
        Some(Source::Folder { folder }) => {
            let found = PictureFolder::look(Path::new(folder), &Loading::of(spec, None))?;
            if let [class] = &found.classes[..] {
                let others = found.notes.iter().map(|note| format!("; {note}")).collect::<String>();
                let cause =
                    format!("holds pictures of one class alone, {class:?}: a network tells two or more apart{others}");
                return Err(Problem::NoPictures { cause }.at(folder));
            }
            Ok(pictures(found, loss))
        }
        Some(Source::Pictures { pictures: table, label }) => {
            let found = PictureFolder::look_table(Path::new(table), label, &Loading::of(spec, None))?;
            if found.counts.iter().filter(|count| **count > 0).count() < 2 {
                return Err(Problem::OneClass { name: label.clone() }.at(table));
            }
            Ok(pictures(found, loss))
        }
        Some(Source::Table { table, target }) => {
            let raw = RawTable::read(table, target, spec, &TrainedOn::default())?;
            let look = table_look(spec, &raw, loss)?;
            // It is loaded next.
            raw.keep();
            Ok(look)
        }
        Some(Source::Arrays { images, labels }) => {
            let raw = RawExamples::read(SourceRef { images, labels }, TableOptions::default())?;
            arrays_look(&raw, loss)
        }
        None => unreachable!("the text has training examples"),
    }
}

fn pictures(folder: PictureFolder, loss: Option<Loss>) -> Look {
    let outputs = folder.classes.len();
    let targets = match loss {
        Some(Loss::BinaryCrossEntropy) => TargetKind::Probabilities { outputs: if outputs == 2 { 1 } else { outputs } },
        _ => TargetKind::Classes { outputs },
    };
    let Form { height, width, channels, fit } = folder.form;
    let image = format!("image = {{ size = [{height}, {width}], channels = {channels}, fit = \"{fit}\" }}");
    Look {
        input: Shape::Image { channels, height, width },
        targets,
        examples: folder.counts.iter().sum(),
        data: vec![commented(&image, "height and width")],
        notes: folder.notes,
    }
}

fn arrays_look(raw: &RawExamples, loss: Option<Loss>) -> Result<Look, DataError> {
    let (input, targets) = (raw.input()?, raw.target_kind(loss));
    // Measurements, which have units of their own.
    let scale = "scale = \"standard\"";
    let is_measured = matches!(input, Shape::Features(_)) && !raw.are_bytes();
    let scale = commented(scale, "each feature less its mean, divided by its standard deviation");
    let data = if is_measured { vec![scale] } else { Vec::new() };
    let taken = match targets {
        TargetKind::Classes { outputs } => format!("the labels are taken for {outputs} classes"),
        TargetKind::Values { .. } => "the labels are taken for values".into(),
        TargetKind::Probabilities { .. } => "the labels are taken for probabilities".into(),
    };
    let notes = raw.notes().iter().cloned().chain([taken]).collect();
    Ok(Look { input, targets, examples: raw.count(), data, notes })
}

/// How a network for such examples is trained.
struct Training {
    /// Lines of `[optimizer]`.
    optimizer: String,
    /// The recipe's `[schedule]`, where there is one.
    schedule: &'static str,
    epochs: usize,
    batch: usize,
    /// Lines that end `[train]`.
    early_stop: String,
}

/// The training on so many examples: enough steps for a small set, not too many for a large one. Where nothing is held out there is
/// nothing to watch.
fn training(look: &Look, is_watched: bool) -> Training {
    let (input, examples) = (look.input, look.examples);
    let batch = |most: usize| (examples / 50).next_power_of_two().clamp(16, most);
    if let Shape::Image { .. } = input {
        let (passes, batch) = (900_000, batch(128));
        let optimizer = "kind = \"adam\"\nlearning_rate = 0.002\n".into();
        let schedule = "\n[schedule]\nkind = \"cosine\"\n";
        let epochs = (passes / examples.max(1)).clamp(15, 60);
        return Training { optimizer, schedule, epochs, batch, early_stop: String::new() };
    }
    let (steps, batch) = (4000, batch(256));
    let decay = table_decay(examples);
    let optimizer = format!("kind = \"adamw\"\nlearning_rate = 0.001\nweight_decay = {decay:?}\n");
    let early_stop = format!("early_stop = {{ metric = \"validation_loss\", patience = {PATIENCE} }}\n");
    let early_stop = if is_watched { early_stop } else { String::new() };
    let epochs = ((steps * batch) / examples.max(1)).clamp(10, 200);
    Training { optimizer, schedule: "", epochs, batch, early_stop }
}

/// The decay of weights for a table of so many rows, to a hundredth.
fn table_decay(rows: usize) -> f64 {
    let decay = TABLE_DECAY * (MANY_ROWS as f64 / rows.max(1) as f64).min(1.0);
    (100.0 * decay).round().max(1.0) / 100.0
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
    Ok(Look { input: table.input(), targets, examples: table.rows(), data, notes: table.notes().to_vec() })
}

/// A line with its comment at one place.
fn commented(line: &str, comment: &str) -> String {
    format!("{line:<33} # {comment}")
}

#[cfg(test)]
mod tests {
    use super::table_decay;

    #[test]
    fn large_tables_need_less_decay() {
        assert_eq!([1, 150, 20_000, 40_000, 400_000, 100_000_000].map(table_decay), [1.0, 1.0, 1.0, 0.5, 0.05, 0.01]);
    }
}
