//! `report.html` of a sweep: the table, the curves of the best combinations, what was logged at each step.

use super::summary::CombinationSummary;
use super::{Row, Sweep, SweepError, SweepSummary, entry};
use crate::report::{
    Axis, Block, Chart, Event, RunRecords, Section, Series, SweepReport, SweepRow, Table, mean_over_trials,
};
use std::path::Path;

/// Curves of more combinations than there are colours would not be told apart.
const MOST_COMPARED: usize = 7;
/// Combinations with a chart of their own.
const MOST_SINGLE: usize = 24;
/// Points of a curve over steps; neighbours are averaged.
const MOST_POINTS: usize = 150;
const BAND: &str = "Mean over the trials; the band is one standard deviation.";
const SIZE: (u32, u32) = (720, 420);

/// A combination with the records of its trials.
struct Curves<'a> {
    combination: &'a CombinationSummary,
    trials: Vec<RunRecords>,
}

/// The table of a sweep, best combination first.
pub fn table(sweep: &Sweep, summary: &SweepSummary) -> Table {
    report(sweep, summary, Vec::new()).table()
}

/// Writes the page.
pub(super) fn write(sweep: &Sweep, rows: &[Row], summary: &SweepSummary, out: &Path) -> Result<(), SweepError> {
    let mut sections = Vec::new();
    if let Some(best) = &summary.retrained {
        sections.push(retrained(best));
    }
    sections.extend(diverged(rows));
    let order = ranked(summary);
    let mut curves = Vec::new();
    for &number in order.iter().take(MOST_SINGLE) {
        let combination = &summary.combinations[number];
        let trials = combination.runs.iter().map(|run| RunRecords::load(&out.join(run)));
        curves.push(Curves { combination, trials: trials.collect::<Result<_, _>>()? });
    }
    sections.extend(compared(&curves[..curves.len().min(MOST_COMPARED)], order.len())?);
    sections.extend(steps(&curves[..curves.len().min(MOST_COMPARED)])?);
    sections.extend(single(&curves, order.len())?);
    let recipe = vec![Block::Code(sweep.recipe.to_toml())];
    sections.push(Section { title: "Recipe".into(), blocks: recipe });
    Ok(report(sweep, summary, sections).page().save(&out.join("report.html"))?)
}

fn report(sweep: &Sweep, summary: &SweepSummary, sections: Vec<Section>) -> SweepReport {
    let trials = match sweep.spec.trials {
        0 | 1 => String::new(),
        trials => format!(" of {trials} trials each, with the same examples held out"),
    };
    let subtitle = format!(
        "{} combinations{trials} · {} · {} · {:.0} s of training",
        summary.combinations.len(),
        summary.device,
        summary.backend,
        summary.seconds
    );
    let measured = |metric| {
        let mut statistics = summary.combinations.iter().filter_map(|c| c.metrics.iter().find(|m| m.0 == metric));
        statistics.any(|(_, statistic)| statistic.mean.is_some())
    };
    let row = |combination: &CombinationSummary| SweepRow {
        settings: entry::names(&combination.settings)
            .into_iter()
            .zip(combination.settings.iter().map(|(_, value)| entry::value_text(value)))
            .collect(),
        metrics: combination
            .metrics
            .iter()
            .filter(|(metric, _)| measured(*metric))
            .map(|(metric, statistic)| {
                let values = statistic.values.iter().map(|value| value.map_or(f64::NAN, f64::from));
                (metric.to_string(), values.collect())
            })
            .collect(),
        href: combination.runs.first().map_or(String::new(), |run| format!("{run}/report.html")),
    };
    SweepReport {
        title: summary.name.clone(),
        subtitle,
        metric: summary.metric.to_string(),
        rows: summary.combinations.iter().map(row).collect(),
        sections,
    }
}

/// Numbers of the combinations, best first, those without a result last.
fn ranked(summary: &SweepSummary) -> Vec<usize> {
    let sign = if summary.metric.larger_is_better() { -1.0 } else { 1.0 };
    let key = |number: &usize| {
        let mean = summary.combinations[*number].metrics.first().and_then(|(_, statistic)| statistic.mean);
        mean.map_or(f64::INFINITY, |mean| sign * mean)
    };
    let mut order: Vec<usize> = (0..summary.combinations.len()).collect();
    order.sort_by(|a, b| key(a).total_cmp(&key(b)));
    order
}

