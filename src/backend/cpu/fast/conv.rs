//! Convolutions on the CPU: every image is laid out so that each tap of the window is a fixed offset, see
//! [`super::correlate`]. Images (or, for the weight gradient, splits) are shared out to threads; each one's arithmetic is
//! the same on any thread, so results do not depend on their number.

use crate::backend::cpu::fast::correlate::{BLOCK, LANES, correlate, dot_products};
use crate::backend::cpu::fast::{math, simd};
use crate::kernel::Args;
use crate::kernel::conv::shape::Params;
use crate::kernel::conv::{backward_weight, shape};
use crate::kernel::formula::activation;
use std::cell::Cell;
use std::thread::LocalKey;

/// What a launch prepares once for all images; the thread keeps the memory from launch to launch.
#[derive(Default)]
struct Packed {
    /// Of each tap, where it finds its first pixel.
    offsets: Vec<usize>,
    /// The weights in blocks of filters, tap by tap.
    weights: Vec<f32>,
}

/// What a thread works on for one image.
#[derive(Default)]
struct Image {
    /// The image, padded; see [`Layout`].
    source: Vec<f32>,
    /// Results of [`correlate`], or the gradients that [`dot_products`] reads: rows as long as the layout's.
    wide: Vec<f32>,
}

thread_local! {
    static PACKED: Cell<Packed> = Cell::default();
    static IMAGE: Cell<Image> = Cell::default();
}

/// Lends a thread's memory. It is taken out meanwhile, so a nested loan gets memory of its own instead of a conflict.
fn lend<T: Default, R>(memory: &'static LocalKey<Cell<T>>, work: impl FnOnce(&mut T) -> R) -> R {
    let mut lent = memory.take();
    let result = work(&mut lent);
    memory.set(lent);
    result
}

/// A padded image with one plane for each channel and phase of the stride: pixel (y, x) lies in phase (y mod stride,
/// x mod stride) at (y / stride, x / stride). The windows' taps are then fixed offsets from the windows' numbers.
struct Layout {
    stride: [usize; 2],
    rows: usize,
    width: usize,
}

impl Layout {
    /// For `outputs` rows and columns of windows with `kernel` rows and columns of taps.
    fn new(outputs: [usize; 2], kernel: [usize; 2], stride: [usize; 2]) -> Layout {
        let [rows, width] = [0, 1].map(|a| outputs[a] + (kernel[a] - 1) / stride[a]);
        Layout { stride, rows, width }
    }

    fn offset(&self, channel: usize, i: usize, j: usize) -> usize {
        let [down, across] = self.stride;
        let plane = (channel * down + i % down) * across + j % across;
        (plane * self.rows + i / down) * self.width + j / across
    }

    /// Elements that hold `rows` rows of windows, in whole vectors.
    fn wide(&self, rows: usize) -> usize {
        (rows * self.width).next_multiple_of(LANES)
    }

    /// Lays out `channels` channels of an image whose pixel (top, left) is the first window's corner.
    fn fill(&self, image: &[f32], channels: usize, size: [usize; 2], corner: [isize; 2], source: &mut Vec<f32>) {
        let [down, across] = self.stride;
        let len = channels * down * across * self.rows * self.width;
        // The last vectors of the last plane run over its end. Whatever they read must be a number: 0 * NaN is NaN.
        source.resize(len + self.width + 2 * LANES, 0.0);
        source[len..].fill(0.0);
        for (index, row) in source[..len].chunks_exact_mut(self.width).enumerate() {
            let (plane, y) = (index / self.rows, index % self.rows);
            let (channel, phase) = (plane / (down * across), plane % (down * across));
            let y = corner[0] + (y * down + phase / across) as isize;
            let first = corner[1] + (phase % across) as isize;
            if (0..size[0] as isize).contains(&y) {
                let start = (channel * size[0] + y as usize) * size[1];
                copy_row(row, &image[start..start + size[1]], first, across);
            } else {
                row.fill(0.0);
            }
        }
    }
}

/// `to[i] = from[first + i * step]`, 0 outside.
fn copy_row(to: &mut [f32], from: &[f32], first: isize, step: usize) {
    let (start, step_signed) = (first.min(0).unsigned_abs(), step as isize);
    let low = start.div_ceil(step).min(to.len());
    let high = (from.len() as isize - first + step_signed - 1).max(0) as usize / step;
    let high = high.clamp(low, to.len());
    to[..low].fill(0.0);
    to[high..].fill(0.0);
    if low == high {
        return;
    }
    let from = &from[(first + low as isize * step_signed) as usize..];
    if step == 1 {
        to[low..high].copy_from_slice(&from[..high - low]);
    } else {
        to[low..high].iter_mut().zip(from.iter().step_by(step)).for_each(|(to, from)| *to = *from);
    }
}

