//! Trains runs side by side and fills their folders.

use super::SweepError;
use super::entry::RETRAINED;
use super::entry::{Entry, Sweep};
use super::group::{Group, members_that_fit};
use super::observer::{GroupObserver, Track};
use super::results::{Results, Row, recipe_hash};
use super::watcher::Watcher;
use crate::backend::{Backend, BackendError};
use crate::data::{Dataset, Scaling};
use crate::export::{Initial, SavedModel, TrainedOn};
use crate::job::{Job, JobError};
use crate::model::Model;
use crate::recipe::{Loss, Recipe, TrainSpec};
use crate::run::{Recorder, RunFolder, Summary};
use crate::train::{EpochMetrics, Member, Outcome, Stop, TrainError, Trainer, TrainerSpec};
use crate::web::{panel, panel_left_out};
use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// How a sweep runs.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Most models that train side by side.
    pub side_by_side: usize,
    /// Whether each run writes an event file for TensorBoard.
    pub tensorboard: bool,
    /// When the process began.
    pub started: Instant,
}

/// Data that several groups may share.
pub(super) struct Loaded {
    pub dataset: Arc<Dataset>,
    pub scaling: Scaling,
    pub trained_on: TrainedOn,
    /// What a person should know of them.
    pub notes: Vec<String>,
}

impl Loaded {
    pub(super) fn load(entry: &Entry) -> Result<Loaded, SweepError> {
        Ok(Job::load(entry.recipe.clone())?.into())
    }

    fn model(&self, recipe: &Recipe) -> Result<Model, SweepError> {
        let mut recipe = recipe.clone();
        recipe.model.look_up(self.trained_on.levels());
        Ok(Model::of(&recipe, Some(self.dataset.train.features.shape)).map_err(JobError::Model)?)
    }
}

impl From<Job> for Loaded {
    fn from(job: Job) -> Loaded {
        let notes = job.described();
        let Job { dataset, scaling, trained_on, .. } = job;
        Loaded { dataset, scaling, trained_on, notes }
    }
}

/// How a run ended, as it was observed.
struct End {
    last: Option<EpochMetrics>,
    /// The epoch in which the loss was no longer finite.
    diverged: Option<u32>,
    /// Seconds from the start of the process to the first step.
    startup: f64,
}

/// A run that is over.
pub(super) struct Finished {
    pub summary: Summary,
    /// The epoch in which the loss was no longer finite.
    pub diverged: Option<u32>,
    /// Whether the network ended up guessing.
    pub collapsed: bool,
}

/// Trains runs side by side and fills their folders.
pub(super) struct Runner<'a> {
    pub backend: &'a dyn Backend,
    pub out: &'a Path,
    pub options: &'a Options,
    pub watcher: &'a mut dyn Watcher,
    /// Epochs done, of all runs together.
    pub before: u64,
    /// Epochs of the whole sweep.
    pub total: u64,
}

