//! `report.html` of a sweep: the table, the curves of the best combinations, what was logged at each step.

use super::curves::{Curves, MAX_POINTS, chart, is_curve, shared_events};
use super::summary::{CombinationSummary, Statistic};
use super::{COLLAPSED, Row, Sweep, SweepError, SweepSummary, entry};
use crate::recipe::{Keyword, Measure, Metric, Set};
use crate::report::{
    Block, Chart, Link, RunRecords, Section, Series, SweepReport, SweepRow, Table, save_svg_and_png, trials_text,
};
use std::path::Path;

/// Lines of more combinations would hide each other: colours come twice, the second time with other markers.
const MAX_COMPARED: usize = 14;
/// Combinations with charts of their own.
const MAX_SINGLE: usize = 24;
/// Combinations with a chart of their losses too; of more, the runs' own pages show them.
const MAX_LOSSES: usize = 6;
/// Epochs of the chart that shows the end of long runs.
const LAST_EPOCHS: usize = 20;
const BAND: &str = "Mean over the trials; the band is one standard deviation.";
const SIZE: (u32, u32) = (720, 420);
const TEST_ACCURACY: Metric = Metric::of(Set::Test, Measure::Accuracy);

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
    sections.extend(collapsed(summary, rows));
    sections.extend(best_trials(sweep, rows));
    let mut order = ranked(summary);
    if order.len() <= MAX_COMPARED {
        // All of them are drawn: what belongs together stays together.
        order.sort_unstable();
    }
    let mut curves = Vec::new();
    for &number in order.iter().take(MAX_SINGLE) {
        let combination = &summary.combinations[number];
        let trials = combination.runs.iter().map(|run| RunRecords::load(&out.join(run)));
        curves.push(Curves { combination, trials: trials.collect::<Result<_, _>>()? });
    }
    let charts = Charts { sweep: &summary.name, out };
    let first = &curves[..curves.len().min(MAX_COMPARED)];
    let best = order.iter().position(|number| Some(*number) == summary.best).and_then(|place| curves.get(place));
    sections.extend(charts.compared(first, best, order.len())?);
    sections.extend(charts.steps(first)?);
    sections.extend(charts.single(&curves, order.len())?);
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
        collapsed: combination.collapsed,
        seconds: combination.seconds,
        href: combination.runs.first().map_or(String::new(), |run| format!("{run}/report.html")),
    };
    SweepReport {
        title: summary.name.clone(),
        subtitle,
        metric: summary.metric.to_string(),
        larger_is_better: summary.metric.larger_is_better(),
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
    Block::Links(vec![Link { href: href.into(), title: title.into(), text: String::new() }])
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
    let blocks = vec![Block::Text(text.into()), Block::Table(Table { header, rows: rows.clone(), ..Table::default() })];
    (!rows.is_empty()).then(|| Section { title: "Diverged".into(), blocks })
}

/// Runs that ended up guessing, and what the others reached.
fn collapsed(summary: &SweepSummary, rows: &[Row]) -> Option<Section> {
    if summary.collapsed == 0 {
        return None;
    }
    let own = summary.metric;
    let shown = [own, TEST_ACCURACY, Metric::of(Set::Test, Measure::Loss)];
    let text = |statistics: &[(Metric, Statistic)], metric: Metric| {
        let found = statistics.iter().find(|(name, _)| *name == metric).map_or(&[][..], |(_, found)| &found.values);
        let values: Vec<f64> = found.iter().map(|value| value.map_or(f64::NAN, f64::from)).collect();
        trials_text(metric.word(), &values)
    };
    let row = |combination: &CombinationSummary| {
        let trials = combination.runs.len();
        let learned = trials - combination.collapsed - combination.diverged;
        // Where nothing collapsed all trials have learned.
        let none = combination.collapsed == 0;
        let statistics = if none { &combination.metrics } else { &combination.learned };
        let cells = [combination.label.clone(), format!("{learned} of {trials}")];
        cells.into_iter().chain(shown.map(|metric| text(statistics, metric))).collect()
    };
    let header = ["settings".to_string(), "trials that learn".to_string()].into_iter();
    let header = header.chain(shown.map(|metric| metric.word().replace('_', " "))).collect();
    let table = Table { header, rows: summary.combinations.iter().map(row).collect(), ..Table::default() };
    let lost = rows.iter().filter(|row| row.collapsed).map(|row| row.run.as_str()).collect::<Vec<_>>().join(", ");
    let blocks = vec![
        Block::Text(format!("{} of {} runs collapsed. {COLLAPSED}", summary.collapsed, summary.runs)),
        Block::Text("Over the trials that learn:".into()),
        Block::Table(table),
        Block::Text(format!("Collapsed: {lost}")),
    ];
    Some(Section { title: "Trials that learn".into(), blocks })
}