/// Packs weights for [`correlate`]: in blocks of columns, tap by tap, zeros after the last column.
fn pack(weights: &mut Vec<f32>, columns: usize, taps: usize, weight: impl Fn(usize, usize) -> f32) {
    let blocks = columns.div_ceil(BLOCK);
    weights.resize(blocks * taps * BLOCK, 0.0);
    for (block, weights) in weights.chunks_exact_mut((taps * BLOCK).max(1)).enumerate() {
        for (tap, weights) in weights.chunks_exact_mut(BLOCK).enumerate() {
            for (f, packed) in weights.iter_mut().enumerate() {
                let column = block * BLOCK + f;
                *packed = if column < columns { weight(column, tap) } else { 0.0 };
            }
        }
    }
}

/// The forward pass.
pub(crate) fn forward(args: &mut Args<f32>) {
    let p: Params = args.params();
    let (models, kind, has_bias) = (args.models(), args.constant("ACTIVATION", 0), args.constant("BIAS", 1) == 1);
    let flops = shape::cost(args.params).flops;
    let [input, weight, bias, output] = args.operands();
    let (input, weight, bias, output) = (input.read(), weight.read(), bias.read(), output.write());
    let (batch, area) = (p.batch as usize, p.output_area());
    let layout = layout(&p, p.output_height as usize);
    let len = layout.wide(p.output_height as usize);
    let of_image = p.filters as usize * area;
    for (model, output) in output.chunks_exact_mut(batch * of_image).take(models).enumerate() {
        let parameters = model * p.parameter_stride as usize;
        let (weight, bias) = (&weight[parameters..], has_bias.then(|| &bias[parameters..]));
        lend(&PACKED, |packed| {
            tap_offsets(&layout, &p, &mut packed.offsets);
            pack(&mut packed.weights, p.filters as usize, p.taps(), |filter, tap| weight[filter * p.taps() + tap]);
            let (offsets, weights) = (&packed.offsets, &packed.weights);
            simd::pieces(output, of_image, flops, |image, output| {
                let start = model * p.input_stride as usize + image * p.channels as usize * p.input_area();
                lend(&IMAGE, |own| {
                    let corner = [-(p.pad_top as isize), -(p.pad_left as isize)];
                    let size = [p.height as usize, p.width as usize];
                    layout.fill(&input[start..], p.channels as usize, size, corner, &mut own.source);
                    own.wide.resize(BLOCK * len, 0.0);
                    let blocks = output.chunks_mut(BLOCK * area).zip(weights.chunks_exact(p.taps() * BLOCK));
                    for (block, (output, weights)) in blocks.enumerate() {
                        correlate(&own.source, offsets, weights, &mut own.wide, len);
                        for (f, (output, wide)) in output.chunks_mut(area).zip(own.wide.chunks_exact(len)).enumerate() {
                            let bias = bias.map_or(0.0, |bias| bias[block * BLOCK + f]);
                            let rows = output.chunks_exact_mut(p.output_width as usize);
                            for (output, wide) in rows.zip(wide.chunks(layout.width)) {
                                output.iter_mut().zip(wide).for_each(|(output, z)| *output = z + bias);
                            }
                        }
                    }
                    math::activate(output, kind);
                });
            });
        });
    }
}

/// The layout for `rows` rows of windows.
fn layout(p: &Params, rows: usize) -> Layout {
    let [kernel, stride] = [[p.kernel_height, p.kernel_width], [p.stride_height, p.stride_width]];
    Layout::new([rows, p.output_width as usize], kernel.map(|n| n as usize), stride.map(|n| n as usize))
}

/// The offsets of the taps (channel, i, j), in the order of the weights.
fn tap_offsets(layout: &Layout, p: &Params, offsets: &mut Vec<usize>) {
    offsets.clear();
    for channel in 0..p.channels as usize {
        for i in 0..p.kernel_height as usize {
            offsets.extend((0..p.kernel_width as usize).map(|j| layout.offset(channel, i, j)));
        }
    }
}

