//! Writes what happens in training into the run's folder.

use super::checkpoints::Checkpoints;
use super::{RunError, RunFolder, events};
use crate::export::save_parameters;
use crate::file::{FileError, write_whole};
use crate::landscape::{snapshot, snapshots};
use crate::model::{Model, Parameter};
use crate::recipe::{Recipe, Record};
use crate::tensorboard::EventFile;
use crate::train::{Checkpoint, EpochMetrics, Observer, StepMetrics};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Appends metrics to `metrics.jsonl` and `steps.jsonl`, weight snapshots to `weights/`, and keeps the checkpoint fresh.
/// The first error stops the run and is returned by [`Recorder::finish`].
///
/// A run that goes on changes nothing in its folder before it has come to a new checkpoint, or to its end: one that fails
/// before that leaves the folder as it was.
#[derive(Debug)]
pub struct Recorder {
    folder: RunFolder,
    records: Records,
    checkpoints: Checkpoints,
    parameters: Vec<Parameter>,
    /// TensorBoard's file, where it was asked for, and the last step that is told there.
    events: Option<(EventFile, u32)>,
    /// Whether the weights of epochs are kept in files.
    keeps_weights: bool,
    error: Option<RunError>,
    /// When the folder was last seen to be there.
    seen: Instant,
}

/// Where the records go.
#[derive(Debug)]
enum Records {
    /// Into the run's files.
    Written { metrics: BufWriter<File>, steps: BufWriter<File> },
    /// Nowhere yet.
    Held(Held),
}

/// What a run that goes on has recorded before its first checkpoint.
#[derive(Debug)]
struct Held {
    /// The recipe that it goes on by.
    recipe: String,
    /// Where the checkpoint stands that it goes on from: epochs and steps. What was written after it is dropped; it is
    /// recorded again.
    since: (u32, u32),
    metrics: Vec<u8>,
    steps: Vec<u8>,
    weights: Vec<(u32, Vec<Vec<f32>>)>,
}

impl Recorder {
    /// Begins to record the training of a model.
    pub fn new(folder: &RunFolder, model: &Model) -> Result<Recorder, RunError> {
        let records = open(folder)?;
        Ok(Recorder::with(folder, model, records))
    }

    /// Begins to record how a run goes on by `recipe` from a checkpoint.
    pub fn resume(folder: &RunFolder, model: &Model, recipe: &Recipe, from: &Checkpoint) -> Recorder {
        let since = (from.progress.epoch, from.progress.step);
        let recipe = recipe.to_toml();
        let held = Held { recipe, since, metrics: Vec::new(), steps: Vec::new(), weights: Vec::new() };
        Recorder::with(folder, model, Records::Held(held))
    }

    fn with(folder: &RunFolder, model: &Model, records: Records) -> Recorder {
        let (folder, parameters) = (folder.clone(), model.tensors().cloned().collect());
        let checkpoints = Checkpoints::to(folder.checkpoint());
        let (events, keeps_weights, error) = (None, true, None);
        Recorder { folder, records, checkpoints, parameters, events, keeps_weights, error, seen: Instant::now() }
    }

    /// Writes an event file for TensorBoard too, with the weights' histograms: what trains must hand them over
    /// ([`crate::train::Trainer::show_weights`]), and they are kept in files only where the recipe records them.
    pub fn with_tensorboard(mut self, recipe: &Recipe) -> Result<Recorder, RunError> {
        let mut events = EventFile::begin(self.folder.path())?;
        let mut step = 0;
        if let Records::Held(Held { since, .. }) = &self.records {
            step = since.1;
            events.go_on_at(step + 1);
        }
        self.keeps_weights = recipe.train.record.contains(&Record::Weights);
        self.events = Some((events, step));
        Ok(self)
    }

    /// From here on the folder is that of a run under way: what was held back is written.
    pub fn commit(&mut self) -> Result<(), RunError> {
        let Records::Held(Held { recipe, since: (epochs, steps), metrics, steps: step_lines, weights }) = &self.records
        else {
            return Ok(());
        };
        let folder = &self.folder;
        folder.check_there()?;
        folder.go_on(recipe)?;
        keep(&folder.file("metrics.jsonl"), |line: &EpochMetrics| line.epoch <= *epochs, metrics)?;
        keep(&folder.file("steps.jsonl"), |line: &StepMetrics| line.step <= *steps, step_lines)?;
        drop_weights(folder.path(), |epoch| epoch > *epochs)?;
        for (epoch, parameters) in weights {
            save_parameters(&snapshot(folder.path(), *epoch), &self.parameters, parameters)?;
        }
        self.records = open(folder)?;
        Ok(())
    }

    /// Ends the recording: everything is on disk.
    pub fn finish(mut self) -> Result<(), RunError> {
        self.commit()?;
        let steps = self.folder.file("steps.jsonl");
        self.flush().map_err(FileError::at(self.folder.path()))?;
        self.flush_events()?;
        if steps.metadata().is_ok_and(|m| m.len() == 0) {
            let _ = std::fs::remove_file(steps);
        }
        let written = self.checkpoints.finish();
        self.error.take().map_or(Ok(()), Err)?;
        self.folder.check_there()?;
        Ok(written?)
    }