/// The best trial of each combination, by the sweep's metric.
fn best_trials(sweep: &Sweep, rows: &[Row]) -> Option<Section> {
    let metric = sweep.spec.metric;
    let sign = if metric.larger_is_better() { 1.0 } else { -1.0 };
    let best = |combination: usize| {
        let trials = rows.iter().filter(|row| sweep.trials(combination).contains(&row.index));
        let measured = trials.filter_map(|row| Some((row, sign * row.get(metric)?)));
        measured.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(row, _)| row)
    };
    let best: Vec<&Row> = (0..sweep.combinations()).filter_map(best).collect();
    let text = |metric: Metric, row: &Row| trials_text(metric.word(), row.get(metric).map(f64::from).as_slice());
    let cells = |row: &&Row| {
        let test = text(TEST_ACCURACY, row);
        vec![entry::label(&row.settings), row.seed.to_string(), text(metric, row), test]
    };
    let header = ["settings", "seed", metric.word(), "test accuracy"].map(|name| name.replace('_', " ")).into();
    let table = Table { header, rows: best.iter().map(cells).collect(), ..Table::default() };
    let links = best.iter().map(|row| Link {
        href: format!("{}/report.html", row.run),
        title: row.run.clone(),
        text: String::new(),
    });
    let blocks = vec![Block::Table(table), Block::Links(links.collect())];
    (sweep.spec.trials > 1 && !best.is_empty()).then(|| Section { title: "Best trials".into(), blocks })
}

/// Draws the charts of a sweep.
struct Charts<'a> {
    /// Its name, which every title bears.
    sweep: &'a str,
    /// Its folder.
    out: &'a Path,
}

