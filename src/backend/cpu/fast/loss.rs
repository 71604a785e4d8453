//! Losses, a row at a time.

use super::{math, simd};
use crate::kernel::Args;
use crate::kernel::loss::{absolute_error, rows, softmax_cross_entropy, squared_error};

pub(crate) fn softmax_cross_entropy(args: &mut Args<f32>) {
    let p: softmax_cross_entropy::Params = args.params();
    let (models, with_gradient) = (args.models(), args.constant("GRADIENT", 1) == 1);
    let (scaled, smoothing) = (args.constant("SCALED", 0) == 1, p.smoothing);
    let [logits, labels, indices, counters, gradient, row_loss, row_correct] = args.operands();
    let (logits, labels, indices, counters) =
        (logits.read(), labels.read_u32(), indices.read_u32(), counters.read_u32());
    let (gradient, row_loss, row_correct) = (gradient.write(), row_loss.write(), row_correct.write());
    let (batch, classes) = (p.batch as usize, p.classes as usize);
    let mut exponentials = vec![0.0f32; classes];
    for model in 0..models {
        let rows = rows::batch_rows(p.batch, p.examples, counters, model);
        let loss_scale = rows::scale(scaled, counters, model);
        for row in 0..batch {
            let model_row = model * batch + row;
            let range = model_row * classes..(model_row + 1) * classes;
            let gradient = if with_gradient { &mut gradient[range.clone()] } else { &mut [] };
            if row >= rows {
                gradient.fill(0.0);
                (row_loss[model_row], row_correct[model_row]) = (0.0, 0.0);
                continue;
            }
            let label = softmax_cross_entropy::label(labels, indices[model_row], classes);
            let answer = simd::vectorised(
                #[inline(always)]
                || {
                    let answer = one_row(&logits[range.clone()], label, &mut exponentials);
                    let scale = loss_scale / (answer.sum * rows as f32);
                    for (gradient, e) in gradient.iter_mut().zip(&exponentials) {
                        *gradient = e * scale;
                    }
                    answer
                },
            );
            (row_loss[model_row], row_correct[model_row]) = (answer.loss, answer.correct);
            if let (Some(c), true) = (label, with_gradient) {
                gradient[c] = -answer.others * loss_scale / (answer.sum * rows as f32);
            }
            if let Some(c) = label.filter(|_| smoothing != 0.0) {
                let logits = &logits[range];
                let gaps: f32 = logits.iter().map(|z| logits[c] - z).sum();
                row_loss[model_row] += smoothing * gaps / classes as f32;
                let slope = smoothing * loss_scale / (classes * rows) as f32;
                for (other, gradient) in gradient.iter_mut().enumerate() {
                    *gradient += slope * if other == c { classes as f32 - 1.0 } else { -1.0 };
                }
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

#[inline(always)]
fn one_row(logits: &[f32], label: Option<usize>, exponentials: &mut [f32]) -> Answer {
    let mut best = 0;
    for (c, &z) in logits.iter().enumerate() {
        if z > logits[best] {
            best = c;
        }
    }
    let largest = logits[best];
    for (e, z) in exponentials.iter_mut().zip(logits) {
        *e = math::exp(z - largest);
    }
    let sum_of = |exponentials: &[f32]| exponentials.iter().sum::<f32>();
    let Some(label) = label else {
        return Answer { loss: f32::NAN, correct: 0.0, others: f32::NAN, sum: f32::NAN };
    };
    // The label's own term stays out of the sum: 1 - p[label] would cancel as p[label] nears 1.
    let others = sum_of(&exponentials[..label]) + sum_of(&exponentials[label + 1..]);
    let (gap, sum) = (largest - logits[label], others + exponentials[label]);
    let loss = math::log1p(if best == label { others } else { sum - 1.0 }) + gap;
    Answer { loss, correct: f32::from(best == label && loss.is_finite()), others, sum }
}

pub(crate) fn squared_error(args: &mut Args<f32>) {
    let scale = args.params::<squared_error::Params>().scale;
    rows::for_value_rows(args, |output, targets, factor, gradient| {
        let slope = (2.0 * f64::from(scale) * factor) as f32;
        let [squares, not_finite] = simd::vectorised(
            #[inline(always)]
            || {
                for ((gradient, y), t) in gradient.iter_mut().zip(output).zip(targets) {
                    *gradient = slope * (y - t);
                }
                simd::sums(output, targets, |y, t| [(y - t) * (y - t), f32::from(!(y - t).is_finite())])
            },
        );
        let correct = not_finite == 0.0 && same_answer(output, targets);
        [f64::from(scale * squares / output.len() as f32), f64::from(correct)]
    });
}

/// Whether both have their first largest value in the same place; of a single value, whether both are above 1/2 or neither.
fn same_answer(output: &[f32], targets: &[f32]) -> bool {
    let answer = |values: &[f32]| match values {
        [value] => usize::from(*value > 0.5),
        _ => simd::first_largest(values),
    };
    answer(output) == answer(targets)
}

pub(crate) fn absolute_error(args: &mut Args<f32>) {
    let (delta, huber) = (args.params::<absolute_error::Params>().delta, args.constant("HUBER", 0) == 1);
    if huber {
        let loss_of = |size: f32| if size > delta { delta * (size - 0.5 * delta) } else { 0.5 * size * size };
        absolute(args, loss_of, |d| if d.abs() > delta { delta.copysign(d) } else { d });
    } else {
        absolute(args, |size| size, |d| if d.abs() > 0.0 { 1f32.copysign(d) } else { d });
    }
}

fn absolute(args: &mut Args<f32>, loss_of: impl Fn(f32) -> f32, slope_of: impl Fn(f32) -> f32) {
    rows::for_value_rows(args, |output, targets, factor, gradient| {
        let factor = factor as f32;
        let [sum, not_finite] = simd::vectorised(
            #[inline(always)]
            || {
                for ((gradient, y), t) in gradient.iter_mut().zip(output).zip(targets) {
                    *gradient = factor * slope_of(y - t);
                }
                simd::sums(output, targets, |y, t| [loss_of((y - t).abs()), f32::from(!(y - t).is_finite())])
            },
        );
        [f64::from(sum / output.len() as f32), f64::from(not_finite == 0.0 && same_answer(output, targets))]
    });
}

pub(crate) fn binary_cross_entropy(args: &mut Args<f32>) {
    rows::for_value_rows(args, |logits, targets, factor, gradient| {
        let factor = factor as f32;
        let sums = simd::vectorised(
            #[inline(always)]
            || {
                for ((gradient, &z), &t) in gradient.iter_mut().zip(logits).zip(targets) {
                    let (p, complement) = math::sigmoid_pair(z);
                    // For t = 1, p - 1 would cancel as p nears 1.
                    *gradient = factor * if t == 1.0 { -complement } else { p - t };
                }
                simd::sums(logits, targets, |z, t| {
                    let linear = if z > 0.0 { z * (1.0 - t) } else { -z * t };
                    let right = (z > 0.0) == (t > 0.5) && !z.is_nan() && z != f32::INFINITY;
                    [linear + math::log1p(math::exp(-z.abs())), f32::from(right)]
                })
            },
        );
        sums.map(|sum| f64::from(sum / logits.len() as f32))
    });
}
