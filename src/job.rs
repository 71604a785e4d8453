//! A recipe made ready: its model built, its data loaded, split and scaled.

use crate::backend::Backend;
use crate::data::{
    self, DataError, Dataset, Examples, PartSize, Problem, RawExamples, Scaling, SourceRef, Storage, TableOptions,
    TargetKind, Targets, remarks,
};
use crate::model::{Model, ModelError, Shape};
use crate::place;
use crate::recipe::{DataSpec, Holdout, Keyword, Recipe, Record, Source, TrainSpec};
use crate::train::{DataSeen, Member, Score, TrainError, Trainer, TrainerSpec};
use std::sync::Arc;

/// Why a recipe could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The network is impossible.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Examples in memory for a recipe that names files.
    #[error("the recipe names its training files in data.train, and there are examples in memory; leave one out")]
    TwoSources,
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
    /// The names of the features, in the model's order; none where the training file has no names.
    pub features: Vec<String>,
    /// What a person should know of how the files were read: what their parts were taken for, and warnings.
    pub notes: Vec<String>,
}

impl Job {
    /// Loads the files that the recipe names (their paths already resolved), or generates the digits if it names none.
    pub fn load(recipe: Recipe) -> Result<Job, JobError> {
        Job::load_for(recipe, &[])
    }

    /// The same for a trained model, whose features have these names: tables that name their columns may hold them in any
    /// order.
    pub fn load_for(recipe: Recipe, features: &[String]) -> Result<Job, JobError> {
        let source = recipe.data.train.as_ref().map(source_ref);
        let options = TableOptions { header: recipe.data.header, features };
        // Where the recipe leaves the input to the data, the files come before the network.
        let early = source.filter(|_| recipe.model.input.is_empty());
        let read = early.map(|source| RawExamples::read(source, options)).transpose()?;
        let input = match source {
            Some(_) => read.as_ref().and_then(RawExamples::input),
            None => Some(Shape::Features(28 * 28)),
        };
        let model = Model::build(&recipe.model, input)?;
        let (mut features, mut notes) = (features.to_vec(), Vec::new());
        let dataset = match source {
            Some(source) => {
                let raw = read.map_or_else(|| RawExamples::read(source, options), Ok)?;
                features = raw.names().to_vec();
                notes = raw.notes().to_vec();
                let train = raw.fit(model.input, TargetKind::for_model(&model), recipe.data.classes)?;
                notes.extend(remarks::leaks(&train, &features));
                notes.extend(remarks::indices(&train.features, &features));
                Dataset { train, validation: None, test: None }
            }
            None => generated(&recipe, &model)?,
        };
        Job::divided(recipe, model, dataset, features, notes)
    }

    /// A recipe that names no training files, with examples in memory in their place: those to train on, and those to test
    /// with, if there are any. The recipe's network may leave its input to them.
    pub fn with_examples(recipe: Recipe, train: Examples, test: Option<Examples>) -> Result<Job, JobError> {
        if recipe.data.train.is_some() {
            return Err(JobError::TwoSources);
        }
        let model = Model::build(&recipe.model, Some(train.features.shape))?;
        let mut dataset = Dataset { train, validation: None, test };
        let sets = [("the training examples", Some(&mut dataset.train)), ("the test examples", dataset.test.as_mut())];
        for (place, examples) in sets.into_iter().filter_map(|(place, examples)| Some((place, examples?))) {
            fit(examples, &recipe, &model).map_err(|problem| problem.at(place))?;
        }
        Job::divided(recipe, model, dataset, Vec::new(), Vec::new())
    }

    /// Holds out what the recipe asks for, and fits the scaling.
    fn divided(
        recipe: Recipe,
        model: Model,
        mut dataset: Dataset,
        features: Vec<String>,
        mut notes: Vec<String>,
    ) -> Result<Job, JobError> {
        for (set, amount) in [("test", &recipe.data.test), ("validation", &recipe.data.validation)] {
            let held = held_out(&recipe, amount, &mut dataset.train, (&model, &features), set, &mut notes)?;
            let place = if set == "test" { &mut dataset.test } else { &mut dataset.validation };
            // The generated digits bring a test set of their own.
            *place = held.or(place.take());
        }
        if let Some(count) = recipe.data.examples.filter(|count| *count < dataset.train.count()) {
            let part = dataset.train.hold_out(PartSize::Count(count), recipe.data_seed(), "training part");
            dataset.train = part.map_err(|problem| problem.at("data.examples"))?;
        }
        let scaling = Scaling::fit(recipe.data.scale, &dataset.train.features);
        Ok(Job { recipe, model, dataset: Arc::new(dataset), scaling, features, notes })
    }