/// One phase of the input gradient along one axis: the input pixels `first`, `first + stride`, …, which are covered by
/// the taps `phase`, `phase + stride`, ….
struct Phase {
    first: usize,
    pixels: usize,
    phase: usize,
    taps: usize,
    /// The window whose last tap covers the first pixel; negative windows do not exist and count as zeros.
    corner: isize,
}

impl Phase {
    fn new(phase: usize, stride: usize, pad: usize, size: usize, kernel: usize) -> Phase {
        let low = pad.saturating_sub(phase).div_ceil(stride);
        let high = (pad + size).saturating_sub(phase).div_ceil(stride);
        let taps = kernel.saturating_sub(phase).div_ceil(stride);
        let first = (low * stride + phase).saturating_sub(pad);
        Phase { first, pixels: high.saturating_sub(low), phase, taps, corner: low as isize - (taps as isize - 1) }
    }
}

/// The gradient to the input: for each phase of the stride a correlation of the output gradient with every stride-th tap,
/// the last first.
pub(crate) fn backward_input(args: &mut Args<f32>) {
    let p: Params = args.params();
    let (models, kind) = (args.models(), args.constant("ACTIVATION", 0));
    let flops = shape::cost(args.params).flops;
    let [output_gradient, weight, saved, input_gradient] = args.operands();
    let (output_gradient, weight, saved) = (output_gradient.read(), weight.read(), saved.read());
    let of_image = p.channels as usize * p.input_area();
    let of_model = p.batch as usize * of_image;
    for (model, input_gradient) in input_gradient.write().chunks_exact_mut(of_model).take(models).enumerate() {
        let weight = &weight[model * p.parameter_stride as usize..];
        let output_gradient = &output_gradient[model * p.batch as usize * p.filters as usize * p.output_area()..];
        for i in 0..p.stride_height {
            for j in 0..p.stride_width {
                backward_phase(&p, [i, j], flops, output_gradient, weight, input_gradient);
            }
        }
        if kind != activation::LINEAR {
            let saved = &saved[model * of_model..][..of_model];
            simd::chunks(input_gradient, |start, gradient| {
                math::activation_gradient(gradient, &saved[start..][..gradient.len()], kind);
            });
        }
    }
}

fn backward_phase(
    p: &Params,
    phase: [u32; 2],
    flops: f64,
    output_gradient: &[f32],
    weight: &[f32],
    input_gradient: &mut [f32],
) {
    let [down, across] = [p.stride_height as usize, p.stride_width as usize];
    let rows = Phase::new(phase[0] as usize, down, p.pad_top as usize, p.height as usize, p.kernel_height as usize);
    let columns = Phase::new(phase[1] as usize, across, p.pad_left as usize, p.width as usize, p.kernel_width as usize);
    if rows.pixels == 0 || columns.pixels == 0 {
        return;
    }
    let (filters, channels, width) = (p.filters as usize, p.channels as usize, p.width as usize);
    // Without taps (a stride beyond the kernel's size) the layout still needs one row and column; the gradient is 0.
    let layout = Layout::new([rows.pixels, columns.pixels], [rows.taps.max(1), columns.taps.max(1)], [1, 1]);
    let len = layout.wide(rows.pixels);
    let taps = rows.taps * columns.taps;
    lend(&PACKED, |packed| {
        let place = |tap: usize| (tap / taps, tap % taps / columns.taps, tap % columns.taps);
        packed.offsets.clear();
        packed.offsets.extend(
            (0..filters * taps)
                .map(place)
                .map(|(filter, a, b)| layout.offset(filter, rows.taps - 1 - a, columns.taps - 1 - b)),
        );
        pack(&mut packed.weights, channels, filters * taps, |channel, tap| {
            let (filter, a, b) = place(tap);
            let tap = (rows.phase + a * down) * p.kernel_width as usize + columns.phase + b * across;
            weight[filter * p.taps() + channel * p.kernel_area() + tap]
        });
        let (offsets, weights) = (&packed.offsets, &packed.weights);
        simd::pieces(input_gradient, channels * p.input_area(), flops, |image, input_gradient| {
            let image = &output_gradient[image * filters * p.output_area()..];
            lend(&IMAGE, |own| {
                let size = [p.output_height as usize, p.output_width as usize];
                layout.fill(image, filters, size, [rows.corner, columns.corner], &mut own.source);
                own.wide.resize(BLOCK * len, 0.0);
                for (block, planes) in input_gradient.chunks_mut(BLOCK * p.input_area()).enumerate() {
                    let weights = &weights[block * filters * taps * BLOCK..][..filters * taps * BLOCK];
                    correlate(&own.source, offsets, weights, &mut own.wide, len);
                    for (plane, wide) in planes.chunks_mut(p.input_area()).zip(own.wide.chunks_exact(len)) {
                        for (row, wide) in wide.chunks(layout.width).take(rows.pixels).enumerate() {
                            let row = &mut plane[(rows.first + row * down) * width..][..width];
                            let pixels = row[columns.first..].iter_mut().step_by(across);
                            pixels.zip(&wide[..columns.pixels]).for_each(|(pixel, sum)| *pixel = *sum);
                        }
                    }
                }
            });
        });
    });
}

