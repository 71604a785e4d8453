//! `results.jsonl`: a line per finished run.

use super::{Entry, Sweep, SweepError};
use crate::file::FileError;
use crate::metrics::Measures;
use crate::recipe::{Measure, Metric, Set};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What came out of one run: the metrics are those of the final weights, the training ones those of the last epoch. A run
/// that diverged has none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The run's number in the sweep.
    pub index: usize,
    /// The run's folder, relative to the sweep's.
    pub run: String,
    /// What sets its combination apart.
    #[serde(skip_deserializing, default, serialize_with = "as_map")]
    pub settings: Vec<(String, toml::Value)>,
    /// Its seed.
    pub seed: u64,
    /// Mean loss over the last epoch.
    pub train_loss: Option<f32>,
    /// Accuracy over the last epoch.
    pub train_accuracy: Option<f32>,
    /// On the validation set.
    pub validation_loss: Option<f32>,
    /// On the validation set.
    pub validation_accuracy: Option<f32>,
    /// On the test set.
    pub test_loss: Option<f32>,
    /// On the test set.
    pub test_accuracy: Option<f32>,
    /// What else was measured, by set.
    #[serde(default)]
    pub metrics: BTreeMap<String, Measures>,
    /// Trained scalars.
    pub parameters: usize,
    /// Epochs taken.
    pub epochs: u32,
    /// Epoch of the final weights.
    pub best_epoch: u32,
    /// The epoch in which the loss was no longer finite, if that happened.
    pub diverged: Option<u32>,
    /// Whether it ended where it began: see [`super::COLLAPSED`].
    #[serde(default)]
    pub collapsed: bool,
    /// blake3 of the final weights; null for a run that diverged.
    pub parameter_hash: Option<String>,
    /// Seconds until the last epoch was done, for all runs of the group together.
    pub seconds: f64,
    /// Runs that trained side by side.
    pub group: usize,
    /// blake3 of the run's recipe.
    pub recipe_hash: String,
}

impl Row {
    /// The value of a metric; none if it was not measured, or the run diverged.
    pub fn get(&self, metric: Metric) -> Option<f32> {
        match (metric.set, metric.measure) {
            (Set::Train, Measure::Loss) => self.train_loss,
            (Set::Train, Measure::Accuracy) => self.train_accuracy,
            (Set::Validation, Measure::Loss) => self.validation_loss,
            (Set::Validation, Measure::Accuracy) => self.validation_accuracy,
            (Set::Test, Measure::Loss) => self.test_loss,
            (Set::Test, Measure::Accuracy) => self.test_accuracy,
            (set, measure) => self.metrics.get(set.name())?.get(&measure)?.map(|value| value as f32),
        }
    }
}

/// Settings as an object, in their own order.
pub(super) fn as_map<S: Serializer>(settings: &[(String, toml::Value)], to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(settings.len()))?;
    for (key, value) in settings {
        map.serialize_entry(key, value)?;
    }
    map.end()
}

/// The identity of a run: its recipe.
pub(super) fn recipe_hash(entry: &Entry) -> String {
    blake3::hash(entry.recipe.to_toml().as_bytes()).to_hex().to_string()
}

/// The rows of a file of results of this sweep, and the bytes of the lines that are whole: a line that a crash cut off is none.
fn parse(text: &str, path: &Path, sweep: &Sweep) -> Result<(Vec<Row>, usize), SweepError> {
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let mut rows = Vec::new();
    for (number, line) in text[..whole].lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let problem = |problem: String| SweepError::Results { path: path.into(), line: number + 1, problem };
        let mut row: Row = serde_json::from_str(line).map_err(|error| problem(error.to_string()))?;
        let entry = sweep.entries.get(row.index).filter(|entry| recipe_hash(entry) == row.recipe_hash);
        let entry = entry.ok_or_else(|| SweepError::Other {
            path: path.parent().unwrap_or(path).into(),
            what: format!("its {} had other settings", row.run),
        })?;
        row.settings = entry.settings.clone();
        rows.push(row);
    }
    Ok((rows, whole))
}

/// The file of results, and what is in it.
#[derive(Debug)]
pub(super) struct Results {
    path: PathBuf,
    file: File,
    /// One per run of the sweep.
    pub rows: Vec<Option<Row>>,
}

impl Results {
    /// Opens the results in a sweep's folder: those of before are kept, a line that a crash cut off is dropped.
    pub(super) fn open(folder: &Path, sweep: &Sweep) -> Result<Results, SweepError> {
        let path = folder.join("results.jsonl");
        let io = |error| FileError::at(&path)(error);
        let text = match crate::file::read_text(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(io(error).into()),
        };
        let (found, whole) = parse(&text, &path, sweep)?;
        let mut rows: Vec<Option<Row>> = vec![None; sweep.entries.len()];
        for row in found {
            let index = row.index;
            rows[index] = Some(row);
        }
        let file = crate::file::append(&path).map_err(&io)?;
        file.set_len(whole as u64).map_err(&io)?;
        let mut results = Results { path, file, rows };
        results.adopt(folder, sweep)?;
        Ok(results)
    }

    /// The file of another rank than the first, which has one of its own until the first takes it over.
    pub(super) fn of_rank(folder: &Path, sweep: &Sweep, rank: usize) -> Result<Results, SweepError> {
        let path = folder.join(format!("results.{rank}.jsonl"));
        let file = crate::file::append(&path).map_err(FileError::at(&path))?;
        file.set_len(0).map_err(FileError::at(&path))?;
        Ok(Results { path, file, rows: vec![None; sweep.entries.len()] })
    }

    /// Takes over what other ranks have written to files of their own, and removes those: what was new.
    pub(super) fn adopt(&mut self, folder: &Path, sweep: &Sweep) -> Result<Vec<Row>, SweepError> {
        let mut files: Vec<(usize, PathBuf)> = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(FileError::at(folder))? {
            let entry = entry.map_err(FileError::at(folder))?;
            let name = entry.file_name();
            let rank =
                name.to_str().and_then(|name| name.strip_prefix("results.")?.strip_suffix(".jsonl")?.parse().ok());
            files.extend(rank.map(|rank| (rank, entry.path())));
        }
        files.sort();
        let mut new = Vec::new();
        for (_, path) in files {
            let io = FileError::at(&path);
            let (mut rows, _) = parse(&crate::file::read_text(&path).map_err(&io)?, &path, sweep)?;
            rows.retain(|row| self.rows[row.index].is_none());
            self.append(rows.clone())?;
            std::fs::remove_file(&path).map_err(&io)?;
            new.append(&mut rows);
        }
        Ok(new)
    }

    /// Adds the results of a group in one write, so that a crash leaves all of them, or a last line that is cut off.
    pub(super) fn append(&mut self, rows: Vec<Row>) -> Result<(), SweepError> {
        let io = FileError::at(&self.path);
        let mut text = String::new();
        for row in &rows {
            text += &serde_json::to_string(row).map_err(|error| io(error.into()))?;
            text.push('\n');
        }
        self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data()).map_err(&io)?;
        for row in rows {
            let index = row.index;
            self.rows[index] = Some(row);
        }
        Ok(())
    }

    /// Numbers of the runs that are still to be done.
    pub(super) fn missing(&self) -> Vec<usize> {
        (0..self.rows.len()).filter(|&index| self.rows[index].is_none()).collect()
    }
}
