//! Batch norm of a batch whose rows lie on several ranks, as PyTorch's `nn.SyncBatchNorm`: what ranks tell each other in the
//! middle of a pass, and what each goes on with.
//!
//! No kernel knows of it. [`batch_statistics`](super::batch_statistics) gives each rank the moments of its own rows, and those of the
//! whole batch take their place before [`BatchForward`](super::batch_forward::BatchForward) reads them. Of the backward pass
//! [`BatchBackwardInput`](super::batch_backward_input::BatchBackwardInput) divides sums over the batch by the number of its rows,
//! and a rank's launch by the number of the rank's: what it reads are therefore the mean sums of the ranks, by their rows.

use crate::ir::{Dispatch, Limits, Slice};
use crate::kernel::Launch;
use std::sync::Arc;

/// The epsilon with which a rank takes the statistics of its own rows: so small that they tell the variance itself, and a
/// variance of 0 still has a finite inverse.
pub const OWN_EPSILON: f32 = f32::MIN_POSITIVE;

/// What ranks tell each other before a launch.
#[derive(Debug, Clone, PartialEq)]
pub enum Meeting {
    /// Before a batch is normalised: the moments of each rank's rows.
    Moments(Moments),
    /// Before a gradient goes back through a norm: its sums over each rank's rows.
    Sums(Sums),
}

/// The moments of a batch become those of all ranks' rows, and the running statistics move towards them.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Models side by side.
    pub models: usize,
    /// Channels.
    pub channels: usize,
    /// Pixels of a channel.
    pub plane: usize,
    /// Weight of a batch in the running statistics.
    pub momentum: f32,
    /// Added to the variance.
    pub epsilon: f32,
    /// (models, 2, channels): of the rank's rows the means and 1 / sqrt(variance + [`OWN_EPSILON`]); then those of the batch,
    /// with `epsilon`.
    pub statistics: Slice,
    /// Means and variances as they run: model z's at z * running_stride, the variances variance_offset further on.
    pub running: Slice,
    /// Elements from one model's running statistics to the next's.
    pub running_stride: usize,
    /// Where the running variances start, from the running means on.
    pub variance_offset: usize,
}

/// The sums that a gradient needs on its way back through a norm become those of all ranks' rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Sums {
    /// Models side by side.
    pub models: usize,
    /// Channels.
    pub channels: usize,
    /// The weight's gradient over the rank's rows, and the bias's `bias_offset` further on.
    pub own: Slice,
    /// Elements from one model's to the next's.
    pub own_stride: usize,
    /// Where the bias's gradient starts, from the weight's on.
    pub bias_offset: usize,
    /// (models, 2, channels): where the launch reads them.
    pub of_all: Slice,
}

/// For each model two slices of one float a channel: from `first` on, `second` further on.
fn pairs(first: Slice, stride: usize, second: usize, [models, len]: [usize; 2]) -> Vec<Slice> {
    let at = |offset: usize| Slice { buffer: first.buffer, offset: first.offset + offset, len };
    (0..models).flat_map(|model| [at(model * stride), at(model * stride + second)]).collect()
}

impl Meeting {
    /// What each rank tells the others.
    pub fn told(&self) -> Vec<Slice> {
        match self {
            Meeting::Moments(moments) => vec![moments.statistics],
            Meeting::Sums(sums) => pairs(sums.own, sums.own_stride, sums.bias_offset, [sums.models, sums.channels]),
        }
    }

    /// What each rank has, the same on all, and needs for what it goes on with.
    pub fn known(&self) -> Vec<Slice> {
        match self {
            Meeting::Moments(moments) => moments.running(),
            Meeting::Sums(_) => Vec::new(),
        }
    }

    /// What each rank goes on with, and where it belongs. `told` are the floats of each rank and `rows` the rows that it has of the
    /// batch, both in the order of the ranks, `known` the floats that all have. Sums are taken in that order, in double precision.
    pub fn results(&self, told: &[&[f32]], known: &[f32], rows: &[usize]) -> Vec<(Slice, Vec<f32>)> {
        match self {
            Meeting::Moments(moments) => moments.of_all(told, known, rows),
            Meeting::Sums(sums) => vec![(sums.of_all, Sums::means(told, rows))],
        }
    }
}

impl Moments {
    fn running(&self) -> Vec<Slice> {
        pairs(self.running, self.running_stride, self.variance_offset, [self.models, self.channels])
    }

