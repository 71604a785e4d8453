//! Pooling, a plane at a time.

use super::correlate::LANES;
use super::layout::{Layout, copy};
use super::{math, simd};
use crate::kernel::Args;
use crate::kernel::formula::activation;
use crate::kernel::pool::shape::Params;
use crate::kernel::pool::{average_backward, average_forward, max_backward, max_forward};
use std::cell::Cell;

/// How many of a convolution's floating point operations take as long as one of a pooling, whose windows are too small for
/// vectors: decides from where threads pay.
const SLOWNESS: f64 = 16.0;

/// How the largest pixel of each window is looked for: tap by tap, in all windows of a plane at once.
struct Search {
    layout: Layout,
    /// Pixels of a plane, and the one in the corner of the first window.
    size: [usize; 2],
    corner: [isize; 2],
    /// Of each tap, where a plane that is laid out has it.
    offsets: Vec<usize>,
    /// Windows of a row.
    windows: usize,
    /// Elements of a laid out plane of windows.
    len: usize,
}

/// What a thread has found in a plane.
#[derive(Default)]
struct Found {
    source: Vec<f32>,
    /// The largest pixel of each window, laid out.
    values: Vec<f32>,
    /// The tap that has it.
    taps: Vec<u32>,
}

thread_local! {
    static FOUND: Cell<Found> = Cell::default();
}

impl Search {
    fn new(p: &Params) -> Search {
        let [rows, windows] = [p.output_height, p.output_width].map(|n| n as usize);
        let taps = [p.size_height, p.size_width].map(|n| n as usize);
        let stride = [p.stride_height, p.stride_width].map(|n| n as usize);
        let layout = Layout::new([rows, windows], taps.map(|n| n - 1), stride);
        let offsets = (0..taps[0]).flat_map(|i| (0..taps[1]).map(move |j| [i, j]));
        Search {
            offsets: offsets.map(|[i, j]| layout.offset(0, i, j)).collect(),
            size: [p.height as usize, p.width as usize],
            corner: [-(p.pad_top as isize), -(p.pad_left as isize)],
            windows,
            len: layout.wide(rows),
            layout,
        }
    }

    /// Lays out a plane. Where there is no pixel, nothing is larger than this.
    fn lay_out(&self, plane: &[f32], source: &mut Vec<f32>) {
        self.layout.fill(plane, 1, self.size, self.corner, f32::NEG_INFINITY, source);
    }

    /// The largest pixel of each window of a plane, in rows of the layout's width. A NaN displaces every number, and no number
    /// displaces it.
    fn values<'a>(&self, plane: &[f32], found: &'a mut Found) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        self.lay_out(plane, &mut found.source);
        let Found { source, values, .. } = found;
        values.resize(self.len, 0.0);
        simd::vectorised(
            #[inline(always)]
            || {
                for (block, values) in values.as_chunks_mut().0.iter_mut().enumerate() {
                    // In registers until the last tap: to store some lanes of a vector takes some processors long.
                    let mut largest = [f32::NEG_INFINITY; LANES];
                    for offset in &self.offsets {
                        for (largest, pixel) in largest.iter_mut().zip(&source[offset + block * LANES..][..LANES]) {
                            *largest = if (*pixel > *largest) | pixel.is_nan() { *pixel } else { *largest };
                        }
                    }
                    *values = largest;
                }
            },
        );
        self.rows(values)
    }

    /// The tap that has the first largest pixel of each window, in rows of the layout's width; of a window in which no pixel is
    /// larger than -inf, the first that `first` names. A NaN is larger than every number.
    fn taps<'a>(
        &self,
        plane: &[f32],
        first: &[u32],
        found: &'a mut Found,
    ) -> impl Iterator<Item = &'a [u32]> + use<'a> {
        self.lay_out(plane, &mut found.source);
        let Found { source, taps, .. } = found;
        taps.resize(self.len, 0);
        simd::vectorised(
            #[inline(always)]
            || {
                let firsts = first.as_chunks().0;
                for (block, (taps, first)) in taps.as_chunks_mut().0.iter_mut().zip(firsts).enumerate() {
                    let (mut of_largest, mut largest): ([u32; LANES], _) = (*first, [f32::NEG_INFINITY; LANES]);
                    for (tap, offset) in (0u32..).zip(&self.offsets) {
                        let pixels = &source[offset + block * LANES..][..LANES];
                        for ((largest, of_largest), pixel) in largest.iter_mut().zip(&mut of_largest).zip(pixels) {
                            let larger = (*pixel > *largest) | (pixel.is_nan() & !largest.is_nan());
                            *of_largest = if larger { tap } else { *of_largest };
                            *largest = if larger { *pixel } else { *largest };
                        }
                    }
                    *taps = of_largest;
                }
            },
        );
        self.rows(taps)
    }

    /// What is found for each window, without what the layout has behind the last window of a row.
    fn rows<'a, T>(&self, found: &'a [T]) -> impl Iterator<Item = &'a [T]> + use<'a, T> {
        let windows = self.windows;
        found.chunks(self.layout.width).map(move |row| &row[..windows.min(row.len())])
    }
}

