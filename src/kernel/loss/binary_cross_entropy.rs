//! Binary cross-entropy on logits: for one or several yes-or-no outputs.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, params, read, read_u32, write};
use crate::kernel::formula::rows;
use crate::kernel::loss::rows::{Gradient, Operands};
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification, loss};

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
    wgsl: include_str!("../../../shaders/binary_cross_entropy.wgsl"),
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
};

/// What it computes.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 5e-6,
    cases,
};

/// A launch for `models` models. The targets are (examples, outputs) f32, from 0 to 1. Without `gradient` only losses and
/// answers are written.
#[derive(Debug, Clone)]
pub struct BinaryCrossEntropy {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// Whether the gradient is written, too.
    pub gradient: Gradient,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for BinaryCrossEntropy {
    fn lower(&self) -> Dispatch {
        let BinaryCrossEntropy { label, shape, models, gradient, operands } = self.clone();
        let mut constants = rows::constants(shape.outputs);
        constants.extend(gradient.constants());
        Dispatch {
            kernel: &KERNEL,
            label,
            constants,
            cost: cost(&shape.words()).times(models),
            params: shape.words(),
            slices: operands.slices(),
            grid: rows::grid(shape.batch, shape.outputs, models),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    loss::rows::for_value_rows(args, |logits, targets, factor, gradient| {
        let pairs = || logits.iter().zip(targets).map(|(z, t)| (z.to_f64(), t.to_f64()));
        // max(z, 0) - z t, not by f64::max, which would hide NaN.
        let loss = |(z, t): (f64, f64)| if z > 0.0 { z * (1.0 - t) } else { -z * t } + (-z.abs()).exp().ln_1p();
        for (gradient, (z, t)) in gradient.iter_mut().zip(pairs()) {
            *gradient = T::from_f64((1.0 / (1.0 + (-z).exp()) - t) * factor);
        }
        let is_right = |(z, t): &(f64, f64)| (*z > 0.0) == (*t > 0.5) && !z.is_nan() && *z != f64::INFINITY;
        let right = pairs().filter(is_right).count() as f64;
        [pairs().map(loss).sum::<f64>(), right].map(|sum| sum / logits.len() as f64)
    });
}

fn cost(params: &[u32]) -> Cost {
    let [batch, outputs] = [0, 2].map(|i| f64::from(params[i]));
    Cost { flops: 30.0 * batch * outputs, bytes: 4.0 * batch * (3.0 * outputs + 3.0) }
}

fn case([batch, outputs, models]: [usize; 3], kind: &str, gradient: bool, logits: Contents, targets: [f32; 7]) -> Case {
    let data = loss::rows::case_data(batch, models);
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
    let dispatch = BinaryCrossEntropy {
        label: "case".into(),
        shape,
        models,
        gradient: if gradient { Gradient::Plain } else { Gradient::None },
        operands: Operands::of(&Case::slices(&contents)),
    }
    .lower();
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
    cases.extend(loss::rows::scaled(&cases));
    cases
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        super::loss::rows::test::gradients_are_slopes(super::cases());
    }
}
