//! Layer, group and batch norm, backward to their weight and bias: sums over all examples and pixels of each channel.
//!
//! The sums are long and few, so they are split; [`SumPartials`] adds the splits.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, params, read, write};
use crate::kernel::norm::channel_sums::{self, SHAPES, element_of, statistics, values};
use crate::kernel::reduce::sum_partials::{self, SumPartials};
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};
use std::sync::Arc;

params! {
    /// Shape of one launch.
    Params {
        /// Examples in the batch.
        batch: u32,
        /// Channels, each with a weight and a bias.
        channels: u32,
        /// Pixels of a channel.
        plane: u32,
        /// Statistics from one example's to the next's: 0 in batch norm.
        example_step: u32,
        /// Channels that share a statistic: 1 in batch norm.
        channels_per_statistic: u32,
        /// Means, and inverse deviations, of each model.
        statistics_len: u32,
        /// Elements from one model's gradients to the next's.
        parameter_stride: u32,
        /// Where the bias gradient starts in `gradient`.
        bias_offset: u32,
        /// Items (pixels of examples) of one split.
        split_items: u32,
        /// Elements from one split's sums to the next's.
        split_stride: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "norm_backward_weight",
    wgsl: include_str!("../../../shaders/norm_backward_weight.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("output_gradient"), read("input"), read("statistics"), write("gradient")],
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

/// A norm whose gradients to compute.
#[derive(Debug, Clone, Copy)]
pub struct Norm {
    batch: usize,
    channels: usize,
    plane: usize,
    example_step: usize,
    channels_per_statistic: usize,
    split_items: usize,
}

impl Norm {
    /// Layer norm or group norm of `batch` examples, as in [`row_forward`](super::row_forward::Params).
    pub fn rows(batch: usize, groups: usize, channels_per_group: usize, plane: usize) -> Norm {
        let channels = groups * channels_per_group;
        let split_items = channel_sums::split_items(batch, channels, plane);
        Norm { batch, channels, plane, example_step: groups, channels_per_statistic: channels_per_group, split_items }
    }

    /// Batch norm.
    pub fn batch(batch: usize, channels: usize, plane: usize) -> Norm {
        let split_items = channel_sums::split_items(batch, channels, plane);
        Norm { batch, channels, plane, example_step: 0, channels_per_statistic: 1, split_items }
    }

    fn splits(&self) -> usize {
        (self.batch * self.plane).div_ceil(self.split_items)
    }

    /// Means, and inverse deviations, of a model.
    fn statistics_len(&self) -> usize {
        match self.example_step {
            0 => self.channels,
            groups => self.batch * groups,
        }
    }

    /// Elements of scratch memory that the launches need; 0 when the sums are not split.
    pub fn scratch_len(&self, models: usize) -> usize {
        if self.splits() == 1 { 0 } else { models * self.splits() * 2 * self.channels }
    }
}

/// Slices and strides of the launches.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, batch, channels, plane), before the norm's activation; 0 in rows past the end of the epoch.
    pub output_gradient: Slice,
    /// (models, batch, channels, plane): the norm's input.
    pub input: Slice,
    /// As the forward pass left them: (models, 2, batch * groups), or (models, 2, channels) of a batch norm.
    pub statistics: Slice,
    /// The weight's gradient (channels), and the bias's from `bias_offset` on, for each model.
    pub gradient: Slice,
    /// Where the bias gradient starts in `gradient`.
    pub bias_offset: usize,
    /// Elements from one model's gradients to the next's.
    pub parameter_stride: usize,
    /// Memory of [`Norm::scratch_len`] elements; unused when the sums are not split.
    pub scratch: Option<Slice>,
}

/// The launches of a norm's weight and bias gradients for `models` models: one, or two with the sum of the splits.
/// `weight_gradient[c] = sum of output_gradient * (input - mean) * inverse`, `bias_gradient[c] = sum of output_gradient`.
pub fn launches(label: &str, norm: Norm, models: usize, operands: Operands) -> Vec<Arc<dyn Launch>> {
    let Some(scratch) = operands.scratch.filter(|_| norm.splits() > 1) else {
        let norm = Norm { split_items: norm.batch * norm.plane, ..norm };
        return vec![Arc::new(BackwardWeight { label: label.into(), norm, models, operands })];
    };
    let (channels, len) = (norm.channels, 2 * norm.channels);
    let parameter_stride = norm.splits() * len;
    let partial = Operands { gradient: scratch, bias_offset: channels, parameter_stride, ..operands };
    let shape = sum_partials::Params {
        len: len as u32,
        count: norm.splits() as u32,
        first: channels as u32,
        second: operands.bias_offset as u32,
        output_stride: operands.parameter_stride as u32,
    };
    let label_of_sum = format!("{label}, sum of splits");
    vec![
        Arc::new(BackwardWeight { label: label.into(), norm, models, operands: partial }),
        Arc::new(SumPartials { label: label_of_sum, shape, models, partials: scratch, output: operands.gradient }),
    ]
}

/// A launch.
#[derive(Debug, Clone)]
struct BackwardWeight {
    label: String,
    norm: Norm,
    models: usize,
    operands: Operands,
}

impl Launch for BackwardWeight {
    fn lower(&self) -> Dispatch {
        let BackwardWeight { label, norm, models, operands } = self.clone();
        let Operands { output_gradient, input, statistics, gradient, bias_offset, parameter_stride, .. } = operands;
        let shape = Params {
            batch: norm.batch as u32,
            channels: norm.channels as u32,
            plane: norm.plane as u32,
            example_step: norm.example_step as u32,
            channels_per_statistic: norm.channels_per_statistic as u32,
            statistics_len: norm.statistics_len() as u32,
            parameter_stride: parameter_stride as u32,
            bias_offset: bias_offset as u32,
            split_items: norm.split_items as u32,
            split_stride: 2 * norm.channels as u32,
        };
        let elements = (norm.batch * norm.channels * norm.plane) as f64;
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: channel_sums::constants(shape.plane),
            cost: Cost { flops: 5.0 * elements, bytes: 8.0 * elements }.times(models),
            params: shape.words(),
            slices: vec![output_gradient, input, statistics, gradient],
            grid: channel_sums::grid(shape.channels, shape.plane, norm.splits(), models),
            demands: Demands::default(),
        }
    }
}

impl Params {
    /// The items of each split.
    pub(crate) fn splits(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let (items, size) = (self.batch as usize * self.plane as usize, self.split_items as usize);
        (0..items).step_by(size).map(move |first| first..items.min(first + size))
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    sums(args, |gradient, x| gradient * x);
}

/// The sums with `product` of the output's gradient and the normalised input as the weight's terms.
pub(crate) fn sums<T: Real>(args: &mut Args<T>, product: impl Fn(f64, f64) -> f64) {
    let p: Params = args.params();
    let models = args.models();
    let [output_gradient, input, statistics, gradient] = args.operands();
    let (output_gradient, input) = (output_gradient.read(), input.read());
    let (statistics, gradient) = (statistics.read(), gradient.write());
    let (batch, channels, plane) = (p.batch as usize, p.channels as usize, p.plane as usize);
    let len = p.statistics_len as usize;
    for model in 0..models {
        for (split, items) in p.splits().enumerate() {
            let result = model * p.parameter_stride as usize + split * p.split_stride as usize;
            for channel in 0..channels {
                let (mut weight_sum, mut bias_sum) = (0.0, 0.0);
                for item in items.clone() {
                    let at = element_of(model * batch * plane + item, channel, channels, plane);
                    let s = item / plane * p.example_step as usize + channel / p.channels_per_statistic as usize;
                    let statistics = &statistics[model * 2 * len..];
                    let x = (input[at].to_f64() - statistics[s].to_f64()) * statistics[s + len].to_f64();
                    weight_sum += product(output_gradient[at].to_f64(), x);
                    bias_sum += output_gradient[at].to_f64();
                }
                gradient[result + channel] = T::from_f64(weight_sum);
                gradient[result + channel + p.bias_offset as usize] = T::from_f64(bias_sum);
            }
        }
    }
}

fn cases() -> Vec<Case> {
    let case = |(index, [models, batch, channels, plane, split_items]): (usize, [usize; 5])| {
        // Every second is a batch norm; of the others, groups have one channel or all of them.
        let groups = if index % 4 == 0 { 1 } else { channels };
        let mut norm = if index % 2 == 1 {
            Norm::batch(batch, channels, plane)
        } else {
            Norm::rows(batch, groups, channels / groups, plane)
        };
        norm.split_items = split_items;
        let elements = models * batch * channels * plane;
        let (bias_offset, stride) = if norm.splits() > 1 {
            (channels, norm.splits() * 2 * channels)
        } else {
            (channels + 3, 2 * channels + 10)
        };
        let results = (models - 1) * stride + (norm.splits() - 1) * 2 * channels + bias_offset + channels;
        let contents = vec![
            Contents::random(elements, if index % 2 == 1 { 1000.0 } else { 1.0 }, 1),
            values(elements, index, 2),
            statistics(models, norm.statistics_len(), index, 3),
            Contents::random(results, 1.0, 4),
        ];
        let s = Case::slices(&contents);
        let operands = Operands {
            output_gradient: s[0],
            input: s[1],
            statistics: s[2],
            gradient: s[3],
            bias_offset,
            parameter_stride: stride,
            scratch: None,
        };
        let dispatch = BackwardWeight { label: "case".into(), norm, models, operands }.lower();
        Case { name: format!("{models} models, {norm:?}"), dispatch, contents }
    };
    SHAPES.into_iter().enumerate().map(case).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::difference::{Data, run};

    #[test]
    fn splits_add_up_to_the_whole() {
        let norm = Norm::batch(40, 3, 25);
        assert_eq!(norm.splits(), 3);
        let numbers = |len: usize, seed: u32| Data::of(&[Contents::random(len, 1.0, seed)]).remove(0);
        let mut memory: Vec<Data<f64>> = vec![numbers(3000, 1), numbers(3000, 2), numbers(6, 3), numbers(10, 4)];
        memory.push(numbers(norm.scratch_len(1), 5));
        let s = Case::slices(&[0; 5].map(|_| Contents::F32(vec![0.0])));
        let operands = Operands {
            output_gradient: s[0],
            input: s[1],
            statistics: s[2],
            gradient: s[3],
            bias_offset: 7,
            parameter_stride: 10,
            scratch: None,
        };
        let mut whole = memory[..4].to_vec();
        let [launch] = &launches("", norm, 1, operands)[..] else { panic!("one launch without scratch memory") };
        run(&launch.lower(), &mut whole);

        let [parts, sum] = &launches("", norm, 1, Operands { scratch: Some(s[4]), ..operands })[..] else {
            panic!("two launches")
        };
        let mut split = vec![memory[0].clone(), memory[1].clone(), memory[2].clone(), memory[4].clone()];
        run(&parts.lower(), &mut split);
        let mut summed = vec![split[3].clone(), memory[3].clone()];
        run(&sum.lower(), &mut summed);
        for (a, b) in summed[1].floats().iter().zip(whole[3].floats()) {
            assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()), "{a} {b}");
        }
    }
}
