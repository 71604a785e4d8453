//! Images laid out for windows that move over them: each tap of a window is then a fixed offset.

use super::correlate::LANES;
use super::simd;
use std::ops::Range;

/// A padded image with one plane for each channel and phase of the stride: pixel (y, x) lies in phase (y mod stride,
/// x mod stride) at (y / stride, x / stride). The windows' taps are then fixed offsets from the windows' numbers.
pub(super) struct Layout {
    stride: [usize; 2],
    /// Phases that have a tap: windows smaller than the stride skip the others.
    phases: [usize; 2],
    rows: usize,
    pub(super) width: usize,
}

impl Layout {
    /// For `outputs` rows and columns of windows whose last taps lie `reach` rows and columns behind their first.
    pub(super) fn new(outputs: [usize; 2], reach: [usize; 2], stride: [usize; 2]) -> Layout {
        let [rows, width] = [0, 1].map(|a| outputs[a] + reach[a] / stride[a]);
        let phases = [0, 1].map(|a| stride[a].min(reach[a] + 1));
        Layout { stride, phases, rows, width }
    }

    pub(super) fn offset(&self, channel: usize, i: usize, j: usize) -> usize {
        let [down, across] = self.stride;
        let plane = (channel * self.phases[0] + i % down) * self.phases[1] + j % across;
        (plane * self.rows + i / down) * self.width + j / across
    }

    /// Elements that hold `rows` rows of windows, in whole vectors.
    pub(super) fn wide(&self, rows: usize) -> usize {
        (rows * self.width).next_multiple_of(LANES)
    }

    /// Lays out `channels` channels of an image whose pixel (top, left) is the first window's corner, with `around` where there is
    /// no pixel.
    pub(super) fn fill(
        &self,
        image: &[f32],
        channels: usize,
        size: [usize; 2],
        corner: [isize; 2],
        around: f32,
        source: &mut Vec<f32>,
    ) {
        let planes = channels * self.phases[0] * self.phases[1];
        // The last vectors of the last plane run over its end. Whatever they read must be a number: 0 * NaN is NaN.
        source.resize(planes * self.rows * self.width + self.width + 2 * LANES, around);
        let phases = self.phases[0] * self.phases[1];
        simd::vectorised(
            #[inline(always)]
            || {
                source.fill(around);
                for phase in 0..phases {
                    let (i, j) = (phase / self.phases[1], phase % self.phases[1]);
                    let rows = Inside::new(corner[0] + i as isize, self.stride[0], size[0], self.rows);
                    let columns = Inside::new(corner[1] + j as isize, self.stride[1], size[1], self.width);
                    let copy = Copy {
                        rows: rows.places.len(),
                        len: columns.places.len(),
                        pitches: [self.width, self.stride[0] * size[1]],
                        step: self.stride[1],
                    };
                    if copy.rows == 0 || copy.len == 0 {
                        continue;
                    }
                    let planes = source.chunks_exact_mut(self.rows * self.width).skip(phase).step_by(phases);
                    for (plane, image) in planes.zip(image.chunks_exact(size[0] * size[1]).take(channels)) {
                        let plane = &mut plane[rows.places.start * self.width + columns.places.start..];
                        copy.run(plane, &image[rows.first * size[1] + columns.first..]);
                    }
                }
            },
        );
    }
}

/// A copy of rows: element `i` of row `y` is at `y * pitches[0] + i` afterwards and was at `y * pitches[1] + i * step`.
struct Copy {
    rows: usize,
    len: usize,
    pitches: [usize; 2],
    step: usize,
}

