//! The drawings and the page of one run, and the comparison of several.

use std::path::{Path, PathBuf};

use super::ReportError;
use super::chart::{Axis, Chart, Event, Series};
use super::draw::{HEIGHT, WIDTH};
use super::html::{Block, Page, Section, Table};
use super::raster::{save_drawing, save_svg_and_png};
use super::records::RunRecords;
use super::svg::Svg;
use super::ticks::short_number;

/// What the three parts of a data set are called in logs and in legends. Their place is their colour.
const SPLITS: [(&str, &str); 3] = [("train", "training"), ("validation", "validation"), ("test", "test")];

/// More changes of the learning rate than this are a curve, not events.
const MAX_RATE_EVENTS: usize = 6;

/// More logged steps than this are drawn as means over neighbours, with their range behind.
const MAX_STEPS: usize = 600;

/// A loss that spans more than this factor is drawn on a logarithmic axis.
const LOG_SPAN: f64 = 200.0;

/// The summary's entries that come first, in this order, with what they are called.
const KEY_FIGURES: [(&str, &str); 12] = [
    ("test_accuracy", "test accuracy"),
    ("metrics/test/balanced_accuracy", "balanced accuracy, test"),
    ("metrics/test/r2", "R², test"),
    ("metrics/test/mae", "mean absolute error, test"),
    ("validation_accuracy", "validation accuracy"),
    ("test_loss", "test loss"),
    ("validation_loss", "validation loss"),
    ("parameters", "parameters"),
    ("epochs", "epochs"),
    ("steps", "steps"),
    ("seconds", "seconds"),
    ("steps_per_second", "steps per second"),
];

/// Reads a run folder and writes its `loss.svg`, `accuracy.svg`, `steps.svg` and the like, each also as .png, and
/// `report.html` with all of them. `summary` is the text of a `summary.json` that is not written yet, since it tells that
/// the page is there. `extra` sections come between the curves and the recipe.
pub fn write_run_report(dir: &Path, summary: Option<&str>, extra: &[Section]) -> Result<(), ReportError> {
    let mut run = RunRecords::load(dir)?;
    if let Some(text) = summary {
        run.summarise(text, &dir.join("summary.json"))?;
    }
    for (name, chart) in run_charts(&run) {
        save_svg_and_png(dir, &name, &chart.svg(WIDTH, HEIGHT)?)?;
    }
    Ok(run_page(&run, extra)?.save(&dir.join("report.html"))?)
}

/// The page of a run.
pub fn run_page(run: &RunRecords, extra: &[Section]) -> Result<Page, ReportError> {
    let mut sections = Vec::new();
    let figures: Vec<(String, String)> = KEY_FIGURES
        .iter()
        .filter_map(|(key, name)| Some((name.to_string(), run.summary_value(key)?.to_string())))
        .filter(|(_, value)| value != "–")
        .collect();
    if !figures.is_empty() {
        sections.push(Section { title: String::new(), blocks: vec![Block::Figures(figures)] });
    }
    let mut curves = Vec::new();
    for (_, chart) in run_charts(run) {
        curves.push(chart.block((WIDTH, HEIGHT), &caption(&chart))?);
    }
    if curves.is_empty() {
        curves.push(Block::Text("No epoch has been completed yet.".to_string()));
    }
    sections.push(Section { title: "Curves".to_string(), blocks: curves });
    sections.extend(extra.iter().cloned());
    sections.extend(epoch_section(run));
    if let Some(recipe) = &run.recipe {
        sections.push(Section { title: "Recipe".to_string(), blocks: vec![Block::Code(recipe.clone())] });
    }
    sections.extend(details_section(run));
    let value = |key| run.summary_value(key).filter(|value| *value != "–");
    let subtitle: Vec<String> = [value("device"), value("backend"), value("precision")]
        .into_iter()
        .flatten()
        .map(str::to_string)
        .chain(value("seed").map(|seed| format!("seed {seed}")))
        .collect();
    Ok(Page { title: run.name.clone(), subtitle: subtitle.join(" · "), sections })
}

/// A word on what a drawing cannot say itself.
fn caption(chart: &Chart) -> String {
    if chart.series.iter().any(|series| series.band.is_some()) {
        "Each point is the mean over neighbouring logged steps; the band is their range.".to_string()
    } else {
        String::new()
    }
}

