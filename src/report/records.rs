//! Reads the files of a run folder.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::ReportError;
use super::ticks::{count, short_number};
use crate::file::FileError;

/// What a run folder tells. Values are looked up by the names the run files give them; those inside an object are
/// "object/key", such as "gradient_norms/layers.0.weight".
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunRecords {
    /// The name in the summary, or that of the folder.
    pub name: String,
    /// One record per epoch, from `metrics.jsonl`.
    pub epochs: Vec<Record>,
    /// One record per logged step, from `steps.jsonl`; empty without that file.
    pub steps: Vec<Record>,
    /// The entries of `summary.json` as text for people; empty without that file.
    pub summary: Vec<(String, String)>,
    /// The text of `recipe.toml`.
    pub recipe: Option<String>,
}

/// The numbers of one line of a log, by name. A null is NaN: measured, and not a number.
pub type Record = BTreeMap<String, f64>;

impl RunRecords {
    /// Reads a run folder. Only `metrics.jsonl` must be there.
    pub fn load(dir: &Path) -> Result<RunRecords, ReportError> {
        let metrics = dir.join("metrics.jsonl");
        let Some(epochs) = read_if_there(&metrics)? else {
            return Err(ReportError::NotARun { path: dir.to_path_buf() });
        };
        let steps = dir.join("steps.jsonl");
        let steps = read_if_there(&steps)?.map(|text| parse_log(&text, &steps, "step")).transpose()?;
        let folder = dir.canonicalize().unwrap_or(dir.to_path_buf());
        let mut records = RunRecords {
            name: folder.file_name().map_or("run".to_string(), |name| name.to_string_lossy().into_owned()),
            epochs: parse_log(&epochs, &metrics, "epoch")?,
            steps: steps.unwrap_or_default(),
            summary: Vec::new(),
            recipe: read_if_there(&dir.join("recipe.toml"))?,
        };
        let summary = dir.join("summary.json");
        if let Some(text) = read_if_there(&summary)? {
            records.summarise(&text, &summary)?;
        }
        Ok(records)
    }

    /// Takes over the name and the entries of a summary; errors name `path`.
    pub(super) fn summarise(&mut self, text: &str, path: &Path) -> Result<(), ReportError> {
        self.summary = parse_summary(text, path)?;
        if let Some((_, name)) = self.summary.iter().find(|(key, _)| key == "name") {
            self.name = name.clone();
        }
        Ok(())
    }

    /// The points of a quantity over the epochs. Empty if no epoch has a number for it.
    pub fn epoch_points(&self, key: &str) -> Vec<(f64, f64)> {
        points(&self.epochs, "epoch", key)
    }

    /// The points of a quantity over the logged steps. Empty if no step has a number for it.
    pub fn step_points(&self, key: &str) -> Vec<(f64, f64)> {
        points(&self.steps, "step", key)
    }

    /// The names of the logged quantities inside an object, such as "gradient_norms", in the order of their names.
    pub fn step_group(&self, group: &str) -> Vec<String> {
        names(&self.steps, group)
    }

    /// The same of the epochs.
    pub fn epoch_group(&self, group: &str) -> Vec<String> {
        names(&self.epochs, group)
    }

    /// An entry of the summary.
    pub fn summary_value(&self, key: &str) -> Option<&str> {
        self.summary.iter().find(|entry| entry.0 == key).map(|entry| entry.1.as_str())
    }
}

/// The names of the quantities inside an object, in their order.
fn names(records: &[Record], group: &str) -> Vec<String> {
    let keys = records.iter().flat_map(|record| record.keys());
    let inside = keys.filter_map(|key| key.strip_prefix(group)?.strip_prefix('/'));
    let mut names: Vec<String> = inside.map(str::to_string).collect();
    names.sort_by_key(|name| natural(name));
    names.dedup();
    names
}

/// A name with its numbers filled up, so that layer 10 comes after layer 9.
fn natural(name: &str) -> String {
    name.split('.').map(|part| format!("{part:0>9}")).collect::<Vec<_>>().join(".")
}

fn points(records: &[Record], axis: &str, key: &str) -> Vec<(f64, f64)> {
    let points: Vec<(f64, f64)> =
        records.iter().filter_map(|record| Some((*record.get(axis)?, *record.get(key)?))).collect();
    if points.iter().any(|point| point.1.is_finite()) { points } else { Vec::new() }
}

