//! Writes what happens in training into the run's folder.

use super::checkpoints::Checkpoints;
use super::{RunError, RunFolder};
use crate::export::save_parameters;
use crate::file::{FileError, write_whole};
use crate::landscape::{snapshot, snapshots};
use crate::model::{Model, Parameter};
use crate::train::{Checkpoint, EpochMetrics, Observer, StepMetrics};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

/// Appends metrics to `metrics.jsonl` and `steps.jsonl`, weight snapshots to `weights/`, and keeps the checkpoint fresh.
/// The first error stops the run and is returned by [`Recorder::finish`].
#[derive(Debug)]
pub struct Recorder {
    folder: RunFolder,
    metrics: BufWriter<File>,
    steps: BufWriter<File>,
    checkpoints: Checkpoints,
    parameters: Vec<Parameter>,
    error: Option<RunError>,
}

impl Recorder {
    /// Begins to record the training of a model. Where a run goes on from a checkpoint, what was written after it is
    /// dropped first: it will be written again.
    pub fn new(folder: &RunFolder, model: &Model, resumed: Option<&Checkpoint>) -> Result<Recorder, RunError> {
        let (epochs, steps) = resumed.map_or((0, 0), |c| (c.progress.epoch, c.progress.step));
        let metrics = folder.file("metrics.jsonl");
        let step_file = folder.file("steps.jsonl");
        keep(&metrics, |line: &EpochMetrics| line.epoch <= epochs)?;
        keep(&step_file, |line: &StepMetrics| line.step <= steps)?;
        drop_weights(folder.path(), |epoch| resumed.is_none() || epoch > epochs)?;
        let checkpoints = Checkpoints::to(folder.checkpoint());
        let (metrics, steps) = (append(&metrics)?, append(&step_file)?);
        let (folder, parameters) = (folder.clone(), model.parameters.clone());
        Ok(Recorder { folder, metrics, steps, checkpoints, parameters, error: None })
    }

    /// Ends the recording: everything is on disk.
    pub fn finish(mut self) -> Result<(), RunError> {
        let steps = self.folder.file("steps.jsonl");
        let flushed = self.metrics.flush().and_then(|()| self.steps.flush());
        flushed.map_err(FileError::at(self.folder.path()))?;
        if steps.metadata().is_ok_and(|m| m.len() == 0) {
            let _ = std::fs::remove_file(steps);
        }
        self.checkpoints.finish()?;
        self.error.take().map_or(Ok(()), Err)
    }

    fn note(&mut self, name: &str, result: std::io::Result<()>) {
        if let Err(source) = result {
            self.fail(FileError { path: self.folder.file(name), source });
        }
    }

    fn fail(&mut self, error: FileError) {
        self.error.get_or_insert(error.into());
    }
}

impl Observer for Recorder {
    fn epoch(&mut self, _: usize, metrics: &EpochMetrics) {
        let result = line(&mut self.metrics, metrics).and_then(|()| self.metrics.flush());
        self.note("metrics.jsonl", result);
    }

    fn step(&mut self, _: usize, metrics: &StepMetrics) {
        let result = line(&mut self.steps, metrics);
        self.note("steps.jsonl", result);
    }

    fn weights(&mut self, _: usize, epoch: u32, parameters: Vec<Vec<f32>>) {
        let file = snapshot(self.folder.path(), epoch);
        if let Err(error) = save_parameters(&file, &self.parameters, &parameters) {
            self.fail(error);
        }
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) {
        // What goes on from the checkpoint will not log these steps again.
        let result = self.steps.flush();
        self.note("steps.jsonl", result);
        if let Err(error) = self.checkpoints.write(checkpoint) {
            self.error.get_or_insert(error.into());
        }
    }

    fn interrupted(&mut self) -> bool {
        self.error.is_some() || self.checkpoints.have_failed()
    }
}

fn line(file: &mut BufWriter<File>, value: &impl Serialize) -> std::io::Result<()> {
    serde_json::to_writer(&mut *file, value)?;
    file.write_all(b"\n")
}

fn append(path: &Path) -> Result<BufWriter<File>, RunError> {
    Ok(BufWriter::new(crate::file::append(path).map_err(FileError::at(path))?))
}

/// Rewrites a file of JSON lines with those that are to be kept; a line that a crash cut off is dropped too.
fn keep<T: DeserializeOwned>(path: &Path, wanted: impl Fn(&T) -> bool) -> Result<(), RunError> {
    let file = match crate::file::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(FileError::at(path))?,
    };
    let mut kept = String::new();
    for text in BufReader::new(file).lines() {
        let text = text.map_err(FileError::at(path))?;
        if serde_json::from_str::<T>(&text).is_ok_and(|value| wanted(&value)) {
            kept.push_str(&text);
            kept.push('\n');
        }
    }
    Ok(write_whole(path, kept.as_bytes())?)
}

/// Removes the snapshots of weights after such epochs.
fn drop_weights(run: &Path, unwanted: impl Fn(u32) -> bool) -> Result<(), RunError> {
    for (_, file) in snapshots(run)?.into_iter().filter(|(epoch, _)| unwanted(*epoch)) {
        std::fs::remove_file(&file).map_err(FileError::at(&file))?;
    }
    Ok(())
}
