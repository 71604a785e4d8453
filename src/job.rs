//! A recipe made ready: its model built, its data loaded, split and scaled.

use crate::backend::Backend;
use crate::data::{
    self, DataError, Dataset, Examples, Features, Loading, PartSize, Pictures, Problem, RawExamples, RawFeatures,
    RawTable, Scaling, SourceRef, TableOptions, TargetKind, Targets, TrainedOn, label_column, remarks, weights,
};
use crate::export::{ExportError, Initial};
use crate::model::{Levels, Model, ModelError, Shape};
use crate::place;
use crate::ranks::Exchange;
use crate::recipe::{
    Activation, Aim, DataSpec, Holdout, Keyword, Loss, Normalize, OptimizerSpec, Recipe, Record, Source, TrainSpec,
};
use crate::train::{Member, Score, Set, TrainError, Trainer, TrainerSpec};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(test)]
mod streamed_tables;

/// Why a recipe could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The network is impossible.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The weights that the recipe begins with cannot be used.
    #[error(transparent)]
    Start(Box<ExportError>),
    /// It cannot train.
    #[error(transparent)]
    Train(Box<TrainError>),
    /// Examples in memory for a recipe that names files.
    #[error("the recipe names its training files in data.train, and there are examples in memory; leave one out")]
    TwoSources,
    /// Data sets that cannot be trained on side by side.
    #[error("the folds cannot train side by side: {0}")]
    Folds(String),
}

impl From<ExportError> for JobError {
    fn from(error: ExportError) -> JobError {
        JobError::Start(Box::new(error))
    }
}

impl From<TrainError> for JobError {
    fn from(error: TrainError) -> JobError {
        JobError::Train(Box::new(error))
    }
}

/// Everything a run needs but a backend.
#[derive(Debug, Clone)]
pub struct Job {
    /// The recipe.
    pub recipe: Recipe,
    /// Its network.
    pub model: Model,
    /// Its data: training examples without those held out.
    pub dataset: Arc<Dataset>,
    /// Scaling fitted to the training examples.
    pub scaling: Scaling,
    /// What other data is read by: names of features and classes.
    pub trained_on: TrainedOn,
    /// What a person should know of how the files were read: what their parts were taken for, and warnings.
    pub notes: Vec<String>,
    /// The same of how training weighs the examples.
    pub weighing: Vec<String>,
    /// Of a trained model the files of the pictures of `data.train`, before some were held out; none of other data, nor of a job
    /// that is loaded to train.
    pub files: Vec<PathBuf>,
}

impl Job {
    /// Loads the files that the recipe names (their paths already resolved), or generates the digits if it names none.
    pub fn load(recipe: Recipe) -> Result<Job, JobError> {
        let mut job = Job::load_for(recipe, &TrainedOn::default())?;
        // Which file or row an example was is asked of a trained model alone.
        job.files = Vec::new();
        let Dataset { train, validation, test } = Arc::make_mut(&mut job.dataset);
        [Some(train), validation.as_mut(), test.as_mut()].into_iter().flatten().for_each(|set| set.rows = None);
        Ok(job)
    }

    /// The same for a trained model: tables that name their columns may hold its features in any order.
    pub fn load_for(mut recipe: Recipe, known: &TrainedOn) -> Result<Job, JobError> {
        let looks_up = recipe.model.looks_up_categories();
        let source = recipe.data.train.clone();
        let source = source.as_ref();
        // Where the recipe leaves the input, or the levels of an embedding, to the data, the files come before the network.
        let early = source.filter(|_| recipe.model.input.is_empty() || looks_up);
        let data = recipe.data.clone();
        let reading = |source, input| Raw::read_training(source, &data, known, (input, looks_up));
        let read = early.map(|source| reading(source, None)).transpose()?;
        recipe.model.look_up(read.as_ref().and_then(Raw::levels));
        let input = match source {
            Some(_) => read.as_ref().map(Raw::input).transpose()?,
            None => Some(Shape::Features(28 * 28)),
        };
        let model = Model::of(&recipe, input)?;
        let (mut trained_on, mut notes, mut files) = (known.clone(), Vec::new(), Vec::new());
        let dataset = match source {
            Some(source) => {
                let mut raw = read.map_or_else(|| reading(source, Some(model.input)), Ok)?;
                files = raw.take_files();
                let (train, of_data, said) = raw.fit(&model, &recipe.data)?;
                (trained_on, notes) = (of_data, said);
                notes.extend(remarks::leaks(&train, &trained_on.features));
                let is_table = matches!(source, Source::Table { .. });
                notes.extend(remarks::indices(&train.features, &trained_on.features, is_table));
                Dataset { train, validation: None, test: None }
            }
            None => generated(&recipe, &model)?,
        };
        Ok(Job { files, ..Job::divided(recipe, model, dataset, (trained_on, known.table.is_none()), notes)? })
    }

