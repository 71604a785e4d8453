//! A saved model and the examples it is shown, as `eval` and `predict` take them.

use super::{CliError, Context};
use clap::{Args, ValueEnum};
use gputrain::data::{
    Examples, Features, RawFeatures, RawTable, Scaling, TableOptions, TargetKind, column_texts, is_picture,
    is_picture_table,
};
use gputrain::export::SavedModel;
use gputrain::job::{self, Job, ShownPictures};
use gputrain::model::Shape;
use gputrain::place::{self, Place};
use gputrain::recipe::{Broken, DataSpec, Holdout, Precision, Recipe, Scale, Set, Source};
use gputrain::train::Predictions;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A part of a recipe's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Split {
    /// What was trained on
    Train,
    /// What was held out to watch the training
    Validation,
    /// What was kept for the end
    #[default]
    Test,
}

/// A model and examples on the command line.
#[derive(Debug, Clone, Default, Args)]
pub struct ExamplesArgs {
    /// A model.safetensors, or the folder of a run
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// A table like the one that the model was trained on; pictures, folders or a table of pictures; or images, and labels if there
    /// are any, as with --images and --labels
    #[arg(value_name = "DATA", num_args = 0.., conflicts_with_all = ["images", "labels", "split"])]
    files: Vec<String>,
    /// Images (.npy, .npz#key, .hdf5#key, .idx, .csv, .parquet) [default: those of the model's recipe]
    #[arg(long, value_name = "FILE", conflicts_with = "split")]
    images: Option<String>,
    /// Labels of the images; of a model of the first classes (data.classes), the examples of others are left out
    #[arg(long, value_name = "FILE", requires = "images")]
    labels: Option<String>,
    /// Which part of the recipe's data, where no files are given
    #[arg(long, value_enum, default_value_t)]
    split: Split,
    /// Whether the first line of a table names its columns [default: as in training, else told from the line]
    #[arg(long, value_name = "true|false", conflicts_with = "split")]
    header: Option<bool>,
    /// Folder in which the recipe's data files are looked for
    #[arg(long, value_name = "DIR", conflicts_with_all = ["images", "files"])]
    data: Option<PathBuf>,
    /// Leaves out pictures that cannot be read, and names them, as data.broken = "skip" does in training
    #[arg(long)]
    skip_broken: bool,
}

/// Examples, and what is known about them.
pub struct Shown {
    /// The examples; without truth their targets mean nothing.
    pub examples: Examples,
    /// Where they come from.
    pub name: String,
    /// Which part of the data they are; files that are named are a test set.
    pub set: Set,
    /// Whether the targets are the truth.
    pub labelled: bool,
    /// The file of each, where they are pictures.
    pub files: Vec<PathBuf>,
    /// The file whose rows they are, where it is one.
    table: Option<String>,
    /// What a person should know of how they were read.
    pub notes: Vec<String>,
}

impl Shown {
    /// The number of an example among those of its file or source, from 0.
    pub fn row(&self, index: usize) -> usize {
        self.examples.rows.as_ref().map_or(index, |rows| rows[index])
    }
}

impl ExamplesArgs {
    /// The model, whose recipe leaves broken pictures out where the arguments do.
    pub fn saved(&self) -> Result<SavedModel, CliError> {
        let mut saved = SavedModel::load(&self.model)?;
        if self.skip_broken {
            saved.recipe.data.broken = Broken::Skip;
        }
        Ok(saved)
    }

    /// Whether a file is the model, one that is named for the examples, or one of the model's recipe.
    pub fn reads(&self, path: &Path, recipe: &Recipe) -> bool {
        let of_recipe = recipe.data.sources().flat_map(|(_, source)| source.paths()).map(str::to_string);
        let named = self.files.iter().chain(&self.images).chain(&self.labels).cloned();
        let files = named.chain(of_recipe).map(|file| Place::parse(&file).path);
        files.chain([self.model.clone()]).any(|file| file.is_file() && place::same_file(&file, path))
    }

    /// The examples that the arguments name, else those of the model's recipe. A model that answers with its inputs needs no other
    /// truth.
    pub fn load(&self, saved: &SavedModel) -> Result<Shown, CliError> {
        let mut shown = self.find(saved)?;
        if saved.recipe.data.targets.is_some() {
            job::aim_at_inputs(&mut shown.examples, &saved.model, &saved.scaling)?;
            shown.labelled = true;
            if !shown.notes.iter().any(|note| note == job::AIMED_IN_WORDS) {
                shown.notes.push(job::AIMED_IN_WORDS.into());
            }
        }
        Ok(shown)
    }

