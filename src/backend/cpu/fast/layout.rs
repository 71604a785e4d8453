//! Images laid out for windows that move over them: each tap of a window is then a fixed offset.

use crate::backend::cpu::fast::correlate::LANES;
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
        source.clear();
        source.resize(planes * self.rows * self.width + self.width + 2 * LANES, around);
        let mut planes = source.chunks_exact_mut(self.rows * self.width);
        for image in image.chunks_exact(size[0] * size[1]).take(channels) {
            for i in 0..self.phases[0] as isize {
                let rows = Inside::new(corner[0] + i, self.stride[0], size[0], self.rows);
                for (j, plane) in (0..self.phases[1] as isize).zip(&mut planes) {
                    let columns = Inside::new(corner[1] + j, self.stride[1], size[1], self.width);
                    let plane = plane.chunks_exact_mut(self.width).skip(rows.places.start);
                    let image = image.chunks_exact(size[1]).skip(rows.first).step_by(self.stride[0]);
                    for (row, image) in plane.zip(image).take(rows.places.len()) {
                        copy_from(&mut row[columns.places.clone()], &image[columns.first..], self.stride[1]);
                    }
                }
            }
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

/// `to[i] = from[i * step]`.
fn copy_from(to: &mut [f32], from: &[f32], step: usize) {
    match step {
        1 => copy(to, &from[..to.len()]),
        // In pairs it becomes vector instructions.
        2 => {
            let (pairs, last) = from.as_chunks::<2>();
            to.iter_mut().zip(pairs).for_each(|(to, [from, _])| *to = *from);
            if let (Some(to), Some(from)) = (to.get_mut(pairs.len()), last.first()) {
                *to = *from;
            }
        }
        _ => to.iter_mut().zip(from.iter().step_by(step)).for_each(|(to, from)| *to = *from),
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
fn copy_ends<const N: usize>(to: &mut [f32], from: &[f32]) {
    if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk()) {
        *to = *from;
    }
    if let (Some(to), Some(from)) = (to.last_chunk_mut::<N>(), from.last_chunk()) {
        *to = *from;
    }
}
