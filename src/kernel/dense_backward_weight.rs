//! Dense layer, backward to its parameters: `gradient = output_gradient^T * input`, and the bias gradient beside it.

use super::{Args, Case, Contents, Cost, Kernel, Real, matmul, params, read, simd, write};
use crate::backend::cpu::gemm::{MatMut, MatRef, gemm};
use crate::backend::cpu::threads;
use crate::plan::{Dispatch, Slice};

params! {
    /// Shape of one launch.
    Params {
        /// Examples in the batch.
        rows: u32,
        /// Features in.
        inputs: u32,
        /// Features out.
        outputs: u32,
        /// Elements from one model's parameters to the next's.
        parameter_stride: u32,
        /// Where the bias gradient starts in `gradient`.
        bias_offset: u32,
        /// Elements from one model's input to the next's.
        input_stride: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "dense_backward_weight",
    wgsl: include_str!("../../shaders/dense_backward_weight.wgsl"),
    bindings: &[read("output_gradient"), read("input"), write("gradient")],
    params: Params::FIELDS,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    fast: Some(fast),
    cost,
    tolerance: 1e-5,
    cases,
};

/// Slices of one launch.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, rows, outputs).
    pub output_gradient: Slice,
    /// (models, rows, inputs).
    pub input: Slice,
    /// The layer's weight gradient, and its bias gradient from `bias_offset` on, for each model.
    pub gradient: Slice,
}

/// A launch for `models` models; `bias` tells whether the layer has one.
pub fn dispatch(
    label: impl Into<String>,
    shape: Params,
    models: usize,
    bias: bool,
    tiles: matmul::Tiles,
    operands: Operands,
) -> Dispatch {
    let mut constants = matmul::constants(tiles);
    constants.extend([("A_K_CONTIGUOUS", 0), ("B_K_CONTIGUOUS", 0), ("ROW_SUMS", bias.into())]);
    Dispatch {
        kernel: &KERNEL,
        label: label.into(),
        constants,
        params: shape.words(),
        slices: vec![operands.output_gradient, operands.input, operands.gradient],
        grid: matmul::grid(tiles, shape.outputs as usize, shape.inputs as usize, models),
    }
}

pub(super) fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, has_bias) = (args.models(), args.constant("ROW_SUMS", 0) == 1);
    let [output_gradient, input, gradient] = args.operands();
    let (output_gradient, input, gradient) = (output_gradient.read(), input.read(), gradient.write());
    let (rows, inputs, outputs) = (p.rows as usize, p.inputs as usize, p.outputs as usize);
    for model in 0..models {
        let delta = |r: usize, o: usize| output_gradient[(model * rows + r) * outputs + o].to_f64();
        let input = &input[model * p.input_stride as usize..];
        let gradient = &mut gradient[model * p.parameter_stride as usize..];
        for o in 0..outputs {
            for i in 0..inputs {
                let sum: f64 = (0..rows).map(|r| delta(r, o) * input[r * inputs + i].to_f64()).sum();
                gradient[o * inputs + i] = T::from_f64(sum);
            }
            if has_bias {
                gradient[p.bias_offset as usize + o] = T::from_f64((0..rows).map(|r| delta(r, o)).sum());
            }
        }
    }
}

/// The same in f32, through a library's product.
fn fast(args: &mut Args<f32>) {
    let p: Params = args.params();
    let (models, has_bias) = (args.models(), args.constant("ROW_SUMS", 0) == 1);
    let [output_gradient, input, gradient] = args.operands();
    let (output_gradient, input, gradient) = (output_gradient.read(), input.read(), gradient.write());
    let (rows, inputs, outputs) = (p.rows as usize, p.inputs as usize, p.outputs as usize);
    let flops = 2.0 * (rows * inputs) as f64 * outputs as f64;
    threads::for_each_model(gradient, p.parameter_stride as usize, models, flops, |model, gradient, threads| {
        let delta = &output_gradient[model * rows * outputs..][..rows * outputs];
        let input = MatRef::row_major(&input[model * p.input_stride as usize..], rows, inputs);
        let transposed = MatRef::row_major(delta, rows, outputs).transposed();
        gemm(transposed, input, 0.0, MatMut::row_major(gradient, outputs, inputs), threads);
        if has_bias {
            column_sums(delta, &mut gradient[p.bias_offset as usize..][..outputs]);
        }
    });
}

/// Sums of a matrix' columns, in f64: a batch may be the whole data set.
fn column_sums(matrix: &[f32], sums: &mut [f32]) {
    const WIDTH: usize = 16;
    let columns = sums.len();
    simd::vectorised(|| {
        for (index, sums) in sums.chunks_mut(WIDTH).enumerate() {
            let mut totals = [0.0f64; WIDTH];
            for row in matrix.chunks_exact(columns) {
                let part = &row[index * WIDTH..][..sums.len()];
                totals.iter_mut().zip(part).for_each(|(total, x)| *total += f64::from(*x));
            }
            sums.iter_mut().zip(totals).for_each(|(sum, total)| *sum = total as f32);
        }
    });
}

fn cost(params: &[u32]) -> Cost {
    let [rows, inputs, outputs] = [0, 1, 2].map(|i| f64::from(params[i]));
    Cost { flops: 2.0 * rows * inputs * outputs, bytes: 4.0 * (rows * inputs + inputs * outputs + rows * outputs) }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (index, [rows, inputs, outputs, models]) in matmul::AWKWARD.into_iter().enumerate() {
        for (variant, tiles) in matmul::VARIANTS.into_iter().enumerate() {
            let scale = if index % 3 == 2 { 1000.0 } else { 1.0 };
            let bias_offset = (inputs * outputs).next_multiple_of(64);
            let layer = bias_offset + outputs;
            let stride = layer + 5;
            let contents = vec![
                Contents::random(models * rows * outputs, scale, 1),
                Contents::random(models * rows * inputs, 1.0, 2),
                Contents::random((models - 1) * stride + layer, 1.0, 3),
            ];
            let s = Case::slices(&contents);
            let operands = Operands { output_gradient: s[0], input: s[1], gradient: s[2] };
            let shape = Params {
                rows: rows as u32,
                inputs: inputs as u32,
                outputs: outputs as u32,
                parameter_stride: stride as u32,
                bias_offset: bias_offset as u32,
                input_stride: (rows * inputs) as u32,
            };
            let bias = (index + variant) % 3 != 0;
            let dispatch = dispatch("case", shape, models, bias, tiles, operands);
            let name = format!("{models}x{rows}x{inputs}x{outputs} bias {bias} tiles {tiles:?}");
            cases.push(Case { name, dispatch, contents });
        }
    }
    cases
}