    fn find(&self, saved: &SavedModel) -> Result<Shown, CliError> {
        let is_pictures = |file: &String| {
            let path = Path::new(file);
            path.is_dir() && !place::is_cifar(path) || is_picture(path)
        };
        if !self.files.is_empty() && self.files.iter().all(is_pictures) {
            return self.pictures(saved);
        }
        if let [_, _, third, ..] = &self.files[..] {
            return Err(CliError::Usage(format!(
                "{third}: a file of images and a file of labels are all that is taken, unless all are pictures (PNG, JPEG, \
                 WebP, BMP, GIF) or folders of pictures"
            )));
        }
        if let [table] = &self.files[..]
            && matches!(saved.model.input, Shape::Image { .. })
            && is_picture_table(Path::new(table))?
        {
            return self.picture_table(table, saved);
        }
        let images = self.images.as_ref().or(self.files.first());
        let labels = self.labels.as_ref().or(self.files.get(1));
        let Some(images) = images else { return self.recipe_examples(saved) };
        let (name, table) = (images.clone(), Some(images.clone()));
        let spec = DataSpec { header: self.header.or(saved.recipe.data.header), ..saved.recipe.data.clone() };
        if saved.trained_on.table.is_some() {
            return table_examples(images, labels, &spec, saved);
        }
        let Some(labels) = labels else {
            let raw = RawFeatures::read(
                images,
                TableOptions { header: spec.header, features: &saved.trained_on.features, weights: None },
            )?;
            let notes = raw.notes().to_vec();
            let features = raw.fit(saved.model.input)?;
            let targets = job::blank_targets(features.count, &saved.model);
            let examples = Examples::unweighted(features, targets);
            return Ok(Shown { examples, name, set: Set::Test, labelled: false, files: Vec::new(), table, notes });
        };
        let source = Source::Arrays { images: images.clone(), labels: labels.clone() };
        // As in training: of files that hold more classes, only the examples of the model's.
        let (examples, notes) = job::load(&source, &spec, (&saved.model, &saved.trained_on))?;
        Ok(Shown { examples, name, set: Set::Test, labelled: true, files: Vec::new(), table, notes })
    }

    fn pictures(&self, saved: &SavedModel) -> Result<Shown, CliError> {
        if !matches!(saved.model.input, Shape::Image { .. }) {
            return Err(CliError::Usage(format!(
                "{}: the model takes {}, no pictures; train one with model.input = [height, width, channels]",
                self.files[0], saved.model.input
            )));
        }
        let paths: Vec<PathBuf> = self.files.iter().map(PathBuf::from).collect();
        let shown = job::load_pictures(&paths, &saved.recipe.data, (&saved.model, &saved.trained_on))?;
        let ShownPictures { examples, files, labelled, notes } = shown;
        let more = self.files.len() - 1;
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Ok(Shown {
            examples,
            name: format!("{}{more}", self.files[0]),
            set: Set::Test,
            labelled,
            files,
            table: None,
            notes,
        })
    }

    /// The pictures in a table, whose labels are called as in training.
    fn picture_table(&self, table: &str, saved: &SavedModel) -> Result<Shown, CliError> {
        let label = match &saved.recipe.data.train {
            Some(Source::Pictures { label, .. }) => label,
            _ => "",
        };
        let model = (&saved.model, &saved.trained_on);
        let shown = job::load_picture_table(Path::new(table), label, &saved.recipe.data, model)?;
        let ShownPictures { examples, files, labelled, notes } = shown;
        let table = Some(table.to_string());
        Ok(Shown { examples, name: table.clone().unwrap_or_default(), set: Set::Test, labelled, files, table, notes })
    }

    /// The texts of a column of the table whose rows the examples are, one for each of them.
    pub fn column(&self, saved: &SavedModel, shown: &Shown, column: &str) -> Result<Vec<String>, CliError> {
        let table = shown.table.as_ref().filter(|file| Place::parse(file).is_table()).ok_or_else(|| {
            let name = &shown.name;
            CliError::Usage(format!("--id {column} is a column of a table, and {name} is none; give a table as DATA"))
        })?;
        let texts = column_texts(table, self.header.or(saved.recipe.data.header), column)?;
        match &shown.examples.rows {
            Some(rows) => Ok(rows.iter().filter_map(|row| texts.get(*row).cloned()).collect()),
            None => Ok(texts),
        }
    }

