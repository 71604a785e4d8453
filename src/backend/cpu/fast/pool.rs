//! Pooling, a plane at a time.

use super::{math, simd};
use crate::kernel::Args;
use crate::kernel::formula::activation;
use crate::kernel::pool::shape::Params;
use crate::kernel::pool::{average_backward, average_forward, max_backward, max_forward};
use std::ops::Range;

/// How many of a convolution's floating point operations take as long as one of a pooling, whose windows are too small for
/// vectors: decides from where threads pay.
const SLOWNESS: f64 = 16.0;

/// A row of windows, which lies in the same places of all planes.
struct Row {
    /// The windows' pixels one after the other, those of all windows at once: the windows that have the tap in the plane (all but
    /// those at the borders), and where the first of them finds it; the next one finds it a stride further.
    taps: Vec<(Range<usize>, usize)>,
    /// The first pixel of each window.
    first: Vec<u32>,
}

impl Row {
    fn all(p: &Params) -> Vec<Row> {
        (0..p.output_height as usize).map(|y| Row::new(p, y)).collect()
    }

    fn new(p: &Params, y: usize) -> Row {
        let [width, stride, pad] = [p.width, p.stride_width, p.pad_left].map(|n| n as usize);
        let windows = p.output_width as usize;
        let tap = |row: usize, tap: usize| {
            let first = pad.saturating_sub(tap).div_ceil(stride);
            let end = (width + pad).saturating_sub(tap).div_ceil(stride).min(windows);
            (first < end).then(|| (first..end, row * width + first * stride + tap - pad))
        };
        let [rows, _] = p.window(y, 0);
        let taps = rows.flat_map(|row| (0..p.size_width as usize).filter_map(move |at| tap(row, at))).collect();
        let first =
            (0..windows).map(|x| p.window(y, x)).map(|[rows, columns]| (rows.start * width + columns.start) as u32);
        Row { taps, first: first.collect() }
    }

    /// The largest pixel of each window and where it lies. `is_larger` compares a pixel with the largest so far.
    #[inline(always)]
    fn largest(&self, plane: &[f32], stride: u32, found: &mut Found, is_larger: impl Fn(f32, f32) -> bool) {
        let Found { values, places } = found;
        values.fill(f32::NEG_INFINITY);
        places.copy_from_slice(&self.first);
        // Two selections rather than a branch, which no processor could foresee.
        let take = |value: &mut f32, place: &mut u32, pixel: f32, at: u32| {
            let larger = is_larger(pixel, *value);
            *value = if larger { pixel } else { *value };
            *place = if larger { at } else { *place };
        };
        for (windows, first) in &self.taps {
            let found = values[windows.clone()].iter_mut().zip(&mut places[windows.clone()]);
            let (pixels, first) = (&plane[*first..], *first as u32);
            // A loop of its own where windows step by two becomes vector instructions.
            if stride == 2 {
                let (pairs, rest) = pixels.as_chunks::<2>();
                for (((value, place), [pixel, _]), at) in found.zip(pairs).zip(0u32..) {
                    take(value, place, *pixel, first + 2 * at);
                }
                if let (Some(pixel), true) = (rest.first(), windows.len() > pairs.len()) {
                    let last = windows.end - 1;
                    take(&mut values[last], &mut places[last], *pixel, first + 2 * (last - windows.start) as u32);
                }
            } else {
                for (((value, place), pixel), at) in found.zip(pixels.iter().step_by(stride as usize)).zip(0u32..) {
                    take(value, place, *pixel, first + stride * at);
                }
            }
        }
    }
}

/// The largest pixels of a row of windows.
struct Found {
    values: Vec<f32>,
    places: Vec<u32>,
}

impl Found {
    fn new(p: &Params) -> Found {
        Found { values: vec![0.0; p.output_width as usize], places: vec![0; p.output_width as usize] }
    }
}

/// Planes of so many elements that a thread takes at a time.
fn planes_at_a_time(area: usize) -> usize {
    const ELEMENTS: usize = 4096;
    (ELEMENTS / area).max(1)
}