impl Copy {
    #[inline(always)]
    fn run(&self, to: &mut [f32], from: &[f32]) {
        match (self.step, self.len) {
            (1, 4..8) => self.by_row(to, from, |to, from| copy_ends::<4>(to, &from[..to.len()])),
            (1, 8..=16) => self.by_row(to, from, |to, from| copy_ends::<8>(to, &from[..to.len()])),
            (1, 17..=32) => self.by_row(to, from, |to, from| copy_ends::<16>(to, &from[..to.len()])),
            (1, _) => self.by_row(to, from, |to, from| to.copy_from_slice(&from[..to.len()])),
            (2, 4..8) => self.by_row(to, from, |to, from| copy_evens::<4>(to, from.as_chunks())),
            (2, 8..) => self.by_row(to, from, |to, from| copy_evens::<8>(to, from.as_chunks())),
            (step, _) => self.by_row(to, from, |to, from| {
                to.iter_mut().zip(from.iter().step_by(step)).for_each(|(to, from)| *to = *from);
            }),
        }
    }

    #[inline(always)]
    fn by_row(&self, to: &mut [f32], from: &[f32], copy: impl Fn(&mut [f32], &[f32])) {
        for row in 0..self.rows {
            copy(&mut to[row * self.pitches[0]..][..self.len], &from[row * self.pitches[1]..]);
        }
    }
}

/// Which places along an axis lie inside an image.
struct Inside {
    places: Range<usize>,
    /// The pixel in the first of them.
    first: usize,
}

impl Inside {
    /// Of `count` places, of which the first has pixel `first` and each next one the pixel `step` further, in an image of `size`
    /// pixels.
    fn new(first: isize, step: usize, size: usize, count: usize) -> Inside {
        let low = first.min(0).unsigned_abs().div_ceil(step).min(count);
        let first = first + (low * step) as isize;
        let pixels = (size as isize - first).max(0) as usize;
        let high = (low + pixels.div_ceil(step)).min(count);
        Inside { places: low..high, first: (first.max(0) as usize).min(size) }
    }
}

/// The first number of each pair, and the last number if it has no second, in vectors of `N`; the last may overlap the one before.
#[inline(always)]
fn copy_evens<const N: usize>(to: &mut [f32], (pairs, last): (&[[f32; 2]], &[f32])) {
    let copy = |to: &mut [f32; N], from: &[[f32; 2]; N]| *to = from.map(|[even, _]| even);
    let (to, pairs) = match pairs.get(..to.len()) {
        Some(pairs) => (to, pairs),
        // The last pair lacks its second number.
        None => {
            let end = to.len() - 1;
            to[end] = last[0];
            (&mut to[..end], &pairs[..end])
        }
    };
    for (to, pairs) in to.as_chunks_mut::<N>().0.iter_mut().zip(pairs.as_chunks::<N>().0) {
        copy(to, pairs);
    }
    match (to.last_chunk_mut(), pairs.last_chunk()) {
        (Some(to), Some(pairs)) => copy(to, pairs),
        _ => to.iter_mut().zip(pairs).for_each(|(to, [even, _])| *to = *even),
    }
}

/// `to[i * step] = from[i]`.
pub(super) fn copy_to(to: &mut [f32], from: &[f32], step: usize) {
    match step {
        1 => copy(&mut to[..from.len()], from),
        _ => to.iter_mut().step_by(step).zip(from).for_each(|(to, from)| *to = *from),
    }
}

/// Copies a row. A short one in two chunks, which may overlap: the call for any length takes longer.
pub(super) fn copy(to: &mut [f32], from: &[f32]) {
    match to.len() {
        4..8 => copy_ends::<4>(to, from),
        8..=16 => copy_ends::<8>(to, from),
        17..=32 => copy_ends::<16>(to, from),
        _ => to.copy_from_slice(from),
    }
}

/// Copies the first and the last `N` elements of rows of the same length.
#[inline(always)]
fn copy_ends<const N: usize>(to: &mut [f32], from: &[f32]) {
    if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk()) {
        *to = *from;
    }
    if let (Some(to), Some(from)) = (to.last_chunk_mut::<N>(), from.last_chunk()) {
        *to = *from;
    }
}