/// The last epochs in numbers.
fn epoch_section(run: &RunRecords) -> Option<Section> {
    const MAX_ROWS: usize = 12;
    let mut keys = vec![("epoch".to_string(), "epoch".to_string())];
    for quantity in ["loss", "accuracy"] {
        for (split, name) in SPLITS {
            let key = format!("{split}_{quantity}");
            if !run.epoch_points(&key).is_empty() {
                keys.push((key, format!("{name} {quantity}")));
            }
        }
    }
    for key in ["learning_rate", "seconds"] {
        if !run.epoch_points(key).is_empty() {
            keys.push((key.to_string(), key.replace('_', " ")));
        }
    }
    let text = |key: &str, value: f64| match key {
        "epoch" => format!("{value}"),
        _ if key.ends_with("accuracy") && value.is_finite() => format!("{:.2} %", 100.0 * value),
        _ if key.ends_with("loss") && value.is_finite() => format!("{value:.5}"),
        _ => short_number(value),
    };
    let first = run.epochs.len().saturating_sub(MAX_ROWS);
    let rows: Vec<Vec<String>> = run.epochs[first..]
        .iter()
        .map(|record| keys.iter().map(|(key, _)| record.get(key).map_or(String::new(), |&v| text(key, v))).collect())
        .collect();
    if rows.is_empty() {
        return None;
    }
    let title = if first > 0 { format!("The last {MAX_ROWS} epochs") } else { "Epochs".to_string() };
    let header = keys.into_iter().map(|(_, name)| name).collect();
    Some(Section { title, blocks: vec![Block::Table(Table { header, rows, ..Table::default() })] })
}

fn details_section(run: &RunRecords) -> Option<Section> {
    let rank = |key: &str| KEY_FIGURES.iter().position(|figure| figure.0 == key).unwrap_or(KEY_FIGURES.len());
    let mut entries: Vec<&(String, String)> =
        run.summary.iter().filter(|(key, value)| is_detail(key) && !matches!(&**value, "" | "–")).collect();
    entries.sort_by_key(|(key, _)| rank(key));
    let rows: Vec<Vec<String>> =
        entries.into_iter().map(|(key, value)| vec![key.replace('_', " "), value.clone()]).collect();
    if rows.is_empty() {
        return None;
    }
    let table = Table { rows, ..Table::default() };
    Some(Section { title: "Details".to_string(), blocks: vec![Block::Table(table)] })
}

/// Whether a key of the summary is told nowhere else.
fn is_detail(key: &str) -> bool {
    key != "name" && !key.starts_with("metrics/")
}

/// The charts a run has data for, with the names of their files.
fn run_charts(run: &RunRecords) -> Vec<(String, Chart)> {
    let events = events(run);
    let mut charts = Vec::new();
    for quantity in ["loss", "accuracy"] {
        let lines = SPLITS.iter().enumerate().map(|(colour, (split, name))| {
            let points = run.epoch_points(&format!("{split}_{quantity}"));
            Series { colour: Some(colour), ..Series::new(name, in_units(points, quantity)) }
        });
        charts.push((quantity.to_string(), over(run, quantity, "epoch", lines.collect(), events.clone())));
    }
    charts.extend(measured(run, &events));
    for (file, quantity) in [("steps", "loss"), ("steps-accuracy", "accuracy")] {
        let keys = [(0, "training", quantity.to_string()), (1, "validation", format!("validation_{quantity}"))];
        let lines = keys.map(|(colour, name, key)| {
            let points = in_units(run.step_points(&key), quantity);
            Series { colour: Some(colour), ..condensed(name, points) }
        });
        charts.push((file.to_string(), over(run, quantity, "step", lines.into(), Vec::new())));
    }
    for (file, group, label) in [
        ("gradient-norms", "gradient_norms", "norm of the gradient"),
        ("weight-norms", "weight_norms", "norm of the weights"),
    ] {
        let lines = run.step_group(group).into_iter().map(|layer| {
            let points = run.step_points(&format!("{group}/{layer}"));
            condensed(&layer, points)
        });
        charts.push((file.to_string(), over(run, label, "step", lines.collect(), Vec::new())));
    }
    let rates = run.epoch_points("learning_rate");
    if rate_changes(&rates).len() > MAX_RATE_EVENTS {
        let lines = vec![Series::new("", rates)];
        charts.push(("learning-rate".to_string(), over(run, "learning rate", "epoch", lines, Vec::new())));
    }
    charts.retain(|(_, chart)| !chart.series.is_empty());
    charts
}

