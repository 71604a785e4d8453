//! Softmax and cross-entropy with their gradient: for classes.

use super::loss::{self, Operands};
use super::{Args, Case, Contents, Cost, Kernel, Real, fast_math, params, read, read_u32, rows, write};
use crate::plan::Dispatch;

params! {
    /// Shape of one launch.
    Params {
        /// Rows of a batch.
        batch: u32,
        /// Examples that an epoch goes through.
        examples: u32,
        /// Classes.
        classes: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "softmax_cross_entropy",
    wgsl: include_str!("../../shaders/softmax_cross_entropy.wgsl"),
    bindings: &[
        read("logits"),
        read_u32("labels"),
        read_u32("indices"),
        read_u32("counters"),
        write("gradient"),
        write("row_loss"),
        write("row_correct"),
    ],
    params: Params::FIELDS,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    fast: Some(fast),
    cost,
    tolerance: 2e-6,
    cases,
};

/// A launch for `models` models. The targets are labels, (examples) u32. Without `gradient` only losses and answers are
/// written.
pub fn dispatch(
    label: impl Into<String>,
    shape: Params,
    models: usize,
    gradient: bool,
    operands: Operands,
) -> Dispatch {
    let mut constants = rows::constants(shape.classes);
    constants.push(("GRADIENT", gradient.into()));
    Dispatch {
        kernel: &KERNEL,
        label: label.into(),
        constants,
        params: shape.words(),
        slices: operands.slices(),
        grid: rows::grid(shape.batch, shape.classes, models),
    }
}

/// The class of a row; `None` where the data hold none.
fn label(labels: &[u32], index: u32, classes: usize) -> Option<usize> {
    labels.get(index as usize).map(|&label| label as usize).filter(|&label| label < classes)
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, with_gradient) = (args.models(), args.constant("GRADIENT", 1) == 1);
    let [logits, labels, indices, counters, gradient, row_loss, row_correct] = args.operands();
    let (logits, labels, indices, counters) =
        (logits.read(), labels.read_u32(), indices.read_u32(), counters.read_u32());
    let (gradient, row_loss, row_correct) = (gradient.write(), row_loss.write(), row_correct.write());
    let (batch, classes) = (p.batch as usize, p.classes as usize);
    for model in 0..models {
        let rows = loss::batch_rows(p.batch, p.examples, counters, model);
        for row in 0..batch {
            let model_row = model * batch + row;
            let z = |c: usize| logits[model_row * classes + c].to_f64();
            let largest = (0..classes).map(z).fold(f64::NEG_INFINITY, f64::max);
            let label = label(labels, indices[model_row], classes);
            let others: f64 = (0..classes).filter(|&c| Some(c) != label).map(|c| (z(c) - largest).exp()).sum();
            // A label that is no class has no loss.
            let gap = label.map_or(f64::NAN, |c| largest - z(c));
            let sum = others + (-gap).exp();
            // ln(sum), but exact where the label's term, which is then 1, dwarfs the others.
            let loss = if gap == 0.0 { others.ln_1p() } else { sum.ln() + gap };
            let correct = loss.is_finite() && label == Some(rows::argmax((0..classes).map(z)));
            let real = row < rows;
            row_loss[model_row] = T::from_f64(if real { loss } else { 0.0 });
            row_correct[model_row] = T::from_f64(f64::from(real && correct));
            for c in (0..classes).filter(|_| with_gradient) {
                let difference = if Some(c) == label { -others } else { (z(c) - largest).exp() };
                let value = if real { difference / (sum * rows as f64) } else { 0.0 };
                gradient[model_row * classes + c] = T::from_f64(value);
            }
        }
    }
}

