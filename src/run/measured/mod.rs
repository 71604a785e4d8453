//! What was measured of a set, as parts of a run's page: a table, then what goes wrong, and curves.

mod bits;
mod classes;
mod curves;
mod mistakes;
mod values;

use super::Answers;
use crate::metrics::Measure;
use crate::report::{Block, ReportError, Section, Table};

/// The size of curves that are as high as wide, or nearly.
const SIZE: (u32, u32) = (560, 420);

/// The metrics of a set, and of classes, bits or values what goes wrong.
pub(super) fn sections(set: &str, answers: &Answers) -> Result<Vec<Section>, ReportError> {
    let Some(metrics) = answers.metrics() else { return Ok(Vec::new()) };
    let row = |(measure, value): (&Measure, &Option<f64>)| {
        vec![measure.to_string().replace('_', " "), value.map_or("–".into(), |value| number(measure, value))]
    };
    let rows = metrics.values.iter().map(row).collect();
    let table = Block::Table(Table { header: words(&["metric", "value"]), rows, ..Table::default() });
    let mut sections = vec![Section { title: format!("Metrics, {set} set"), blocks: vec![table] }];
    sections.extend(answers.of_classes(|classes| classes::section(set, classes, answers)).transpose()?);
    if answers.reconstructs && answers.are_drawn() {
        sections.push(reconstructions(set, answers)?);
        return Ok(sections);
    }
    if answers.bits && !answers.reconstructs {
        sections.push(bits::section(set, &metrics, answers)?);
    } else if answers.classes.is_none() {
        sections.push(values::section(set, &metrics, answers)?);
    }
    sections.extend(mistakes::section(set, answers)?);
    Ok(sections)
}

/// Inputs and what the model makes of them: the first ones, and those that are met worst.
fn reconstructions(set: &str, answers: &Answers) -> Result<Section, ReportError> {
    const SHOWN: usize = 20;
    let mut order: Vec<usize> = (0..answers.count()).collect();
    let shown = order.len().min(SHOWN);
    let first = answers.grid_of(&order[..shown], String::new())?;
    order.sort_by(|a, b| answers.distance(*b).total_cmp(&answers.distance(*a)));
    let worst = answers.grid_of(&order[..shown], String::new())?;
    let captions = [
        format!(
            "The first {shown}: above the input, below what the model makes of it, and the root of their mean squared difference."
        ),
        format!("The {shown} that are met worst."),
    ];
    let blocks = [first, worst].into_iter().zip(captions);
    let blocks = blocks.filter_map(|(grid, caption)| Some(Block::Pictures { grid: grid?, caption })).collect();
    Ok(Section { title: format!("Reconstructions, {set} set"), blocks })
}

/// Shares have four decimals; values of any size have four digits.
fn number(measure: &Measure, value: f64) -> String {
    match measure {
        Measure::Mae | Measure::Rmse | Measure::MaxError => digits(value),
        _ => format!("{value:.4}"),
    }
}

/// A value of any size with four digits or more.
fn digits(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if size == 0.0 || (1e4..1e9).contains(&size) => format!("{value:.0}"),
        _ if (1e-3..1e4).contains(&size) => {
            let decimals = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
            format!("{value:.decimals$}")
        }
        _ => format!("{value:.3e}"),
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| word.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_four_digits() {
        for (value, text) in [
            (0.0, "0"),
            (53.217_9, "53.22"),
            (-0.012_345, "-0.01235"),
            (9999.4, "9999"),
            (123_456.7, "123457"),
            (1.5e-7, "1.500e-7"),
        ] {
            assert_eq!(digits(value), text);
        }
    }
}