impl Runner<'_> {
    /// Trains a group, in as many parts as the device's memory asks for; none if it was interrupted.
    pub(super) fn group(
        &mut self,
        sweep: &Sweep,
        group: &Group,
        data: &Loaded,
        results: &mut Results,
    ) -> Result<Option<()>, SweepError> {
        let recipe = &sweep.entries[group.runs[0]].recipe;
        let wanted = group.runs.len().min(self.options.side_by_side.max(1));
        let model = data.model(recipe)?;
        let most = members_that_fit(self.backend, &model, &data.dataset, &data.scaling, recipe, wanted);
        // Parts of about one size.
        let size = group.runs.len().div_ceil(group.runs.len().div_ceil(most));
        let mut parts: VecDeque<Vec<usize>> = group.runs.chunks(size).map(<[usize]>::to_vec).collect();
        while let Some(mut runs) = parts.pop_front() {
            let entries: Vec<&Entry> = runs.iter().map(|&run| &sweep.entries[run]).collect();
            match self.train(&entries, data) {
                Err(SweepError::Train(TrainError::Backend(BackendError::OutOfMemory { .. }))) if runs.len() > 1 => {
                    let rest = runs.split_off(runs.len() / 2);
                    parts.push_front(rest);
                    parts.push_front(runs);
                }
                Err(error) => return Err(error),
                Ok(None) => return Ok(None),
                Ok(Some(finished)) => {
                    let count = runs.len();
                    let each = runs.into_iter().zip(&entries).zip(&finished);
                    let rows: Vec<Row> = each.map(|((run, entry), done)| row(run, entry, done, count)).collect();
                    results.append(rows.clone())?;
                    rows.iter().for_each(|row| self.watcher.result(row));
                }
            }
        }
        Ok(Some(()))
    }

    /// Trains runs side by side, from their initial weights to their folders; none if it was interrupted.
    pub(super) fn train(&mut self, entries: &[&Entry], data: &Loaded) -> Result<Option<Vec<Finished>>, SweepError> {
        let models = entries.iter().map(|entry| data.model(&entry.recipe)).collect::<Result<Vec<_>, _>>()?;
        let members: Vec<Member> = entries.iter().map(|entry| Member::of(&entry.recipe)).collect();
        // What is under way is done again after an interruption: checkpoints would be of no use.
        let train = TrainSpec { checkpoint_every: 0, checkpoint_steps: 0, ..entries[0].recipe.train.clone() };
        let Loaded { dataset, scaling, trained_on, .. } = data;
        let epochs = u64::from(train.epochs);
        let (dataset, scaling, trained_on) = (Arc::clone(dataset), scaling.clone(), trained_on.clone());
        let (model, augment) = (models[0].clone(), entries[0].recipe.augment.clone());
        let spec = TrainerSpec { model, dataset, scaling, trained_on, train, augment, members, folds: 1 };
        let mut trainer = Trainer::new(self.backend, spec)?;
        if self.options.tensorboard {
            trainer.show_weights();
        }
        let (mut folders, mut said) = (Vec::new(), HashSet::new());
        let mut tracks = Vec::new();
        for (member, (entry, model)) in entries.iter().zip(&models).enumerate() {
            let (recipe, train) = (&entry.recipe, &data.dataset.train.features);
            let initial = Initial::of(recipe, model, &data.scaling, &data.trained_on, train).map_err(JobError::from)?;
            trainer.set_parameters(member, &initial.parameters)?;
            // Of runs that begin alike, it is said once.
            initial.notes.iter().filter(|note| said.insert((*note).clone())).for_each(|note| self.watcher.warn(note));
            let folder = self.fresh_folder(entry)?;
            let mut recorder = Recorder::new(&folder, model)?;
            if self.options.tensorboard {
                recorder = recorder.with_tensorboard(&entry.recipe)?;
            }
            tracks.push(Track::new(&entry.recipe, recorder));
            folders.push(folder);
        }
        self.watcher.group(entries, &models[0], trainer.sources());
        let (before, total) = (self.before, self.total);
        let mut observer = GroupObserver { tracks, watcher: &mut *self.watcher, epochs, before, total };
        let result = trainer.train(&mut observer);
        let tracks = observer.tracks;
        let mut ends = Vec::new();
        for track in tracks {
            ends.push(End { last: track.last.clone(), diverged: track.diverged, startup: 0.0 });
            track.finish()?;
        }
        let outcomes: Vec<Option<Outcome>> = match result {
            // A lone run that diverges ends so; of several, the others go on.
            Err(TrainError::NotFinite { .. }) => vec![None; entries.len()],
            Err(error) => return Err(error.into()),
            Ok(Stop::Interrupted) => return Ok(None),
            Ok(_) => trainer.finish()?.into_iter().map(Some).collect(),
        };
        self.before += epochs * entries.len() as u64;
        let first_step = trainer.first_step_at().map(|at| at.duration_since(self.options.started));
        let startup = first_step.unwrap_or_default().as_secs_f64();
        let mut finished = Vec::new();
        for ((((entry, model), folder), outcome), end) in
            entries.iter().zip(models).zip(&folders).zip(outcomes).zip(ends)
        {
            finished.push(self.conclude((entry, model, data), folder, outcome, End { startup, ..end })?);
        }
        Ok(Some(finished))
    }

    /// The rest of the sweep takes so many epochs.
    pub(super) fn expect(&mut self, epochs: u32) {
        self.total = self.before + u64::from(epochs);
    }

    /// Writes the weights, the summary and the report of a run.
    fn conclude(
        &self,
        (entry, model, data): (&Entry, Model, &Loaded),
        folder: &RunFolder,
        outcome: Option<Outcome>,
        end: End,
    ) -> Result<Finished, SweepError> {
        let outcome = outcome.filter(|outcome| end.diverged.is_none() && outcome.check().is_ok());
        let last_epoch = end.last.as_ref().map_or(0, |last| last.epoch);
        let diverged = if outcome.is_none() { end.diverged.or(Some(last_epoch)) } else { None };
        let (recipe, info, last) = (&entry.recipe, self.backend.info(), end.last.as_ref());
        let summary = Summary::new(recipe, &model, info, last, outcome.as_ref(), end.startup);
        let collapsed = collapsed(&model, &summary);
        let saved = outcome.map(|Outcome { parameters, .. }| {
            let (recipe, scaling, trained_on) = (recipe.clone(), data.scaling.clone(), data.trained_on.clone());
            SavedModel { recipe, model, scaling, trained_on, parameters }
        });
        let trial = |saved| if entry.folder == RETRAINED { panel(saved) } else { panel_left_out() };
        let saved = saved.as_ref().map(|saved| (saved, trial(saved)));
        folder.conclude(&summary, saved, &data.dataset, self.backend)?;
        Ok(Finished { summary, diverged, collapsed })
    }

    /// The folder of a run. What an interrupted sweep left there is removed: the run begins anew.
    fn fresh_folder(&self, entry: &Entry) -> Result<RunFolder, SweepError> {
        let path = self.out.join(&entry.folder);
        RunFolder::clear(&path)?;
        Ok(RunFolder::create(&path, &entry.recipe)?)
    }
}

