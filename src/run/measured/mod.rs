//! What was measured of a set, as parts of a run's page: a table, the classes that fare worst first, and curves.

use super::Answers;
use crate::metrics::{Classes, Measure, RankedPoint};
use crate::report::{Axis, Block, Chart, ReportError, Section, Series, Table};

/// Classes with curves of their own; of more, those that are found worst.
const MOST_CURVES: usize = 7;
/// Points of a curve.
const MOST_POINTS: usize = 200;
const SIZE: (u32, u32) = (560, 420);

/// The metrics of a set, and of classes what goes wrong.
pub(super) fn sections(set: &str, answers: &Answers) -> Result<Vec<Section>, ReportError> {
    let Some(metrics) = answers.metrics() else { return Ok(Vec::new()) };
    let row = |(measure, value): (&Measure, &Option<f64>)| {
        vec![measure.to_string().replace('_', " "), value.map_or("–".into(), |value| format!("{value:.4}"))]
    };
    let rows = metrics.values.iter().map(row).collect();
    let header = ["metric", "value"].map(String::from).to_vec();
    let table = Block::Table(Table { header, rows, highlight: None });
    let mut sections = vec![Section { title: format!("Metrics, {set} set"), blocks: vec![table] }];
    sections.extend(answers.of_classes(|classes| of_classes(set, classes, answers)).transpose()?);
    Ok(sections)
}

fn of_classes(set: &str, classes: &Classes, answers: &Answers) -> Result<Section, ReportError> {
    let mut order: Vec<usize> =
        (0..classes.reports.len()).filter(|&class| classes.reports[class].support > 0).collect();
    order.sort_by(|&a, &b| classes.reports[a].f1().total_cmp(&classes.reports[b].f1()));
    let row = |&class: &usize| {
        let report = &classes.reports[class];
        let shares = [report.precision(), report.recall(), report.f1()].map(|share| format!("{share:.4}"));
        [answers.class_name(class as u32)].into_iter().chain(shares).chain([report.support.to_string()]).collect()
    };
    let header = ["class", "precision", "recall", "F1", "examples"].map(String::from).to_vec();
    let table = Table { header, rows: order.iter().map(row).collect(), highlight: None };
    let mut blocks = vec![Block::Text("The classes that are found worst come first.".into()), Block::Table(table)];
    // Of two classes the curves of the second tell all.
    let drawn: Vec<usize> = match classes.reports.len() {
        2 => vec![1],
        _ => order.iter().copied().take(MOST_CURVES).collect(),
    };
    let (mut roc, mut precision) = (Vec::new(), Vec::new());
    for class in drawn {
        let ranked = classes.ranked(class);
        let (positives, negatives) = ranked.totals();
        if positives == 0 || negatives == 0 {
            continue;
        }
        let name = answers.class_name(class as u32);
        let shares = |point: &RankedPoint| {
            let recall = point.true_positives as f64 / positives as f64;
            let taken = (point.true_positives + point.false_positives) as f64;
            (recall, point.false_positives as f64 / negatives as f64, point.true_positives as f64 / taken)
        };
        let points = ranked.points.iter().map(shares);
        let from_nothing =
            [(0.0, 0.0)].into_iter().chain(points.clone().map(|(recall, false_share, _)| (false_share, recall)));
        roc.push(Series::new(&name, thinned(from_nothing.collect())));
        precision.push(Series::new(&name, thinned(points.map(|(recall, _, precision)| (recall, precision)).collect())));
    }
    let others = if classes.reports.len() > MOST_CURVES { " Of all classes, those that are found worst." } else { "" };
    if !roc.is_empty() {
        roc.push(diagonal());
        let caption = format!("Each class against the rest, from its surest example on; dashed: chance.{others}");
        blocks.push(drawing("ROC curves", ["share of others taken for it", "recall"], roc, &caption)?);
        let caption = format!("Each class against the rest.{others}");
        blocks.push(drawing("Precision and recall", ["recall", "precision"], precision, &caption)?);
    }
    if answers.metrics().is_some_and(|metrics| metrics.values.contains_key(&Measure::CalibrationError)) {
        let bins = classes.calibration();
        let means = bins.iter().filter(|bin| bin.0 > 0).map(|(count, right, confidence)| {
            let count = *count as f64;
            (confidence / count, *right as f64 / count)
        });
        let series = vec![Series::new("answers", means.collect()), diagonal()];
        let caption =
            "Answers by their probability, in bins: below the dashed line they are surer than they are right.";
        blocks.push(drawing("Calibration", ["probability of the answer", "share of right answers"], series, caption)?);
    }
    Ok(Section { title: format!("Classes, {set} set"), blocks })
}

fn diagonal() -> Series {
    Series { dashed: true, ..Series::new("", vec![(0.0, 0.0), (1.0, 1.0)]) }
}

fn drawing(title: &str, [x, y]: [&str; 2], series: Vec<Series>, caption: &str) -> Result<Block, ReportError> {
    let chart = Chart { title: title.into(), x: Axis::new(x, ""), y: Axis::new(y, ""), series, events: Vec::new() };
    Ok(Block::Drawing { svg: chart.svg(SIZE.0, SIZE.1)?, caption: caption.into() })
}

/// A few of many points, the first and the last among them.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let every = points.len().div_ceil(MOST_POINTS).max(1);
    let last = points.len().saturating_sub(1);
    points
        .into_iter()
        .enumerate()
        .filter(|(index, _)| index % every == 0 || *index == last)
        .map(|(_, point)| point)
        .collect()
}