/// A chart for each metric that was measured after each epoch, beside loss and accuracy.
fn measured(run: &RunRecords, events: &[Event]) -> Vec<(String, Chart)> {
    let mut names = Vec::new();
    for (split, _) in SPLITS {
        // Those of each bit or output have names with a /.
        let group = run.epoch_group(&format!("metrics/{split}")).into_iter();
        names.extend(group.filter(|name| !name.contains('/') && name != "accuracy"));
    }
    names.sort();
    names.dedup();
    let chart = |name: String| {
        let lines = SPLITS.iter().enumerate().map(|(colour, (split, split_name))| {
            let points = run.epoch_points(&format!("metrics/{split}/{name}"));
            Series { colour: Some(colour), ..Series::new(split_name, points) }
        });
        let chart = over(run, &name.replace('_', " "), "epoch", lines.collect(), events.to_vec());
        (name.replace('_', "-"), chart)
    };
    names.into_iter().map(chart).collect()
}

/// A chart of a quantity over epochs or steps, of the series that have points.
fn over(run: &RunRecords, quantity: &str, axis: &str, series: Vec<Series>, events: Vec<Event>) -> Chart {
    let series: Vec<Series> = series.into_iter().filter(|series| !series.points.is_empty()).collect();
    let log = quantity != "accuracy" && spans_decades(&series);
    let per = if axis == "step" { " per step" } else { "" };
    Chart {
        title: format!("{}: {quantity}{per}", run.name),
        x: Axis::new(axis, ""),
        y: Axis { log, ..Axis::new(quantity, if quantity == "accuracy" { "%" } else { "" }) },
        series,
        events,
    }
}

/// Whether values are positive and so different that a linear axis would show a flat line.
fn spans_decades(series: &[Series]) -> bool {
    let values = series.iter().flat_map(|series| &series.points).map(|point| point.1).filter(|y| y.is_finite());
    let (low, high) = values.fold((f64::INFINITY, 0.0_f64), |(low, high), y| (low.min(y), high.max(y)));
    low > 0.0 && high > LOG_SPAN * low
}

/// Accuracies are fractions in the logs and per cent in drawings.
fn in_units(points: Vec<(f64, f64)>, quantity: &str) -> Vec<(f64, f64)> {
    let factor = if quantity == "accuracy" { 100.0 } else { 1.0 };
    points.into_iter().map(|(x, y)| (x, y * factor)).collect()
}

/// A series of at most [`MAX_STEPS`] points: means over neighbours, with a band from the lowest to the highest.
fn condensed(name: &str, points: Vec<(f64, f64)>) -> Series {
    if points.len() <= MAX_STEPS {
        return Series::new(name, points);
    }
    let size = points.len().div_ceil(MAX_STEPS / 3);
    let mut series = Series::new(name, Vec::new());
    let mut band = Vec::new();
    for part in points.chunks(size) {
        let mean = |value: fn(&(f64, f64)) -> f64| part.iter().map(value).sum::<f64>() / part.len() as f64;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let low = part.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
        let high = part.iter().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
        series.points.push((x, y));
        band.push((x, low, high));
    }
    series.band = Some(band);
    series
}

/// The epochs after which the learning rate changed, with the new rate.
fn rate_changes(rates: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let pairs = rates.windows(2).filter(|pair| pair[0].1 != pair[1].1);
    pairs.map(|pair| (pair[0].0, pair[1].1)).collect()
}

fn events(run: &RunRecords) -> Vec<Event> {
    let changes = rate_changes(&run.epoch_points("learning_rate"));
    let mut events = Vec::new();
    if changes.len() <= MAX_RATE_EVENTS {
        let event = |(x, rate)| Event { x, label: format!("rate {}", short_number(rate)) };
        events.extend(changes.into_iter().map(event));
    }
    events.extend(stopping_point(run));
    events
}

