//! Several bits: those that are found worst first, and their curves.

use super::super::Answers;
use super::{curves, words};
use crate::metrics::{Measure, Measures, Metrics, Ranked};
use crate::report::{Block, ReportError, Section, Table};

/// Rows of the table; of more bits, those that are found worst.
const MOST_ROWS: usize = 60;
/// Bins of probabilities.
const BINS: usize = 15;

pub(super) fn section(set: &str, metrics: &Metrics, answers: &Answers) -> Result<Section, ReportError> {
    let mut blocks = Vec::new();
    let width = answers.result.width;
    let names = answers.bit_names();
    // Of very many bits nothing is measured one by one.
    let of = |bit: usize| metrics.bits.get(&names[bit]);
    let f1 = |bit: &usize| of(*bit).and_then(|of| of.get(&Measure::F1).copied().flatten()).unwrap_or(0.0);
    let mut order: Vec<usize> = (0..width).collect();
    order.sort_by(|a, b| f1(a).total_cmp(&f1(b)));
    let set_in = |bit: usize| (0..answers.count()).filter(|&example| is_set(answers, example, bit)).count();
    let row = |&bit: &usize| {
        let text = |measure: Measure| {
            let value = of(bit).and_then(|of: &Measures| of.get(&measure).copied().flatten());
            value.map_or("–".into(), |value| format!("{value:.4}"))
        };
        let shares = [Measure::Precision, Measure::Recall, Measure::F1, Measure::RocAuc].map(text);
        [names[bit].clone()].into_iter().chain(shares).chain([set_in(bit).to_string()]).collect()
    };
    if !metrics.bits.is_empty() {
        let header = words(&["bit", "precision", "recall", "F1", "ROC AUC", "examples with it"]);
        let rows = order.iter().take(MOST_ROWS).map(row).collect();
        let first = match width {
            _ if width > MOST_ROWS => format!("The {MOST_ROWS} of {width} bits that are found worst, the worst first."),
            _ => "The bits that are found worst come first.".into(),
        };
        blocks.extend([Block::Text(first), Block::Table(Table { header, rows, ..Table::default() })]);
    }
    let ranked = order.iter().take(curves::MOST_CURVES).map(|&bit| {
        let scored = (0..answers.count()).map(|example| (answers.outputs(example)[bit], is_set(answers, example, bit)));
        (names[bit].clone(), Ranked::new(scored))
    });
    let others = if width > curves::MOST_CURVES { " Of all bits, those that are found worst." } else { "" };
    blocks.extend(curves::ranked(ranked.collect(), ["Each bit", "set against not set"], others)?);
    let axes = ["probability that a bit is set", "share of bits that are"];
    let caption = "All bits by their probability, in bins: below the dashed line fewer are set than was said.";
    blocks.push(curves::calibration("bits", &bins(answers), axes, caption)?);
    Ok(Section { title: format!("Bits, {set} set"), blocks })
}

fn is_set(answers: &Answers, example: usize, bit: usize) -> bool {
    answers.targets(example).is_some_and(|targets| targets[bit] > 0.5)
}

/// In each bin of probability: bits, set ones, the sum of probabilities.
fn bins(answers: &Answers) -> [(u64, u64, f64); BINS] {
    let mut bins = [(0, 0, 0.0); BINS];
    for example in 0..answers.count() {
        for (bit, output) in answers.outputs(example).iter().enumerate() {
            let probability = f64::from(*output);
            let bin = &mut bins[((probability * BINS as f64) as usize).min(BINS - 1)];
            *bin = (bin.0 + 1, bin.1 + u64::from(is_set(answers, example, bit)), bin.2 + probability);
        }
    }
    bins
}