    /// A recipe that names no training files, with examples in memory in their place: those to train on, and those to test
    /// with, if there are any. The recipe's network may leave its input to them.
    pub fn with_examples(recipe: Recipe, train: Examples, test: Option<Examples>) -> Result<Job, JobError> {
        if recipe.data.train.is_some() {
            return Err(JobError::TwoSources);
        }
        let model = Model::of(&recipe, Some(train.features.shape))?;
        let mut dataset = Dataset { train, validation: None, test };
        let sets = [("the training examples", Some(&mut dataset.train)), ("the test examples", dataset.test.as_mut())];
        for (place, examples) in sets.into_iter().filter_map(|(place, examples)| Some((place, examples?))) {
            fit(examples, &recipe, &model).map_err(|problem| problem.at(place))?;
        }
        Job::divided(recipe, model, dataset, (TrainedOn::default(), true), Vec::new())
    }

    /// Holds out what the recipe asks for, and fits the scaling.
    fn divided(
        recipe: Recipe,
        model: Model,
        mut dataset: Dataset,
        (mut trained_on, is_new): (TrainedOn, bool),
        mut notes: Vec<String>,
    ) -> Result<Job, JobError> {
        for (set, amount) in [("test", &recipe.data.test), ("validation", &recipe.data.validation)] {
            let held = held_out(&recipe, amount, &mut dataset.train, (&model, &trained_on), set, &mut notes)?;
            let place = if set == "test" { &mut dataset.test } else { &mut dataset.validation };
            // The generated digits bring a test set of their own.
            *place = held.or(place.take());
        }
        if let Some(count) = recipe.data.examples.filter(|count| *count < dataset.train.count()) {
            let part = part(&recipe, &mut dataset.train, PartSize::Count(count), "training part");
            dataset.train = part.map_err(|problem| problem.at("data.examples"))?;
        }
        // What is held out only evaluates.
        [&mut dataset.validation, &mut dataset.test].into_iter().flatten().for_each(|held| held.weights = None);
        let mut weighing = Vec::new();
        weigh(&recipe, &mut dataset.train, &trained_on, &mut weighing)?;
        // Of a table that was known, all is filled in and scaled already.
        if let (Some(columns), true) = (&mut trained_on.table, is_new) {
            columns.fit_fills(recipe.data.missing, &dataset.train.features);
            let last = model.layers.last().and_then(|layer| layer.kind.activation());
            let is_free = last.is_none_or(|activation| activation == Activation::Linear);
            if is_free && matches!(TargetKind::for_model(&model), TargetKind::Values { .. }) {
                columns.fit_targets(&dataset.train.targets);
            }
            for examples in
                [Some(&mut dataset.train), dataset.validation.as_mut(), dataset.test.as_mut()].into_iter().flatten()
            {
                columns.fill(&mut examples.features);
                columns.scale_targets(&mut examples.targets);
            }
            notes.extend(columns.targets_in_words());
        }
        let scaling = trained_on.scaling(&recipe.data, &dataset.train.features)?;
        // Values that were scaled may look like classes by chance.
        let scaled = trained_on.table.as_ref().is_some_and(|columns| columns.scales(model.outputs()));
        trained_on.classes = Some(!scaled && dataset.train.targets.classes().is_some());
        if recipe.data.targets == Some(Aim::Inputs) {
            trained_on.classes = Some(false);
            for examples in
                [Some(&mut dataset.train), dataset.validation.as_mut(), dataset.test.as_mut()].into_iter().flatten()
            {
                aim_at_inputs(examples, &model, &scaling)?;
            }
            notes.push(AIMED_IN_WORDS.into());
        }
        let (dataset, files) = (Arc::new(dataset), Vec::new());
        Ok(Job { recipe, model, dataset, scaling, trained_on, notes, weighing, files })
    }