/// The epoch whose weights early stopping kept; without early stopping the one at which it would have been best to stop,
/// if the validation loss went up again after it.
fn stopping_point(run: &RunRecords) -> Option<Event> {
    let recipe = run.recipe.as_deref().and_then(|text| text.parse::<toml::Table>().ok());
    let stops_early = recipe.is_some_and(|recipe| recipe.get("train").is_some_and(|t| t.get("early_stop").is_some()));
    if stops_early {
        let best = run.summary_value("best_epoch").and_then(|epoch| epoch.replace(',', "").parse::<f64>().ok())?;
        return Some(Event { x: best, label: format!("early stopping: epoch {best} kept") });
    }
    let losses = run.epoch_points("validation_loss");
    let finite = losses.iter().filter(|point| point.1.is_finite());
    let &(x, _) = finite.min_by(|a, b| a.1.total_cmp(&b.1))?;
    let last = losses.last()?.0;
    (x < last).then(|| Event { x, label: "lowest validation loss".to_string() })
}

/// Draws the curves of several runs over each other, loss above accuracy, to a .svg or .png file: a colour per run,
/// training dashed, validation (or test, without validation) continuous.
pub fn compare_runs(dirs: &[PathBuf], out: &Path) -> Result<(), ReportError> {
    let runs: Vec<RunRecords> = dirs.iter().map(|dir| RunRecords::load(dir)).collect::<Result<_, _>>()?;
    let names = distinct_names(dirs, &runs);
    let mut charts = Vec::new();
    for quantity in ["loss", "accuracy"] {
        let mut series = Vec::new();
        for (index, (run, name)) in runs.iter().zip(&names).enumerate() {
            series.extend(compared_series(run, name, quantity, index));
        }
        let log = quantity == "loss" && spans_decades(&series);
        let unit = if quantity == "accuracy" { "%" } else { "" };
        let y = Axis { log, ..Axis::new(quantity, unit) };
        // The second chart goes without the legend of the first.
        if !charts.is_empty() {
            series.iter_mut().for_each(|series: &mut Series| series.name.clear());
        }
        let title = match names.as_slice() {
            _ if !charts.is_empty() => String::new(),
            [name] => name.clone(),
            _ => format!("{} runs compared", names.len()),
        };
        let events = if let [run] = runs.as_slice() { events(run) } else { Vec::new() };
        if series.iter().any(|series| !series.points.is_empty()) {
            charts.push(Chart { title, x: Axis::new("epoch", ""), y, series, events });
        }
    }
    save_drawing(out, &stacked(&charts)?)
}

fn compared_series(run: &RunRecords, name: &str, quantity: &str, colour: usize) -> Vec<Series> {
    let split = |key: &str| in_units(run.epoch_points(&format!("{key}_{quantity}")), quantity);
    let train = split("train");
    let held_out = ["validation", "test"].into_iter().map(|key| (key, split(key))).find(|(_, p)| !p.is_empty());
    let mut series = Vec::new();
    if !train.is_empty() {
        let dashed = held_out.is_some();
        series.push(Series { dashed, colour: Some(colour), ..Series::new(&format!("{name}, training"), train) });
    }
    if let Some((key, points)) = held_out {
        series.push(Series { colour: Some(colour), ..Series::new(&format!("{name}, {key}"), points) });
    }
    series
}

/// The names of runs, or of their folders where names are not distinct.
fn distinct_names(dirs: &[PathBuf], runs: &[RunRecords]) -> Vec<String> {
    let distinct = |names: &[String]| names.iter().collect::<std::collections::BTreeSet<_>>().len() == names.len();
    let names: Vec<String> = runs.iter().map(|run| run.name.clone()).collect();
    let folder = |dir: &PathBuf| dir.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
    let folders: Vec<String> = dirs.iter().map(folder).collect();
    [names, folders]
        .into_iter()
        .find(|names| distinct(names) && names.iter().all(|name| !name.is_empty()))
        .unwrap_or_else(|| dirs.iter().map(|dir| dir.display().to_string()).collect())
}

/// Charts below each other in one drawing.
fn stacked(charts: &[Chart]) -> Result<String, ReportError> {
    let count = charts.len().max(1) as u32;
    let title = charts.first().map_or("no data", |chart| chart.title.as_str());
    let mut svg = Svg::new(f64::from(WIDTH), f64::from(HEIGHT * count), title);
    if charts.is_empty() {
        svg.embed(0.0, 0.0, &Chart { title: title.to_string(), ..Chart::default() }.svg(WIDTH, HEIGHT)?);
    }
    for (index, chart) in charts.iter().enumerate() {
        svg.embed(0.0, f64::from(HEIGHT * index as u32), &chart.svg(WIDTH, HEIGHT)?);
    }
    Ok(svg.finish())
}
