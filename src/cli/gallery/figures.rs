//! Reads the figures of an experiment off its results.

use super::super::CliError;
use super::list::{Does, Experiment, Figure, Of};
use super::study::summary_file;
use gputrain::file::FileError;
use gputrain::report::trials_text;
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// A figure beside other people's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Shown {
    pub what: String,
    /// As people read it.
    pub text: String,
    /// As a number, if it is one; the mean over trials.
    pub number: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coursework: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pytorch: Option<String>,
}

/// The figures of an experiment that has results.
pub(super) fn read(experiment: &Experiment, folder: &Path) -> Result<Vec<Shown>, CliError> {
    let summary = summary(experiment.does, folder)?;
    let shown = |figure: &Figure| {
        let (text, number) = value(&summary, figure).unwrap_or(("–".to_string(), None));
        let (coursework, pytorch) = (figure.coursework.clone(), figure.pytorch.clone());
        Shown { what: figure.what.clone(), text, number, coursework, pytorch }
    };
    Ok(experiment.figures.iter().map(shown).collect())
}

/// An experiment's results: of a landscape those of its run, and what it tells itself.
fn summary(does: Does, folder: &Path) -> Result<Value, CliError> {
    let found = load(&folder.join(summary_file(does)))?;
    if does != Does::Landscape {
        return Ok(found);
    }
    let mut summary = load(&folder.join(summary_file(Does::Train)))?;
    let explained = found["explained"].as_array().map_or(&[][..], Vec::as_slice);
    summary["explained_share"] = explained.iter().take(2).filter_map(Value::as_f64).sum::<f64>().into();
    let last = found["path"].as_array().and_then(|path| path.last());
    summary["final_loss"] = last.map_or(Value::Null, |point| point["loss"].clone());
    Ok(summary)
}

fn load(path: &Path) -> Result<Value, CliError> {
    let text = gputrain::file::read_text(path).map_err(FileError::at(path))?;
    serde_json::from_str(&text).map_err(|error| CliError::Usage(format!("{}: {error}", path.display())))
}

/// A figure as text and number.
fn value(summary: &Value, figure: &Figure) -> Option<(String, Option<f64>)> {
    let key = figure.value.as_str();
    let place = match &figure.of {
        None => summary,
        Some(Of::Label(label)) if label == "retrained" => &summary["retrained"],
        Some(of) => combination(summary, of)?,
    };
    match &place[key] {
        Value::Number(number) => Some((number_text(key, number.as_f64()?), number.as_f64())),
        Value::String(text) => Some((text.clone(), None)),
        _ => over_trials(place, key),
    }
}

fn combination<'a>(summary: &'a Value, of: &Of) -> Option<&'a Value> {
    let combinations = summary["combinations"].as_array()?;
    match of {
        Of::Number(number) => combinations.get(*number),
        Of::Label(label) if label == "best" => combinations.get(usize::try_from(summary["best"].as_u64()?).ok()?),
        Of::Label(label) => combinations.iter().find(|combination| combination["label"] == label.as_str()),
    }
}

/// A metric over the trials of a combination: those that learn, where some collapsed.
fn over_trials(combination: &Value, metric: &str) -> Option<(String, Option<f64>)> {
    let count = |key: &str| combination[key].as_u64().unwrap_or(0);
    let (collapsed, diverged) = (count("collapsed"), count("diverged"));
    let trials = combination["runs"].as_array()?.len() as u64;
    let learned = trials.saturating_sub(collapsed + diverged);
    let lost = if learned < trials { format!(" ({learned} of {trials} learn)") } else { String::new() };
    let part = if collapsed > 0 && learned > 0 { "learned" } else { "metrics" };
    let statistic = &combination[part][metric];
    let Some(values) = statistic["values"].as_array() else {
        return (learned < trials).then(|| (format!("–{lost}"), None));
    };
    let values: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
    Some((format!("{}{lost}", trials_text(metric, &values)), statistic["mean"].as_f64()))
}

fn number_text(key: &str, number: f64) -> String {
    match key {
        "seconds" => format!("{number:.1} s"),
        _ if key.ends_with("accuracy") || key.ends_with("share") => format!("{:.2} %", 100.0 * number),
        // The comparison does not count what rounding explains.
        _ if key.ends_with("error") && number == 0.0 => "0 (but for rounding)".to_string(),
        _ if key.ends_with("error") => format!("{number:.1e}"),
        "loss" => format!("{number:.8}"),
        _ if key.ends_with("loss") => format!("{number:.4}"),
        _ => format!("{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn figure(value: &str, of: Option<Of>) -> Figure {
        Figure { what: String::new(), value: value.into(), of, coursework: None, pytorch: None }
    }

    #[test]
    fn figures_come_from_summaries_and_combinations() {
        let accuracy = |values: &[f64], mean: f64| json!({ "test_accuracy": { "values": values, "mean": mean } });
        let summary = json!({
            "runs": 4, "seconds": 1.25, "best": 1, "retrained": { "test_accuracy": 0.97425 },
            "combinations": [
                { "label": "a", "runs": ["x", "y"], "collapsed": 1, "diverged": 0,
                  "metrics": accuracy(&[0.2, 0.9], 0.55), "learned": accuracy(&[0.9], 0.9) },
                { "label": "b", "runs": ["z"], "collapsed": 0, "diverged": 0, "parameters": 7,
                  "metrics": accuracy(&[0.95], 0.95), "learned": {} },
                { "label": "d", "runs": ["v"], "collapsed": 1, "diverged": 0, "metrics": accuracy(&[0.2], 0.2),
                  "learned": {} },
                { "label": "c", "runs": ["w"], "collapsed": 0, "diverged": 1, "metrics": {}, "learned": {} },
            ],
        });
        let label = |text: &str| Some(Of::Label(text.into()));
        for (key, of, text, number) in [
            ("seconds", None, "1.2 s", Some(1.25)),
            ("runs", None, "4", Some(4.0)),
            ("test_accuracy", label("retrained"), "97.42 %", Some(0.97425)),
            ("test_accuracy", label("a"), "90.00 % (1 of 2 learn)", Some(0.9)),
            ("test_accuracy", label("best"), "95.00 %", Some(0.95)),
            ("label", label("best"), "b", None),
            ("parameters", Some(Of::Number(1)), "7", Some(7.0)),
            ("test_accuracy", label("d"), "20.00 % (0 of 1 learn)", Some(0.2)),
            ("test_accuracy", label("c"), "– (0 of 1 learn)", None),
        ] {
            assert_eq!(value(&summary, &figure(key, of.clone())), Some((text.to_string(), number)), "{key} {of:?}");
        }
        for (key, of) in [("test_accuracy", label("e")), ("test_accuracy", None), ("label", Some(Of::Number(4)))] {
            assert_eq!(value(&summary, &figure(key, of)), None);
        }
    }
}
