//! Dense layer, forward: `output = activation(input * weight^T + bias)`.

use super::{
    Args, Case, Contents, Cost, Kernel, Needs, Real, activation, fast_math, matmul, params, read, simd, write,
};
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
        /// Elements from one model's input to the next's.
        input_stride: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "dense_forward",
    wgsl: include_str!("../../shaders/dense_forward.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("input"), read("weight"), read("bias"), write("output")],
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
    /// (models, rows, inputs).
    pub input: Slice,
    /// (outputs, inputs) for each model.
    pub weight: Slice,
    /// (outputs) for each model; `None` for a layer without.
    pub bias: Option<Slice>,
    /// (models, rows, outputs).
    pub output: Slice,
}

/// A launch for `models` models with the given tiles; `activation` is an [`activation`] code.
pub fn dispatch(
    label: impl Into<String>,
    shape: Params,
    models: usize,
    activation: u32,
    tiles: matmul::Tiles,
    operands: Operands,
) -> Dispatch {
    let mut constants = matmul::constants(tiles);
    constants.extend([("ACTIVATION", activation), ("BIAS", operands.bias.is_some().into())]);
    Dispatch {
        kernel: &KERNEL,
        label: label.into(),
        constants,
        params: shape.words(),
        slices: vec![operands.input, operands.weight, operands.bias.unwrap_or(operands.weight), operands.output],
        grid: matmul::grid(matmul::sides(tiles), [shape.rows as usize, shape.outputs as usize, 1], models),
    }
}

/// The launch with every variant of its tiles.
pub(super) fn variants(launch: &Dispatch) -> Vec<Dispatch> {
    let &[input, weight, bias, output] = &launch.slices[..] else { return Vec::new() };
    let bias = (launch.constant("BIAS", 1) == 1).then_some(bias);
    let operands = Operands { input, weight, bias, output };
    let (shape, activation) = (launch.shape(), launch.constant("ACTIVATION", 0));
    let models = launch.grid[2] as usize;
    let with = |tiles| dispatch(launch.label.clone(), shape, models, activation, tiles, operands);
    matmul::variants(with)
}

pub(super) fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, kind, has_bias) = (args.models(), args.constant("ACTIVATION", 0), args.constant("BIAS", 1) == 1);
    let [input, weight, bias, output] = args.operands();
    let (input, weight, bias, output) = (input.read(), weight.read(), bias.read(), output.write());
    let (rows, inputs, outputs) = (p.rows as usize, p.inputs as usize, p.outputs as usize);
    for model in 0..models {
        let input = &input[model * p.input_stride as usize..];
        let parameters = model * p.parameter_stride as usize;
        for row in 0..rows {
            for o in 0..outputs {
                let mut z = if has_bias { bias[parameters + o].to_f64() } else { 0.0 };
                for i in 0..inputs {
                    z += input[row * inputs + i].to_f64() * weight[parameters + o * inputs + i].to_f64();
                }
                output[(model * rows + row) * outputs + o] = T::from_f64(activation::activate(z, kind));
            }
        }
    }
}

/// The same in f32: a library's product, then bias and activation over blocks of rows.
pub(super) fn fast(args: &mut Args<f32>) {
    let p: Params = args.params();
    let (models, kind, has_bias) = (args.models(), args.constant("ACTIVATION", 0), args.constant("BIAS", 1) == 1);
    let [input, weight, bias, output] = args.operands();
    let (input, weight, bias, output) = (input.read(), weight.read(), bias.read(), output.write());
    let (rows, inputs, outputs) = (p.rows as usize, p.inputs as usize, p.outputs as usize);
    let flops = 2.0 * (rows * inputs) as f64 * outputs as f64;
    threads::for_each_model(output, rows * outputs, models, flops, |model, output| {
        let output = &mut output[..rows * outputs];
        let parameters = model * p.parameter_stride as usize;
        let input = MatRef::row_major(&input[model * p.input_stride as usize..], rows, inputs);
        let weight = MatRef::row_major(&weight[parameters..], outputs, inputs).transposed();
        gemm(input, weight, 0.0, MatMut::row_major(output, rows, outputs), Outputs::Columns);
        if !has_bias && kind == activation::LINEAR {
            return;
        }
        let bias = if has_bias { &bias[parameters..][..outputs] } else { &[] };
        threads::for_each_rows(output, outputs, |_, block| {
            if has_bias {
                add_to_rows(block, bias);
            }
            fast_math::activate(block, kind);
        });
    });
}

fn add_to_rows(block: &mut [f32], bias: &[f32]) {
    simd::vectorised(|| {
        for row in block.chunks_exact_mut(bias.len()) {
            row.iter_mut().zip(bias).for_each(|(x, b)| *x += b);
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
            let kind = ((index + variant) % 7) as u32;
            // Far out, where saturating activations end, with sums that are exact.
            let (scale, steps) = if index % 3 == 2 { (1000.0, [1.0, 0.125]) } else { (1.0, [2.0f32.powi(-40); 2]) };
            let stride = inputs * outputs + outputs;
            let contents = vec![
                Contents::random(models * rows * inputs, scale, 1).rounded(steps[0]),
                Contents::random((models - 1) * stride + inputs * outputs, 1.0, 2).rounded(steps[1]),
                Contents::random((models - 1) * stride + outputs, 1.0, 3).rounded(steps[1]),
                Contents::random(models * rows * outputs, 1.0, 4),
            ];
            let s = Case::slices(&contents);
            let bias = (variant % 2 == 0).then_some(s[2]);
            let operands = Operands { input: s[0], weight: s[1], bias, output: s[3] };
            let shape = Params {
                rows: rows as u32,
                inputs: inputs as u32,
                outputs: outputs as u32,
                parameter_stride: stride as u32,
                input_stride: (rows * inputs) as u32,
            };
            let mut dispatch = dispatch("case", shape, models, kind, tiles, operands);
            dispatch.slices = s;
            let (dispatch, form) = matmul::nth_form(dispatch, index);
            let name = format!("{models}x{rows}x{inputs}x{outputs} activation {kind} tiles {tiles:?}{form}");
            cases.push(Case { name, dispatch, contents });
        }
    }
    cases
}