    fn recipe_examples(&self, saved: &SavedModel) -> Result<Shown, CliError> {
        let set = match self.split {
            Split::Train => Set::Train,
            Split::Validation => Set::Validation,
            Split::Test => Set::Test,
        };
        let mut recipe = saved.recipe.clone();
        let spec = &mut recipe.data;
        // Weights are for training alone; a column of them is left out of features that have no names.
        spec.class_weights = None;
        if !saved.trained_on.features.is_empty() || !spec.sample_weights.as_deref().is_some_and(is_of_table) {
            spec.sample_weights = None;
        }
        let is_file = |holdout: &Holdout| matches!(holdout, Holdout::Files(_));
        // What has files of its own needs no others.
        match self.split {
            Split::Test if is_file(&spec.test) => (spec.train, spec.validation) = (None, Holdout::None),
            Split::Validation if is_file(&spec.validation) => (spec.train, spec.test) = (None, Holdout::None),
            _ => {}
        }
        find_data(&mut recipe, &self.model, self.data.as_deref())?;
        let elsewhere = found_elsewhere(&recipe, self.data.as_deref());
        let files = match (self.split, &recipe.data) {
            (Split::Test, DataSpec { test: Holdout::Files(source), .. }) => Some(source),
            (Split::Validation, DataSpec { validation: Holdout::Files(source), .. }) => Some(source),
            _ => None,
        };
        if let Some(Source::Folder { folder }) = files {
            let paths = [PathBuf::from(folder)];
            let shown = job::load_pictures(&paths, &recipe.data, (&saved.model, &saved.trained_on))?;
            let ShownPictures { examples, files, labelled, mut notes } = shown;
            notes.extend(elsewhere);
            return Ok(Shown { examples, name: folder.clone(), set, labelled, files, table: None, notes });
        }
        if let Some(source) = files {
            let (examples, mut notes) = job::load(source, &recipe.data, (&saved.model, &saved.trained_on))?;
            notes.extend(elsewhere);
            return Ok(Shown {
                examples,
                name: source.name().to_string(),
                set,
                labelled: true,
                files: Vec::new(),
                table: Some(source.name().to_string()),
                notes,
            });
        }
        let table = recipe.data.train.as_ref().map(|source| source.name().to_string());
        let origin = table.clone().unwrap_or_else(|| "the generated digits".into());
        let Job { dataset, mut notes, files, .. } = Job::load_for(recipe, &saved.trained_on)?;
        notes.extend(elsewhere);
        let dataset = Arc::unwrap_or_clone(dataset);
        let split = set.name();
        let examples = match set {
            Set::Train => Some(dataset.train),
            Set::Validation => dataset.validation,
            Set::Test => dataset.test,
        };
        let missing = || {
            format!(
                "the model's recipe has no {split} set; give examples (a folder of pictures, a table, or --images FILE --labels FILE) \
                 or another set of it by --split"
            )
        };
        let mut examples = examples.ok_or_else(|| CliError::Usage(missing()))?;
        // Pictures are told apart by their files.
        let files = match examples.rows.take_if(|_| !files.is_empty()) {
            Some(rows) => rows.into_iter().map(|row| files[row].clone()).collect(),
            None => files,
        };
        Ok(Shown { examples, name: format!("{split} set of {origin}"), set, labelled: true, files, table, notes })
    }
}

/// Whether a name is that of a table's file.
fn is_of_table(name: &str) -> bool {
    Place::parse(name).is_table()
}

/// The examples of a table for a model that was trained on one.
fn table_examples(
    table: &str,
    labels: Option<&String>,
    spec: &DataSpec,
    saved: &SavedModel,
) -> Result<Shown, CliError> {
    if let Some(labels) = labels {
        return Err(CliError::Usage(format!(
            "{labels}: the model was trained on a table that holds its target; give a table like it alone"
        )));
    }
    let mut raw = RawTable::read(table, &[], spec, &saved.trained_on)?;
    let (name, table) = (table.to_string(), Some(table.to_string()));
    let mut untold = None;
    if raw.is_labelled() {
        let kind = TargetKind::for_model(&saved.model);
        match raw.target_problem(kind, spec.classes) {
            None => {
                let (examples, _, notes) = raw.fit(saved.model.input, kind, spec.classes)?;
                return Ok(Shown { examples, name, set: Set::Test, labelled: true, files: Vec::new(), table, notes });
            }
            Some(problem) => untold = Some(format!("note: {problem}: the rows are taken without a truth")),
        }
    }
    let (features, mut notes) = raw.features(saved.model.input)?;
    notes.extend(untold);
    let targets = job::blank_targets(features.count, &saved.model);
    let examples = Examples::unweighted(features, targets);
    Ok(Shown { examples, name, set: Set::Test, labelled: false, files: Vec::new(), table, notes })
}