/// The gradient to the weights and bias: dot products of every filter's gradients with the image shifted by every tap.
pub(crate) fn backward_weight(args: &mut Args<f32>) {
    let params: backward_weight::Params = args.params();
    let (models, bias, p) = (args.models(), args.constant("BIAS", 1) == 1, params.shape());
    let flops = shape::cost(args.params).flops;
    let [input, output_gradient, sums] = args.operands();
    let (input, output_gradient, sums) = (input.read(), output_gradient.read(), sums.write());
    let splits = params.splits();
    // One split has no stride: its sums are the whole of the model's.
    let len = if splits == 1 { usize::MAX } else { params.split_stride as usize };
    lend(&PACKED, |packed| {
        let layout = layout(&p, params.split_rows.min(p.output_height) as usize);
        tap_offsets(&layout, &p, &mut packed.offsets);
        for model in 0..models {
            let sums = &mut sums[model * params.parameter_stride as usize..];
            let part = Part {
                params: &params,
                bias,
                layout: &layout,
                offsets: &packed.offsets,
                input: &input[model * p.input_stride as usize..],
                gradients: &output_gradient[model * (p.batch * p.filters) as usize * p.output_area()..],
            };
            let end = sums.len().min(len.saturating_mul(splits));
            simd::pieces(&mut sums[..end], len, flops, |split, sums| part.sum(split, sums));
        }
    });
}

/// What the splits of one model share.
struct Part<'a> {
    params: &'a backward_weight::Params,
    bias: bool,
    layout: &'a Layout,
    offsets: &'a [usize],
    input: &'a [f32],
    gradients: &'a [f32],
}

impl Part<'_> {
    fn sum(&self, split: usize, sums: &mut [f32]) {
        let p = self.params.shape();
        let filters = p.filters as usize;
        let [images, rows] = self.params.part(split);
        let len = self.layout.wide(rows.len());
        let (weight_sums, rest) = sums.split_at_mut(filters * p.taps());
        let bias_sums = match self.bias {
            true => &mut rest[self.params.bias_offset as usize - filters * p.taps()..][..filters],
            false => &mut [],
        };
        weight_sums.fill(0.0);
        bias_sums.fill(0.0);
        let top = (rows.start * p.stride_height as usize) as isize - p.pad_top as isize;
        let (corner, size) = ([top, -(p.pad_left as isize)], [p.height as usize, p.width as usize]);
        lend(&IMAGE, |own| {
            // The places of a row that belong to no window stay 0 for every image.
            own.wide.clear();
            own.wide.resize(filters * len, 0.0);
            for image in images {
                let start = image * p.channels as usize * p.input_area();
                self.layout.fill(&self.input[start..], p.channels as usize, size, corner, &mut own.source);
                for (filter, wide) in own.wide.chunks_exact_mut(len).enumerate() {
                    let plane = &self.gradients[(image * filters + filter) * p.output_area()..][..p.output_area()];
                    let gradient = plane.chunks_exact(p.output_width as usize).skip(rows.start);
                    for (wide, gradient) in wide.chunks_mut(self.layout.width).take(rows.len()).zip(gradient) {
                        wide[..gradient.len()].copy_from_slice(gradient);
                    }
                }
                let gradients = own.wide.chunks_exact(len);
                bias_sums.iter_mut().zip(gradients).for_each(|(bias, gradients)| *bias += sum(gradients));
                dot_products(&own.source, self.offsets, &own.wide, len, weight_sums);
            }
        });
    }
}

/// The sum of whole vectors of numbers, lane by lane.
fn sum(values: &[f32]) -> f32 {
    simd::vectorised(|| {
        let mut lanes = [0.0; LANES];
        for values in values.chunks_exact(LANES) {
            lanes.iter_mut().zip(values).for_each(|(lane, value)| *lane += value);
        }
        lanes.iter().sum()
    })
}
