//! Binary cross-entropy on logits: for one or several yes-or-no outputs.

use super::loss::{self, Operands};
use super::{Args, Case, Contents, Cost, Kernel, Needs, Real, params, read, read_u32, rows, write};
use crate::plan::Dispatch;

params! {
    /// Shape of one launch.
    Params {
        /// Rows of a batch.
        batch: u32,
        /// Examples that an epoch goes through.
        examples: u32,
        /// Outputs of the network.
        outputs: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "binary_cross_entropy",
    wgsl: include_str!("../../shaders/binary_cross_entropy.wgsl"),
    needs: Needs::Nothing,
    bindings: &[
        read("logits"),
        read("targets"),
        read_u32("indices"),
        read_u32("counters"),
        write("gradient"),
        write("row_loss"),
        write("row_correct"),
    ],
    params: Params::FIELDS,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    fast: None,
    cost,
    tolerance: 5e-6,
    cases,
};

/// A launch for `models` models. The targets are (examples, outputs) f32, from 0 to 1. Without `gradient` only losses and
/// answers are written.
pub fn dispatch(
    label: impl Into<String>,
    shape: Params,
    models: usize,
    gradient: bool,
    operands: Operands,
) -> Dispatch {
    let mut constants = rows::constants(shape.outputs);
    constants.push(("GRADIENT", gradient.into()));
    Dispatch {
        kernel: &KERNEL,
        label: label.into(),
        constants,
        params: shape.words(),
        slices: operands.slices(),
        grid: rows::grid(shape.batch, shape.outputs, models),
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, with_gradient) = (args.models(), args.constant("GRADIENT", 1) == 1);
    let scaled = args.constant("SCALED", 0) == 1;
    let [logits, targets, indices, counters, gradient, row_loss, row_correct] = args.operands();
    let (logits, targets) = (logits.read(), targets.read());
    let (indices, counters) = (indices.read_u32(), counters.read_u32());
    let (gradient, row_loss, row_correct) = (gradient.write(), row_loss.write(), row_correct.write());
    let (batch, outputs) = (p.batch as usize, p.outputs as usize);
    for model in 0..models {
        let rows = loss::batch_rows(p.batch, p.examples, counters, model);
        let loss_scale = loss::scale(scaled, counters, model);
        for row in 0..batch {
            let model_row = model * batch + row;
            let real = row < rows;
            let example = if real { indices[model_row] as usize } else { 0 };
            let (mut loss, mut correct) = (0.0, 0.0);
            for j in 0..outputs {
                let z = logits[model_row * outputs + j].to_f64();
                let t = targets[example * outputs + j].to_f64();
                // max(z, 0) - z t, not by f64::max, which would hide NaN.
                loss += if z > 0.0 { z * (1.0 - t) } else { -z * t } + (-z.abs()).exp().ln_1p();
                correct += f64::from((z > 0.0) == (t > 0.5) && !z.is_nan() && z != f64::INFINITY);
                if with_gradient {
                    let difference = 1.0 / (1.0 + (-z).exp()) - t;
                    let value = if real { difference / (rows * outputs) as f64 } else { 0.0 };
                    gradient[model_row * outputs + j] = T::from_f64(value * f64::from(loss_scale));
                }
            }
            let mean = |sum: f64| T::from_f64(if real { sum / outputs as f64 } else { 0.0 });
            (row_loss[model_row], row_correct[model_row]) = (mean(loss), mean(correct));
        }
    }
}

fn cost(params: &[u32]) -> Cost {
    let [batch, outputs] = [0, 2].map(|i| f64::from(params[i]));
    Cost { flops: 30.0 * batch * outputs, bytes: 4.0 * batch * (3.0 * outputs + 3.0) }
}

fn case([batch, outputs, models]: [usize; 3], kind: &str, gradient: bool, logits: Contents, targets: [f32; 7]) -> Case {
    let data = loss::case_data(batch, models);
    let shape = Params { batch: batch as u32, examples: data.examples as u32, outputs: outputs as u32 };
    let contents = vec![
        logits,
        Contents::F32((0..data.examples * outputs).map(|i| targets[i % 7]).collect()),
        data.indices,
        data.counters,
        Contents::random(if gradient { models * batch * outputs } else { 1 }, 1.0, 3),
        Contents::random(models * batch, 1.0, 4),
        Contents::random(models * batch, 1.0, 5),
    ];
    let dispatch = dispatch("case", shape, models, gradient, Operands::of(&Case::slices(&contents)));
    Case { name: format!("{models}x{batch}x{outputs} {kind}"), dispatch, contents }
}

fn cases() -> Vec<Case> {
    /// Mostly no and yes, sometimes in between, and right in the middle, which counts as no.
    const TARGETS: [f32; 7] = [0.0, 1.0, 0.5, 0.0, 0.3, 1.0, 0.0];
    let mut cases = Vec::new();
    for (shape, seed) in rows::AWKWARD.into_iter().zip(1..) {
        let elements = shape.iter().product();
        cases.push(case(shape, "Usual", true, Contents::random(elements, 4.0, seed), TARGETS));
        cases.push(case(shape, "Large", true, Contents::random(elements, 1000.0, seed), TARGETS));
        cases.push(case(shape, "no gradient", false, rows::with_ties(elements, 1.0, seed), TARGETS));
        // All so certainly and rightly yes that `1 - p` cancels.
        let certain = Contents::F32((0..elements).map(|i| 20.0 + (i % 5) as f32 / 4.0).collect());
        cases.push(case(shape, "Certain", true, certain, [1.0; 7]));
    }
    cases.extend(rows::not_finite(&cases));
    cases.extend(loss::scaled(&cases));
    cases
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        super::loss::test::gradients_are_slopes(super::cases());
    }
}
