//! Curves of what is found and what is right: ROC, precision and recall, calibration.

use super::SIZE;
use crate::metrics::{Ranked, RankedPoint};
use crate::report::{Axis, Block, Chart, Look, ReportError, Series};

/// Curves in one chart; of more classes or bits, those that are found worst.
pub(super) const MOST_CURVES: usize = 7;
/// Points of a curve.
const MOST_POINTS: usize = 200;

/// What is ranked, with its name: each is positive or not, and has a score.
pub(super) type Named = (String, Ranked);

/// The ROC and the precision-recall curves of some classes or bits; nothing of those that all or none of the examples are.
/// `against` says what the positive ones are told from, and `others` that there are more.
pub(super) fn ranked(each: Vec<Named>, [of, against]: [&str; 2], others: &str) -> Result<Vec<Block>, ReportError> {
    let (mut roc, mut precision) = (Vec::new(), Vec::new());
    for (name, ranked) in each {
        let (positives, negatives) = ranked.totals();
        if positives == 0 || negatives == 0 {
            continue;
        }
        let shares = |point: &RankedPoint| {
            let recall = point.true_positives as f64 / positives as f64;
            let taken = (point.true_positives + point.false_positives) as f64;
            (recall, point.false_positives as f64 / negatives as f64, point.true_positives as f64 / taken)
        };
        let points = ranked.points.iter().map(shares);
        let from_nothing = [(0.0, 0.0)].into_iter();
        let from_nothing = from_nothing.chain(points.clone().map(|(recall, false_share, _)| (false_share, recall)));
        roc.push(Series::new(&name, thinned(from_nothing.collect())));
        precision.push(Series::new(&name, thinned(points.map(|(recall, _, precision)| (recall, precision)).collect())));
    }
    if roc.is_empty() {
        return Ok(Vec::new());
    }
    roc.push(diagonal());
    let caption = format!("{of} {against}, from its surest example on; dashed: chance.{others}");
    let first = drawing("ROC curves", ["share of others taken for it", "recall"], roc, &caption)?;
    let caption = format!("{of} {against}.{others}");
    Ok(vec![first, drawing("Precision and recall", ["recall", "precision"], precision, &caption)?])
}

/// How often what has a probability comes true: a point for each bin of (count, how many came true, sum of probabilities).
pub(super) fn calibration(
    name: &str,
    bins: &[(u64, u64, f64)],
    axes: [&str; 2],
    caption: &str,
) -> Result<Block, ReportError> {
    let means = bins.iter().filter(|bin| bin.0 > 0).map(|(count, right, probability)| {
        let count = *count as f64;
        (probability / count, *right as f64 / count)
    });
    drawing("Calibration", axes, vec![Series::new(name, means.collect()), diagonal()], caption)
}

fn diagonal() -> Series {
    Series { look: Look::Reference, ..Series::new("", vec![(0.0, 0.0), (1.0, 1.0)]) }
}

fn drawing(title: &str, [x, y]: [&str; 2], series: Vec<Series>, caption: &str) -> Result<Block, ReportError> {
    let chart = Chart { title: title.into(), x: Axis::new(x, ""), y: Axis::new(y, ""), series, events: Vec::new() };
    chart.block(SIZE, caption)
}

/// A few of many points, the first and the last among them.
pub(super) fn thinned<P>(points: Vec<P>) -> Vec<P> {
    let every = points.len().div_ceil(MOST_POINTS).max(1);
    let last = points.len().saturating_sub(1);
    let kept = points.into_iter().enumerate().filter(|(index, _)| index % every == 0 || *index == last);
    kept.map(|(_, point)| point).collect()
}
