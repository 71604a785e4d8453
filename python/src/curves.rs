//! The curves of a run, for a notebook.

use crate::errors::Failure;
use gputrain::report::{Axis, Chart, Series};
use gputrain::train::EpochMetrics;
use pyo3::exceptions::PyValueError;
use pyo3::{PyResult, pyfunction};

/// Pixels of a drawing.
const SIZE: (u32, u32) = (460, 300);

/// What one line shows of an epoch.
type Value = fn(&EpochMetrics) -> Option<f32>;

/// A drawing: what is measured, its unit, and its lines.
type Quantity = (&'static str, &'static str, [(&'static str, Value); 3]);

/// Loss and accuracy over the epochs as drawings in SVG, from the epochs' metrics as JSON.
#[pyfunction]
pub(crate) fn curves(history: &str) -> PyResult<Vec<String>> {
    let epochs: Vec<EpochMetrics> =
        serde_json::from_str(history).map_err(|error| PyValueError::new_err(format!("the history: {error}")))?;
    let quantities: [Quantity; 2] = [
        (
            "loss",
            "",
            [
                ("training", |epoch| Some(epoch.train_loss)),
                ("validation", |epoch| epoch.validation_loss),
                ("test", |epoch| epoch.test_loss),
            ],
        ),
        (
            "accuracy",
            "%",
            [
                ("training", |epoch| epoch.train_accuracy.map(|share| 100.0 * share)),
                ("validation", |epoch| epoch.validation_accuracy.map(|share| 100.0 * share)),
                ("test", |epoch| epoch.test_accuracy.map(|share| 100.0 * share)),
            ],
        ),
    ];
    let mut drawings = Vec::new();
    for (label, unit, lines) in quantities {
        let line = |(name, value): (&str, Value)| {
            let point = |epoch: &EpochMetrics| Some((f64::from(epoch.epoch), f64::from(value(epoch)?)));
            let points: Vec<(f64, f64)> = epochs.iter().filter_map(point).collect();
            (!points.is_empty()).then(|| Series::new(name, points))
        };
        let series: Vec<Series> = lines.into_iter().filter_map(line).collect();
        if !series.is_empty() {
            let (x, y) = (Axis::new("epoch", ""), Axis::new(label, unit));
            let chart = Chart { x, y, series, ..Chart::default() };
            drawings.push(chart.svg(SIZE.0, SIZE.1).map_err(Failure::from)?);
        }
    }
    Ok(drawings)
}
