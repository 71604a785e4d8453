//! Training on arrays or files.

use crate::arrays::{Truth, Values};
use crate::device;
use crate::errors::{Failure, json};
use crate::model::Model;
use gputrain::backend::Backend;
use gputrain::data::Examples;
use gputrain::export::{Initial, SavedModel};
use gputrain::job::{Job, JobError};
use gputrain::model::Model as Network;
use gputrain::recipe::{Recipe, RecipeText};
use gputrain::run::Summary;
use gputrain::train::{EpochMetrics, Member, Observer, Outcome, Stop, Trainer};
use numpy::PyReadonlyArray1;
use pyo3::exceptions::{PyKeyboardInterrupt, PyValueError};
use pyo3::prelude::*;
use std::time::{Duration, Instant};

/// The recipe of TOML or JSON text, in full, as TOML; `origin` is what errors call it.
#[pyfunction]
pub(crate) fn resolve(text: &str, origin: &str) -> PyResult<String> {
    Ok(recipe(text, origin)?.to_toml())
}

/// The recipe of a file, or a bundled one by its name, in full, as TOML: data that lies beside the file by its whole path.
#[pyfunction]
pub(crate) fn find(name: &str) -> PyResult<String> {
    let recipe = RecipeText::find(name).and_then(|text| text.parse(&[])).map_err(Failure::from)?;
    Ok(recipe.to_toml())
}

/// JSON is an object, and TOML never begins with a brace.
fn recipe(text: &str, origin: &str) -> PyResult<Recipe> {
    let text = if text.trim_start().starts_with('{') {
        let refused = |error: &dyn std::fmt::Display| PyValueError::new_err(format!("{origin}: {error}"));
        let value: serde_json::Value = serde_json::from_str(text).map_err(|error| refused(&error))?;
        toml::to_string(&value).map_err(|error| refused(&error))?
    } else {
        text.to_string()
    };
    Ok(Recipe::parse(&text, origin, &[]).map_err(Failure::from)?)
}

/// One of the models that trained side by side, its epochs and its summary as JSON.
type One = (Model, String, String);

/// Trains the models of recipes that differ in numbers alone, side by side on the same examples: of each the model, its
/// epochs and its summary as JSON; and what a person should know of the data.
///
/// `recipes` are texts as `resolve` takes them. Without `x` the first one says where the data lies.
/// `weights` are how much each of them counts in the loss. `feature_names` and `class_names` are kept with the models; none where
/// there are no names. `test_x`, `test_y` are held out. `start` are models to take the initial weights from. `on_epoch` is called with the
/// model's number and the epoch's metrics as JSON.
#[pyfunction]
#[pyo3(signature = (recipes, origin, x, y, weights, feature_names, class_names, test_x, test_y, start, device, on_epoch))]
#[allow(clippy::too_many_arguments, reason = "Python code gives them by name")]
pub(crate) fn train(
    py: Python<'_>,
    recipes: Vec<String>,
    origin: &str,
    x: Option<Values<'_>>,
    y: Option<Truth<'_>>,
    weights: Option<PyReadonlyArray1<'_, f32>>,
    feature_names: Vec<String>,
    class_names: Vec<String>,
    test_x: Option<Values<'_>>,
    test_y: Option<Truth<'_>>,
    start: Option<Vec<Py<Model>>>,
    device: &str,
    on_epoch: Option<Py<PyAny>>,
) -> PyResult<(Vec<One>, Vec<String>)> {
    let mut recipes = recipes.iter().map(|text| recipe(text, origin)).collect::<PyResult<Vec<_>>>()?;
    let backend = device::open(device)?;
    let first = recipes.first_mut().ok_or_else(|| PyValueError::new_err("there is no recipe"))?;
    let given = |x: Option<Values<'_>>, y: Option<Truth<'_>>, what: &str| match (x, y) {
        (Some(x), Some(y)) => {
            let (storage, shape) = x.read()?;
            Ok(Some(Examples::new(storage, &shape, y.read()?).map_err(Failure::from)?))
        }
        (None, None) => Ok(None),
        _ => Err(PyValueError::new_err(format!("{what}: give both X and y, or neither"))),
    };
    let (mut examples, test) = (given(x, y, "the training examples")?, given(test_x, test_y, "the test examples")?);
    if let (Some(examples), Some(weights)) = (&mut examples, weights) {
        examples.weights = Some(weights.as_slice()?.to_vec());
    }
    let mut job = match examples {
        Some(examples) => {
            let recipe = first.clone();
            py.detach(|| Job::with_examples(recipe, examples, test)).map_err(Failure::from)?
        }
        None => {
            if test.is_some() {
                return Err(PyValueError::new_err("test examples in memory need training examples in memory, too"));
            }
            first.resolve_data(None).map_err(Failure::from)?;
            let recipe = first.clone();
            py.detach(|| Job::load(recipe)).map_err(Failure::from)?
        }
    };
    name(&mut job, feature_names, class_names)?;
    let started = Instant::now();
    let mut watcher = Watcher {
        on_epoch,
        histories: vec![Vec::new(); recipes.len()],
        raised: None,
        asked: started,
        notes: job.described(),
    };
    let start: Option<Vec<Vec<Vec<f32>>>> =
        start.map(|models| models.iter().map(|model| model.get().saved.parameters.clone()).collect());
    let trained = py.detach(|| run(&job, &recipes, start, &*backend, &mut watcher));
    if let Some(raised) = watcher.raised {
        return Err(raised);
    }
    let (outcomes, networks, startup) = match trained {
        Ok(Some(trained)) => trained,
        Ok(None) => return Err(PyKeyboardInterrupt::new_err("training was interrupted")),
        Err(failure) => return Err(failure.into()),
    };
    let startup = startup.map_or(0.0, |at| at.duration_since(started).as_secs_f64());
    let mut results = Vec::new();
    for (((recipe, network), outcome), history) in
        recipes.into_iter().zip(networks).zip(outcomes).zip(watcher.histories)
    {
        let summary = Summary::new(&recipe, &network, backend.info(), history.last(), Some(&outcome), startup);
        let (history, summary) = (json(&history)?, json(&summary)?);
        let (scaling, trained_on) = (job.scaling.clone(), job.trained_on.clone());
        let saved = SavedModel { recipe, model: network, scaling, trained_on, parameters: outcome.parameters };
        results.push((Model { saved }, history, summary));
    }
    Ok((results, watcher.notes))
}

