//! Mean absolute error, and Huber's, which is quadratic near 0: `mae` and `huber`, as torch.nn.L1Loss and HuberLoss.

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
        /// Where Huber's error turns from quadratic to linear; without meaning for the mean absolute error.
        delta: f32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "absolute_error",
    wgsl: include_str!("../../../shaders/absolute_error.wgsl"),
    needs: Needs::Nothing,
    bindings: &[
        read("output"),
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

/// A launch for `models` models. The targets are (examples, outputs) f32. Without `gradient` only losses and answers are
/// written.
#[derive(Debug, Clone)]
pub struct AbsoluteError {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Whether it is Huber's.
    pub huber: bool,
    /// Models side by side.
    pub models: usize,
    /// Whether the gradient is written, too.
    pub gradient: Gradient,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for AbsoluteError {
    fn lower(&self) -> Dispatch {
        let AbsoluteError { label, shape, huber, models, gradient, operands } = self.clone();
        let mut constants = rows::constants(shape.outputs);
        constants.extend(gradient.constants());
        constants.push(("HUBER", huber.into()));
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
    let (delta, huber) = (f64::from(args.params::<Params>().delta), args.constant("HUBER", 0) == 1);
    let loss_of = |size: f64| match huber {
        true if size > delta => delta * (size - delta / 2.0),
        true => size * size / 2.0,
        false => size,
    };
    let limit = if huber { delta } else { 0.0 };
    let beyond = if huber { delta } else { 1.0 };
    let slope_of = |difference: f64| if difference.abs() > limit { beyond.copysign(difference) } else { difference };
    loss::rows::for_value_rows(args, |output, targets, factor, gradient| {
        let differences = || output.iter().zip(targets).map(|(y, t)| y.to_f64() - t.to_f64());
        let sum: f64 = differences().map(|difference| loss_of(difference.abs())).sum();
        let correct = loss::rows::same_answer(output, targets) && sum.is_finite();
        for (gradient, difference) in gradient.iter_mut().zip(differences()) {
            *gradient = T::from_f64(slope_of(difference) * factor);
        }
        [sum / output.len() as f64, f64::from(correct)]
    });
}

fn cost(params: &[u32]) -> Cost {
    let [batch, outputs] = [0, 2].map(|i| f64::from(params[i]));
    Cost { flops: 5.0 * batch * outputs, bytes: 4.0 * batch * (3.0 * outputs + 3.0) }
}

fn case([batch, outputs, models]: [usize; 3], output: Contents, [huber, gradient]: [bool; 2], delta: f32) -> Case {
    let data = loss::rows::case_data(batch, models);
    let shape = Params { batch: batch as u32, examples: data.examples as u32, outputs: outputs as u32, delta };
    let contents = vec![
        output,
        rows::with_ties(data.examples * outputs, 1.0, 2),
        data.indices,
        data.counters,
        Contents::random(if gradient { models * batch * outputs } else { 1 }, 1.0, 3),
        Contents::random(models * batch, 1.0, 4),
        Contents::random(models * batch, 1.0, 5),
    ];
    let dispatch = AbsoluteError {
        label: "case".into(),
        shape,
        huber,
        models,
        gradient: if gradient { Gradient::Plain } else { Gradient::None },
        operands: Operands::of(&Case::slices(&contents)),
    }
    .lower();
    let name = format!("{models}x{batch}x{outputs}, huber {huber}, delta {delta}, gradient {gradient}");
    Case { name, dispatch, contents }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, seed) in rows::AWKWARD.into_iter().zip(1..) {
        let elements = shape.iter().product();
        for huber in [false, true] {
            // Targets are multiples of 1/2: no difference is near 0 or delta.
            let between = match Contents::random(elements, 2.0, seed).rounded(1.0 / 16.0) {
                Contents::F32(values) => Contents::F32(values.into_iter().map(|y| y + 1.0 / 32.0).collect()),
                words => words,
            };
            cases.push(case(shape, between, [huber, true], 0.75));
            // Differences of 0 and, for Huber's, of delta.
            let mut kinks = case(shape, rows::with_ties(elements, 1.0, seed), [huber, true], 0.5);
            kinks.name.push_str(", at kinks");
            cases.push(kinks);
            cases.push(case(shape, rows::with_ties(elements, 1.0, seed), [huber, false], 1.5));
            let mut large = case(shape, Contents::random(elements, 1000.0, seed), [huber, true], 300.0);
            large.name.push_str(", Large");
            cases.push(large);
        }
    }
    cases.extend(rows::not_finite(&cases));
    cases.extend(loss::rows::scaled(&cases));
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        let away_from_kinks = cases().into_iter().filter(|case| !case.name.contains("at kinks"));
        loss::rows::test::gradients_are_slopes(away_from_kinks.collect());
    }
}
