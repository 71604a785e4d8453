//! Batch norm, the first step to a batch's statistics: mean and squared differences of each split of a channel's values.
//! [`batch_statistics`](super::batch_statistics) makes both launches.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, params, read, read_u32, write};
use crate::kernel::loss::rows::{batch_rows, case_data};
use crate::kernel::norm::channel_sums::{self, SHAPES, element_of, values};
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};
use std::ops::Range;

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
    }
}

impl Params {
    /// Number of splits.
    pub fn splits(&self) -> usize {
        (self.batch as usize * self.plane as usize).div_ceil(self.split_items as usize)
    }

    /// The items of a model's split, without those of rows past the end of the epoch.
    pub(crate) fn items(&self, counters: &[u32], model: usize, split: usize) -> Range<usize> {
        let items = batch_rows(self.batch, self.examples, counters, model) * self.plane as usize;
        let first = (split * self.split_items as usize).min(items);
        first..items.min(first + self.split_items as usize)
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "batch_norm_moments",
    wgsl: include_str!("../../../shaders/batch_norm_moments.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("input"), read_u32("counters"), write("partials")],
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

/// A launch for `models` models.
#[derive(Debug, Clone)]
pub(super) struct BatchMoments {
    pub label: String,
    pub shape: Params,
    pub models: usize,
    /// (models, batch, channels, plane).
    pub input: Slice,
    /// (models, COUNTERS).
    pub counters: Slice,
    /// (models, splits, 2, channels).
    pub partials: Slice,
}

impl Launch for BatchMoments {
    fn lower(&self) -> Dispatch {
        let BatchMoments { label, shape, models, input, counters, partials } = self.clone();
        let elements = f64::from(shape.batch) * f64::from(shape.channels) * f64::from(shape.plane);
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: channel_sums::constants(shape.plane),
            cost: Cost { flops: 6.0 * elements, bytes: 4.0 * elements }.times(models),
            params: shape.words(),
            slices: vec![input, counters, partials],
            grid: channel_sums::grid(shape.channels, shape.plane, shape.splits(), models),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let models = args.models();
    let [input, counters, partials] = args.operands();
    let (input, counters, partials) = (input.read(), counters.read_u32(), partials.write());
    let (batch, channels, plane) = (p.batch as usize, p.channels as usize, p.plane as usize);
    for model in 0..models {
        let input = &input[model * batch * channels * plane..];
        for split in 0..p.splits() {
            let items = p.items(counters, model, split);
            let count = items.len().max(1) as f64;
            for channel in 0..channels {
                let shift = input[channel * plane].to_f64();
                let value = |item: usize| input[element_of(item, channel, channels, plane)].to_f64() - shift;
                let mean = items.clone().map(value).sum::<f64>() / count;
                let squares: f64 = items.clone().map(|item| (value(item) - mean) * (value(item) - mean)).sum();
                let result = (model * p.splits() + split) * 2 * channels + channel;
                partials[result] = T::from_f64(mean);
                partials[result + channels] = T::from_f64(squares);
            }
        }
    }
}

fn cases() -> Vec<Case> {
    let case = |(index, [models, batch, channels, plane, split_items]): (usize, [usize; 5])| {
        let data = case_data(batch, models);
        let [batch, channels, plane, examples, split_items] =
            [batch, channels, plane, data.examples, split_items].map(|n| n as u32);
        let shape = Params { batch, channels, plane, examples, split_items };
        let contents = vec![
            values(models * (batch * channels * plane) as usize, index, 1),
            data.counters,
            Contents::random(models * shape.splits() * 2 * channels as usize, 1.0, 3),
        ];
        let s = Case::slices(&contents);
        let launch = BatchMoments { label: "case".into(), shape, models, input: s[0], counters: s[1], partials: s[2] };
        Case { name: format!("{models} models, {shape:?}"), dispatch: launch.lower(), contents }
    };
    SHAPES.into_iter().enumerate().map(case).collect()
}