    /// What a person should know of the data before it is trained on: how it was read and is scaled, what is missing, and
    /// what is measured.
    pub fn described(&self) -> Vec<String> {
        let (kind, train, scaling) = (self.recipe.data.scale, &self.dataset.train, &self.scaling);
        let mut lines = [&self.notes[..], &self.weighing].concat();
        let unit = scaling.before(&self.recipe.data);
        let normalized = self
            .recipe
            .data
            .normalize
            .as_ref()
            .map(|Normalize { mean, std }| format!(", then less {mean:?}, divided by {std:?}, by channel"));
        lines.push(format!("scale {kind}: {}{}", unit.in_words(kind), normalized.unwrap_or_default()));
        lines.extend(remarks::no_pixels(kind, &unit, &train.features));
        lines.extend(self.recipe.augment.in_words());
        lines.extend(unrecorded(&self.recipe.train));
        lines.extend(endless_warmup(&self.recipe));
        lines.extend(nothing_spared(&self.recipe.optimizer));
        let last = self.model.layers.last().and_then(|layer| layer.kind.activation());
        lines.extend(remarks::out_of_reach(last, &train.targets));
        let (validation, test) = (self.dataset.validation.as_ref(), self.dataset.test.as_ref());
        let sets = [("training", Some(train)), ("validation", validation), ("test", test)];
        let name = |class: usize| self.trained_on.class(class);
        lines.extend(sets.iter().filter_map(|(set, found)| remarks::absent_classes(set, &(*found)?.targets, name)));
        let (loss, outputs) = (self.model.loss, self.model.outputs());
        if Score::accuracy_name(loss, outputs) != Score::accuracy_name(loss, 1) {
            lines.push(format!(
                "accuracy is per output: the share of all {outputs} outputs of all examples that are right"
            ));
        }
        lines
    }

    /// The weights that the recipe's training begins with: drawn, and where its `[start]` names a file, taken from that as far as they
    /// fit.
    pub fn initial(&self) -> Result<Initial, ExportError> {
        let train = &self.dataset.train.features;
        Initial::of(&self.recipe, &self.model, &self.scaling, &self.trained_on, train)
    }

    /// A trainer of the recipe's model, which has its initial weights.
    pub fn trainer(&self, backend: &dyn Backend) -> Result<Trainer, JobError> {
        let mut trainer = Trainer::new(backend, self.spec(&[Member::of(&self.recipe)]))?;
        trainer.set_parameters(0, &self.initial()?.parameters)?;
        Ok(trainer)
    }

    /// The same among ranks, which all call this.
    pub fn trainer_among(&self, backend: &dyn Backend, exchange: Arc<dyn Exchange>) -> Result<Trainer, JobError> {
        let mut trainer = Trainer::among(backend, self.spec(&[Member::of(&self.recipe)]), exchange)?;
        trainer.set_parameters(0, &self.initial()?.parameters)?;
        Ok(trainer)
    }

    /// What a trainer of these members is made from.
    pub fn spec(&self, members: &[Member]) -> TrainerSpec {
        TrainerSpec {
            model: self.model.clone(),
            dataset: Arc::clone(&self.dataset),
            scaling: self.scaling.clone(),
            trained_on: self.trained_on.clone(),
            train: self.recipe.train.clone(),
            augment: self.recipe.augment.clone(),
            members: members.to_vec(),
            folds: 1,
        }
    }

