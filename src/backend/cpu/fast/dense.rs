//! The products of dense layers: a library's, with what surrounds them over blocks of rows.

use super::{math, simd};
use crate::backend::cpu::gemm::{MatMut, MatRef, Outputs, gemm};
use crate::backend::cpu::threads;
use crate::kernel::Args;
use crate::kernel::dense::{backward_input, backward_weight, forward};
use crate::kernel::formula::activation;

/// The product, then bias and activation over blocks of rows.
pub(crate) fn forward(args: &mut Args<f32>) {
    let p: forward::Params = args.params();
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
            math::activate(block, kind);
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

/// The product, then the derivative over blocks of rows.
pub(crate) fn backward_input(args: &mut Args<f32>) {
    let p: backward_input::Params = args.params();
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
            math::activation_gradient(block, &saved[first_row * inputs..], kind);
        });
    });
}

/// A product for each split of the sums.
pub(crate) fn backward_weight(args: &mut Args<f32>) {
    let p: backward_weight::Params = args.params();
    let (models, has_bias) = (args.models(), args.constant("ROW_SUMS", 0) == 1);
    let [output_gradient, input, gradient] = args.operands();
    let (output_gradient, input, gradient) = (output_gradient.read(), input.read(), gradient.write());
    let (rows, inputs, outputs) = (p.rows as usize, p.inputs as usize, p.outputs as usize);
    let flops = 2.0 * (rows * inputs) as f64 * outputs as f64;
    threads::for_each_model(gradient, p.parameter_stride as usize, models, flops, |model, gradient| {
        for (_, range, start) in p.parts(1) {
            let gradient = &mut gradient[start..];
            let delta = &output_gradient[model * rows * outputs..][range.start * outputs..range.end * outputs];
            let input = &input[model * p.input_stride as usize + range.start * inputs..];
            let input = MatRef::row_major(input, range.len(), inputs);
            let transposed = MatRef::row_major(delta, range.len(), outputs).transposed();
            gemm(transposed, input, 0.0, MatMut::row_major(gradient, outputs, inputs), Outputs::Rows);
            if has_bias {
                column_sums(delta, &mut gradient[p.bias_offset as usize..][..outputs]);
            }
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
