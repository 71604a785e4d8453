//! Copies the same columns of every row: the way of a value into a concatenation, and of the concatenation's gradient back.
//!
//! Values are concatenated along an example's own elements: the channels of images lie one behind the other, so that each
//! part is one piece of the example's row.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, write};
use crate::kernel::formula::activation;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Rows of each model: the examples of a batch.
        rows: u32,
        /// Columns that are copied.
        len: u32,
        /// The first of them in the input.
        from_first: u32,
        /// Columns of the input.
        from_stride: u32,
        /// Where it goes in the output.
        to_first: u32,
        /// Columns of the output.
        to_stride: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "copy_columns",
    wgsl: include_str!("../../../shaders/copy_columns.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("input"), read("saved"), write("output")],
    params: Params::FIELDS,
};

/// What it computes.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 1e-6,
    cases,
};

/// Slices of one launch.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, rows, from_stride).
    pub input: Slice,
    /// (models, rows, to_stride): what the derivative is taken from.
    pub saved: Slice,
    /// (models, rows, to_stride); other columns stay as they are.
    pub output: Slice,
}

/// A launch for `models` models. Forward, a concatenation is one launch for each part, `activation` being
/// [`activation::LINEAR`]: `saved` is then not read and may be any slice of floats that the launch does not write. Backward,
/// `activation` is the code of the activation that made the part, one of [`FROM_OUTPUT`](activation::FROM_OUTPUT), and
/// `saved` the part: `output[r, to_first + i] = input[r, from_first + i] * f'(saved[r, to_first + i])`.
#[derive(Debug, Clone)]
pub struct CopyColumns {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// Code of the activation.
    pub activation: u32,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for CopyColumns {
    fn lower(&self) -> Dispatch {
        let CopyColumns { label, shape, models, activation, operands } = self.clone();
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![("ACTIVATION", activation)],
            cost: cost(&shape.words()).times(models),
            params: shape.words(),
            slices: vec![operands.input, operands.saved, operands.output],
            grid: linear_grid((shape.rows as usize * shape.len as usize).div_ceil(256), models as u32),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (rows, kind) = (p.rows as usize * args.models(), args.constant("ACTIVATION", 0));
    let [input, saved, output] = args.operands();
    let (input, saved, output) = (input.read(), saved.read(), output.write());
    for row in 0..rows {
        let from = row * p.from_stride as usize + p.from_first as usize;
        let to = row * p.to_stride as usize + p.to_first as usize;
        for i in 0..p.len as usize {
            let linear = kind == activation::LINEAR;
            let derivative = if linear { 1.0 } else { activation::gradient(saved[to + i].to_f64(), kind) };
            output[to + i] = T::from_f64(input[from + i].to_f64() * derivative);
        }
    }
}

fn cost(params: &[u32]) -> Cost {
    let elements = f64::from(params[0]) * f64::from(params[1]);
    Cost { flops: elements, bytes: 12.0 * elements }
}

fn cases() -> Vec<Case> {
    // (models, rows, len, from_first, from_stride, to_first, to_stride)
    const SHAPES: [[usize; 7]; 7] = [
        [1, 1, 1, 0, 1, 0, 1],
        [2, 3, 5, 0, 5, 7, 13],
        [1, 67, 3, 0, 3, 0, 4],
        [3, 17, 33, 12, 47, 0, 33],
        [2, 5, 257, 3, 260, 129, 391],
        [1, 2, 1009, 1, 1011, 1, 1010],
        [1, 300, 31, 31, 62, 62, 93],
    ];
    let case = |([models, rows, len, from_first, from_stride, to_first, to_stride], kind): ([usize; 7], u32)| {
        let outputs = if kind == activation::RELU6 { 9.0 } else { 1.0 };
        let contents = vec![
            Contents::random(models * rows * from_stride, if rows % 2 == 1 { 1000.0 } else { 1.0 }, 1 + kind),
            Contents::random(if kind == activation::LINEAR { 1 } else { models * rows * to_stride }, outputs, 2),
            Contents::random(models * rows * to_stride, 1.0, 3),
        ];
        let s = Case::slices(&contents);
        let operands = Operands { input: s[0], saved: s[1], output: s[2] };
        let name = format!("{models}x{rows}x{len} from {from_first}/{from_stride} to {to_first}/{to_stride}");
        let [rows, len, from_first, from_stride, to_first, to_stride] =
            [rows, len, from_first, from_stride, to_first, to_stride].map(|n| n as u32);
        let shape = Params { rows, len, from_first, from_stride, to_first, to_stride };
        let dispatch = CopyColumns { label: "case".into(), shape, models, activation: kind, operands }.lower();
        Case { name: format!("{name}, activation {kind}"), dispatch, contents }
    };
    let kinds = [activation::LINEAR, activation::RELU, activation::TANH, activation::RELU6];
    SHAPES.into_iter().flat_map(|shape| kinds.map(|kind| (shape, kind))).map(case).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::difference::{Data, run, slope};

    fn launch(shape: Params, activation: u32) -> Dispatch {
        let s = Case::slices(&[0, 1, 2].map(|_| Contents::F32(vec![0.0])));
        let operands = Operands { input: s[0], saved: s[1], output: s[2] };
        CopyColumns { label: "".into(), shape, models: 1, activation, operands }.lower()
    }

    /// Of 2 rows, tanh(u) and a part beside it are concatenated; the loss is the sum of factors times the concatenation.
    #[test]
    fn the_gradient_of_a_part_is_the_slope() {
        let (u, factors) = ([0.3, -1.2, 0.8, 2.0], [1.0, -2.0, 3.0, 0.5, -0.7, 1.5]);
        let forward = |u: &[f64]| {
            let part: Vec<f64> = u.iter().map(|u| u.tanh()).collect();
            let mut memory = vec![Data::Floats(part.clone()), Data::Floats(vec![0.0]), Data::Floats(vec![4.0; 6])];
            let shape = Params { rows: 2, len: 2, from_first: 0, from_stride: 2, to_first: 1, to_stride: 3 };
            run(&launch(shape, activation::LINEAR), &mut memory);
            let together = memory[2].floats().to_vec();
            assert_eq!([together[0], together[3]], [4.0, 4.0], "the other part's columns stay");
            (part, together.iter().zip(factors).map(|(y, f)| y * f).sum::<f64>())
        };
        let floats = |values: &[f64]| Data::Floats(values.to_vec());
        let mut memory = vec![floats(&factors), floats(&forward(&u).0), floats(&[9.0; 4])];
        let shape = Params { rows: 2, len: 2, from_first: 1, from_stride: 3, to_first: 0, to_stride: 2 };
        run(&launch(shape, activation::TANH), &mut memory);
        for (at, gradient) in memory[2].floats().iter().enumerate() {
            let numeric = slope(|h| {
                let mut moved = u;
                moved[at] += h;
                forward(&moved).1
            });
            assert!((gradient - numeric).abs() < 1e-9, "{at}: {gradient} {numeric}");
        }
    }
}
