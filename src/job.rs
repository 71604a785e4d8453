//! A recipe made ready: its model built, its data loaded, split and scaled.

use crate::data::{self, DataError, Dataset, Examples, PartSize, RawExamples, Scaling, SourceRef, TargetKind};
use crate::model::{Model, ModelError, Shape};
use crate::recipe::{Holdout, Loss, Recipe, Source};
use crate::train::{Member, TrainerSpec};

/// Why a recipe could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The network is impossible.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// Everything a run needs but a backend.
#[derive(Debug, Clone)]
pub struct Job {
    /// The recipe.
    pub recipe: Recipe,
    /// Its network.
    pub model: Model,
    /// Its data: training examples without those held out.
    pub dataset: Dataset,
    /// Scaling fitted to the training examples.
    pub scaling: Scaling,
}

impl Job {
    /// Loads the files that the recipe names (their paths already resolved), or generates the digits if it names none.
    pub fn load(recipe: Recipe) -> Result<Job, JobError> {
        let source = recipe.data.train.as_ref().map(source_ref);
        // Where the recipe leaves the input to the data, the files come before the network.
        let read = source.filter(|_| recipe.model.input.is_empty()).map(RawExamples::read).transpose()?;
        let input = match source {
            Some(_) => read.as_ref().and_then(RawExamples::input),
            None => Some(Shape::Features(28 * 28)),
        };
        let model = Model::build(&recipe.model, input)?;
        let mut dataset = match source {
            Some(source) => {
                let raw = read.map_or_else(|| RawExamples::read(source), Ok)?;
                let train = raw.fit(model.input, target_kind(&model), recipe.data.classes)?;
                Dataset { train, validation: None, test: None }
            }
            None => generated(&recipe, &model)?,
        };
        if let Some(test) = held_out(&recipe, &recipe.data.test, &mut dataset.train, &model, "test")? {
            dataset.test = Some(test);
        }
        dataset.validation = held_out(&recipe, &recipe.data.validation, &mut dataset.train, &model, "validation")?;
        if let Some(count) = recipe.data.examples.filter(|count| *count < dataset.train.count()) {
            let part = dataset.train.hold_out(PartSize::Count(count), recipe.data_seed(), "training part");
            dataset.train = part.map_err(|problem| problem.at("data.examples"))?;
        }
        let scaling = Scaling::fit(recipe.data.scale, &dataset.train.features);
        Ok(Job { recipe, model, dataset, scaling })
    }

    /// What a trainer of these members is made from.
    pub fn spec<'a>(&'a self, members: &'a [Member]) -> TrainerSpec<'a> {
        let Job { recipe, model, dataset, scaling } = self;
        TrainerSpec { model, dataset, scaling, train: &recipe.train, members }
    }
}

/// What targets a model takes.
pub fn target_kind(model: &Model) -> TargetKind {
    let outputs = model.outputs();
    match model.loss {
        Loss::SoftmaxCrossEntropy => TargetKind::Classes { outputs },
        Loss::BinaryCrossEntropy => TargetKind::Probabilities { outputs },
        Loss::Mse | Loss::HalfMse => TargetKind::Values { outputs },
    }
}

/// Loads examples for a model: all of them, or those of the first so many classes.
pub fn load(source: &Source, classes: Option<usize>, model: &Model) -> Result<Examples, DataError> {
    RawExamples::read(source_ref(source))?.fit(model.input, target_kind(model), classes)
}

fn source_ref(source: &Source) -> SourceRef<'_> {
    SourceRef { images: &source.images, labels: &source.labels }
}

/// The digits, as the model takes them.
fn generated(recipe: &Recipe, model: &Model) -> Result<Dataset, DataError> {
    let mut dataset = data::generate(recipe.data_seed(), data::DEFAULT_TRAIN, data::DEFAULT_TEST);
    for examples in std::iter::once(&mut dataset.train).chain(&mut dataset.test) {
        if let Some(classes) = recipe.data.classes {
            examples.keep_first_classes(classes);
        }
        examples.fit(model.input, target_kind(model)).map_err(|problem| problem.at("the generated digits"))?;
    }
    Ok(dataset)
}

fn held_out(
    recipe: &Recipe,
    amount: &Holdout,
    train: &mut Examples,
    model: &Model,
    set: &str,
) -> Result<Option<Examples>, DataError> {
    let amount = match amount {
        Holdout::None => return Ok(None),
        Holdout::Fraction(share) => PartSize::Fraction(*share),
        Holdout::Count(count) => PartSize::Count(*count),
        Holdout::Files(source) => return load(source, recipe.data.classes, model).map(Some),
    };
    let held = train.hold_out(amount, recipe.data_seed(), &format!("{set} split"));
    held.map(Some).map_err(|problem| problem.at(format!("data.{set}")))
}
