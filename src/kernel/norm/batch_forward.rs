//! Batch norm, forward: each channel to mean 0 and variance 1 by the batch's statistics, or by the running ones, then scaled
//! and shifted by a weight and a bias.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, write};
use crate::kernel::formula::activation;
use crate::kernel::norm::channel_sums::{SHAPES, statistics, values};
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Elements per model.
        len: u32,
        /// Channels.
        channels: u32,
        /// Pixels of a channel.
        plane: u32,
        /// Elements from one model's parameters to the next's.
        parameter_stride: u32,
        /// Elements from one model's statistics to the next's.
        statistics_stride: u32,
        /// Where the inverse deviations, or running variances, start, from the means on.
        second: u32,
        /// Added to running variances.
        epsilon: f32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "batch_norm_forward",
    wgsl: include_str!("../../../shaders/batch_norm_forward.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("input"), read("weight"), read("bias"), read("statistics"), write("output")],
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

/// What a channel is normalised by.
#[derive(Debug, Clone, Copy)]
pub enum Statistics {
    /// The batch's, in training: (models, 2, channels) of [`batch_statistics`](super::batch_statistics).
    Batch(Slice),
    /// The running ones, in evaluation.
    Running {
        /// Means and variances.
        running: Slice,
        /// Elements from one model's to the next's.
        stride: usize,
        /// Where the variances start, from the means on.
        variance_offset: usize,
        /// Added to the variance.
        epsilon: f32,
    },
}

/// Slices and strides of one launch.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, batch, channels, plane).
    pub input: Slice,
    /// (channels), model z's from z * parameter_stride on.
    pub weight: Slice,
    /// (channels), model z's from z * parameter_stride on.
    pub bias: Slice,
    /// Elements from one model's parameters to the next's.
    pub parameter_stride: usize,
    /// What is subtracted and divided by.
    pub statistics: Statistics,
    /// As the input.
    pub output: Slice,
}

/// A launch for `models` models: `output = f((input - mean[c]) * inverse[c] * weight[c] + bias[c])`. `activation` is an
/// [`activation`] code, for training one of [`FROM_OUTPUT`](activation::FROM_OUTPUT). With `gradient` it goes back by running statistics,
/// which are constants: `output = input * inverse[c] * weight[c]`.
#[derive(Debug, Clone)]
pub struct BatchForward {
    /// What it computes here.
    pub label: String,
    /// Examples in the batch.
    pub batch: usize,
    /// Channels.
    pub channels: usize,
    /// Pixels of a channel.
    pub plane: usize,
    /// Models side by side.
    pub models: usize,
    /// Code of the activation.
    pub activation: u32,
    /// Whether the input is the gradient of an output.
    pub gradient: bool,
    /// Its slices and strides.
    pub operands: Operands,
}

impl Launch for BatchForward {
    fn lower(&self) -> Dispatch {
        let BatchForward { label, batch, channels, plane, models, activation, gradient, operands } = self.clone();
        let Operands { input, weight, bias, parameter_stride, statistics, output } = operands;
        let (is_running, statistics, stride, second, epsilon) = match statistics {
            Statistics::Batch(statistics) => (false, statistics, 2 * channels, channels, 0.0),
            Statistics::Running { running, stride, variance_offset, epsilon } => {
                (true, running, stride, variance_offset, epsilon)
            }
        };
        let len = batch * channels * plane;
        let [len_u32, channels, plane, parameter_stride, statistics_stride, second] =
            [len, channels, plane, parameter_stride, stride, second].map(|n| n as u32);
        let shape = Params { len: len_u32, channels, plane, parameter_stride, statistics_stride, second, epsilon };
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![("ACTIVATION", activation), ("RUNNING", is_running.into()), ("GRADIENT", gradient.into())],
            cost: Cost { flops: 4.0 * len as f64, bytes: 8.0 * len as f64 }.times(models),
            params: shape.words(),
            slices: vec![input, weight, bias, statistics, output],
            grid: linear_grid(len.div_ceil(256), models as u32),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, kind) = (args.models(), args.constant("ACTIVATION", 0));
    let [running, gradient] = ["RUNNING", "GRADIENT"].map(|name| args.constant(name, 0) == 1);
    let [input, weight, bias, statistics, output] = args.operands();
    let (input, weight, bias) = (input.read(), weight.read(), bias.read());
    let (statistics, output) = (statistics.read(), output.write());
    let len = p.len as usize;
    for index in 0..models * len {
        let (model, channel) = (index / len, index % len / p.plane as usize % p.channels as usize);
        let statistic = model * p.statistics_stride as usize + channel;
        let second = statistics[statistic + p.second as usize].to_f64();
        let inverse = if running { 1.0 / (second + f64::from(p.epsilon)).sqrt() } else { second };
        let c = model * p.parameter_stride as usize + channel;
        let [mean, shift] = if gradient { [0.0; 2] } else { [statistics[statistic].to_f64(), bias[c].to_f64()] };
        let value = (input[index].to_f64() - mean) * inverse * weight[c].to_f64() + shift;
        output[index] = T::from_f64(activation::activate(value, kind));
    }
}

fn cases() -> Vec<Case> {
    let case = |(index, [models, batch, channels, plane, _], [running, gradient]): (usize, [usize; 5], [bool; 2])| {
        let kind = activation::FROM_OUTPUT[(index + usize::from(running)) % activation::FROM_OUTPUT.len()];
        let kind = if gradient { activation::LINEAR } else { kind };
        let len = models * batch * channels * plane;
        let parameter_stride = channels + 5;
        let parameters = (models - 1) * parameter_stride + channels;
        let (stride, variance_offset) = (2 * channels + 9, channels + 3);
        let of_batch = statistics(models, channels, index, 4);
        let contents = vec![
            values(len, index, 1),
            Contents::random(parameters, 1.0, 2),
            Contents::random(parameters, 1.0, 3),
            if running { spread(of_batch, channels, stride, variance_offset) } else { of_batch },
            Contents::random(len, 1.0, 5),
        ];
        let s = Case::slices(&contents);
        let epsilon = 0.25;
        let statistics = match running {
            true => Statistics::Running { running: s[3], stride, variance_offset, epsilon },
            false => Statistics::Batch(s[3]),
        };
        let operands = Operands { input: s[0], weight: s[1], bias: s[2], parameter_stride, statistics, output: s[4] };
        let (label, activation) = ("case".into(), kind);
        let launch = BatchForward { label, batch, channels, plane, models, activation, gradient, operands };
        let name =
            format!("{models}x{batch}x{channels}x{plane} activation {kind}, running {running}, gradient {gradient}");
        Case { name, dispatch: launch.lower(), contents }
    };
    let shapes = SHAPES.into_iter().enumerate();
    shapes
        .flat_map(|(index, shape)| [[false, false], [true, false], [true, true]].map(|form| (index, shape, form)))
        .map(case)
        .collect()
}

/// Statistics (models, 2, channels) at other strides.
fn spread(statistics: Contents, channels: usize, stride: usize, second: usize) -> Contents {
    let Contents::F32(statistics) = statistics else { unreachable!("statistics are floats") };
    let models = statistics.len() / (2 * channels);
    let mut values = vec![7.0; (models - 1) * stride + second + channels];
    for (index, value) in statistics.into_iter().enumerate() {
        let (model, which, channel) = (index / (2 * channels), index / channels % 2, index % channels);
        values[model * stride + which * second + channel] = value;
    }
    Contents::F32(values)
}