impl Charts<'_> {
    fn drawing(&self, chart: Chart, caption: &str) -> Result<Block, SweepError> {
        let chart = Chart { title: format!("{}: {}", self.sweep, chart.title), ..chart };
        Ok(chart.block(SIZE, caption)?)
    }

    /// A drawing that is also two files of its own.
    fn saved(&self, file: &str, chart: Chart, caption: &str) -> Result<Block, SweepError> {
        let block = self.drawing(chart, caption)?;
        if let Block::Drawing { svg, .. } = &block {
            save_svg_and_png(self.out, file, svg)?;
        }
        Ok(block)
    }

    /// The curves of the best combinations over each other.
    fn compared(&self, curves: &[Curves], best: Option<&Curves>, of: usize) -> Result<Option<Section>, SweepError> {
        let mut blocks = Vec::new();
        let band = curves.iter().any(|curves| curves.trials.len() > 1);
        let caption = if band { BAND } else { "" };
        let events = shared_events(curves);
        for (key, quantity) in [
            ("validation_accuracy", "validation accuracy"),
            ("validation_loss", "validation loss"),
            ("test_accuracy", "test accuracy"),
            ("train_accuracy", "training accuracy"),
            ("train_loss", "training loss"),
        ] {
            let lines: Vec<Series> = curves.iter().filter_map(|curves| curves.epochs(curves.name(), key)).collect();
            if is_curve(&lines) {
                let file = key.replace('_', "-");
                let chart = Chart { events: events.clone(), ..chart(quantity, "epoch", quantity, lines) };
                blocks.push(self.saved(&file, chart, caption)?);
            }
        }
        if let Some(best) = best {
            blocks.extend(self.last_epochs(best)?);
        }
        let title =
            if of > curves.len() { format!("The best {} combinations", curves.len()) } else { "Curves".to_string() };
        Ok((!blocks.is_empty()).then_some(Section { title, blocks }))
    }

    /// The end of a long run, where the whole of it shows only a flat line.
    fn last_epochs(&self, best: &Curves) -> Result<Option<Block>, SweepError> {
        let lines = ["train", "validation", "test"].into_iter().zip(["training", "validation", "test"]).enumerate();
        let lines: Vec<Series> = lines
            .filter_map(|(colour, (split, name))| {
                let Series { points, .. } = best.epochs(name, &format!("{split}_loss"))?;
                let first = points.len().checked_sub(LAST_EPOCHS).filter(|first| *first > 0)?;
                Some(Series { colour: Some(colour), ..Series::new(name, points[first..].to_vec()) })
            })
            .collect();
        if lines.is_empty() {
            return Ok(None);
        }
        let title = format!("{}, loss of the last {LAST_EPOCHS} epochs", best.name());
        self.saved("last-epochs", chart(&title, "epoch", "loss", lines), "").map(Some)
    }

    /// What was logged at steps: loss and accuracy, and the gradient's norm in the first layer.
    fn steps(&self, curves: &[Curves]) -> Result<Option<Section>, SweepError> {
        let mut blocks = Vec::new();
        let keys = [
            ("loss", "training loss", "loss"),
            ("accuracy", "training accuracy", "accuracy"),
            ("validation_loss", "validation loss", "validation-loss"),
            ("validation_accuracy", "validation accuracy", "validation-accuracy"),
            ("gradient_norms/layers.0.weight", "norm of the gradient, first layer", "gradient-norm"),
            ("weight_norms/layers.0.weight", "norm of the weights, first layer", "weight-norm"),
        ];
        let longest = curves.iter().flat_map(|curves| &curves.trials).map(|run| run.steps.len()).max().unwrap_or(0);
        let caption = match (longest > MAX_POINTS, curves.iter().any(|curves| curves.trials.len() > 1)) {
            (false, false) => "",
            (true, false) => "Neighbouring steps are averaged.",
            (false, true) => BAND,
            (true, true) => {
                "Neighbouring steps are averaged. Mean over the trials; the band is one standard deviation."
            }
        };
        for (key, quantity, file) in keys {
            let lines: Vec<Series> = curves.iter().filter_map(|curves| curves.steps(curves.name(), key)).collect();
            if !lines.is_empty() {
                let file = format!("steps-{file}");
                blocks.push(self.saved(&file, chart(quantity, "step", quantity, lines), caption)?);
            }
        }
        Ok((!blocks.is_empty()).then_some(Section { title: "Step by step".into(), blocks }))
    }

    /// Charts of each combination: accuracy, and for a few combinations loss.
    fn single(&self, curves: &[Curves], of: usize) -> Result<Option<Section>, SweepError> {
        if of < 2 {
            return Ok(None);
        }
        let mut blocks = Vec::new();
        let quantities = if of <= MAX_LOSSES { &["accuracy", "loss"][..] } else { &["accuracy"] };
        for (curves, quantity) in curves.iter().flat_map(|curves| quantities.iter().map(move |q| (curves, *q))) {
            let splits = [("train", "training"), ("validation", "validation"), ("test", "test")];
            let lines = splits.into_iter().enumerate().filter_map(|(colour, (split, name))| {
                Some(Series { colour: Some(colour), ..curves.epochs(name, &format!("{split}_{quantity}"))? })
            });
            let lines: Vec<Series> = lines.collect();
            if is_curve(&lines) {
                let events = curves.events().into_iter().chain(curves.lowest_validation_loss()).collect();
                blocks.push(self.drawing(Chart { events, ..chart(curves.name(), "epoch", quantity, lines) }, "")?);
            }
        }
        let title =
            if of > curves.len() { format!("The best {}, one by one", curves.len()) } else { "One by one".into() };
        Ok((!blocks.is_empty()).then_some(Section { title, blocks }))
    }
}
