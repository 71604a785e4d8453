//! `sweep.json`: what came out of a sweep, combination by combination.

use super::results::{Row, as_map};
use super::{Sweep, entry};
use crate::backend::DeviceInfo;
use crate::recipe::{Keyword, Measure, Metric, Set};
use crate::run::Summary;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// The metrics of a sweep in the order of its table, after the sweep's own.
const METRICS: [Metric; 6] = [
    Metric::of(Set::Validation, Measure::Accuracy),
    Metric::VALIDATION_LOSS,
    Metric::of(Set::Test, Measure::Accuracy),
    Metric::of(Set::Test, Measure::Loss),
    Metric::of(Set::Train, Measure::Accuracy),
    Metric::of(Set::Train, Measure::Loss),
];

/// A metric over the trials of a combination.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Statistic {
    /// Mean over the trials that have a value.
    pub mean: Option<f64>,
    /// Sample standard deviation over them; none for a single one.
    pub spread: Option<f64>,
    /// The value of each trial; none for one that diverged.
    pub values: Vec<Option<f32>>,
}

impl Statistic {
    fn over(values: Vec<Option<f32>>) -> Statistic {
        let numbers: Vec<f64> = values.iter().flatten().map(|&value| f64::from(value)).collect();
        let count = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / count;
        let squares: f64 = numbers.iter().map(|value| (value - mean).powi(2)).sum();
        let spread = (numbers.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
        Statistic { mean: (!numbers.is_empty()).then_some(mean), spread, values }
    }
}

/// A combination of settings and what its trials reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CombinationSummary {
    /// What sets the combination apart.
    #[serde(serialize_with = "as_map")]
    pub settings: Vec<(String, toml::Value)>,
    /// The same in a few words.
    pub label: String,
    /// The folders of its trials, relative to the sweep's.
    pub runs: Vec<String>,
    /// Seeds of its trials.
    pub seeds: Vec<u64>,
    /// Trials that diverged.
    pub diverged: usize,
    /// Trials that ended up guessing: see [`super::COLLAPSED`].
    pub collapsed: usize,
    /// Trained scalars.
    pub parameters: usize,
    /// Mean seconds of training a trial, those of trials that trained side by side shared among them.
    pub seconds: f64,
    /// What was measured, the sweep's own metric first.
    #[serde(serialize_with = "metrics_as_map")]
    pub metrics: Vec<(Metric, Statistic)>,
    /// The same over the trials that learned, where some collapsed.
    #[serde(serialize_with = "metrics_as_map")]
    pub learned: Vec<(Metric, Statistic)>,
}

/// What came out of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SweepSummary {
    /// The recipe's name.
    pub name: String,
    /// What tells the best combination.
    #[serde(serialize_with = "as_text")]
    pub metric: Metric,
    /// Every combination, in the order of the recipe.
    pub combinations: Vec<CombinationSummary>,
    /// Number of the best combination, from 0: that with the best mean of the metric. None if all diverged.
    pub best: Option<usize>,
    /// The best combination, trained again on training and validation examples together.
    pub retrained: Option<Summary>,
    /// Runs in all.
    pub runs: usize,
    /// Runs that diverged.
    pub diverged: usize,
    /// Runs that ended up guessing: see [`super::COLLAPSED`].
    pub collapsed: usize,
    /// Seconds of training, without the retrained run.
    pub seconds: f64,
    /// Where it ran.
    pub backend: String,
    /// On what.
    pub device: String,
    /// Its driver.
    pub driver: String,
}

impl SweepSummary {
    /// From the results of all runs.
    pub(super) fn new(sweep: &Sweep, rows: &[Row], device: &DeviceInfo) -> SweepSummary {
        let metric = sweep.spec.metric;
        let combinations: Vec<CombinationSummary> =
            (0..sweep.combinations()).map(|number| combination(sweep, number, rows)).collect();
        SweepSummary {
            name: sweep.recipe.name.clone(),
            metric,
            best: best(&combinations, metric),
            combinations,
            retrained: None,
            runs: rows.len(),
            diverged: rows.iter().filter(|row| row.diverged.is_some()).count(),
            collapsed: rows.iter().filter(|row| row.collapsed).count(),
            seconds: rows.iter().map(own_seconds).sum(),
            backend: device.backend.clone(),
            device: device.device.clone(),
            driver: device.driver.clone(),
        }
    }
}