/// Gives the features and classes of examples in memory their names.
fn name(job: &mut Job, features: Vec<String>, classes: Vec<String>) -> PyResult<()> {
    let (inputs, outputs) = (job.model.input.len(), job.model.outputs().max(2));
    for (what, names, expected) in [("features", &features, inputs), ("classes", &classes, outputs)] {
        if !names.is_empty() && names.len() != expected {
            let found = names.len();
            return Err(PyValueError::new_err(format!("{found} names of {what}; the model has {expected}")));
        }
    }
    if !features.is_empty() {
        job.trained_on.features = features;
    }
    if !classes.is_empty() {
        job.trained_on.class_names = classes;
    }
    Ok(())
}

/// What came out of each model, its network, and when the first step began.
type Trained = (Vec<Outcome>, Vec<Network>, Option<Instant>);

/// Trains to the end, or until something was raised: then nothing.
fn run(
    job: &Job,
    recipes: &[Recipe],
    start: Option<Vec<Vec<Vec<f32>>>>,
    backend: &dyn Backend,
    watcher: &mut Watcher,
) -> Result<Option<Trained>, Failure> {
    let shape = job.dataset.train.features.shape;
    let networks = recipes.iter().map(|recipe| Network::build(&recipe.model, Some(shape)).map_err(JobError::Model));
    let networks = networks.collect::<Result<Vec<_>, _>>()?;
    let members: Vec<Member> = recipes.iter().map(Member::of).collect();
    let mut trainer = Trainer::new(backend, job.spec(&members))?;
    for (member, (network, recipe)) in networks.iter().zip(recipes).enumerate() {
        let weights = match &start {
            Some(start) => start.get(member).cloned().unwrap_or_default(),
            None => {
                let initial = Initial::of(recipe, network, &job.scaling, &job.trained_on, &job.dataset.train.features)?;
                watcher.notes.extend(initial.notes.into_iter().filter(|_| member == 0));
                initial.parameters
            }
        };
        trainer.set_parameters(member, &weights)?;
    }
    if trainer.train(watcher)? == Stop::Interrupted {
        return Ok(None);
    }
    let outcomes = trainer.finish()?;
    // Of several models the others go on where one leaves the finite numbers.
    if let [outcome] = &outcomes[..] {
        outcome.check()?;
    }
    Ok(Some((outcomes, networks, trainer.first_step_at())))
}

/// Keeps what is told of training, tells Python, and stops where Python raises.
struct Watcher {
    on_epoch: Option<Py<PyAny>>,
    histories: Vec<Vec<EpochMetrics>>,
    raised: Option<PyErr>,
    /// What a person should know of the data and the weights that training begins with.
    notes: Vec<String>,
    /// When Python was last asked for signals.
    asked: Instant,
}

impl Observer for Watcher {
    fn epoch(&mut self, member: usize, metrics: &EpochMetrics) {
        self.histories[member].push(metrics.clone());
        if let (Some(callback), None) = (&self.on_epoch, &self.raised) {
            let call = |py: Python<'_>| callback.call1(py, (member, json(metrics)?)).map(|_| ());
            self.raised = Python::attach(call).err();
        }
    }

    fn interrupted(&mut self) -> bool {
        const EVERY: Duration = Duration::from_millis(50);
        if self.raised.is_none() && self.asked.elapsed() > EVERY {
            self.asked = Instant::now();
            self.raised = Python::attach(|py| py.check_signals()).err();
        }
        self.raised.is_some()
    }
}
