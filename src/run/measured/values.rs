//! Values: truth against prediction, and what lies between.

use super::super::Answers;
use super::{SIZE, number, words};
use crate::metrics::{Measure, Measures, Metrics};
use crate::report::{Axis, Block, Chart, Look, ReportError, Section, Series, Table};

/// Outputs with drawings of their own; of more, those that are met worst.
const MOST_DRAWN: usize = 3;
/// Rows of the table of outputs.
const MOST_ROWS: usize = 60;
/// Examples of which a drawing shows a point.
const MOST_POINTS: usize = 1500;
/// Bars of the residuals' histogram, at most.
const MOST_BARS: usize = 40;

pub(super) fn section(set: &str, metrics: &Metrics, answers: &Answers) -> Result<Section, ReportError> {
    let (width, names) = (answers.result.width, answers.output_names());
    let mut blocks = Vec::new();
    let r2 = |output: &usize| {
        let of = metrics.outputs.get(&answers.listed_name(*output));
        of.and_then(|of| of.get(&Measure::R2).copied().flatten()).unwrap_or(f64::INFINITY)
    };
    let mut order: Vec<usize> = (0..width).collect();
    order.sort_by(|a, b| r2(a).total_cmp(&r2(b)));
    if !metrics.outputs.is_empty() {
        let row = |&output: &usize| {
            let of = metrics.outputs.get(&answers.listed_name(output));
            let text = |measure: Measure| {
                let value = of.and_then(|of: &Measures| of.get(&measure).copied().flatten());
                value.map_or("–".into(), |value| number(&measure, value))
            };
            let values = [Measure::R2, Measure::Mae, Measure::Rmse, Measure::MaxError].map(text);
            [names[output].clone()].into_iter().chain(values).collect()
        };
        let header = words(&["output", "R²", "mean absolute error", "root mean squared error", "largest error"]);
        let rows = order.iter().take(MOST_ROWS).map(row).collect();
        blocks.push(Block::Table(Table { header, rows, ..Table::default() }));
    }
    for &output in order.iter().take(MOST_DRAWN) {
        blocks.extend(drawings(&names[output], &pairs(answers, output))?);
    }
    if width > MOST_DRAWN {
        blocks.insert(0, Block::Text(format!("The {MOST_DRAWN} of {width} outputs with the lowest R² are drawn.")));
    }
    Ok(Section { title: format!("Values, {set} set"), blocks })
}

/// Truth and prediction of each example.
fn pairs(answers: &Answers, output: usize) -> Vec<(f64, f64)> {
    let pair = |example: usize| {
        let truth = answers.targets(example)?[output];
        Some((f64::from(truth), f64::from(answers.outputs(example)[output])))
    };
    let pairs = (0..answers.count()).filter_map(pair);
    pairs.filter(|(truth, predicted)| truth.is_finite() && predicted.is_finite()).collect()
}

fn drawings(name: &str, pairs: &[(f64, f64)]) -> Result<Vec<Block>, ReportError> {
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let every = pairs.len().div_ceil(MOST_POINTS);
    let shown: Vec<(f64, f64)> = pairs.iter().step_by(every).copied().collect();
    let some = if every > 1 { format!(" {} of {} examples.", shown.len(), pairs.len()) } else { String::new() };
    let (low, high) = pairs
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (truth, _)| (low.min(*truth), high.max(*truth)));
    let dots = |points| Series { look: Look::Dots, ..Series::new("", points) };
    let reference = |points| Series { look: Look::Reference, ..Series::new("", points) };
    let chart = |title: &str, [x, y]: [&str; 2], series: Vec<Series>, caption: String| {
        let title = format!("{title}: {name}");
        Chart { title, x: Axis::new(x, ""), y: Axis::new(y, ""), series, events: Vec::new() }.block(SIZE, &caption)
    };
    let met = vec![dots(shown.clone()), reference(vec![(low, low), (high, high)])];
    let residuals: Vec<(f64, f64)> = shown.iter().map(|(truth, predicted)| (*predicted, truth - predicted)).collect();
    let ends = residuals.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (predicted, _)| {
        (low.min(*predicted), high.max(*predicted))
    });
    let level = vec![dots(residuals), reference(vec![(ends.0, 0.0), (ends.1, 0.0)])];
    let all: Vec<f64> = pairs.iter().map(|(truth, predicted)| truth - predicted).collect();
    Ok(vec![
        chart(
            "Truth and prediction",
            ["truth", "prediction"],
            met,
            format!("On the dashed line predictions are the truth.{some}"),
        )?,
        chart(
            "Residuals",
            ["prediction", "truth - prediction"],
            level,
            format!("A slope, a bend or a widening tells of what the model has not learned.{some}"),
        )?,
        chart(
            "Distribution of the residuals",
            ["truth - prediction", "examples"],
            vec![histogram(&all)],
            "Above zero the truth is larger than what was predicted.".into(),
        )?,
    ])
}

/// The outline of a histogram, filled down to zero.
fn histogram(values: &[f64]) -> Series {
    let (low, high) = values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)));
    let bars = (2.0 * (values.len() as f64).cbrt()).ceil().clamp(1.0, MOST_BARS as f64) as usize;
    let width = if high > low { (high - low) / bars as f64 } else { 1.0 };
    let start = if high > low { low } else { low - 0.5 };
    let mut counts = vec![0_u64; bars];
    values.iter().for_each(|value| counts[(((value - start) / width) as usize).min(bars - 1)] += 1);
    let corners = counts.iter().enumerate().flat_map(|(bar, &count)| {
        let left = start + bar as f64 * width;
        [(left, count as f64), (left + width, count as f64)]
    });
    let corners: Vec<(f64, f64)> = corners.collect();
    let ends = [(corners[0].0, 0.0), (corners[corners.len() - 1].0, 0.0)];
    let outline = [ends[0]].into_iter().chain(corners.iter().copied()).chain([ends[1]]).collect();
    let band = corners.into_iter().map(|(x, count)| (x, 0.0, count)).collect();
    Series { band: Some(band), look: Look::Outline, ..Series::new("", outline) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_every_value_once() {
        let values: Vec<f64> = (0..1000).map(|value| f64::from(value) / 100.0).collect();
        let band = histogram(&values).band.unwrap();
        // Two corners a bar.
        let total: f64 = band.iter().step_by(2).map(|corner| corner.2).sum();
        assert_eq!((band.len(), total), (40, 1000.0));
        assert!(band[0].0 == 0.0 && (band[39].0 - 9.99).abs() < 1e-9);
        let one = histogram(&[3.0, 3.0]);
        assert!(one.points.iter().all(|(x, y)| x.is_finite() && y.is_finite()));
        assert_eq!(one.band.unwrap().iter().map(|corner| corner.2).sum::<f64>(), 4.0);
    }
}