fn combination(sweep: &Sweep, number: usize, rows: &[Row]) -> CombinationSummary {
    let rows: Vec<&Row> = rows.iter().filter(|row| sweep.trials(number).contains(&row.index)).collect();
    let first = sweep.trials(number).next().and_then(|index| sweep.entries.get(index));
    let settings = first.map_or(Vec::new(), |first| first.settings.clone());
    let own = sweep.spec.metric;
    let metrics = std::iter::once(own).chain(METRICS.into_iter().filter(|metric| *metric != own));
    let metrics: Vec<Metric> = metrics.collect();
    let over = |rows: &[&Row]| -> Vec<(Metric, Statistic)> {
        let values = |metric: Metric| rows.iter().map(|row| row.get(metric)).collect();
        metrics.iter().map(|&metric| (metric, Statistic::over(values(metric)))).collect()
    };
    let learned: Vec<&Row> = rows.iter().copied().filter(|row| row.diverged.is_none() && !row.collapsed).collect();
    let collapsed = rows.iter().filter(|row| row.collapsed).count();
    CombinationSummary {
        label: entry::label(&settings),
        settings,
        runs: rows.iter().map(|row| row.run.clone()).collect(),
        seeds: rows.iter().map(|row| row.seed).collect(),
        diverged: rows.iter().filter(|row| row.diverged.is_some()).count(),
        collapsed,
        parameters: rows.first().map_or(0, |row| row.parameters),
        seconds: rows.iter().map(|row| own_seconds(row)).sum::<f64>() / rows.len().max(1) as f64,
        metrics: over(&rows),
        learned: if collapsed > 0 { over(&learned) } else { Vec::new() },
    }
}

/// A run's share of its group's seconds.
fn own_seconds(row: &Row) -> f64 {
    row.seconds / row.group.max(1) as f64
}

/// The combination with the best mean; the first of several.
fn best(combinations: &[CombinationSummary], metric: Metric) -> Option<usize> {
    let sign = if metric.larger_is_better() { 1.0 } else { -1.0 };
    let value = |combination: &CombinationSummary| combination.metrics.first().and_then(|m| m.1.mean);
    let numbered = combinations.iter().enumerate().filter_map(|(number, c)| Some((number, sign * value(c)?)));
    numbered.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(number, _)| number)
}

fn metrics_as_map<S: Serializer>(metrics: &[(Metric, Statistic)], to: S) -> Result<S::Ok, S::Error> {
    let measured = metrics.iter().filter(|(_, statistic)| statistic.mean.is_some());
    let mut map = to.serialize_map(None)?;
    for (metric, statistic) in measured {
        map.serialize_entry(metric.word(), statistic)?;
    }
    map.end()
}

fn as_text<S: Serializer>(metric: &Metric, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(metric.word())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_over_the_trials_that_have_a_value() {
        let statistic = Statistic::over(vec![Some(1.0), None, Some(3.0)]);
        assert_eq!((statistic.mean, statistic.spread), (Some(2.0), Some(2f64.sqrt())));
        assert_eq!(Statistic::over(vec![Some(0.5)]).spread, None);
        assert_eq!(Statistic::over(vec![None, None]).mean, None);
    }

    #[test]
    fn the_best_is_the_first_with_the_best_mean() {
        let [loss, f1] = [Measure::Loss, Measure::F1Macro].map(|measure| Metric::of(Set::Validation, measure));
        let combination = |mean: Option<f32>| CombinationSummary {
            settings: Vec::new(),
            label: String::new(),
            runs: Vec::new(),
            seeds: Vec::new(),
            diverged: 0,
            collapsed: 0,
            parameters: 0,
            seconds: 0.0,
            learned: Vec::new(),
            metrics: vec![(loss, Statistic::over(vec![mean]))],
        };
        let losses = [None, Some(0.5), Some(0.2), Some(0.2), Some(0.9)].map(combination);
        assert_eq!(best(&losses, loss), Some(2));
        assert_eq!(best(&losses, f1), Some(4));
        assert_eq!(best(&losses[..1], loss), None);
    }
}
