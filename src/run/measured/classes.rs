//! Classes: those that fare worst first, and their curves.

use super::super::Answers;
use super::{curves, words};
use crate::metrics::{Classes, Measure};
use crate::report::{Block, ReportError, Section, Table};

/// Rows of the table; of more classes, those that are found worst.
const MOST_ROWS: usize = 60;

pub(super) fn section(set: &str, classes: &Classes, answers: &Answers) -> Result<Section, ReportError> {
    let mut order: Vec<usize> =
        (0..classes.reports.len()).filter(|&class| classes.reports[class].support > 0).collect();
    order.sort_by(|&a, &b| classes.reports[a].f1().total_cmp(&classes.reports[b].f1()));
    let matrix = answers.confusion()?;
    let row = |&class: &usize| {
        let report = &classes.reports[class];
        let shares = [report.precision(), report.recall(), report.f1()].map(|share| format!("{share:.4}"));
        let taken = matrix.as_ref().and_then(|matrix| matrix.taken_for(class));
        let taken = taken.map_or(String::new(), |(other, times)| format!("{other} ({times} of {})", report.support));
        let name = answers.class_name(class as u32);
        [name].into_iter().chain(shares).chain([report.support.to_string(), taken]).collect()
    };
    let header = words(&["class", "precision", "recall", "F1", "examples", "most often taken for"]);
    let table = Table { header, rows: order.iter().take(MOST_ROWS).map(row).collect(), ..Table::default() };
    let first = match order.len() {
        count if count > MOST_ROWS => {
            format!("The {MOST_ROWS} of {count} classes that are found worst, the worst first.")
        }
        _ => "The classes that are found worst come first.".into(),
    };
    let mut blocks = vec![Block::Text(first), Block::Table(table)];
    // Of two classes the curves of the second tell all.
    let drawn: Vec<usize> = match classes.reports.len() {
        2 => vec![1],
        _ => order.iter().copied().take(curves::MOST_CURVES).collect(),
    };
    let many = classes.reports.len() > curves::MOST_CURVES;
    let others = if many { " Of all classes, those that are found worst." } else { "" };
    let ranked = drawn.into_iter().map(|class| (answers.class_name(class as u32), classes.ranked(class)));
    blocks.extend(curves::ranked(ranked.collect(), ["Each class", "against the rest"], others)?);
    if answers.metrics().is_some_and(|metrics| metrics.values.contains_key(&Measure::CalibrationError)) {
        let axes = ["probability of the answer", "share of right answers"];
        let caption =
            "Answers by their probability, in bins: below the dashed line they are surer than they are right.";
        blocks.push(curves::calibration("answers", &classes.calibration(), axes, caption)?);
    }
    Ok(Section { title: format!("Classes, {set} set"), blocks })
}