/// Where the pixel of each tap of a window lies in a plane, behind the place that the window's corner has or would have.
fn tap_pixels(p: &Params) -> Vec<usize> {
    let columns = p.size_width as usize;
    (0..p.size_height as usize).flat_map(|i| (0..columns).map(move |j| i * p.width as usize + j)).collect()
}

/// The first tap that each window of a plane has in it, laid out as `search` finds them.
fn first_taps(p: &Params, search: &Search) -> Vec<u32> {
    let mut first = vec![0; search.len];
    for (y, row) in first.chunks_mut(search.layout.width).take(p.output_height as usize).enumerate() {
        for (x, tap) in row.iter_mut().take(search.windows).enumerate() {
            let outside = |window: usize, stride: u32, pad: u32| pad.saturating_sub(window as u32 * stride);
            let (i, j) = (outside(y, p.stride_height, p.pad_top), outside(x, p.stride_width, p.pad_left));
            *tap = i * p.size_width + j;
        }
    }
    first
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
    let (search, planes) = (Search::new(&p), planes_at_a_time(p.input_area()));
    simd::pieces(output, planes * p.output_area(), work, |piece, output| {
        let input = input[piece * planes * p.input_area()..].chunks_exact(p.input_area());
        let mut found = FOUND.take();
        for (output, input) in output.chunks_exact_mut(p.output_area()).zip(input) {
            let rows = search.values(input, &mut found);
            output.chunks_exact_mut(p.output_width as usize).zip(rows).for_each(|(to, from)| copy(to, from));
        }
        FOUND.set(found);
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
    let (search, planes) = (Search::new(&p), planes_at_a_time(p.input_area()));
    let (first, tap_pixels) = (first_taps(&p, &search), tap_pixels(&p));
    let width = p.width as usize;
    let [down, across] = [p.stride_height as usize * width, p.stride_width as usize];
    let padding = p.pad_top as usize * width + p.pad_left as usize;
    simd::pieces(input_gradient, planes * p.input_area(), work, |piece, gradients| {
        let start = piece * planes * p.input_area();
        let input = input[start..].chunks_exact(p.input_area());
        let windows = output_gradient[piece * planes * p.output_area()..].chunks_exact(p.output_area());
        let mut found = FOUND.take();
        gradients.fill(0.0);
        for ((gradient, input), windows) in gradients.chunks_exact_mut(p.input_area()).zip(input).zip(windows) {
            let rows = search.taps(input, &first, &mut found);
            for ((y, taps), windows) in rows.enumerate().zip(windows.chunks_exact(p.output_width as usize)) {
                for ((x, tap), value) in taps.iter().enumerate().zip(windows) {
                    gradient[y * down + x * across + tap_pixels[*tap as usize] - padding] += value;
                }
            }
        }
        FOUND.set(found);
        if kind != activation::LINEAR {
            math::activation_gradient(gradients, &saved[start..][..gradients.len()], kind);
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
