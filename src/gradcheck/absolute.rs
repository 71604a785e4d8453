//! Backward passes that subtract, as sums of the absolute values of their terms. The other kernels add up products, and absolute
//! factors are enough.

use crate::ir::Kernel;
use crate::kernel::Args;
use crate::kernel::formula::activation;
use crate::kernel::loss::rows::batch_rows;
use crate::kernel::norm::{RowShape, backward_weight, batch_backward_input, row_backward_input};
use crate::kernel::pointwise::softmax_backward;

/// What computes the sums of a kernel's absolute terms; `None` for one that subtracts nothing.
pub(super) fn code(kernel: &Kernel) -> Option<Code> {
    if *kernel == softmax_backward::KERNEL {
        Some(softmax)
    } else if *kernel == row_backward_input::KERNEL {
        Some(row_norm_input)
    } else if *kernel == batch_backward_input::KERNEL {
        Some(batch_norm_input)
    } else if *kernel == backward_weight::KERNEL {
        Some(norm_weight)
    } else {
        None
    }
}

/// What runs in the place of a kernel.
type Code = fn(&mut Args<f64>);

fn softmax(args: &mut Args<f64>) {
    let p: softmax_backward::Params = args.params();
    let (rows, classes) = (args.models() * p.rows as usize, p.classes as usize);
    let [output_gradient, output, input_gradient] = args.operands();
    let (output_gradient, output, input_gradient) = (output_gradient.read(), output.read(), input_gradient.write());
    for row in (0..rows).map(|row| row * classes..(row + 1) * classes) {
        let terms = output[row.clone()].iter().zip(&output_gradient[row.clone()]);
        let mean: f64 = terms.map(|(y, gradient)| y * gradient.abs()).sum();
        for i in row {
            input_gradient[i] = output[i] * (output_gradient[i].abs() + mean);
        }
    }
}

fn row_norm_input(args: &mut Args<f64>) {
    let p: row_backward_input::Params = args.params();
    let (models, kind) = (args.models(), args.constant("ACTIVATION", 0));
    let [output_gradient, input, weight, statistics, saved, input_gradient] = args.operands();
    let (output_gradient, input, weight) = (output_gradient.read(), input.read(), weight.read());
    let (statistics, saved, input_gradient) = (statistics.read(), saved.read(), input_gradient.write());
    let (rows, len) = (p.rows as usize, p.row_len());
    for row in 0..models * rows {
        let (model, place) = (row / rows, row / rows * 2 * rows + row % rows);
        let (mean, inverse) = (statistics[place], statistics[place + rows]);
        let first = model * p.parameter_stride as usize + p.first_channel(row);
        let at = |i: usize| {
            let gradient = output_gradient[row * len + i] * weight[first + i / p.plane as usize];
            (gradient.abs(), ((input[row * len + i] - mean) * inverse).abs())
        };
        let mean_gradient = (0..len).map(|i| at(i).0).sum::<f64>() / len as f64;
        let mean_product = (0..len).map(|i| at(i).0 * at(i).1).sum::<f64>() / len as f64;
        for i in 0..len {
            let (gradient, x) = at(i);
            let linear = kind == activation::LINEAR;
            let derivative = if linear { 1.0 } else { activation::gradient(saved[row * len + i], kind) };
            input_gradient[row * len + i] = inverse * (gradient + mean_gradient + x * mean_product) * derivative.abs();
        }
    }
}

/// `sums` are those of the absolute terms of the weight's and the bias's gradient.
fn batch_norm_input(args: &mut Args<f64>) {
    let p: batch_backward_input::Params = args.params();
    let (models, kind) = (args.models(), args.constant("ACTIVATION", 0));
    let [output_gradient, input, weight, statistics, sums, saved, counters, input_gradient] = args.operands();
    let (output_gradient, input, weight) = (output_gradient.read(), input.read(), weight.read());
    let (statistics, sums, saved) = (statistics.read(), sums.read(), saved.read());
    let (counters, input_gradient) = (counters.read_u32(), input_gradient.write());
    let (channels, plane) = (p.channels as usize, p.plane as usize);
    let len = p.batch as usize * channels * plane;
    for i in 0..models * len {
        let (model, channel) = (i / len, i % len / plane % channels);
        let rows = batch_rows(p.batch, p.examples, counters, model);
        if i % len >= rows * channels * plane {
            input_gradient[i] = 0.0;
            continue;
        }
        let place = model * 2 * channels + channel;
        let (mean, inverse) = (statistics[place], statistics[place + channels]);
        let sum = model * p.sums_stride as usize + channel;
        let x = ((input[i] - mean) * inverse).abs();
        let means = (sums[sum + p.bias_offset as usize].abs() + x * sums[sum].abs()) / (rows * plane) as f64;
        let derivative = if kind == activation::LINEAR { 1.0 } else { activation::gradient(saved[i], kind) };
        let weight = weight[model * p.parameter_stride as usize + channel].abs();
        input_gradient[i] = weight * inverse * (output_gradient[i].abs() + means) * derivative.abs();
    }
}

fn norm_weight(args: &mut Args<f64>) {
    backward_weight::sums(args, |gradient, x| (gradient * x).abs());
}
