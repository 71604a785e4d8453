//! Mean squared error, scaled: `mse` (1) and `half_mse` (1/2).

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
        /// Factor of the mean: 1 for `mse`, 1/2 for `half_mse`.
        scale: f32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "squared_error",
    wgsl: include_str!("../../shaders/squared_error.wgsl"),
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
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    fast: None,
    cost,
    tolerance: 5e-6,
    cases,
};

/// A launch for `models` models. The targets are (examples, outputs) f32. Without `gradient` only losses and answers are
/// written.
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
    let [output, targets, indices, counters, gradient, row_loss, row_correct] = args.operands();
    let (output, targets) = (output.read(), targets.read());
    let (indices, counters) = (indices.read_u32(), counters.read_u32());
    let (gradient, row_loss, row_correct) = (gradient.write(), row_loss.write(), row_correct.write());
    let (batch, outputs, scale) = (p.batch as usize, p.outputs as usize, f64::from(p.scale));
    for model in 0..models {
        let rows = loss::batch_rows(p.batch, p.examples, counters, model);
        let loss_scale = loss::scale(scaled, counters, model);
        for row in 0..batch {
            let model_row = model * batch + row;
            let real = row < rows;
            let example = if real { indices[model_row] as usize } else { 0 };
            let y = |j: usize| output[model_row * outputs + j].to_f64();
            let t = |j: usize| targets[example * outputs + j].to_f64();
            let squares: f64 = (0..outputs).map(|j| (y(j) - t(j)) * (y(j) - t(j))).sum();
            let correct = match outputs {
                1 => (y(0) > 0.5) == (t(0) > 0.5),
                _ => rows::argmax((0..outputs).map(y)) == rows::argmax((0..outputs).map(t)),
            };
            let correct = correct && squares.is_finite();
            row_loss[model_row] = T::from_f64(if real { scale * squares / outputs as f64 } else { 0.0 });
            row_correct[model_row] = T::from_f64(f64::from(real && correct));
            for j in (0..outputs).filter(|_| with_gradient) {
                let value = if real { 2.0 * scale * (y(j) - t(j)) / (rows * outputs) as f64 } else { 0.0 };
                gradient[model_row * outputs + j] = T::from_f64(value * f64::from(loss_scale));
            }
        }
    }
}

fn cost(params: &[u32]) -> Cost {
    let [batch, outputs] = [0, 2].map(|i| f64::from(params[i]));
    Cost { flops: 5.0 * batch * outputs, bytes: 4.0 * batch * (3.0 * outputs + 3.0) }
}

fn case([batch, outputs, models]: [usize; 3], output: Contents, scale: f32, gradient: bool) -> Case {
    let data = loss::case_data(batch, models);
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
    let dispatch = dispatch("case", shape, models, gradient, Operands::of(&Case::slices(&contents)));
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
