//! Batch norm, a batch's statistics: mean and variance of each channel over all examples and pixels, and what they make of
//! the running statistics.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, read_u32, write};
use crate::kernel::loss::rows::{batch_rows, case_data};
use crate::kernel::norm::batch_moments::{self, BatchMoments};
use crate::kernel::norm::channel_sums::{self, SHAPES, values};
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};
use std::sync::Arc;

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
        /// Items (pixels of examples) of one split.
        split_items: u32,
        /// Elements from one model's running statistics to the next's.
        running_stride: u32,
        /// Where the running variances start, from the running means on.
        variance_offset: u32,
        /// Weight of a batch in the running statistics.
        momentum: f32,
        /// Added to the variance.
        epsilon: f32,
    }
}

impl Params {
    fn moments(&self) -> batch_moments::Params {
        let Params { batch, channels, plane, examples, split_items, .. } = *self;
        batch_moments::Params { batch, channels, plane, examples, split_items }
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "batch_norm_statistics",
    wgsl: include_str!("../../../shaders/batch_norm_statistics.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("input"), read("partials"), read_u32("counters"), write("statistics"), write("running")],
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

/// A batch norm whose statistics to compute.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Examples in the batch.
    pub batch: usize,
    /// Channels.
    pub channels: usize,
    /// Pixels of a channel: 1 of a vector's features.
    pub plane: usize,
    /// Examples that an epoch goes through: rows past its end do not count.
    pub examples: usize,
    /// Elements from one model's running statistics to the next's.
    pub running_stride: usize,
    /// Where the running variances start, from the running means on.
    pub variance_offset: usize,
    /// Weight of a batch in the running statistics: PyTorch's `momentum`, 0.1 there.
    pub momentum: f32,
    /// Added to the variance: 1e-5 in PyTorch.
    pub epsilon: f32,
}

impl Shape {
    fn params(&self) -> Params {
        let split_items = channel_sums::split_items(self.batch, self.channels, self.plane);
        Params {
            batch: self.batch as u32,
            channels: self.channels as u32,
            plane: self.plane as u32,
            examples: self.examples as u32,
            split_items: split_items as u32,
            running_stride: self.running_stride as u32,
            variance_offset: self.variance_offset as u32,
            momentum: self.momentum,
            epsilon: self.epsilon,
        }
    }

    /// Elements of scratch memory that the launches need.
    pub fn scratch_len(&self, models: usize) -> usize {
        models * self.params().moments().splits() * 2 * self.channels
    }
}

/// Slices of the launches.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, batch, channels, plane).
    pub input: Slice,
    /// (models, COUNTERS): the step state, which tells the rows past the end of the epoch.
    pub counters: Slice,
    /// Memory of [`Shape::scratch_len`] elements.
    pub scratch: Slice,
    /// (models, 2, channels): the means, and then 1 / sqrt(variance + epsilon), the variance divided by the number of values.
    pub statistics: Slice,
    /// Means and variances as they run: `(1 - momentum) * running + momentum * batch`, the variance divided by one less than
    /// the number of values. A batch with one value for each channel leaves them alone.
    pub running: Slice,
}

/// The two launches of a training batch's statistics for `models` models. PyTorch's `nn.BatchNorm1d` and `nn.BatchNorm2d`.
pub fn launches(label: &str, shape: Shape, models: usize, operands: Operands) -> Vec<Arc<dyn Launch>> {
    let Operands { input, counters, scratch, .. } = operands;
    let params = shape.params();
    let (moments, label_of_moments) = (params.moments(), format!("{label}, moments"));
    vec![
        Arc::new(BatchMoments { label: label_of_moments, shape: moments, models, input, counters, partials: scratch }),
        Arc::new(BatchStatistics { label: label.into(), shape: params, models, operands }),
    ]
}

/// Threads in a workgroup.
const THREADS: usize = 64;

/// The second launch.
#[derive(Debug, Clone)]
struct BatchStatistics {
    label: String,
    shape: Params,
    models: usize,
    operands: Operands,
}

impl Launch for BatchStatistics {
    fn lower(&self) -> Dispatch {
        let BatchStatistics { label, shape, models, operands } = self.clone();
        let Operands { input, counters, scratch, statistics, running } = operands;
        let channels = f64::from(shape.channels);
        let partials = 2.0 * channels * shape.moments().splits() as f64;
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![],
            cost: Cost { flops: 4.0 * partials, bytes: 4.0 * (partials + 7.0 * channels) }.times(models),
            params: shape.words(),
            slices: vec![input, scratch, counters, statistics, running],
            grid: linear_grid((shape.channels as usize).div_ceil(THREADS), models as u32),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let models = args.models();
    let [input, partials, counters, statistics, running] = args.operands();
    let (input, partials, counters) = (input.read(), partials.read(), counters.read_u32());
    let (statistics, running) = (statistics.write(), running.write());
    let (batch, channels, plane) = (p.batch as usize, p.channels as usize, p.plane as usize);
    let splits = p.moments().splits();
    for model in 0..models {
        let sizes: Vec<f64> = (0..splits).map(|split| p.moments().items(counters, model, split).len() as f64).collect();
        let items = batch_rows(p.batch, p.examples, counters, model) * plane;
        let count = items.max(1) as f64;
        for channel in 0..channels {
            let at = |split: usize, which: usize| {
                partials[((model * splits + split) * 2 + which) * channels + channel].to_f64()
            };
            let offset = sizes.iter().enumerate().map(|(split, size)| at(split, 0) * size).sum::<f64>() / count;
            let between = |(split, size): (usize, &f64)| {
                let difference = at(split, 0) - offset;
                at(split, 1) + difference * difference * size
            };
            let squares: f64 = sizes.iter().enumerate().map(between).sum();
            let mean = input[(model * batch * channels + channel) * plane].to_f64() + offset;
            let result = model * 2 * channels + channel;
            statistics[result] = T::from_f64(mean);
            statistics[result + channels] = T::from_f64(1.0 / (squares / count + f64::from(p.epsilon)).sqrt());
            if items > 1 {
                let place = model * p.running_stride as usize + channel;
                let mut update = |at: usize, new: f64| {
                    let momentum = f64::from(p.momentum);
                    running[at] = T::from_f64((1.0 - momentum) * running[at].to_f64() + momentum * new);
                };
                update(place, mean);
                update(place + p.variance_offset as usize, squares / (count - 1.0));
            }
        }
    }
}

fn cases() -> Vec<Case> {
    // (models, batch, channels, plane, items of a split): and some with more channels than a workgroup has threads.
    let shapes = SHAPES.into_iter().chain([[2, 6, 131, 1, 4], [1, 9, 70, 2, 5]]);
    let case = |(index, [models, batch, channels, plane, split_items]): (usize, [usize; 5])| {
        let data = case_data(batch, models);
        let (variance_offset, running_stride) = (channels + 3, 2 * channels + 9);
        let [batch, channels_u32, plane, examples, split_items, running_stride, variance_offset] =
            [batch, channels, plane, data.examples, split_items, running_stride, variance_offset].map(|n| n as u32);
        let (momentum, epsilon) = (if index % 2 == 0 { 0.1 } else { 0.375 }, if index % 3 == 0 { 0.25 } else { 1e-5 });
        let shape = Params {
            batch,
            channels: channels_u32,
            plane,
            examples,
            split_items,
            running_stride,
            variance_offset,
            momentum,
            epsilon,
        };
        let splits = shape.moments().splits();
        // Means of the splits, and sums of squares, which are not negative.
        let Contents::F32(mut partials) = Contents::random(models * splits * 2 * channels, 2.0, 2) else {
            unreachable!("random contents are floats")
        };
        let is_square = |place: usize| place / channels % 2 == 1;
        partials.iter_mut().enumerate().filter(|(place, _)| is_square(*place)).for_each(|(_, x)| *x = 20.0 * x.abs());
        let contents = vec![
            values(models * (batch * channels_u32 * plane) as usize, index, 1),
            Contents::F32(partials),
            data.counters,
            Contents::random(models * 2 * channels, 1.0, 3),
            Contents::random((models - 1) * running_stride as usize + variance_offset as usize + channels, 1.0, 4),
        ];
        let s = Case::slices(&contents);
        let operands = Operands { input: s[0], counters: s[2], scratch: s[1], statistics: s[3], running: s[4] };
        let dispatch = BatchStatistics { label: "case".into(), shape, models, operands }.lower();
        Case { name: format!("{models} models, {shape:?}"), dispatch, contents }
    };
    shapes.enumerate().map(case).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::difference::{Data, run};
    use crate::kernel::step::state;

    /// Of the second batch of 5 of 8 examples, 3 rows are real; and of 7 models' examples one value is.
    #[test]
    fn the_statistics_are_those_of_the_real_rows() {
        for (examples, rows) in [(8, 3), (10, 5), (6, 1)] {
            let shape = Shape {
                batch: 5,
                channels: 2,
                plane: 1,
                examples,
                running_stride: 0,
                variance_offset: 2,
                momentum: 0.25,
                epsilon: 0.5,
            };
            let values = [1000.0, -2.0, 1001.5, 4.0, 1000.5, 7.0, 999.0, 1.0, 1003.0, 0.5];
            let mut counters = vec![0; state::COUNTERS];
            counters[state::BATCH] = 1;
            let s = Case::slices(&[0; 5].map(|_| Contents::F32(vec![0.0])));
            let operands = Operands { input: s[0], counters: s[1], scratch: s[2], statistics: s[3], running: s[4] };
            let [moments, statistics] = &launches("", shape, 1, operands)[..] else { panic!("two launches") };
            let (input, counters) = (Data::<f64>::Floats(values.to_vec()), Data::Words(counters));
            let mut memory = vec![input.clone(), counters.clone(), Data::Floats(vec![9.0; shape.scratch_len(1)])];
            run(&moments.lower(), &mut memory);
            let running = [1.0, 2.0, 3.0, 4.0];
            let mut memory =
                vec![input, memory[2].clone(), counters, Data::Floats(vec![9.0; 4]), Data::Floats(running.to_vec())];
            run(&statistics.lower(), &mut memory);
            for channel in 0..2 {
                let mine: Vec<f64> = (0..rows).map(|row| values[2 * row + channel]).collect();
                let mean = mine.iter().sum::<f64>() / rows as f64;
                let squares: f64 = mine.iter().map(|x| (x - mean) * (x - mean)).sum();
                let inverse = 1.0 / (squares / rows as f64 + 0.5).sqrt();
                let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12 * b.abs().max(1.0), "{rows}: {a} {b}");
                close(memory[3].floats()[channel], mean);
                close(memory[3].floats()[2 + channel], inverse);
                let (old_mean, old_variance) = (running[channel], running[2 + channel]);
                let new = match rows {
                    1 => [old_mean, old_variance],
                    _ => [0.75 * old_mean + 0.25 * mean, 0.75 * old_variance + 0.25 * squares / (rows as f64 - 1.0)],
                };
                close(memory[4].floats()[channel], new[0]);
                close(memory[4].floats()[2 + channel], new[1]);
            }
        }
    }
}