    /// What a trainer of members on several data sets, the folds, is made from: member `m` takes those of job `m % jobs.len()`. The
    /// folds must have as many examples each, the same network and the same scaling; all else is the first job's. Their
    /// examples are copied.
    pub fn spec_of_folds(jobs: &[Job], members: &[Member]) -> Result<TrainerSpec, JobError> {
        let [first, rest @ ..] = jobs else { return Err(JobError::Folds("there are none".into())) };
        if rest.is_empty() {
            return Ok(first.spec(members));
        }
        if rest.iter().any(|job| job.model != first.model) {
            return Err(JobError::Folds("their networks differ".into()));
        }
        if rest.iter().any(|job| job.scaling != first.scaling) {
            return Err(JobError::Folds(
                "their scaling differs; scale the features before, and set data.scale = \"none\"".into(),
            ));
        }
        let joined = |set: Set| -> Result<Option<Examples>, JobError> {
            let parts: Vec<&Examples> = jobs.iter().filter_map(|job| set.of(&job.dataset)).collect();
            match parts.len() {
                0 => Ok(None),
                found if found < jobs.len() => Err(JobError::Folds(format!("not all have a {} set", set.name()))),
                _ => Examples::joined(&parts)
                    .map(Some)
                    .map_err(|problem| JobError::Folds(format!("their {} sets {problem}", set.name()))),
            }
        };
        let train = joined(Set::Train)?.ok_or_else(|| JobError::Folds("they have no examples".into()))?;
        let dataset = Dataset { train, validation: joined(Set::Validation)?, test: joined(Set::Test)? };
        Ok(TrainerSpec { dataset: dataset.into(), folds: jobs.len(), ..first.spec(members) })
    }
}

/// Loads examples for a model as its training examples were: all of them, or those of the first so many classes. Also what a
/// person should know of them.
pub fn load(
    source: &Source,
    data: &DataSpec,
    (model, trained_on): (&Model, &TrainedOn),
) -> Result<(Examples, Vec<String>), DataError> {
    let (examples, _, notes) = Raw::read(source, data, trained_on, (Some(model.input), false))?.fit(model, data)?;
    Ok((examples, notes))
}

/// What the targets are that [`aim_at_inputs`] gives, in words.
pub const AIMED_IN_WORDS: &str = "targets: the inputs, scaled as they are";

/// Gives examples their own features as targets, scaled as the model sees them.
pub fn aim_at_inputs(examples: &mut Examples, model: &Model, scaling: &Scaling) -> Result<(), DataError> {
    let Features { storage, count, shape } = &examples.features;
    let (needed, outputs) = (shape.len(), model.outputs());
    let at_key = |problem: Problem| problem.at("data.targets");
    if needed != outputs {
        return Err(at_key(Problem::Outputs { needed, outputs, what: "inputs" }));
    }
    let values = (0..count * needed).map(|at| scaling.apply(storage.get(at), at % needed)).collect();
    examples.targets = Targets::Values { values, outputs };
    examples.targets.check(TargetKind::for_model(model)).map_err(at_key)
}