    /// Ends the recording of a training that failed. Where it went on from a checkpoint and came to no other, the folder is
    /// as it was.
    pub fn abandon(self) -> Result<(), RunError> {
        match self.records {
            Records::Held(_) => Ok(()),
            Records::Written { .. } => self.finish(),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.records {
            Records::Written { metrics, steps } => metrics.flush().and_then(|()| steps.flush()),
            Records::Held(_) => Ok(()),
        }
    }

    fn flush_events(&mut self) -> Result<(), RunError> {
        match (&self.records, &mut self.events) {
            (Records::Written { .. }, Some((events, _))) => Ok(events.flush()?),
            _ => Ok(()),
        }
    }

    fn note(&mut self, name: &str, result: io::Result<()>) {
        if let Err(source) = result {
            self.fail(FileError { path: self.folder.file(name), source });
        }
    }

    fn fail(&mut self, error: impl Into<RunError>) {
        self.error.get_or_insert(error.into());
    }
}

impl Observer for Recorder {
    fn epoch(&mut self, _: usize, metrics: &EpochMetrics) {
        let result = match &mut self.records {
            Records::Written { metrics: file, .. } => line(file, metrics).and_then(|()| file.flush()),
            Records::Held(held) => line(&mut held.metrics, metrics),
        };
        self.note("metrics.jsonl", result);
        if let Some((events, step)) = &mut self.events {
            *step = metrics.step;
            events::epoch(events, metrics);
        }
        if let Err(error) = self.flush_events() {
            self.fail(error);
        }
    }

    fn step(&mut self, _: usize, metrics: &StepMetrics) {
        let result = match &mut self.records {
            Records::Written { steps, .. } => line(steps, metrics),
            Records::Held(held) => line(&mut held.steps, metrics),
        };
        if let Some((events, _)) = &mut self.events {
            events::step(events, metrics);
        }
        self.note("steps.jsonl", result);
    }

    fn weights(&mut self, _: usize, epoch: u32, parameters: Vec<Vec<f32>>) {
        if let Some((events, step)) = &mut self.events {
            for (parameter, values) in self.parameters.iter().zip(&parameters) {
                events.histogram(*step, &format!("weights/{}", parameter.name), values);
            }
        }
        if !self.keeps_weights {
            return;
        }
        if let Records::Held(held) = &mut self.records {
            return held.weights.push((epoch, parameters));
        }
        let file = snapshot(self.folder.path(), epoch);
        if let Err(error) = save_parameters(&file, &self.parameters, &parameters) {
            self.fail(error);
        }
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) {
        // What goes on from the checkpoint will not log these steps again.
        if let Err(error) = self.folder.check_there().and_then(|()| self.commit()) {
            return self.fail(error);
        }
        let result = self.flush();
        self.note("steps.jsonl", result);
        if let Err(error) = self.checkpoints.write(checkpoint) {
            self.fail(error);
        }
    }

    fn interrupted(&mut self) -> bool {
        const LOOK_EVERY: Duration = Duration::from_secs(1);
        if self.seen.elapsed() >= LOOK_EVERY {
            self.seen = Instant::now();
            if let Err(error) = self.folder.check_there() {
                self.fail(error);
            }
        }
        self.error.is_some() || self.checkpoints.have_failed()
    }
}

/// The files of the records, to add to.
fn open(folder: &RunFolder) -> Result<Records, RunError> {
    let [metrics, steps] = ["metrics.jsonl", "steps.jsonl"].map(|name| append(&folder.file(name)));
    Ok(Records::Written { metrics: metrics?, steps: steps? })
}

fn line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

fn append(path: &Path) -> Result<BufWriter<File>, RunError> {
    Ok(BufWriter::new(crate::file::append(path).map_err(FileError::at(path))?))
}

/// Rewrites a file of JSON lines with those that are to be kept and `more`; a line that a crash cut off is dropped too.
fn keep<T: DeserializeOwned>(path: &Path, wanted: impl Fn(&T) -> bool, more: &[u8]) -> Result<(), RunError> {
    let mut kept = Vec::new();
    let file = match crate::file::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        other => Some(other.map_err(FileError::at(path))?),
    };
    for text in file.into_iter().flat_map(|file| BufReader::new(file).lines()) {
        let text = text.map_err(FileError::at(path))?;
        if serde_json::from_str::<T>(&text).is_ok_and(|value| wanted(&value)) {
            kept.extend_from_slice(text.as_bytes());
            kept.push(b'\n');
        }
    }
    kept.extend_from_slice(more);
    Ok(write_whole(path, &kept)?)
}

/// Removes the snapshots of weights after such epochs.
fn drop_weights(run: &Path, unwanted: impl Fn(u32) -> bool) -> Result<(), RunError> {
    for (_, file) in snapshots(run)?.into_iter().filter(|(epoch, _)| unwanted(*epoch)) {
        std::fs::remove_file(&file).map_err(FileError::at(&file))?;
    }
    Ok(())
}