fn fast(args: &mut Args<f32>) {
    let p: Params = args.params();
    let (models, with_gradient) = (args.models(), args.constant("GRADIENT", 1) == 1);
    let [logits, labels, indices, counters, gradient, row_loss, row_correct] = args.operands();
    let (logits, labels, indices, counters) =
        (logits.read(), labels.read_u32(), indices.read_u32(), counters.read_u32());
    let (gradient, row_loss, row_correct) = (gradient.write(), row_loss.write(), row_correct.write());
    let (batch, classes) = (p.batch as usize, p.classes as usize);
    let mut exponentials = vec![0.0f32; classes];
    for model in 0..models {
        let rows = loss::batch_rows(p.batch, p.examples, counters, model);
        for row in 0..batch {
            let model_row = model * batch + row;
            let range = model_row * classes..(model_row + 1) * classes;
            let gradient = if with_gradient { &mut gradient[range.clone()] } else { &mut [] };
            if row >= rows {
                gradient.fill(0.0);
                (row_loss[model_row], row_correct[model_row]) = (0.0, 0.0);
                continue;
            }
            let label = label(labels, indices[model_row], classes);
            let answer = one_row(&logits[range], label, &mut exponentials);
            (row_loss[model_row], row_correct[model_row]) = (answer.loss, answer.correct);
            let scale = 1.0 / (answer.sum * rows as f32);
            for (gradient, e) in gradient.iter_mut().zip(&exponentials) {
                *gradient = e * scale;
            }
            if let (Some(c), true) = (label, with_gradient) {
                gradient[c] = -answer.others * scale;
            }
        }
    }
}

/// What one row of logits gives.
struct Answer {
    loss: f32,
    correct: f32,
    /// Sum of the exponentials, without and with the label's.
    others: f32,
    sum: f32,
}

fn one_row(logits: &[f32], label: Option<usize>, exponentials: &mut [f32]) -> Answer {
    let mut best = 0;
    for (c, &z) in logits.iter().enumerate() {
        if z > logits[best] {
            best = c;
        }
    }
    let largest = logits[best];
    for (e, z) in exponentials.iter_mut().zip(logits) {
        *e = fast_math::exp(z - largest);
    }
    let sum_of = |exponentials: &[f32]| exponentials.iter().sum::<f32>();
    let Some(label) = label else {
        return Answer { loss: f32::NAN, correct: 0.0, others: f32::NAN, sum: f32::NAN };
    };
    // The label's own term stays out of the sum: 1 - p[label] would cancel as p[label] nears 1.
    let others = sum_of(&exponentials[..label]) + sum_of(&exponentials[label + 1..]);
    let (gap, sum) = (largest - logits[label], others + exponentials[label]);
    let loss = fast_math::log1p(if best == label { others } else { sum - 1.0 }) + gap;
    Answer { loss, correct: f32::from(best == label && loss.is_finite()), others, sum }
}

fn cost(params: &[u32]) -> Cost {
    let [batch, classes] = [0, 2].map(|i| f64::from(params[i]));
    Cost { flops: 8.0 * batch * classes, bytes: 4.0 * batch * (2.0 * classes + 4.0) }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (index, [batch, classes, models]) in rows::AWKWARD.into_iter().enumerate() {
        for (scale, gradient) in [(3.0, true), (1000.0, true), (1.0, false)] {
            let data = loss::case_data(batch, models);
            let labels = (0..data.examples).map(|i| (i * 5 % classes) as u32).collect();
            let shape = Params { batch: batch as u32, examples: data.examples as u32, classes: classes as u32 };
            let elements = if gradient { models * batch * classes } else { 1 };
            let contents = vec![
                Contents::random(models * batch * classes, scale, index as u32 + 1),
                Contents::U32(labels),
                data.indices,
                data.counters,
                Contents::random(elements, 1.0, 2),
                Contents::random(models * batch, 1.0, 3),
                Contents::random(models * batch, 1.0, 4),
            ];
            let operands = Operands::of(&Case::slices(&contents));
            let dispatch = dispatch("case", shape, models, gradient, operands);
            let name = format!("{models}x{batch}x{classes} logits to {scale}, gradient {gradient}");
            cases.push(Case { name, dispatch, contents });
        }
    }
    cases
}