/// Examples as their source holds them, before a model is known.
enum Raw<'a> {
    /// Arrays without labels.
    Features(Box<RawFeatures<'a>>),
    Arrays(Box<RawExamples<'a>>),
    Pictures(&'a str, Box<Pictures>),
    Table(Box<RawTable>),
}

impl<'a> Raw<'a> {
    /// Reads a source as the data that is known was read, for a model with this input where it is there already; of a new table,
    /// whether an embedding looks its categories up.
    fn read(
        source: &'a Source,
        data: &DataSpec,
        known: &TrainedOn,
        (input, looks_up): (Option<Shape>, bool),
    ) -> Result<Raw<'a>, DataError> {
        match source {
            Source::Arrays { images, .. } if data.targets.is_some() => {
                let options = TableOptions { header: data.header, features: &known.features, weights: None };
                RawFeatures::read(images, options).map(|raw| Raw::Features(Box::new(raw)))
            }
            Source::Arrays { images, labels } => {
                let weights = data.sample_weights.as_deref();
                let options = TableOptions { header: data.header, features: &known.features, weights };
                RawExamples::read(SourceRef { images, labels }, options).map(|raw| Raw::Arrays(Box::new(raw)))
            }
            Source::Folder { folder } => {
                let loading = Loading::of(data, input);
                let pictures = Pictures::of_classes(Path::new(folder), &known.class_names, &loading)?;
                Ok(Raw::Pictures(folder, Box::new(pictures)))
            }
            Source::Pictures { pictures: table, label } => {
                let loading = Loading::of(data, input);
                let path = Path::new(table);
                let pictures = Pictures::of_table(path, label, &known.class_names, &loading)?;
                let tells = data.targets.is_some() || !known.class_names.is_empty();
                if !tells && pictures.labels.windows(2).all(|labels| labels[0] == labels[1]) {
                    let name = if label.is_empty() { label_column(path)? } else { label.clone() };
                    return Err(Problem::OneClass { name }.at(table));
                }
                Ok(Raw::Pictures(table, Box::new(pictures)))
            }
            Source::Table { table, target } => {
                RawTable::read_for(table, target, data, known, looks_up).map(|table| Raw::Table(Box::new(table)))
            }
        }
    }

    /// The same of training examples, with their weights where the recipe names any. A table that a model knows is not
    /// trained on.
    fn read_training(
        source: &'a Source,
        data: &DataSpec,
        known: &TrainedOn,
        model: (Option<Shape>, bool),
    ) -> Result<Raw<'a>, DataError> {
        let raw = Raw::read(source, data, known, model)?;
        let named = data.sample_weights.as_deref().filter(|_| known.table.is_none());
        Ok(match (raw, named) {
            (Raw::Arrays(raw), Some(file)) => {
                Raw::Arrays(Box::new(raw.weighed(weights::read_weights(file, data.header)?, file)))
            }
            (Raw::Table(raw), Some(file)) if !raw.is_weighed() => {
                let weighed = raw.weighed(weights::read_weights(file, data.header)?);
                Raw::Table(Box::new(weighed.map_err(|problem| problem.at(file))?))
            }
            (raw, _) => raw,
        })
    }

    /// The files of pictures; none of other data.
    fn take_files(&mut self) -> Vec<PathBuf> {
        match self {
            Raw::Pictures(_, pictures) => std::mem::take(&mut pictures.files),
            _ => Vec::new(),
        }
    }

    /// The levels of its categories, where they are numbered through.
    fn levels(&self) -> Option<Levels> {
        match self {
            Raw::Table(raw) => raw.columns().levels(),
            _ => None,
        }
    }

    /// The input of a model for them.
    fn input(&self) -> Result<Shape, DataError> {
        match self {
            Raw::Features(raw) => raw.input(),
            Raw::Arrays(raw) => raw.input(),
            Raw::Pictures(_, pictures) => Ok(pictures.features.shape),
            Raw::Table(raw) => Ok(raw.input()),
        }
    }

    /// Examples for a model: all of them, or those of the first so many classes. Also what other data is to be read by, and
    /// what a person should know of how they were read.
    fn fit(self, model: &Model, data: &DataSpec) -> Result<(Examples, TrainedOn, Vec<String>), DataError> {
        let classes = data.classes;
        match self {
            Raw::Features(raw) => {
                let trained_on = TrainedOn { features: raw.names().to_vec(), ..TrainedOn::default() };
                let notes = raw.notes().to_vec();
                let features = raw.fit(model.input)?;
                let targets = blank_targets(features.count, model);
                Ok((Examples::unweighted(features, targets), trained_on, notes))
            }
            Raw::Pictures(folder, pictures) if data.targets.is_some() => {
                let Pictures { features, rows, notes, .. } = *pictures;
                let targets = blank_targets(features.count, model);
                let mut examples = Examples { rows, ..Examples::unweighted(features, targets) };
                examples.fit(model.input, TargetKind::for_model(model)).map_err(|problem| problem.at(folder))?;
                Ok((examples, TrainedOn::default(), notes))
            }
            Raw::Arrays(raw) => {
                let (features, class_names) = (raw.names().to_vec(), raw.class_names(model.outputs()));
                let trained_on = TrainedOn { features, class_names, ..TrainedOn::default() };
                let notes = raw.notes().to_vec();
                Ok((raw.fit(model.input, TargetKind::for_model(model), classes)?, trained_on, notes))
            }
            Raw::Pictures(folder, pictures) => fit_pictures(*pictures, model).map_err(|problem| problem.at(folder)),
            Raw::Table(raw) => raw.fit(model.input, TargetKind::for_model(model), classes),
        }
    }
}