    /// Chan, Golub and LeVeque, as batch_norm_statistics.wgsl puts splits together.
    fn of_all(&self, told: &[&[f32]], running: &[f32], rows: &[usize]) -> Vec<(Slice, Vec<f32>)> {
        let (mut statistics, mut running) = (vec![0.0; self.models * 2 * self.channels], running.to_vec());
        let count = (rows.iter().sum::<usize>() * self.plane) as f64;
        for first in (0..self.models).flat_map(|model| (0..self.channels).map(move |c| model * 2 * self.channels + c)) {
            let second = first + self.channels;
            // Of rows that a rank does not have it knows nothing.
            let parts = told.iter().zip(rows).filter(|(_, rows)| **rows > 0).map(|(told, rows)| {
                let (size, mean, inverse) =
                    ((rows * self.plane) as f64, f64::from(told[first]), f64::from(told[second]));
                (size, mean, size / (inverse * inverse))
            });
            let mean = parts.clone().map(|(size, mean, _)| size * mean).sum::<f64>() / count;
            let between = |own: f64| (own - mean) * (own - mean);
            let squares: f64 = parts.map(|(size, own, squares)| squares + size * between(own)).sum();
            statistics[first] = mean as f32;
            statistics[second] = (1.0 / (squares / count + f64::from(self.epsilon)).sqrt()) as f32;
            // A single value says nothing of a variance.
            if count > 1.0 {
                let momentum = f64::from(self.momentum);
                let mut move_on = |at: usize, new: f64| {
                    running[at] = ((1.0 - momentum) * f64::from(running[at]) + momentum * new) as f32;
                };
                move_on(first, mean);
                move_on(second, squares / (count - 1.0));
            }
        }
        let running = self.running().into_iter().zip(running.chunks(self.channels).map(<[f32]>::to_vec));
        std::iter::once((self.statistics, statistics)).chain(running).collect()
    }
}

impl Sums {
    /// A rank's gradients are those of a mean over its own rows, so that their sums count by its rows.
    fn means(told: &[&[f32]], rows: &[usize]) -> Vec<f32> {
        let all = rows.iter().sum::<usize>() as f64;
        let parts = || told.iter().zip(rows).filter(|(_, rows)| **rows > 0);
        let mean = |at: usize| parts().map(|(told, rows)| *rows as f64 * f64::from(told[at])).sum::<f64>() / all;
        (0..told.first().map_or(0, |told| told.len())).map(|at| mean(at) as f32).collect()
    }
}

/// A launch before which ranks meet.
#[derive(Debug)]
struct AfterMeeting {
    meeting: Meeting,
    launch: Arc<dyn Launch>,
}

/// The launch, with a meeting of the ranks before it.
pub fn after(meeting: Meeting, launch: Arc<dyn Launch>) -> Arc<dyn Launch> {
    Arc::new(AfterMeeting { meeting, launch })
}

impl Launch for AfterMeeting {
    fn lower(&self) -> Dispatch {
        self.launch.lower()
    }

    fn variants(&self) -> Vec<Arc<dyn Launch>> {
        self.launch.variants().into_iter().map(|launch| after(self.meeting.clone(), launch)).collect()
    }

    fn mixed(&self, limits: &Limits) -> Option<Arc<dyn Launch>> {
        Some(after(self.meeting.clone(), self.launch.mixed(limits)?))
    }