fn retrained(best: &crate::run::Summary) -> Section {
    let percent = |value: Option<f32>| value.map(|value| format!("{:.2} %", 100.0 * value));
    let figures = [
        ("test accuracy", percent(best.test_accuracy)),
        ("test loss", best.test_loss.map(|loss| format!("{loss:.4}"))),
        ("training accuracy", percent(best.train_accuracy)),
        ("epochs", Some(best.epochs.to_string())),
    ];
    let figures = figures.into_iter().filter_map(|(name, value)| Some((name.to_string(), value?))).collect();
    let text = "The best combination, trained again on the training and validation examples together, then tested.";
    Section {
        title: "Retrained".into(),
        blocks: vec![Block::Text(text.into()), Block::Figures(figures), link("best/report.html", "The retrained run")],
    }
}

fn link(href: &str, title: &str) -> Block {
    Block::Links(vec![crate::report::Link { href: href.into(), title: title.into(), text: String::new() }])
}

/// Runs that have no result.
fn diverged(rows: &[Row]) -> Option<Section> {
    let runs = rows.iter().filter_map(|row| {
        let label = entry::label(&row.settings);
        Some(vec![label, row.seed.to_string(), row.diverged?.to_string()])
    });
    let rows: Vec<Vec<String>> = runs.collect();
    let header = ["settings", "seed", "epoch"].map(String::from).into();
    let text = "The loss of these runs left the finite numbers; they are not part of any mean.";
    let blocks = vec![Block::Text(text.into()), Block::Table(Table { header, rows: rows.clone(), highlight: None })];
    (!rows.is_empty()).then(|| Section { title: "Diverged".into(), blocks })
}

impl Curves<'_> {
    fn name(&self) -> &str {
        if self.combination.label.is_empty() { "all trials" } else { &self.combination.label }
    }

    /// A quantity over the epochs: the mean over the trials with its spread; accuracies in per cent.
    fn epochs(&self, name: &str, key: &str) -> Option<Series> {
        let points = self.trials.iter().map(|run| in_units(run.epoch_points(key), key));
        series(name, points.collect())
    }

    /// The same over the logged steps.
    fn steps(&self, name: &str, key: &str) -> Option<Series> {
        let points = self.trials.iter().map(|run| thinned(&in_units(run.step_points(key), key)));
        series(name, points.collect())
    }

    /// The epochs at which the learning rate changed.
    fn events(&self) -> Vec<Event> {
        const MOST: usize = 6;
        let rates = self.trials.first().map_or(Vec::new(), |run| run.epoch_points("learning_rate"));
        let changes = rates.windows(2).filter(|pair| pair[0].1 != pair[1].1);
        let events: Vec<Event> =
            changes.map(|pair| Event { x: pair[0].0, label: format!("rate {}", rate_text(pair[1].1)) }).collect();
        if events.len() <= MOST { events } else { Vec::new() }
    }
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
fn is_curve(lines: &[Series]) -> bool {
    lines.iter().any(|series| series.points.len() > 1)
}

fn in_units(points: Vec<(f64, f64)>, key: &str) -> Vec<(f64, f64)> {
    let factor = if key.ends_with("accuracy") { 100.0 } else { 1.0 };
    points.into_iter().map(|(x, y)| (x, factor * y)).collect()
}

/// At most [`MOST_POINTS`] points: means over neighbours.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let size = points.len().div_ceil(MOST_POINTS).max(1);
    let mean =
        |part: &[(f64, f64)], value: fn(&(f64, f64)) -> f64| part.iter().map(value).sum::<f64>() / part.len() as f64;
    points.chunks(size).map(|part| (mean(part, |p| p.0), mean(part, |p| p.1))).collect()
}

fn drawing(chart: &Chart, caption: &str) -> Result<Block, SweepError> {
    Ok(Block::Drawing { svg: chart.svg(SIZE.0, SIZE.1)?, caption: caption.into() })
}