fn read_if_there(path: &Path) -> Result<Option<String>, ReportError> {
    match crate::file::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::at(path)(error).into()),
    }
}

/// Reads a log of one object a line, ordered by `axis`.
fn parse_log(text: &str, path: &Path, axis: &str) -> Result<Vec<Record>, ReportError> {
    let mut records: Vec<Record> = Vec::new();
    let lines = text.lines().count();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let record = match parse_line(line, axis) {
            Ok(record) => record,
            // A run that was killed while it wrote leaves half a line at the end.
            Err(_) if index + 1 == lines && !text.ends_with('\n') => break,
            Err(message) => return Err(ReportError::Record { path: path.to_path_buf(), line: index + 1, message }),
        };
        // A run that was resumed may log again what it had logged before it was interrupted.
        while records.last().is_some_and(|last| last[axis] >= record[axis]) {
            records.pop();
        }
        records.push(record);
    }
    Ok(records)
}

fn parse_line(line: &str, axis: &str) -> Result<Record, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| format!("not JSON: {error}"))?;
    let Value::Object(entries) = &value else {
        return Err(format!("expected an object with \"{axis}\", found {}", kind(&value)));
    };
    let mut record = Record::new();
    for (key, value) in entries {
        insert(&mut record, key.clone(), value)?;
    }
    match record.get(axis) {
        Some(place) if place.is_finite() => Ok(record),
        _ => Err(format!("expected a number \"{axis}\", found none")),
    }
}

fn insert(record: &mut Record, key: String, value: &Value) -> Result<(), String> {
    let number = match value {
        Value::Object(inner) => {
            return inner.iter().try_for_each(|(name, value)| insert(record, format!("{key}/{name}"), value));
        }
        Value::Null => f64::NAN,
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        // Some writers put what JSON cannot express into a string.
        Value::String(text) if matches!(text.as_str(), "NaN" | "Infinity" | "-Infinity") => f64::NAN,
        // What is not a number, such as a remark, is for others to read.
        Value::String(_) | Value::Bool(_) | Value::Array(_) if !is_metric(&key) => return Ok(()),
        other => return Err(format!("expected a number for \"{key}\", found {}", kind(other))),
    };
    record.insert(key, number);
    Ok(())
}

fn is_metric(key: &str) -> bool {
    key.contains("loss") || key.contains("accuracy") || matches!(key, "epoch" | "step" | "learning_rate" | "seconds")
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(_) => "an array".to_string(),
        Value::Object(_) => "an object".to_string(),
    }
}

/// Reads the summary's entries as text a person reads.
fn parse_summary(text: &str, path: &Path) -> Result<Vec<(String, String)>, ReportError> {
    let error = |line, message| ReportError::Record { path: path.to_path_buf(), line, message };
    let value: Value = serde_json::from_str(text).map_err(|bad| error(bad.line(), format!("not JSON: {bad}")))?;
    let Value::Object(entries) = &value else {
        return Err(error(1, format!("expected an object, found {}", kind(&value))));
    };
    let mut texts = Vec::new();
    entries.iter().for_each(|(key, value)| flatten(key, value, &mut texts));
    Ok(texts)
}

/// The entries of an object come under its name.
fn flatten(key: &str, value: &Value, texts: &mut Vec<(String, String)>) {
    match value {
        Value::Object(inner) => inner.iter().for_each(|(name, value)| flatten(&format!("{key}/{name}"), value, texts)),
        value => texts.push((key.to_string(), text_of(key, value))),
    }
}

fn text_of(key: &str, value: &Value) -> String {
    match value {
        Value::Null => "–".to_string(),
        Value::String(text) => text.clone(),
        Value::Bool(truth) => if *truth { "yes" } else { "no" }.to_string(),
        // A seed is a name: no separators, no rounding.
        Value::Number(number) if key == "seed" => number.to_string(),
        Value::Number(number) if key.ends_with("accuracy") => {
            format!("{:.2} %", 100.0 * number.as_f64().unwrap_or(f64::NAN))
        }
        Value::Number(number) => {
            number.as_u64().map_or_else(|| short_number(number.as_f64().unwrap_or(f64::NAN)), count)
        }
        other => other.to_string(),
    }
}
