//! Dense layer, backward to its input: `input_gradient = activation'(saved) * (output_gradient * weight)`.

use super::{Args, Case, Contents, Cost, Kernel, Needs, Real, activation, fast_math, matmul, params, read, write};
use crate::backend::cpu::gemm::{MatMut, MatRef, Outputs, gemm};
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
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "dense_backward_input",
    wgsl: include_str!("../../shaders/dense_backward_input.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("output_gradient"), read("weight"), read("saved"), write("input_gradient")],
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
    /// (outputs, inputs) for each model.
    pub weight: Slice,
    /// (models, rows, inputs): the output of the layer before.
    pub saved: Slice,
    /// (models, rows, inputs).
    pub input_gradient: Slice,
}

/// A launch for `models` models; `activation` is the code of the layer before's activation.
pub fn dispatch(
    label: impl Into<String>,
    shape: Params,
    models: usize,
    activation: u32,
    tiles: matmul::Tiles,
    operands: Operands,
) -> Dispatch {
    let mut constants = matmul::constants(tiles);
    constants.extend([("ACTIVATION", activation), ("B_K_CONTIGUOUS", 0)]);
    Dispatch {
        kernel: &KERNEL,
        label: label.into(),
        constants,
        params: shape.words(),
        slices: vec![operands.output_gradient, operands.weight, operands.saved, operands.input_gradient],
        grid: matmul::grid(matmul::sides(tiles), [shape.rows as usize, shape.inputs as usize, 1], models),
    }
}

/// The launch with every variant of its tiles.
pub(super) fn variants(launch: &Dispatch) -> Vec<Dispatch> {
    let &[output_gradient, weight, saved, input_gradient] = &launch.slices[..] else { return Vec::new() };
    let operands = Operands { output_gradient, weight, saved, input_gradient };
    let (shape, activation) = (launch.shape(), launch.constant("ACTIVATION", 0));
    let models = launch.grid[2] as usize;
    let with = |tiles| dispatch(launch.label.clone(), shape, models, activation, tiles, operands);
    matmul::variants(with)
}

pub(super) fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, kind) = (args.models(), args.constant("ACTIVATION", 0));
    let [output_gradient, weight, saved, input_gradient] = args.operands();
    let (output_gradient, weight, saved) = (output_gradient.read(), weight.read(), saved.read());
    let input_gradient = input_gradient.write();
    let (rows, inputs, outputs) = (p.rows as usize, p.inputs as usize, p.outputs as usize);
    for model in 0..models {
        let weight = &weight[model * p.parameter_stride as usize..];
        for row in model * rows..(model + 1) * rows {
            for i in 0..inputs {
                let mut sum = 0.0;
                for o in 0..outputs {
                    sum += output_gradient[row * outputs + o].to_f64() * weight[o * inputs + i].to_f64();
                }
                let derivative = if kind == activation::LINEAR {
                    1.0
                } else {
                    activation::gradient(saved[row * inputs + i].to_f64(), kind)
                };
                input_gradient[row * inputs + i] = T::from_f64(sum * derivative);
            }
        }
    }
}

/// The same in f32: a library's product, then the derivative over blocks of rows.
pub(super) fn fast(args: &mut Args<f32>) {
    let p: Params = args.params();
    let (models, kind) = (args.models(), args.constant("ACTIVATION", 0));
    let [output_gradient, weight, saved, input_gradient] = args.operands();
    let (output_gradient, weight, saved) = (output_gradient.read(), weight.read(), saved.read());
    let input_gradient = input_gradient.write();
    let (rows, inputs, outputs) = (p.rows as usize, p.inputs as usize, p.outputs as usize);
    let flops = 2.0 * (rows * inputs) as f64 * outputs as f64;
    threads::for_each_model(input_gradient, rows * inputs, models, flops, |model, result| {
        let result = &mut result[..rows * inputs];
        let output_gradient = MatRef::row_major(&output_gradient[model * rows * outputs..], rows, outputs);
        let weight = MatRef::row_major(&weight[model * p.parameter_stride as usize..], outputs, inputs);
        gemm(output_gradient, weight, 0.0, MatMut::row_major(result, rows, inputs), Outputs::Neither);
        if kind == activation::LINEAR {
            return;
        }
        let saved = &saved[model * rows * inputs..];
        threads::for_each_rows(result, inputs, |first_row, block| {
            fast_math::activation_gradient(block, &saved[first_row * inputs..], kind);
        });
    });
}

fn cost(params: &[u32]) -> Cost {
    let [rows, inputs, outputs] = [0, 1, 2].map(|i| f64::from(params[i]));
    Cost {
        flops: 2.0 * rows * inputs * outputs,
        bytes: 4.0 * (2.0 * rows * inputs + inputs * outputs + rows * outputs),
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (index, [rows, inputs, outputs, models]) in matmul::AWKWARD.into_iter().enumerate() {
        for (variant, tiles) in matmul::VARIANTS.into_iter().enumerate() {
            let kind = ((index + variant) % 7) as u32;
            let scale = if index % 3 == 2 { 1000.0 } else { 1.0 };
            let stride = inputs * outputs + 4;
            let contents = vec![
                Contents::random(models * rows * outputs, scale, 1),
                Contents::random((models - 1) * stride + inputs * outputs, 1.0, 2),
                // With zeros, as ReLU saves them, and ones.
                Contents::random(models * rows * inputs, 1.0, 3).rounded(0.25),
                Contents::random(models * rows * inputs, 1.0, 4),
            ];
            let s = Case::slices(&contents);
            let operands = Operands { output_gradient: s[0], weight: s[1], saved: s[2], input_gradient: s[3] };
            let shape = Params {
                rows: rows as u32,
                inputs: inputs as u32,
                outputs: outputs as u32,
                parameter_stride: stride as u32,
            };
            let (dispatch, form) = matmul::nth_form(dispatch("case", shape, models, kind, tiles, operands), index);
            let name = format!("{models}x{rows}x{inputs}x{outputs} activation {kind} tiles {tiles:?}{form}");
            cases.push(Case { name, dispatch, contents });
        }
    }
    cases
}