fn chart(title: &str, axis: &str, quantity: &str, series: Vec<Series>) -> Chart {
    let unit = if quantity.ends_with("accuracy") { "%" } else { "" };
    let values = series.iter().flat_map(|series| &series.points).map(|point| point.1).filter(|y| y.is_finite());
    let (low, high) = values.fold((f64::INFINITY, 0.0_f64), |(low, high), y| (low.min(y), high.max(y)));
    let log = unit.is_empty() && low > 0.0 && high > 100.0 * low;
    let y = Axis { log, ..Axis::new(quantity, unit) };
    Chart { title: title.into(), x: Axis::new(axis, ""), y, series, events: Vec::new() }
}

/// The curves of the best combinations over each other.
fn compared(curves: &[Curves], of: usize) -> Result<Option<Section>, SweepError> {
    let mut blocks = Vec::new();
    let band = curves.iter().any(|curves| curves.trials.len() > 1);
    let caption = if band { BAND } else { "" };
    for (key, quantity) in [
        ("validation_accuracy", "validation accuracy"),
        ("validation_loss", "validation loss"),
        ("test_accuracy", "test accuracy"),
        ("train_accuracy", "training accuracy"),
        ("train_loss", "training loss"),
    ] {
        let lines: Vec<Series> = curves.iter().filter_map(|curves| curves.epochs(curves.name(), key)).collect();
        if is_curve(&lines) {
            blocks.push(drawing(&chart(quantity, "epoch", quantity, lines), caption)?);
        }
    }
    let title =
        if of > curves.len() { format!("The best {} combinations", curves.len()) } else { "Curves".to_string() };
    Ok((!blocks.is_empty()).then_some(Section { title, blocks }))
}

/// What was logged at steps: loss and accuracy, and the gradient's norm in the first layer.
fn steps(curves: &[Curves]) -> Result<Option<Section>, SweepError> {
    let mut blocks = Vec::new();
    let mut keys: Vec<(String, String)> = [
        ("loss", "training loss"),
        ("accuracy", "training accuracy"),
        ("validation_loss", "validation loss"),
        ("validation_accuracy", "validation accuracy"),
    ]
    .map(|(key, name)| (key.to_string(), name.to_string()))
    .into();
    for (group, name) in [("gradient_norms", "norm of the gradient"), ("weight_norms", "norm of the weights")] {
        keys.push((format!("{group}/layers.0.weight"), format!("{name}, first layer")));
    }
    let longest = curves.iter().flat_map(|curves| &curves.trials).map(|run| run.steps.len()).max().unwrap_or(0);
    let caption = match (longest > MOST_POINTS, curves.iter().any(|curves| curves.trials.len() > 1)) {
        (false, false) => "",
        (true, false) => "Neighbouring steps are averaged.",
        (false, true) => BAND,
        (true, true) => "Neighbouring steps are averaged. Mean over the trials; the band is one standard deviation.",
    };
    for (key, quantity) in keys {
        let lines: Vec<Series> = curves.iter().filter_map(|curves| curves.steps(curves.name(), &key)).collect();
        if !lines.is_empty() {
            blocks.push(drawing(&chart(&quantity, "step", &quantity, lines), caption)?);
        }
    }
    Ok((!blocks.is_empty()).then_some(Section { title: "Step by step".into(), blocks }))
}

/// A chart of each combination: training against validation accuracy, or loss where there is no accuracy to speak of.
fn single(curves: &[Curves], of: usize) -> Result<Option<Section>, SweepError> {
    if of < 2 {
        return Ok(None);
    }
    let mut blocks = Vec::new();
    for curves in curves {
        let splits = [("train", "training"), ("validation", "validation"), ("test", "test")];
        let lines = splits.into_iter().enumerate().filter_map(|(colour, (split, name))| {
            Some(Series { colour: Some(colour), ..curves.epochs(name, &format!("{split}_accuracy"))? })
        });
        let lines: Vec<Series> = lines.collect();
        if is_curve(&lines) {
            let chart = Chart { events: curves.events(), ..chart(curves.name(), "epoch", "accuracy", lines) };
            blocks.push(drawing(&chart, "")?);
        }
    }
    let title = if of > curves.len() { format!("The best {}, one by one", curves.len()) } else { "One by one".into() };
    Ok((!blocks.is_empty()).then_some(Section { title, blocks }))
}
