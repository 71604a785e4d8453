//! Batch norm, backward to its input through the batch's statistics, times the layer before's activation derivative.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, read_u32, write};
use crate::kernel::formula::activation;
use crate::kernel::loss::rows::{batch_rows, case_data};
use crate::kernel::norm::channel_sums::{SHAPES, statistics, values};
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Examples in the batch.
        batch: u32,
        /// Channels.
        channels: u32,
        /// Pixels of a channel.
        plane: u32,
        /// Examples that an epoch goes through.
        examples: u32,
        /// Elements from one model's parameters to the next's.
        parameter_stride: u32,
        /// Elements from one model's sums to the next's.
        sums_stride: u32,
        /// Where the bias gradient starts, from the weight gradient on.
        bias_offset: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "batch_norm_backward_input",
    wgsl: include_str!("../../../shaders/batch_norm_backward_input.wgsl"),
    needs: Needs::Nothing,
    bindings: &[
        read("output_gradient"),
        read("input"),
        read("weight"),
        read("statistics"),
        read("sums"),
        read("saved"),
        read_u32("counters"),
        write("input_gradient"),
    ],
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
    /// (models, batch, channels, plane), before the norm's activation.
    pub output_gradient: Slice,
    /// (models, batch, channels, plane): the norm's input.
    pub input: Slice,
    /// (channels), model z's from z * parameter_stride on.
    pub weight: Slice,
    /// (models, 2, channels), as the forward pass left them.
    pub statistics: Slice,
    /// What [`backward_weight`](super::backward_weight) gave for this batch alone: the weight's gradient, and the bias's
    /// `bias_offset` further on.
    pub sums: Slice,
    /// As the input: what the layer before saved, often the same.
    pub saved: Slice,
    /// (models, COUNTERS).
    pub counters: Slice,
    /// As the input, at the layer before's pre-activation; 0 in rows past the end of the epoch.
    pub input_gradient: Slice,
}