    fn meeting(&self) -> Option<&Meeting> {
        Some(&self.meeting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::BufferId;
    use crate::kernel::formula::hash;

    const MODELS: usize = 2;
    const CHANNELS: usize = 3;
    const PLANE: usize = 2;
    const MOMENTUM: f64 = 0.25;

    fn slice(buffer: usize, offset: usize, len: usize) -> Slice {
        Slice { buffer: BufferId(buffer), offset, len }
    }

    fn moments(epsilon: f32) -> Meeting {
        Meeting::Moments(Moments {
            models: MODELS,
            channels: CHANNELS,
            plane: PLANE,
            momentum: MOMENTUM as f32,
            epsilon,
            statistics: slice(0, 0, MODELS * 2 * CHANNELS),
            running: slice(1, 10, 100),
            running_stride: 20,
            variance_offset: 8,
        })
    }

    /// A value of a channel: of small spread around 100, of an ordinary one, or always the same.
    fn value(model: usize, channel: usize, item: usize) -> f64 {
        let random = hash::combine(hash::combine(model as u32 + 5, channel as u32), item as u32);
        let x = f64::from(random) / f64::from(u32::MAX) - 0.5;
        f64::from([100.0 + x, 4.0 * x, 7.0][channel] as f32)
    }

    /// Number, mean and squares around it.
    fn direct(model: usize, channel: usize, items: std::ops::Range<usize>) -> (f64, f64, f64) {
        let values: Vec<f64> = items.map(|item| value(model, channel, item)).collect();
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        (values.len() as f64, mean, values.iter().map(|x| (x - mean) * (x - mean)).sum())
    }

    #[test]
    fn the_moments_of_ranks_become_those_of_the_batch() {
        let epsilon = 1e-3f32;
        // One rank; a rank without rows; ranks with one row; a batch of one row.
        for rows in [&[5][..], &[4, 4, 2], &[3, 1, 0], &[1, 1], &[0, 1]] {
            let mut first = 0;
            let told: Vec<Vec<f32>> = rows
                .iter()
                .map(|rows| {
                    let mut told = vec![f32::NAN; MODELS * 2 * CHANNELS];
                    for (model, channel) in (0..MODELS).flat_map(|m| (0..CHANNELS).map(move |c| (m, c))) {
                        let (count, mean, squares) = direct(model, channel, first * PLANE..(first + rows) * PLANE);
                        // What a rank without rows tells is of no account.
                        if count > 0.0 {
                            let inverse = 1.0 / (squares / count + f64::from(OWN_EPSILON)).sqrt();
                            told[model * 2 * CHANNELS + channel] = mean as f32;
                            told[(model * 2 + 1) * CHANNELS + channel] = inverse as f32;
                        }
                    }
                    first += rows;
                    told
                })
                .collect();
            let told: Vec<&[f32]> = told.iter().map(|told| &told[..]).collect();
            let known: Vec<f32> = (0..MODELS * 2 * CHANNELS).map(|at| at as f32).collect();
            let meeting = moments(epsilon);
            assert_eq!(meeting.known()[2..], [slice(1, 30, CHANNELS), slice(1, 38, CHANNELS)]);
            let results = meeting.results(&told, &known, rows);
            assert_eq!(results.iter().skip(1).map(|(place, _)| *place).collect::<Vec<_>>(), meeting.known());
            for (model, channel) in (0..MODELS).flat_map(|m| (0..CHANNELS).map(move |c| (m, c))) {
                let (count, mean, squares) = direct(model, channel, 0..first * PLANE);
                let close = |found: f32, wanted: f64| {
                    let error = (f64::from(found) - wanted).abs();
                    assert!(error <= 1e-6 * wanted.abs() + 1e-30, "{rows:?} {model} {channel}: {found}, not {wanted}");
                };
                let statistics = &results[0].1[model * 2 * CHANNELS..];
                close(statistics[channel], mean);
                // Ranks tell their means as f32.
                let wanted = 1.0 / (squares / count + f64::from(epsilon)).sqrt();
                let error = (f64::from(statistics[CHANNELS + channel]) / wanted - 1.0).abs();
                assert!(error < 1e-4, "{rows:?} {model} {channel}: off by {error}");
                let [old_mean, old_variance] =
                    [0, 1].map(|which| f64::from(known[(model * 2 + which) * CHANNELS + channel]));
                close(results[1 + 2 * model].1[channel], 0.75 * old_mean + MOMENTUM * mean);
                let variance = results[2 + 2 * model].1[channel];
                close(variance, 0.75 * old_variance + MOMENTUM * squares / (count - 1.0));
            }
        }
    }

    #[test]
    fn a_single_value_leaves_the_running_statistics_alone() {
        let Meeting::Moments(moments) = moments(0.5) else { unreachable!("they are moments") };
        let meeting = Meeting::Moments(Moments { models: 1, channels: 1, plane: 1, ..moments });
        let results = meeting.results(&[&[f32::NAN, f32::NAN], &[3.0, 1.0 / OWN_EPSILON.sqrt()]], &[1.5, 2.5], &[0, 1]);
        let values: Vec<&[f32]> = results.iter().map(|(_, values)| &values[..]).collect();
        assert_eq!(values, [&[3.0, (2.0f64).sqrt() as f32][..], &[1.5], &[2.5]]);
    }

    /// The sums of a mean over the whole batch, from those of means over each rank's rows.
    #[test]
    fn sums_count_by_rows() {
        let sums = Sums {
            models: MODELS,
            channels: 1,
            own: slice(3, 64, 200),
            own_stride: 100,
            bias_offset: 64,
            of_all: slice(4, 0, 2 * MODELS),
        };
        let meeting = Meeting::Sums(sums.clone());
        assert_eq!(meeting.told(), [64, 128, 164, 228].map(|offset| slice(3, offset, 1)));
        let results =
            meeting.results(&[&[1.0, 2.0, 0.5, 8.0], &[3.0, -2.0, 0.5, 0.0], &[f32::NAN; 4]], &[], &[3, 1, 0]);
        assert_eq!(results, [(sums.of_all, vec![1.5, 1.0, 0.5, 6.0])]);
        assert!(meeting.known().is_empty());
    }
}