pub(crate) fn max_forward(args: &mut Args<f32>) {
    let p: Params = args.params();
    let count = args.models() * p.planes as usize;
    let work = SLOWNESS * max_forward::cost(args.params).flops * args.models() as f64;
    let [input, output] = args.operands();
    let (input, output) = (input.read(), &mut output.write()[..count * p.output_area()]);
    let (rows, planes) = (Row::all(&p), planes_at_a_time(p.input_area()));
    simd::pieces(output, planes * p.output_area(), work, |piece, output| {
        let input = input[piece * planes * p.input_area()..].chunks_exact(p.input_area());
        let mut found = Found::new(&p);
        for (output, input) in output.chunks_exact_mut(p.output_area()).zip(input) {
            for (row, output) in rows.iter().zip(output.chunks_exact_mut(p.output_width as usize)) {
                // A NaN displaces every number, and no number displaces it.
                let larger = |value: f32, largest: f32| (value > largest) | value.is_nan();
                simd::vectorised(
                    #[inline(always)]
                    || row.largest(input, p.stride_width, &mut found, larger),
                );
                output.copy_from_slice(&found.values);
            }
        }
    });
}

pub(crate) fn max_backward(args: &mut Args<f32>) {
    let p: Params = args.params();
    let kind = args.constant("ACTIVATION", 0);
    let count = args.models() * p.planes as usize;
    let work = SLOWNESS * max_backward::cost(args.params).flops * args.models() as f64;
    let [input, output_gradient, saved, input_gradient] = args.operands();
    let (input, output_gradient, saved) = (input.read(), output_gradient.read(), saved.read());
    let input_gradient = &mut input_gradient.write()[..count * p.input_area()];
    let (rows, planes) = (Row::all(&p), planes_at_a_time(p.input_area()));
    simd::pieces(input_gradient, planes * p.input_area(), work, |piece, gradients| {
        let first = piece * planes * p.input_area();
        let input = input[first..].chunks_exact(p.input_area());
        let windows = output_gradient[piece * planes * p.output_area()..].chunks_exact(p.output_area());
        let mut found = Found::new(&p);
        gradients.fill(0.0);
        for ((gradient, input), windows) in gradients.chunks_exact_mut(p.input_area()).zip(input).zip(windows) {
            for (row, windows) in rows.iter().zip(windows.chunks_exact(p.output_width as usize)) {
                let larger = |a: f32, b: f32| (a > b) | (a.is_nan() & !b.is_nan());
                simd::vectorised(
                    #[inline(always)]
                    || row.largest(input, p.stride_width, &mut found, larger),
                );
                found.places.iter().zip(windows).for_each(|(place, value)| gradient[*place as usize] += value);
            }
        }
        if kind != activation::LINEAR {
            math::activation_gradient(gradients, &saved[first..][..gradients.len()], kind);
        }
    });
}

pub(crate) fn average_forward(args: &mut Args<f32>) {
    let p: Params = args.params();
    let count = args.models() * p.planes as usize;
    let work = SLOWNESS * average_forward::cost(args.params).flops * args.models() as f64;
    let [input, output] = args.operands();
    let (input, output) = (input.read(), &mut output.write()[..count * p.output_area()]);
    simd::pieces(output, p.output_area(), work, |plane, output| {
        let input = &input[plane * p.input_area()..][..p.input_area()];
        for (y, output) in output.chunks_exact_mut(p.output_width as usize).enumerate() {
            for (x, output) in output.iter_mut().enumerate() {
                let [rows, columns] = p.window(y, x);
                let pixels = (rows.len() * columns.len()) as f32;
                let row_sum = |y: usize| input[y * p.width as usize..][columns.clone()].iter().sum::<f32>();
                *output = rows.map(row_sum).sum::<f32>() / pixels;
            }
        }
    });
}

pub(crate) fn average_backward(args: &mut Args<f32>) {
    let p: Params = args.params();
    let kind = args.constant("ACTIVATION", 0);
    let count = args.models() * p.planes as usize;
    let work = SLOWNESS * average_backward::cost(args.params).flops * args.models() as f64;
    let [output_gradient, saved, input_gradient] = args.operands();
    let (output_gradient, saved) = (output_gradient.read(), saved.read());
    let input_gradient = &mut input_gradient.write()[..count * p.input_area()];
    simd::pieces(input_gradient, p.input_area(), work, |plane, gradient| {
        let windows =
            output_gradient[plane * p.output_area()..][..p.output_area()].chunks_exact(p.output_width as usize);
        gradient.fill(0.0);
        for (y, row) in windows.enumerate() {
            for (x, value) in row.iter().enumerate() {
                let [rows, columns] = p.window(y, x);
                let share = value / (rows.len() * columns.len()) as f32;
                for y in rows {
                    let pixels = &mut gradient[y * p.width as usize..][columns.clone()];
                    pixels.iter_mut().for_each(|pixel| *pixel += share);
                }
            }
        }
        if kind != activation::LINEAR {
            math::activation_gradient(gradient, &saved[plane * p.input_area()..][..p.input_area()], kind);
        }
    });
}
