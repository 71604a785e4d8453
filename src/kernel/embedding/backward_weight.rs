//! An embedding, backward: the gradient of each row of the table is the sum of those of the places where it was taken.
//!
//! A shader has no float atomics, and their order would change from run to run: each element of the table goes through the batch
//! by itself, in one order.

use super::forward::{Params, THREADS, shapes, values};
use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, read, write};
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "embedding_backward_weight",
    wgsl: include_str!("../../../shaders/embedding_backward_weight.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("input"), read("output_gradient"), write("gradient")],
    params: Params::FIELDS,
};

/// What it computes.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 1e-5,
    cases,
};

/// Slices of one launch.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, rows, numbers + inputs): the latter are whole numbers below `levels`, or below 0 where an example has none.
    pub input: Slice,
    /// (models, rows, numbers + inputs x width); 0 in rows past the end of the epoch.
    pub output_gradient: Slice,
    /// (levels, width) of each model.
    pub gradient: Slice,
}

/// A launch for `models` models: `gradient[l] = sum of output_gradient[r, i] where input[r, i] = l`.
#[derive(Debug, Clone)]
pub struct EmbeddingBackwardWeight {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for EmbeddingBackwardWeight {
    fn lower(&self) -> Dispatch {
        let EmbeddingBackwardWeight { label, shape, models, operands } = self.clone();
        let [items, table, width] = [shape.items(), shape.table(), shape.width as usize].map(|n| n as f64);
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![],
            cost: Cost { flops: items * width, bytes: 4.0 * (items * (1.0 + width) + table) }.times(models),
            params: shape.words(),
            slices: vec![operands.input, operands.output_gradient, operands.gradient],
            grid: linear_grid(shape.table().div_ceil(THREADS), models as u32),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, rows, numbers, width) = (args.models(), p.rows as usize, p.numbers as usize, p.width as usize);
    let [input, output_gradient, gradient] = args.operands();
    let (input, output_gradient, gradient) = (input.read(), output_gradient.read(), gradient.write());
    for model in 0..models {
        let mut sums = vec![0.0; p.table()];
        for row in model * rows..(model + 1) * rows {
            let values = input[row * p.values()..][..p.values()].iter().skip(numbers);
            let gradients = &output_gradient[row * p.outputs() + numbers..];
            for (value, gradients) in values.zip(gradients.chunks_exact(width)) {
                let Some(level) = p.level(*value) else { continue };
                for (sum, gradient) in sums[level * width..][..width].iter_mut().zip(gradients) {
                    *sum += gradient.to_f64();
                }
            }
        }
        let first = model * p.parameter_stride as usize;
        for (gradient, sum) in gradient[first..][..p.table()].iter_mut().zip(sums) {
            *gradient = T::from_f64(sum);
        }
    }
}

fn cases() -> Vec<Case> {
    let case = |(index, (models, shape)): (usize, (usize, Params))| {
        let contents = vec![
            values(models, &shape, 1),
            Contents::random(
                models * shape.rows as usize * shape.outputs(),
                if index % 2 == 1 { 1000.0 } else { 1.0 },
                2,
            ),
            Contents::random((models - 1) * shape.parameter_stride as usize + shape.table(), 1.0, 3),
        ];
        let s = Case::slices(&contents);
        let operands = Operands { input: s[0], output_gradient: s[1], gradient: s[2] };
        let dispatch = EmbeddingBackwardWeight { label: "case".into(), shape, models, operands }.lower();
        Case { name: format!("{models} models, {shape:?}"), dispatch, contents }
    };
    shapes().enumerate().map(case).collect()
}

#[cfg(test)]
mod tests {
    use super::super::forward::{self, EmbeddingForward};
    use super::*;
    use crate::kernel::difference::{Data, run, slope};

    /// The loss is the sum of factors times what comes out; the middle row of the table is taken twice, the last never.
    #[test]
    fn the_gradient_is_the_slope() {
        let shape = Params { rows: 2, numbers: 1, inputs: 2, width: 2, levels: 4, parameter_stride: 8 };
        let floats = |values: &[f64]| Data::Floats(values.to_vec());
        let input = [0.6, 1.0, 0.0, -1.4, -1.0, 1.0];
        let factors = [0.2, 1.0, -2.0, 3.0, 0.5, 1.8, -0.7, 1.5, 4.0, -3.0];
        let s = Case::slices(&[0, 1, 2].map(|_| Contents::F32(vec![0.0])));
        let loss = |table: &[f64]| {
            let mut memory = vec![floats(&input), floats(table), floats(&[9.0; 10])];
            let operands = forward::Operands { input: s[0], weight: s[1], output: s[2] };
            run(&EmbeddingForward { label: "".into(), shape, models: 1, operands }.lower(), &mut memory);
            memory[2].floats().iter().zip(&factors).map(|(y, f)| y * f).sum::<f64>()
        };
        let table = [0.3, -1.2, 0.8, 2.0, -0.4, 0.9, 1.1, 5.0];
        let mut memory = vec![floats(&input), floats(&factors), floats(&[9.0; 8])];
        let operands = Operands { input: s[0], output_gradient: s[1], gradient: s[2] };
        run(&EmbeddingBackwardWeight { label: "".into(), shape, models: 1, operands }.lower(), &mut memory);
        for (at, gradient) in memory[2].floats().iter().enumerate() {
            let numeric = slope(|h| {
                let mut moved = table;
                moved[at] += h;
                loss(&moved)
            });
            assert!((gradient - numeric).abs() < 1e-9, "{at}: {gradient} {numeric}");
        }
    }
}