/// Pictures as examples for a model.
fn fit_pictures(pictures: Pictures, model: &Model) -> Result<(Examples, TrainedOn, Vec<String>), Problem> {
    let Pictures { features, labels, rows, classes: class_names, mut notes, .. } = pictures;
    let mut counts = vec![0usize; class_names.len()];
    labels.iter().for_each(|label| counts[*label as usize] += 1);
    let counts = class_names.iter().zip(counts).map(|(name, count)| format!("{name}: {count}"));
    notes.insert(0, format!("classes: {}", some(counts.collect())));
    let (classes, outputs) = (class_names.len(), model.outputs());
    let targets = match (classes, outputs) {
        (0 | 1, _) => return Err(Problem::NoPictures { cause: "holds pictures of one class alone".into() }),
        // The output is the probability of the second class.
        (2, 1) => Targets::Values { values: labels.iter().map(|label| *label as f32).collect(), outputs },
        _ if classes != outputs => return Err(Problem::Outputs { needed: classes, outputs, what: "classes" }),
        _ => Targets::Classes { labels, classes },
    };
    let mut examples = Examples { rows, ..Examples::unweighted(features, targets) };
    examples.fit(model.input, TargetKind::for_model(model))?;
    Ok((examples, TrainedOn { class_names, ..TrainedOn::default() }, notes))
}

/// Pictures for a trained model.
#[derive(Debug)]
pub struct ShownPictures {
    /// The examples; without truth their targets mean nothing.
    pub examples: Examples,
    /// The file of each; none where they are rows of a table.
    pub files: Vec<PathBuf>,
    /// Whether the targets are the truth.
    pub labelled: bool,
    /// What a person should know of how they were read.
    pub notes: Vec<String>,
}

