//! What the runs of a combination recorded, as the lines of charts.

use super::summary::CombinationSummary;
use crate::report::{Axis, Chart, Event, RunRecords, Series, mean_over_trials};

/// Points of a curve over steps; neighbours are averaged.
pub(super) const MAX_POINTS: usize = 150;

/// A combination with the records of its trials.
pub(super) struct Curves<'a> {
    pub combination: &'a CombinationSummary,
    pub trials: Vec<RunRecords>,
}

impl Curves<'_> {
    pub(super) fn name(&self) -> &str {
        if self.combination.label.is_empty() { "all trials" } else { &self.combination.label }
    }

    /// A quantity over the epochs: the mean over the trials with its spread; accuracies in per cent.
    pub(super) fn epochs(&self, name: &str, key: &str) -> Option<Series> {
        let points = self.trials.iter().map(|run| in_units(run.epoch_points(key), key));
        series(name, points.collect())
    }

    /// The same over the logged steps.
    pub(super) fn steps(&self, name: &str, key: &str) -> Option<Series> {
        let points = self.trials.iter().map(|run| thinned(&in_units(run.step_points(key), key)));
        series(name, points.collect())
    }

    /// The epochs at which the learning rate changed.
    pub(super) fn events(&self) -> Vec<Event> {
        const MAX_EVENTS: usize = 6;
        let rates = self.trials.first().map_or(Vec::new(), |run| run.epoch_points("learning_rate"));
        let changes = rates.windows(2).filter(|pair| pair[0].1 != pair[1].1);
        let events: Vec<Event> =
            changes.map(|pair| Event { x: pair[0].0, label: format!("rate {}", rate_text(pair[1].1)) }).collect();
        if events.len() <= MAX_EVENTS { events } else { Vec::new() }
    }

    /// Where early stopping would have ended the training: the lowest validation loss, of the mean over the trials.
    pub(super) fn lowest_validation_loss(&self) -> Option<Event> {
        let losses = self.epochs("", "validation_loss")?.points;
        let lowest = losses.iter().filter(|point| point.1.is_finite()).min_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(Event { x: lowest.0, label: "lowest validation loss".into() })
    }
}

/// The epochs at which the learning rates of all combinations changed; their rates may differ.
pub(super) fn shared_events(curves: &[Curves]) -> Vec<Event> {
    let Some((first, others)) = curves.split_first() else { return Vec::new() };
    let epochs = |curves: &Curves| curves.events().iter().map(|event| event.x).collect::<Vec<_>>();
    let shared = epochs(first);
    if others.iter().any(|other| epochs(other) != shared) {
        return Vec::new();
    }
    shared.into_iter().map(|x| Event { x, label: "rate changes".into() }).collect()
}

/// A rate as it was written: the log has it in single precision.
fn rate_text(rate: f64) -> String {
    format!("{}", rate as f32)
}

fn series(name: &str, trials: Vec<Vec<(f64, f64)>>) -> Option<Series> {
    let trials: Vec<_> = trials.into_iter().filter(|points| !points.is_empty()).collect();
    (!trials.is_empty()).then(|| mean_over_trials(name, &trials))
}

/// A single epoch is a row of the table, not a curve.
pub(super) fn is_curve(lines: &[Series]) -> bool {
    lines.iter().any(|series| series.points.len() > 1)
}

fn in_units(points: Vec<(f64, f64)>, key: &str) -> Vec<(f64, f64)> {
    let factor = if key.ends_with("accuracy") { 100.0 } else { 1.0 };
    points.into_iter().map(|(x, y)| (x, factor * y)).collect()
}

/// At most [`MAX_POINTS`] points: means over neighbours.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let size = points.len().div_ceil(MAX_POINTS).max(1);
    let mean =
        |part: &[(f64, f64)], value: fn(&(f64, f64)) -> f64| part.iter().map(value).sum::<f64>() / part.len() as f64;
    points.chunks(size).map(|part| (mean(part, |p| p.0), mean(part, |p| p.1))).collect()
}

/// A chart of a quantity: logarithmic where its values lie far apart.
pub(super) fn chart(title: &str, axis: &str, quantity: &str, series: Vec<Series>) -> Chart {
    let unit = if quantity.ends_with("accuracy") { "%" } else { "" };
    let values = series.iter().flat_map(|series| &series.points).map(|point| point.1).filter(|y| y.is_finite());
    let (low, high) = values.fold((f64::INFINITY, 0.0_f64), |(low, high), y| (low.min(y), high.max(y)));
    let log = unit.is_empty() && low > 0.0 && high > 100.0 * low;
    let y = Axis { log, ..Axis::new(quantity, unit) };
    Chart { title: title.into(), x: Axis::new(axis, ""), y, series, events: Vec::new() }
}