/// A launch for `models` models; `activation` is the code of the layer before's activation. With
/// [`activation::LINEAR`], `saved` is not read and may be any slice of floats that the launch does not write. With
/// `x = (input - mean[c]) * inverse[c]` and n values of the channel:
/// `input_gradient = f'(saved) * weight[c] * inverse[c] * (output_gradient - (bias_gradient[c] + x * weight_gradient[c]) / n)`.
#[derive(Debug, Clone)]
pub struct BatchBackwardInput {
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

impl Launch for BatchBackwardInput {
    fn lower(&self) -> Dispatch {
        let BatchBackwardInput { label, shape, models, activation, operands: o } = self.clone();
        let len = shape.batch as usize * shape.channels as usize * shape.plane as usize;
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![("ACTIVATION", activation)],
            cost: Cost { flops: 9.0 * len as f64, bytes: 16.0 * len as f64 }.times(models),
            params: shape.words(),
            slices: vec![
                o.output_gradient,
                o.input,
                o.weight,
                o.statistics,
                o.sums,
                o.saved,
                o.counters,
                o.input_gradient,
            ],
            grid: linear_grid(len.div_ceil(256), models as u32),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, kind) = (args.models(), args.constant("ACTIVATION", 0));
    let [output_gradient, input, weight, statistics, sums, saved, counters, input_gradient] = args.operands();
    let (output_gradient, input, weight) = (output_gradient.read(), input.read(), weight.read());
    let (statistics, sums, saved) = (statistics.read(), sums.read(), saved.read());
    let (counters, input_gradient) = (counters.read_u32(), input_gradient.write());
    let (batch, channels, plane) = (p.batch as usize, p.channels as usize, p.plane as usize);
    let len = batch * channels * plane;
    for index in 0..models * len {
        let (model, channel) = (index / len, index % len / plane % channels);
        let rows = batch_rows(p.batch, p.examples, counters, model);
        if index % len >= rows * channels * plane {
            input_gradient[index] = T::default();
            continue;
        }
        let statistic = model * 2 * channels + channel;
        let (mean, inverse) = (statistics[statistic].to_f64(), statistics[statistic + channels].to_f64());
        let sum = model * p.sums_stride as usize + channel;
        let (weight_sum, bias_sum) = (sums[sum].to_f64(), sums[sum + p.bias_offset as usize].to_f64());
        let x = (input[index].to_f64() - mean) * inverse;
        let rest = output_gradient[index].to_f64() - (bias_sum + x * weight_sum) / (rows * plane) as f64;
        let linear = kind == activation::LINEAR;
        let derivative = if linear { 1.0 } else { activation::gradient(saved[index].to_f64(), kind) };
        let weight = weight[model * p.parameter_stride as usize + channel].to_f64();
        input_gradient[index] = T::from_f64(weight * inverse * rest * derivative);
    }
}

fn cases() -> Vec<Case> {
    let case = |(index, [models, batch, channels, plane, _]): (usize, [usize; 5])| {
        let kind = activation::FROM_OUTPUT[index % activation::FROM_OUTPUT.len()];
        let data = case_data(batch, models);
        let len = models * batch * channels * plane;
        let (parameter_stride, sums_stride, bias_offset) = (channels + 5, 2 * channels + 9, channels + 3);
        let contents = vec![
            Contents::random(len, if index % 2 == 1 { 1000.0 } else { 1.0 }, 1),
            values(len, index, 2),
            Contents::random((models - 1) * parameter_stride + channels, 1.0, 3),
            statistics(models, channels, index, 4),
            Contents::random((models - 1) * sums_stride + bias_offset + channels, (batch * plane) as f32, 5),
            Contents::random(if kind == activation::LINEAR { 1 } else { len }, 1.0, 6),
            data.counters,
            Contents::random(len, 1.0, 7),
        ];
        let s = Case::slices(&contents);
        let operands = Operands {
            output_gradient: s[0],
            input: s[1],
            weight: s[2],
            statistics: s[3],
            sums: s[4],
            saved: s[5],
            counters: s[6],
            input_gradient: s[7],
        };
        let [batch, channels, plane, examples, parameter_stride, sums_stride, bias_offset] =
            [batch, channels, plane, data.examples, parameter_stride, sums_stride, bias_offset].map(|n| n as u32);
        let shape = Params { batch, channels, plane, examples, parameter_stride, sums_stride, bias_offset };
        let dispatch = BatchBackwardInput { label: "case".into(), shape, models, activation: kind, operands }.lower();
        Case { name: format!("{models} models, {shape:?} activation {kind}"), dispatch, contents }
    };
    SHAPES.into_iter().enumerate().map(case).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::difference::{Data, run, slope};
    use crate::kernel::norm::backward_weight::{self, Norm};
    use crate::kernel::norm::batch_forward::{self, BatchForward, Statistics};
    use crate::kernel::norm::batch_statistics;
    use crate::kernel::step::state;

    /// The loss is the sum of factors times the batch norm of tanh(u), over the real rows; the gradients are to u, weight and
    /// bias.
    #[test]
    fn the_gradients_are_slopes() {
        // (batch, real rows, channels, plane)
        for [batch, rows, channels, plane] in [[5, 5, 3, 1], [4, 3, 2, 5], [3, 1, 2, 4], [2, 2, 1, 1]] {
            let len = batch * channels * plane;
            let numbers = |len: usize, seed: u32| Data::<f64>::of(&[Contents::random(len, 1.0, seed)]).remove(0);
            let (u, weight, bias) = (numbers(len, 1), numbers(channels, 2), numbers(channels, 3));
            // Rows past the end have no gradient.
            let mut factors = numbers(len, 4);
            factors.floats_mut()[rows * channels * plane..].fill(0.0);
            let counters: Data<f64> = Data::Words(vec![0; state::COUNTERS]);
            let s = Case::slices(&[0; 8].map(|_| Contents::F32(vec![0.0])));
            let floats = |values: &[f64]| Data::Floats(values.to_vec());

            let forward = |u: &[f64], weight: &[f64], bias: &[f64]| {
                let input: Vec<f64> = u.iter().map(|u| u.tanh()).collect();
                let shape = batch_statistics::Shape {
                    batch,
                    channels,
                    plane,
                    examples: rows,
                    running_stride: 0,
                    variance_offset: channels,
                    momentum: 0.1,
                    epsilon: 1e-3,
                };
                let operands = batch_statistics::Operands {
                    input: s[0],
                    counters: s[1],
                    scratch: s[2],
                    statistics: s[3],
                    running: s[4],
                };
                let launches = batch_statistics::launches("", shape, 1, operands);
                let mut memory = vec![floats(&input), counters.clone(), floats(&vec![9.0; shape.scratch_len(1)])];
                run(&launches[0].lower(), &mut memory);
                let (partials, two) = (memory[2].clone(), floats(&vec![9.0; 2 * channels]));
                let mut memory = vec![floats(&input), partials, counters.clone(), two.clone(), two];
                run(&launches[1].lower(), &mut memory);
                let statistics = memory[3].clone();
                let operands = batch_forward::Operands {
                    input: s[0],
                    weight: s[1],
                    bias: s[2],
                    parameter_stride: 0,
                    statistics: Statistics::Batch(s[3]),
                    output: s[4],
                };
                let activation = activation::LINEAR;
                let launch = BatchForward {
                    label: "".into(),
                    batch,
                    channels,
                    plane,
                    models: 1,
                    activation,
                    gradient: false,
                    operands,
                };
                let mut memory =
                    vec![floats(&input), floats(weight), floats(bias), statistics.clone(), floats(&vec![9.0; len])];
                run(&launch.lower(), &mut memory);
                let loss: f64 = memory[4].floats().iter().zip(factors.floats()).map(|(y, f)| y * f).sum();
                (floats(&input), statistics, loss)
            };
            let (input, statistics, _) = forward(u.floats(), weight.floats(), bias.floats());

            let operands = backward_weight::Operands {
                output_gradient: s[0],
                input: s[1],
                statistics: s[2],
                gradient: s[3],
                bias_offset: channels,
                parameter_stride: 0,
                scratch: None,
            };
            let launches = backward_weight::launches("", Norm::batch(batch, channels, plane), 1, operands);
            let mut memory = vec![factors.clone(), input.clone(), statistics.clone(), floats(&vec![9.0; 2 * channels])];
            run(&launches[0].lower(), &mut memory);
            let sums = memory[3].clone();

            let operands = Operands {
                output_gradient: s[0],
                input: s[1],
                weight: s[2],
                statistics: s[3],
                sums: s[4],
                saved: s[5],
                counters: s[6],
                input_gradient: s[7],
            };
            let [batch, channels_u32, plane, examples] = [batch, channels, plane, rows].map(|n| n as u32);
            let shape = Params {
                batch,
                channels: channels_u32,
                plane,
                examples,
                parameter_stride: 0,
                sums_stride: 0,
                bias_offset: channels_u32,
            };
            let launch =
                BatchBackwardInput { label: "".into(), shape, models: 1, activation: activation::TANH, operands };
            let mut memory = vec![
                factors.clone(),
                input.clone(),
                weight.clone(),
                statistics,
                sums.clone(),
                input,
                counters.clone(),
                floats(&vec![9.0; len]),
            ];
            run(&launch.lower(), &mut memory);

            for at in 0..len + 2 * channels {
                let numeric = slope(|h| {
                    let [mut u, mut weight, mut bias] =
                        [u.floats(), weight.floats(), bias.floats()].map(|values| values.to_vec());
                    match at {
                        _ if at < len => u[at] += h,
                        _ if at < len + channels => weight[at - len] += h,
                        _ => bias[at - len - channels] += h,
                    }
                    forward(&u, &weight, &bias).2
                });
                let gradient = if at < len { memory[7].floats()[at] } else { sums.floats()[at - len] };
                let close = (gradient - numeric).abs() < 1e-7 + 1e-7 * numeric.abs();
                assert!(close, "{batch} {rows} {channels} {plane}, {at}: {gradient} {numeric}");
            }
        }
    }
}