/// Loads pictures, and those of folders, for a trained model. Of a single folder, the folders in it tell the truth if they are
/// called as the model's classes are; a model of no classes is asked for none.
pub fn load_pictures(
    paths: &[PathBuf],
    data: &DataSpec,
    (model, trained_on): (&Model, &TrainedOn),
) -> Result<ShownPictures, DataError> {
    let loading = Loading::of(data, Some(model.input));
    let place = paths.first().map_or(String::new(), |path| path.display().to_string());
    let mut untold = None;
    if let [folder] = paths
        && folder.is_dir()
        && data.targets.is_none()
    {
        match Pictures::of_classes(folder, &known_classes(model, trained_on), &loading) {
            Ok(pictures) => return labelled(pictures, model).map_err(|problem| problem.at(place)),
            Err(DataError { problem: problem @ Problem::UnknownClasses { .. }, place }) => {
                untold = Some(format!("note: {place} {problem}: they are taken without a truth"));
            }
            Err(DataError { problem: Problem::NoPictures { .. }, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let mut pictures = Pictures::unlabelled(paths, &loading)?;
    pictures.notes.extend(untold);
    unlabelled(pictures, model).map_err(|problem| problem.at(place))
}

/// The same of the pictures in a table. The column of labels tells the truth if it is there, in every row, and names the model's
/// classes; without its name, the only one beside the pictures.
pub fn load_picture_table(
    table: &Path,
    label: &str,
    data: &DataSpec,
    (model, trained_on): (&Model, &TrainedOn),
) -> Result<ShownPictures, DataError> {
    let loading = Loading::of(data, Some(model.input));
    let at_table = |problem: Problem| problem.at(table.display());
    if data.targets.is_some() {
        return Pictures::of_table_unlabelled(table, &loading)
            .and_then(|pictures| unlabelled(pictures, model).map_err(at_table));
    }
    let mut untold = None;
    match Pictures::of_table(table, label, &known_classes(model, trained_on), &loading) {
        Ok(pictures) => return labelled(pictures, model).map_err(at_table),
        Err(DataError { problem: Problem::ColumnMissing { .. } | Problem::NoTarget { .. }, .. }) => {}
        Err(DataError { problem: problem @ (Problem::StrangeClasses { .. } | Problem::ColumnCell { .. }), place }) => {
            untold = Some(format!("note: {place}: {problem}: they are taken without a truth"));
        }
        Err(error) => return Err(error),
    }
    let mut pictures = Pictures::of_table_unlabelled(table, &loading)?;
    pictures.notes.extend(untold);
    unlabelled(pictures, model).map_err(at_table)
}

/// The names of a model's classes; without names, they are called by their numbers.
fn known_classes(model: &Model, trained_on: &TrainedOn) -> Vec<String> {
    (0..model.outputs().max(2)).map(|class| trained_on.class(class)).collect()
}

fn labelled(pictures: Pictures, model: &Model) -> Result<ShownPictures, Problem> {
    let files = pictures.files.clone();
    let (examples, _, notes) = fit_pictures(pictures, model)?;
    Ok(ShownPictures { examples, files, labelled: true, notes })
}

fn unlabelled(pictures: Pictures, model: &Model) -> Result<ShownPictures, Problem> {
    let Pictures { features, files, rows, notes, .. } = pictures;
    let targets = blank_targets(features.count, model);
    let mut examples = Examples { rows, ..Examples::unweighted(features, targets) };
    examples.fit(model.input, TargetKind::for_model(model))?;
    Ok(ShownPictures { examples, files, labelled: false, notes })
}

/// Targets that only fill their place.
pub fn blank_targets(count: usize, model: &Model) -> Targets {
    let outputs = model.outputs();
    match model.loss {
        Loss::SoftmaxCrossEntropy => Targets::Classes { labels: vec![0; count], classes: outputs },
        _ => Targets::Values { values: vec![0.0; count * outputs], outputs },
    }
}

/// The first of many.
fn some(mut texts: Vec<String>) -> String {
    const SHOWN: usize = 20;
    let rest = texts.len().saturating_sub(SHOWN);
    texts.truncate(SHOWN);
    let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    texts.join(", ") + &rest
}

/// The digits, as the model takes them.
fn generated(recipe: &Recipe, model: &Model) -> Result<Dataset, DataError> {
    let mut dataset = data::generate(recipe.data_seed(), data::DEFAULT_TRAIN, data::DEFAULT_TEST);
    for examples in std::iter::once(&mut dataset.train).chain(&mut dataset.test) {
        fit(examples, recipe, model).map_err(|problem| problem.at("the generated digits"))?;
    }
    Ok(dataset)
}

/// Makes examples in memory those that the recipe trains on, as the model takes them.
fn fit(examples: &mut Examples, recipe: &Recipe, model: &Model) -> Result<(), Problem> {
    if let Some(classes) = recipe.data.classes {
        examples.keep_first_classes(classes);
    }
    if recipe.data.targets.is_some() {
        examples.targets = blank_targets(examples.count(), model);
    }
    examples.fit(model.input, TargetKind::for_model(model))
}

/// Weighs the training examples as the recipe asks for, beside the weights that they have, and notes how.
pub(crate) fn weigh(
    recipe: &Recipe,
    train: &mut Examples,
    trained_on: &TrainedOn,
    notes: &mut Vec<String>,
) -> Result<(), DataError> {
    let DataSpec { class_weights, sample_weights, .. } = &recipe.data;
    if let Some(own) = &train.weights {
        let checked = weights::check_count(own, train.count()).and_then(|()| weights::check_weights(own));
        checked.map_err(|problem| problem.at("the weights of the training examples"))?;
        let source = sample_weights.as_deref().unwrap_or("given with the examples");
        notes.push(weights::samples_in_words(own, source));
    }
    let of_classes = class_weights.as_ref().map(|spec| weights::of_classes(spec, &train.targets, trained_on));
    let of_classes = of_classes.transpose().map_err(|problem| problem.at("data.class_weights"))?;
    notes.extend(of_classes.iter().map(|of_classes| weights::classes_in_words(of_classes, trained_on)));
    if of_classes.is_none() && train.weights.is_none() {
        return Ok(());
    }
    notes.push(WEIGHED.into());
    let key = if sample_weights.is_some() { "data.sample_weights" } else { "data.class_weights" };
    train.weigh(of_classes.as_deref()).map_err(|problem| problem.at(key))
}

/// What is weighed and what is not.
const WEIGHED: &str = "the training loss is the mean by these weights, sum(w * loss) / sum(w) of each batch; losses of other sets \
    and all metrics count every example once";

/// What is asked to be recorded of logged steps, where no step is logged.
fn unrecorded(train: &TrainSpec) -> Option<String> {
    let of_steps = |record: &&Record| !matches!(record, Record::Weights | Record::Test | Record::Metrics);
    let record = train.record.iter().find(of_steps).filter(|_| train.log_every == 0)?;
    let word = record.word();
    Some(format!(
        "warning: train.record = [\"{word}\"] records nothing: it belongs to logged steps; set train.log_every"
    ))
}

/// A warm-up that the training does not live to the end of.
fn endless_warmup(recipe: &Recipe) -> Option<String> {
    let (warmup, epochs) = (recipe.schedule.warmup_epochs, recipe.train.epochs);
    (warmup > epochs as f32).then(|| {
        format!(
            "warning: schedule.warmup_epochs = {warmup} is more than train.epochs = {epochs}: the learning rate is never reached"
        )
    })
}

/// What is kept from a decay that there is none of.
fn nothing_spared(optimizer: &OptimizerSpec) -> Option<String> {
    (!optimizer.decay_bias && optimizer.weight_decay == 0.0).then(|| {
        "note: optimizer.decay_bias = false changes nothing: optimizer.weight_decay is 0 (l2 applies to no bias in any case)"
            .into()
    })
}

/// A set that is not trained on, if the recipe asks for one.
fn held_out(
    recipe: &Recipe,
    amount: &Holdout,
    train: &mut Examples,
    trained: (&Model, &TrainedOn),
    set: &str,
    notes: &mut Vec<String>,
) -> Result<Option<Examples>, DataError> {
    let amount = match amount {
        Holdout::None => return Ok(None),
        Holdout::Fraction(share) => PartSize::Fraction(*share),
        Holdout::Count(count) => PartSize::Count(*count),
        Holdout::Files(source) => {
            let (examples, said) = load(source, &recipe.data, trained)?;
            notes.extend(said.into_iter().filter(|note| !notes.contains(note)).collect::<Vec<_>>());
            if recipe.data.train.as_ref().is_some_and(|train| place::same_source(train.name(), source.name())) {
                notes.push(format!("warning: the {set} set is the training set: {}", source.name()));
            }
            return Ok(Some(examples));
        }
    };
    let held = part(recipe, train, amount, &format!("{set} split"));
    held.map(Some).map_err(|problem| problem.at(format!("data.{set}")))
}

/// Takes examples picked at random away, and gives them back; by class where the recipe or its kind of data asks for it.
fn part(recipe: &Recipe, examples: &mut Examples, amount: PartSize, purpose: &str) -> Result<Examples, Problem> {
    let has_names =
        matches!(recipe.data.train, Some(Source::Folder { .. } | Source::Table { .. } | Source::Pictures { .. }));
    // Values of a table may look like classes, but no more so once they are scaled.
    let is_table = matches!(recipe.data.train, Some(Source::Table { .. }));
    let are_values = is_table && recipe.model.loss.takes_values();
    let is_classes = !are_values && examples.targets.classes().is_some();
    match recipe.data.stratify {
        Some(true) if !is_classes => Err(Problem::NoStrata),
        Some(true) => examples.hold_out_by_class(amount, recipe.data_seed(), purpose),
        None if has_names && is_classes => examples.hold_out_by_class(amount, recipe.data_seed(), purpose),
        _ => examples.hold_out(amount, recipe.data_seed(), purpose),
    }
}