/// Finds the data of a run's recipe, also where it was trained from another folder; in a folder that is given, by the ends of
/// the paths alone.
pub(super) fn find_data(recipe: &mut Recipe, run: &Path, folder: Option<&Path>) -> Result<(), CliError> {
    let Some(folder) = folder else { return Ok(recipe.resolve_data_of_run(run)?) };
    if !folder.is_dir() {
        return Err(CliError::Usage(format!("--data {}: there is no such folder", folder.display())));
    }
    look_for_names(&mut recipe.data);
    Ok(recipe.resolve_data(Some(folder))?)
}

/// What is to be said of files that are not in the folder that was given for them.
pub(super) fn found_elsewhere(recipe: &Recipe, folder: Option<&Path>) -> Option<String> {
    let folder = folder?;
    let files = recipe.data.sources().flat_map(|(_, source)| source.paths());
    let mut elsewhere: Vec<&str> =
        files.filter(|file| !Path::new(file).starts_with(folder) && !place::is_bundled(Path::new(file))).collect();
    elsewhere.dedup();
    let folder = folder.display();
    let taken = elsewhere.join(", ");
    (!elsewhere.is_empty()).then(|| format!("note: --data {folder} does not hold all of the data: {taken} was taken"))
}

/// Lets data be found in another folder than the one it was trained from: `far/away/x.npz` also as `away/x.npz` and as
/// `x.npz`.
fn look_for_names(spec: &mut DataSpec) {
    let held_out = [&mut spec.test, &mut spec.validation].into_iter().filter_map(|holdout| match holdout {
        Holdout::Files(source) => Some(source),
        _ => None,
    });
    for source in spec.train.iter_mut().chain(held_out) {
        source.paths_mut().into_iter().for_each(|(_, path)| *path = endings(path));
    }
}

/// The path and each of its endings, as the alternatives of a recipe. One that starts at the root comes last: it would be
/// found whatever the folder.
fn endings(path: &str) -> String {
    let (file, key) = place::split_key(path, |file| place::is_there(Path::new(file)));
    let key = key.map_or(String::new(), |key| format!("#{key}"));
    let later = file.match_indices(['/', '\\']).map(|(at, _)| &file[at + 1..]);
    let mut all: Vec<String> = std::iter::once(file).chain(later).map(|ending| format!("{ending}{key}")).collect();
    if Path::new(file).has_root() {
        all.rotate_left(1);
    }
    all.join(" | ")
}

/// Runs the model over the examples, saying what and where.
pub fn evaluate(saved: &SavedModel, shown: &Shown, context: &Context) -> Result<Predictions, CliError> {
    let backend = context.open_backend()?;
    let info = backend.info();
    let kept = saved.recipe.data.classes.filter(|_| shown.labelled);
    let kept = kept.map_or(String::new(), |classes| format!(" of the first {classes} classes (data.classes)"));
    let (name, count) = (&saved.recipe.name, shown.examples.count());
    context.say(format!("{name} on {} ({}): {count} examples{kept}, {}", info.device, info.backend, shown.name));
    shown.notes.iter().for_each(|note| context.say(note));
    if let Some(note) = other_range(saved, &shown.examples.features) {
        context.say(note);
    }
    if shown.labelled && saved.recipe.precision == Precision::Mixed {
        context.say(
            "note: measured in f32; the run measured its own losses in mixed precision, with factors rounded to f16",
        );
    }
    let (model, optimizer) = (&saved.model, &saved.recipe.optimizer);
    Ok(Predictions::run(&*backend, model, &saved.parameters, &saved.scaling, optimizer, &shown.examples)?)
}

/// A word on values that cannot be of the range that the model was trained on: bytes there, numbers up to 1 here.
fn other_range(saved: &SavedModel, features: &Features) -> Option<String> {
    let data = &saved.recipe.data;
    let (trained, here) = (saved.scaling.before(data), Scaling::fit(data.scale, features));
    let unlike = matches!(data.scale, Scale::Unit | Scale::Centered) && trained.divide != here.divide;
    unlike.then(|| {
        let white = trained.divide.first().copied().unwrap_or(1.0);
        let most = features.storage.bounds().1;
        format!(
            "note: the model was trained on values up to {white}, the largest here is {most}: are they of the same range?"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_also_looked_for_by_its_endings() {
        assert_eq!(endings("/a/b/x.npz#k"), "a/b/x.npz#k | b/x.npz#k | x.npz#k | /a/b/x.npz#k");
        assert_eq!(endings("x.h5#group/images"), "x.h5#group/images");
        assert_eq!(endings("a/x.h5#b#c/d"), "a/x.h5#b#c/d | x.h5#b#c/d");
        assert_eq!(endings("x.npy"), "x.npy");
    }
}