/// What a collapsed run is, in words.
pub const COLLAPSED: &str = "A run has collapsed when it ends up guessing: its last training loss is not below 98 % of \
                             ln(classes), the loss of a guess, and its training accuracy is less than twice that of one.";

/// [`COLLAPSED`] in numbers. The accuracy keeps a run apart whose loss is high because of its L2 penalty.
fn collapsed(model: &Model, summary: &Summary) -> bool {
    let classes = model.outputs() as f64;
    let guesses =
        |loss: f32, accuracy: f32| f64::from(loss) >= 0.98 * classes.ln() && f64::from(accuracy) < 2.0 / classes;
    let (loss, accuracy) = (summary.train_loss, summary.train_accuracy);
    // With two classes every accuracy is less than twice a guess's: the loss alone tells.
    model.loss == Loss::SoftmaxCrossEntropy
        && loss.zip(accuracy).is_some_and(|(loss, accuracy)| guesses(loss, accuracy))
}

fn row(index: usize, entry: &Entry, done: &Finished, group: usize) -> Row {
    let summary = &done.summary;
    Row {
        index,
        run: entry.folder.clone(),
        settings: entry.settings.clone(),
        seed: entry.recipe.seed,
        train_loss: summary.train_loss,
        train_accuracy: summary.train_accuracy,
        validation_loss: summary.validation_loss,
        validation_accuracy: summary.validation_accuracy,
        test_loss: summary.test_loss,
        test_accuracy: summary.test_accuracy,
        metrics: summary.metrics.iter().map(|(set, metrics)| (set.clone(), metrics.values.clone())).collect(),
        parameters: summary.parameters,
        epochs: summary.epochs,
        best_epoch: summary.best_epoch,
        diverged: done.diverged,
        collapsed: done.collapsed,
        parameter_hash: done.diverged.is_none().then(|| summary.parameter_hash.clone()),
        seconds: summary.seconds,
        group,
        recipe_hash: recipe_hash(entry),
    }
}
