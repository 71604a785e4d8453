//! Mean squared error, scaled: `mse` (1) and `half_mse` (1/2).

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
        /// Factor of the mean: 1 for `mse`, 1/2 for `half_mse`.
        scale: f32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "squared_error",
    wgsl: include_str!("../../../shaders/squared_error.wgsl"),
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
pub struct SquaredError {
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

impl Launch for SquaredError {
    fn lower(&self) -> Dispatch {
        let SquaredError { label, shape, models, gradient, operands } = self.clone();
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
    let scale = f64::from(args.params::<Params>().scale);
    loss::rows::for_value_rows(args, |output, targets, factor, gradient| {
        let differences = || output.iter().zip(targets).map(|(y, t)| y.to_f64() - t.to_f64());
        let squares: f64 = differences().map(|difference| difference * difference).sum();
        let correct = loss::rows::same_answer(output, targets) && squares.is_finite();
        for (gradient, difference) in gradient.iter_mut().zip(differences()) {
            *gradient = T::from_f64(2.0 * scale * difference * factor);
        }
        [scale * squares / output.len() as f64, f64::from(correct)]
    });
}

fn cost(params: &[u32]) -> Cost {
    let [batch, outputs] = [0, 2].map(|i| f64::from(params[i]));
    Cost { flops: 5.0 * batch * outputs, bytes: 4.0 * batch * (3.0 * outputs + 3.0) }
}

fn case([batch, outputs, models]: [usize; 3], output: Contents, scale: f32, gradient: bool) -> Case {
    let data = loss::rows::case_data(batch, models);
    let shape = Params { batch: batch as u32, examples: data.examples as u32, outputs: outputs as u32, scale };
    let contents = vec![
        output,
        rows::with_ties(data.examples * outputs, 1.0, 2),
        data.indices,
        data.counters,
        Contents::random(if gradient { models * batch * outputs } else { 1 }, 1.0, 3),
        Contents::random(models * batch, 1.0, 4),
        Contents::random(models * batch, 1.0, 5),
    ];
    let dispatch = SquaredError {
        label: "case".into(),
        shape,
        models,
        gradient: if gradient { Gradient::Plain } else { Gradient::None },
        operands: Operands::of(&Case::slices(&contents)),
    }
    .lower();
    Case { name: format!("{models}x{batch}x{outputs}, scale {scale}, gradient {gradient}"), dispatch, contents }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, seed) in rows::AWKWARD.into_iter().zip(1..) {
        let elements = shape.iter().product();
        cases.push(case(shape, Contents::random(elements, 1.0, seed), 1.0, true));
        cases.push(case(shape, rows::with_ties(elements, 1.0, seed), 0.5, false));
        let mut large = case(shape, Contents::random(elements, 1000.0, seed), 0.5, true);
        large.name.push_str(", Large");
        cases.push(large);
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
