//! Training on arrays or files.

use crate::arrays::{Truth, Values, read_examples, state_dict};
use crate::device;
use crate::errors::{Failure, in_python, json};
use crate::model::Model;
use crate::moment::Moment;
use gputrain::backend::Backend;
use gputrain::data::Examples;
use gputrain::export::{Initial, SavedModel};
use gputrain::ir::Role;
use gputrain::job::{Job, JobError};
use gputrain::model::Model as Network;
use gputrain::planner::Fusion;
use gputrain::recipe::{Recipe, RecipeText};
use gputrain::run::Summary;
use gputrain::train::{
    Checkpoint, Draft, EpochMetrics, Member, Observer, Outcome, StepMetrics, Stop, Trainer, TrainerSpec,
};
use numpy::PyReadonlyArray1;
use pyo3::exceptions::{PyKeyboardInterrupt, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The recipe of TOML or JSON text, in full, as TOML; `origin` is what errors call it.
#[pyfunction]
pub(crate) fn resolve(text: &str, origin: &str) -> PyResult<String> {
    Ok(recipe(text, origin)?.to_toml())
}

/// The recipe of a file, or a bundled one by its name, in full, as TOML: data that lies beside the file by its whole path, unless
/// the folder `data` has it. And whether its text says `data.scale`.
#[pyfunction]
pub(crate) fn find(name: &str, data: Option<PathBuf>) -> PyResult<(String, bool)> {
    let text = RecipeText::find(name).map_err(Failure::from)?;
    let mut recipe = text.parse(&[]).map_err(Failure::from)?;
    recipe.prefer_data(data.as_deref(), text.path.as_deref());
    let written: Option<toml::Table> = text.text.parse().ok();
    let says_scale = written.is_some_and(|table| table.get("data").and_then(|data| data.get("scale")).is_some());
    Ok((recipe.to_toml(), says_scale))
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

/// One of the models that trained side by side, its epochs up to where it stopped, logged steps and summary as JSON, its recorded
/// weights, whether it stopped early, and, where there is one model alone and it was asked for, the moment at which its training ended.
type One = (Model, String, String, String, Vec<Py<PyDict>>, bool, Option<Moment>);

/// Memory that the models of a call may take together, beside the data. More would not make a device busier.
const MEMBERS_BYTES: u64 = 2 << 30;

/// Trains the models of recipes that differ in numbers alone, side by side: of each what `One` says; and what a person should know
/// of the data.
///
/// `recipes` are texts as `resolve` takes them. `x` and `y` are the examples of each fold, of as many each: the models take the
/// folds in turn. Usually there is one fold, or none: then the first recipe says where the data lies, and `data` may be a folder to
/// look in first. `weights` are, of each fold or of none, how much each example counts in the loss. `feature_names` and `class_names`
/// are kept with the models; none where there are no names. `test_x`, `test_y` are held out. `start` are models to take the initial weights
/// from. A lone model goes on from `moment`, at which another training of it ended, and `keeps_moment` gives that of this one.
/// `watch` has three methods: `notes` is told what a person should know before training begins, `epoch` the model's number and the
/// epoch's metrics as JSON, and `progress`, some times a second, the steps that are done and all. What they raise ends the training.
/// `MemoryError` where several models would take too much memory.
#[pyfunction]
#[pyo3(signature = (recipes, origin, x, y, weights, feature_names, class_names, test_x, test_y, start, moment, keeps_moment, device, data, watch))]
#[allow(clippy::too_many_arguments, reason = "Python code gives them by name")]
pub(crate) fn train(
    py: Python<'_>,
    recipes: Vec<String>,
    origin: &str,
    x: Vec<Values<'_>>,
    y: Vec<Truth<'_>>,
    weights: Vec<PyReadonlyArray1<'_, f32>>,
    feature_names: Vec<String>,
    class_names: Vec<String>,
    test_x: Option<Values<'_>>,
    test_y: Option<Truth<'_>>,
    start: Option<Vec<Py<Model>>>,
    moment: Option<Py<Moment>>,
    keeps_moment: bool,
    device: &str,
    data: Option<PathBuf>,
    watch: Option<Py<PyAny>>,
) -> PyResult<(Vec<One>, Vec<String>)> {
    if x.len() != y.len() {
        return Err(PyValueError::new_err("the training examples: give both X and y, or neither"));
    }
    let mut recipes = recipes.iter().map(|text| recipe(text, origin)).collect::<PyResult<Vec<_>>>()?;
    let backend = device::open(device)?;
    let first = recipes.first_mut().ok_or_else(|| PyValueError::new_err("there is no recipe"))?;
    let read = |x: Values<'_>, y: Truth<'_>| -> PyResult<Examples> {
        let (storage, shape) = x.read()?;
        Ok(read_examples(storage, &shape, y.read()?)?)
    };
    let mut folds = x.into_iter().zip(y).map(|(x, y)| read(x, y)).collect::<PyResult<Vec<_>>>()?;
    let test = match (test_x, test_y) {
        (Some(x), Some(y)) => Some(read(x, y)?),
        (None, None) => None,
        _ => return Err(PyValueError::new_err("the test examples: give both X and y, or neither")),
    };
    for (examples, weights) in folds.iter_mut().zip(weights) {
        examples.weights = Some(weights.as_slice()?.to_vec());
    }
    let mut jobs = if folds.is_empty() {
        if test.is_some() {
            return Err(PyValueError::new_err("test examples in memory need training examples in memory, too"));
        }
        first.resolve_data(data.as_deref()).map_err(Failure::from)?;
        let recipe = first.clone();
        let job = py.detach(|| Job::load(recipe)).map_err(Failure::from)?;
        // The data may have told what the network is.
        *first = job.recipe.clone();
        vec![job]
    } else {
        let recipe = &*first;
        let job = |examples: Examples| Job::with_examples(recipe.clone(), examples, test.clone());
        py.detach(|| folds.into_iter().map(job).collect::<Result<Vec<_>, _>>()).map_err(Failure::from)?
    };
    jobs.iter_mut().try_for_each(|job| name(job, &feature_names, &class_names))?;
    let members: Vec<Member> = recipes.iter().map(Member::of).collect();
    let spec = py.detach(|| Job::spec_of_folds(&jobs, &members)).map_err(Failure::from)?;
    let start: Option<Vec<Vec<Vec<f32>>>> =
        start.map(|models| models.iter().map(|model| model.get().saved.parameters.clone()).collect());
    let (networks, weights, said) = py.detach(|| begin(&jobs, &recipes, start))?;
    // What is known of the data beside its examples, which the trainer has.
    let known: Vec<_> = jobs.iter().map(|job| (job.scaling.clone(), job.trained_on.clone())).collect();
    let notes = jobs.first().map_or_else(Vec::new, Job::described).into_iter().chain(said);
    let notes: Vec<String> = notes.map(|note| in_python(&note)).collect();
    drop(jobs);
    if let Some(watch) = &watch {
        watch.call_method1(py, "notes", (notes.clone(),))?;
    }
    let started = Instant::now();
    let logs = recipes.iter().map(|_| Log::default()).collect();
    let mut watcher = Watcher { watch, logs, raised: None, asked: started, told: started };
    let from = moment.as_ref().map(|moment| &moment.get().checkpoint);
    let trained = py.detach(|| run(spec, &weights, (from, keeps_moment), &*backend, &mut watcher));
    if let Some(raised) = watcher.raised {
        return Err(raised);
    }
    let (outcomes, startup, mut ended) = match trained {
        Ok(Some(trained)) => trained,
        Ok(None) => return Err(PyKeyboardInterrupt::new_err("training was interrupted")),
        Err(failure) => return Err(failure.into()),
    };
    let startup = startup.map_or(0.0, |at| at.duration_since(started).as_secs_f64());
    let mut results = Vec::new();
    let each = recipes.into_iter().zip(networks).zip(outcomes).zip(watcher.logs).zip(known.into_iter().cycle());
    for ((((recipe, network), outcome), mut log), (scaling, trained_on)) in each {
        // It was taken along until all had stopped.
        log.epochs.retain(|epoch| outcome.stopped.is_none_or(|last| epoch.epoch <= last));
        let summary = Summary::new(&recipe, &network, backend.info(), log.epochs.last(), Some(&outcome), startup);
        let recorded = log.weights.iter().map(|weights| Ok(state_dict(py, &network, weights)?.unbind()));
        let recorded = recorded.collect::<PyResult<_>>()?;
        let (epochs, steps, summary) = (json(&log.epochs)?, json(&log.steps)?, json(&summary)?);
        let saved = SavedModel { recipe, model: network, scaling, trained_on, parameters: outcome.parameters };
        let moment = ended.take().map(|checkpoint| Moment { checkpoint });
        results.push((Model { saved }, epochs, steps, summary, recorded, outcome.stopped.is_some(), moment));
    }
    Ok((results, notes))
}

/// Gives the features and classes of examples in memory their names.
fn name(job: &mut Job, features: &[String], classes: &[String]) -> PyResult<()> {
    let (inputs, outputs) = (job.model.input.len(), job.model.outputs().max(2));
    for (what, names, expected) in [("features", features, inputs), ("classes", classes, outputs)] {
        if !names.is_empty() && names.len() != expected {
            let found = names.len();
            return Err(PyValueError::new_err(format!("{found} names of {what}; the model has {expected}")));
        }
    }
    if !features.is_empty() {
        job.trained_on.features = features.to_vec();
    }
    if !classes.is_empty() {
        job.trained_on.class_names = classes.to_vec();
    }
    Ok(())
}

/// The network of each model and the weights that it begins with, `start` in the place of initial ones; and what a person should
/// know of them.
#[allow(clippy::type_complexity, reason = "it is used once")]
fn begin(
    jobs: &[Job],
    recipes: &[Recipe],
    start: Option<Vec<Vec<Vec<f32>>>>,
) -> Result<(Vec<Network>, Vec<Vec<Vec<f32>>>, Vec<String>), Failure> {
    let (mut networks, mut weights, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for (member, (recipe, job)) in recipes.iter().zip(jobs.iter().cycle()).enumerate() {
        let features = &job.dataset.train.features;
        let network = Network::build(&recipe.model, Some(features.shape)).map_err(JobError::Model)?;
        weights.push(match &start {
            Some(start) => start.get(member).cloned().unwrap_or_default(),
            None => {
                let initial = Initial::of(recipe, &network, &job.scaling, &job.trained_on, features)?;
                notes.extend(initial.notes.into_iter().filter(|_| member == 0));
                initial.parameters
            }
        });
        networks.push(network);
    }
    Ok((networks, weights, notes))
}

/// What came out of each model, when the first step began, and the moment of the end where it is kept.
type Trained = (Vec<Outcome>, Option<Instant>, Option<Checkpoint>);

/// A trainer, unless several models would take more memory than pays.
fn trainer(spec: TrainerSpec, backend: &dyn Backend) -> Result<Trainer, Failure> {
    let members = spec.members.len();
    let draft = Draft::new(spec, Fusion::Auto, backend.limits())?;
    let beside_data = draft.plan().buffers.iter().filter(|buffer| buffer.role != Role::Data);
    let bytes = beside_data.map(|buffer| buffer.bytes()).sum::<u64>();
    if members > 1 && bytes > MEMBERS_BYTES {
        return Err(Failure::Members { members, bytes });
    }
    Ok(Trainer::prepare(backend, draft)?)
}

/// Trains from these weights, or from the moment at which another training of a lone model ended, to the end, or until something was
/// raised: then nothing.
fn run(
    spec: TrainerSpec,
    weights: &[Vec<Vec<f32>>],
    (from, keeps_moment): (Option<&Checkpoint>, bool),
    backend: &dyn Backend,
    watcher: &mut Watcher,
) -> Result<Option<Trained>, Failure> {
    let mut trainer = trainer(spec, backend)?;
    weights.iter().enumerate().try_for_each(|(member, weights)| trainer.set_parameters(member, weights))?;
    if let Some(from) = from {
        trainer.go_on_from(from)?;
    }
    if trainer.train(watcher)? == Stop::Interrupted {
        return Ok(None);
    }
    let outcomes = trainer.finish()?;
    // Of several models the others go on where one leaves the finite numbers.
    if let [outcome] = &outcomes[..] {
        outcome.check()?;
    }
    let ended = if keeps_moment { Some(trainer.capture()?) } else { None };
    Ok(Some((outcomes, trainer.first_step_at(), ended)))
}

/// What is told of a model's training.
#[derive(Default)]
struct Log {
    epochs: Vec<EpochMetrics>,
    steps: Vec<StepMetrics>,
    /// Recorded weights: the initial ones, and those after every epoch.
    weights: Vec<Vec<Vec<f32>>>,
}

/// Keeps what is told of training, tells Python, and stops where Python raises.
struct Watcher {
    watch: Option<Py<PyAny>>,
    logs: Vec<Log>,
    raised: Option<PyErr>,
    /// When Python was last asked for signals.
    asked: Instant,
    /// When Python was last told of progress.
    told: Instant,
}

impl Observer for Watcher {
    fn epoch(&mut self, member: usize, metrics: &EpochMetrics) {
        self.logs[member].epochs.push(metrics.clone());
        if let (Some(watch), None) = (&self.watch, &self.raised) {
            let call = |py: Python<'_>| watch.call_method1(py, "epoch", (member, json(metrics)?)).map(|_| ());
            self.raised = Python::attach(call).err();
        }
    }

    fn step(&mut self, member: usize, metrics: &StepMetrics) {
        self.logs[member].steps.push(metrics.clone());
    }

    fn weights(&mut self, member: usize, _: u32, parameters: Vec<Vec<f32>>) {
        self.logs[member].weights.push(parameters);
    }

    fn progress(&mut self, done: u64, total: u64) {
        const EVERY: Duration = Duration::from_millis(200);
        if let (Some(watch), None) = (&self.watch, &self.raised)
            && self.told.elapsed() > EVERY
        {
            self.told = Instant::now();
            self.raised = Python::attach(|py| watch.call_method1(py, "progress", (done, total)).map(|_| ())).err();
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