    /// What a person should know of the data before it is trained on: how it was read and is scaled, what is missing, and
    /// what is measured.
    pub fn described(&self) -> Vec<String> {
        let (kind, train, scaling) = (self.recipe.data.scale, &self.dataset.train, &self.scaling);
        let mut lines = self.notes.clone();
        lines.push(format!("scale {kind}: {}", scaling.in_words(kind)));
        lines.extend(remarks::no_pixels(kind, scaling, &train.features));
        lines.extend(unrecorded(&self.recipe.train));
        let last = self.model.layers.last().and_then(|layer| layer.kind.activation());
        lines.extend(remarks::out_of_reach(last, &train.targets));
        let (validation, test) = (self.dataset.validation.as_ref(), self.dataset.test.as_ref());
        let sets = [("training", Some(train)), ("validation", validation), ("test", test)];
        lines.extend(sets.iter().filter_map(|(set, examples)| remarks::absent_classes(set, &(*examples)?.targets)));
        let (loss, outputs) = (self.model.loss, self.model.outputs());
        if Score::accuracy_name(loss, outputs) != Score::accuracy_name(loss, 1) {
            lines.push(format!(
                "accuracy is per output: the share of all {outputs} outputs of all examples that are right"
            ));
        }
        lines
    }

    /// A trainer of the recipe's model, which has its initial weights.
    pub fn trainer(&self, backend: &dyn Backend) -> Result<Trainer, TrainError> {
        let mut trainer = Trainer::new(backend, self.spec(&[Member::of(&self.recipe)]))?;
        trainer.set_parameters(0, &self.model.initialise(self.recipe.seed))?;
        Ok(trainer)
    }

    /// What tells the training examples from others: a run that goes on expects the same.
    pub fn seen(&self) -> DataSeen {
        let mut hasher = blake3::Hasher::new();
        let mut add = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        };
        match &self.dataset.train.features.storage {
            Storage::U8(values) => add(values),
            Storage::F32(values) => add(bytemuck::cast_slice(values)),
        }
        match &self.dataset.train.targets {
            Targets::Classes { labels, .. } => add(bytemuck::cast_slice(labels)),
            Targets::Values { values, .. } => add(bytemuck::cast_slice(values)),
        }
        let Scaling { subtract, divide, add: last } = &self.scaling;
        [subtract, divide, &vec![*last]].iter().for_each(|numbers| add(bytemuck::cast_slice(numbers)));
        DataSeen { features: self.features.clone(), hash: hasher.finalize().to_hex().to_string() }
    }

    /// What a trainer of these members is made from.
    pub fn spec(&self, members: &[Member]) -> TrainerSpec {
        TrainerSpec {
            model: self.model.clone(),
            dataset: Arc::clone(&self.dataset),
            scaling: self.scaling.clone(),
            train: self.recipe.train.clone(),
            members: members.to_vec(),
        }
    }
}

/// Loads examples for a model whose features have these names, as its training files were: all of them, or those of the
/// first so many classes. Also what a person should know of them.
pub fn load(
    source: &Source,
    data: &DataSpec,
    (model, features): (&Model, &[String]),
) -> Result<(Examples, Vec<String>), DataError> {
    let raw = RawExamples::read(source_ref(source), TableOptions { header: data.header, features })?;
    let notes = raw.notes().to_vec();
    Ok((raw.fit(model.input, TargetKind::for_model(model), data.classes)?, notes))
}

/// The files of a recipe's source.
pub fn source_ref(source: &Source) -> SourceRef<'_> {
    SourceRef { images: &source.images, labels: &source.labels }
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
    examples.fit(model.input, TargetKind::for_model(model))
}

/// What is asked to be recorded of logged steps, where no step is logged.
fn unrecorded(train: &TrainSpec) -> Option<String> {
    let of_steps = |record: &&Record| !matches!(record, Record::Weights | Record::Test);
    let record = train.record.iter().find(of_steps).filter(|_| train.log_every == 0)?;
    let word = record.word();
    Some(format!(
        "warning: train.record = [\"{word}\"] records nothing: it belongs to logged steps; set train.log_every"
    ))
}

/// A set that is not trained on, if the recipe asks for one.
fn held_out(
    recipe: &Recipe,
    amount: &Holdout,
    train: &mut Examples,
    trained: (&Model, &[String]),
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
            if recipe.data.train.as_ref().is_some_and(|train| place::same_source(&train.images, &source.images)) {
                notes.push(format!("warning: the {set} set is the training set: {}", source.images));
            }
            return Ok(Some(examples));
        }
    };
    let held = train.hold_out(amount, recipe.data_seed(), &format!("{set} split"));
    held.map(Some).map_err(|problem| problem.at(format!("data.{set}")))
}
