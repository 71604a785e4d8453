//! Convolutions on the CPU: every image is laid out ([`super::layout`]) so that each tap of the window is a fixed offset, see
//! [`super::correlate`]. Images (or, for the weight gradient, splits) are shared out to threads; each one's arithmetic is
//! the same on any thread, so results do not depend on their number.

use crate::backend::cpu::fast::correlate::{
    BLOCK, ByLane, LANES, correlate, dot_products, dot_products_of_filters, filters_in_lanes,
};
use crate::backend::cpu::fast::layout::{Layout, copy, copy_to};
use crate::backend::cpu::fast::{math, simd};
use crate::kernel::Args;
use crate::kernel::conv::shape::{Finish, Params};
use crate::kernel::conv::{backward_weight, shape};
use crate::kernel::formula::activation;
use std::cell::Cell;
use std::ops::Range;
use std::thread::LocalKey;

/// What a launch prepares once for all images; the thread keeps the memory from launch to launch.
#[derive(Default)]
struct Packed {
    /// Of each tap, where it finds its first pixel.
    offsets: Vec<usize>,
    /// Of each tap, where its weight lies behind the first of a column's.
    places: Vec<usize>,
    /// The weights in blocks of filters, tap by tap.
    weights: Vec<f32>,
}

/// What a thread works on for one image.
#[derive(Default)]
struct Image {
    /// The image, padded; see [`Layout`].
    source: Vec<f32>,
    /// Results of [`correlate`], or the gradients that [`dot_products`] reads: rows as long as the layout's. Or those that
    /// [`dot_products_of_filters`] reads.
    wide: Vec<f32>,
    /// What [`dot_products_of_filters`] has summed.
    sums: Vec<f32>,
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

/// Columns of a group that [`correlate`] takes at once: one after the other where a block would be nearly empty.
fn block_of(columns: usize) -> usize {
    if columns < BLOCK / 2 { 1 } else { BLOCK }
}

/// Packs the weights of each group for [`correlate`]: in blocks of columns, tap by tap, zeros after the last column. A group
/// has `of_group` weights; those of a column lie `step` from the last column's, each at its tap's of the `places`.
fn pack(packed: &mut Vec<f32>, weights: &[f32], places: &[usize], [groups, columns, of_group, step]: [usize; 4]) {
    let block = block_of(columns);
    let blocks = columns.div_ceil(block);
    packed.resize(groups * blocks * places.len() * block, 0.0);
    for (index, packed) in packed.chunks_exact_mut((places.len() * block).max(1)).enumerate() {
        let (group, first) = (index / blocks, index % blocks * block);
        let weights = &weights[group * of_group + first * step..];
        for (packed, place) in packed.chunks_exact_mut(block).zip(places) {
            let (packed, zeros) = packed.split_at_mut(block.min(columns - first));
            packed.iter_mut().zip(weights[*place..].iter().step_by(step)).for_each(|(to, from)| *to = *from);
            zeros.fill(0.0);
        }
    }
}

/// Adds the bias and applies the activation, or takes the derivative, to the results of one image of a model.
fn finish(finish: &Finish<'_, f32>, results: &mut [f32], area: usize, bias: usize, index: usize) {
    if finish.gradient {
        if finish.activation != activation::LINEAR {
            let saved = &finish.bias_or_saved[index..][..results.len()];
            math::activation_gradient(results, saved, finish.activation);
        }
        return;
    }
    if finish.bias {
        for (plane, bias) in results.chunks_exact_mut(area).zip(&finish.bias_or_saved[bias..]) {
            plane.iter_mut().for_each(|z| *z += bias);
        }
    }
    math::activate(results, finish.activation);
}

/// The forward pass.
pub(crate) fn forward(args: &mut Args<f32>) {
    let (p, constants): (Params, _) = (args.params(), args.constants);
    let models = args.models();
    let flops = shape::cost(args.params).flops;
    let [input, weight, bias_or_saved, output] = args.operands();
    let (input, weight, output) = (input.read(), weight.read(), output.write());
    let epilogue = Finish::new(constants, bias_or_saved.read());
    let (groups, filters, area) = (p.groups as usize, p.filters as usize, p.output_area());
    let layout = layout(&p, p.output_height as usize);
    let len = layout.wide(p.output_height as usize);
    let of_image = p.all_filters() * area;
    for (model, output) in output.chunks_exact_mut(p.outputs()).take(models).enumerate() {
        let parameters = model * p.parameter_stride as usize;
        let weight = &weight[parameters..];
        lend(&PACKED, |packed| {
            tap_offsets(&layout, &p, &mut packed.offsets);
            packed.places.clear();
            packed.places.extend(0..p.taps());
            pack(&mut packed.weights, weight, &packed.places, [groups, filters, filters * p.taps(), p.taps()]);
            let (offsets, weights) = (&packed.offsets, &packed.weights);
            let of_group = weights.len() / groups;
            simd::pieces(output, of_image, flops, |image, output| {
                lend(&IMAGE, |own| {
                    let corner = [-(p.pad_top as isize), -(p.pad_left as isize)];
                    let size = [p.height as usize, p.width as usize];
                    let each = output.chunks_exact_mut(filters * area).zip(weights.chunks_exact(of_group));
                    for (group, (output, weights)) in each.enumerate() {
                        let plane = (image * groups + group) * p.channels as usize;
                        let start = model * p.input_stride as usize + plane * p.input_area();
                        layout.fill(&input[start..], p.channels as usize, size, corner, 0.0, &mut own.source);
                        columns(own, offsets, weights, [filters, area, len], output, |plane, wide| {
                            let rows = plane.chunks_exact_mut(p.output_width as usize);
                            for (row, wide) in rows.zip(wide.chunks(layout.width)) {
                                copy(row, &wide[..row.len()]);
                            }
                        });
                    }
                });
                let index = (model * p.batch as usize + image) * of_image;
                finish(&epilogue, output, area, parameters, index);
            });
        });
    }
}

/// Correlates a group's source with each of its columns: `store` gets the place of a column, `area` numbers, and its `len` sums.
fn columns(
    own: &mut Image,
    offsets: &[usize],
    weights: &[f32],
    [columns, area, len]: [usize; 3],
    results: &mut [f32],
    store: impl Fn(&mut [f32], &[f32]),
) {
    let (block, taps) = (block_of(columns), offsets.len());
    own.wide.resize(block * len, 0.0);
    for (index, results) in results.chunks_mut(block * area).enumerate() {
        let weights = &weights[index * taps * block..][..taps * block];
        correlate(&own.source, offsets, weights, block, &mut own.wide, len);
        results.chunks_mut(area).zip(own.wide.chunks_exact(len)).for_each(|(plane, wide)| store(plane, wide));
    }
}

/// The layout for `rows` rows of windows.
fn layout(p: &Params, rows: usize) -> Layout {
    let stride = [p.stride_height, p.stride_width].map(|n| n as usize);
    Layout::new([rows, p.output_width as usize], p.reach(), stride)
}

/// The offsets of a group's taps (channel, i, j), in the order of the weights.
fn tap_offsets(layout: &Layout, p: &Params, offsets: &mut Vec<usize>) {
    offsets.clear();
    for channel in 0..p.channels as usize {
        offsets.extend((0..p.kernel_area()).map(|tap| p.tap(tap)).map(|[i, j]| layout.offset(channel, i, j)));
    }
}

/// One phase of the input gradient along one axis: the input pixels `first`, `first + stride`, …, which are all covered by the
/// same taps.
struct Phase {
    first: usize,
    pixels: usize,
    /// The taps that cover them, each with its number of windows back from the one whose first tap covers the same pixel.
    taps: Vec<(usize, usize)>,
    /// The most of these.
    reach: usize,
    /// The window whose last tap covers the first pixel; negative windows do not exist and count as zeros.
    corner: isize,
}

impl Phase {
    fn new(phase: u32, stride: u32, pad: u32, size: u32, [kernel, dilation]: [u32; 2]) -> Phase {
        let [phase, stride, pad, size] = [phase, stride, pad, size].map(|n| n as usize);
        let low = pad.saturating_sub(phase).div_ceil(stride);
        let high = (pad + size).saturating_sub(phase).div_ceil(stride);
        let first = (low * stride + phase).saturating_sub(pad);
        let places = (0..kernel as usize).map(|tap| (tap, tap * dilation as usize));
        let covering = places.filter(|(_, place)| place % stride == phase);
        let taps: Vec<_> = covering.map(|(tap, place)| (tap, place / stride)).collect();
        let reach = taps.last().map_or(0, |(_, back)| *back);
        Phase { first, pixels: high.saturating_sub(low), taps, reach, corner: low as isize - reach as isize }
    }
}

/// The gradient to the input: for each phase of the stride a correlation of the output gradient with the taps that cover it.
pub(crate) fn backward_input(args: &mut Args<f32>) {
    let (p, constants): (Params, _) = (args.params(), args.constants);
    let models = args.models();
    let flops = shape::cost(args.params).flops;
    let [output_gradient, weight, bias_or_saved, input_gradient] = args.operands();
    let (output_gradient, weight) = (output_gradient.read(), weight.read());
    let epilogue = Finish::new(constants, bias_or_saved.read());
    let of_image = p.all_channels() * p.input_area();
    for (model, input_gradient) in input_gradient.write().chunks_exact_mut(p.inputs()).take(models).enumerate() {
        let parameters = model * p.parameter_stride as usize;
        let output_gradient = &output_gradient[model * p.outputs()..];
        for i in 0..p.stride_height {
            for j in 0..p.stride_width {
                backward_phase(&p, [i, j], flops, output_gradient, &weight[parameters..], input_gradient);
            }
        }
        if epilogue.gradient && epilogue.activation == activation::LINEAR {
            continue;
        }
        simd::pieces(input_gradient, of_image, flops, |image, gradient| {
            let index = (model * p.batch as usize + image) * of_image;
            finish(&epilogue, gradient, p.input_area(), parameters, index);
        });
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
    let [tall, wide] = [[p.kernel_height, p.dilation_height], [p.kernel_width, p.dilation_width]];
    let rows = Phase::new(phase[0], p.stride_height, p.pad_top, p.height, tall);
    let columns_of = Phase::new(phase[1], p.stride_width, p.pad_left, p.width, wide);
    if rows.pixels == 0 || columns_of.pixels == 0 {
        return;
    }
    let (groups, filters, channels) = (p.groups as usize, p.filters as usize, p.channels as usize);
    let (area, width) = (p.input_area(), p.width as usize);
    let layout = Layout::new([rows.pixels, columns_of.pixels], [rows.reach, columns_of.reach], [1, 1]);
    let len = layout.wide(rows.pixels);
    // Without taps (a stride beyond the kernel's size) the gradient is 0.
    let taps: Vec<_> = rows.taps.iter().flat_map(|i| columns_of.taps.iter().map(move |j| (*i, *j))).collect();
    lend(&PACKED, |packed| {
        packed.offsets.clear();
        packed.places.clear();
        for filter in 0..filters {
            for ((i, back_i), (j, back_j)) in &taps {
                packed.offsets.push(layout.offset(filter, rows.reach - back_i, columns_of.reach - back_j));
                packed.places.push(filter * p.taps() + i * p.kernel_width as usize + j);
            }
        }
        let sizes = [groups, channels, filters * p.taps(), p.kernel_area()];
        pack(&mut packed.weights, weight, &packed.places, sizes);
        let (offsets, weights) = (&packed.offsets, &packed.weights);
        let of_group = weights.len() / groups;
        simd::pieces(input_gradient, p.all_channels() * area, flops, |image, input_gradient| {
            lend(&IMAGE, |own| {
                let size = [p.output_height as usize, p.output_width as usize];
                for (group, planes) in input_gradient.chunks_exact_mut(channels * area).enumerate() {
                    let gradient = &output_gradient[(image * groups + group) * filters * p.output_area()..];
                    layout.fill(gradient, filters, size, [rows.corner, columns_of.corner], 0.0, &mut own.source);
                    let weights = &weights[group * of_group..][..of_group];
                    columns(own, offsets, weights, [channels, area, len], planes, |plane, wide| {
                        for (row, wide) in wide.chunks(layout.width).take(rows.pixels).enumerate() {
                            let row = &mut plane[(rows.first + row * down) * width..][..width];
                            copy_to(&mut row[columns_of.first..], &wide[..columns_of.pixels], across);
                        }
                    });
                }
            });
        });
    });
}

/// The gradient to the weights and bias: dot products of every filter's gradients with the image shifted by every tap.
pub(crate) fn backward_weight(args: &mut Args<f32>) {
    let params: backward_weight::Params = args.params();
    let (models, bias, p) = (args.models(), backward_weight::sums_bias(args), params.shape());
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
                gradients: &output_gradient[model * p.outputs()..],
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

/// What a split adds up: over these images and rows of windows, to each weight and bias.
struct Sums<'a> {
    images: Range<usize>,
    rows: Range<usize>,
    weights: &'a mut [f32],
    bias: &'a mut [f32],
}

impl Part<'_> {
    fn sum(&self, split: usize, sums: &mut [f32]) {
        let p = self.params.shape();
        let [images, rows] = self.params.part(split);
        let (weight_sums, rest) = sums.split_at_mut(p.weights());
        let bias_sums = match self.bias {
            true => &mut rest[self.params.bias_offset as usize - p.weights()..][..p.all_filters()],
            false => &mut [],
        };
        weight_sums.fill(0.0);
        bias_sums.fill(0.0);
        let (filters, windows) = (p.filters as usize, rows.len() * p.output_width as usize);
        let in_lanes = p.taps() > 0 && filters_in_lanes(filters, windows, self.layout.wide(rows.len()));
        let sums = Sums { images, rows, weights: weight_sums, bias: bias_sums };
        lend(&IMAGE, |own| if in_lanes { self.sum_filters_in_lanes(own, sums) } else { self.sum_rows(own, sums) });
    }

    /// By [`dot_products`].
    fn sum_rows(&self, own: &mut Image, Sums { images, rows, weights, bias }: Sums<'_>) {
        let p = self.params.shape();
        let (groups, filters) = (p.groups as usize, p.filters as usize);
        let len = self.layout.wide(rows.len());
        // The places of a row that belong to no window stay 0 for every image.
        own.wide.clear();
        own.wide.resize(filters * len, 0.0);
        for (image, group) in images.flat_map(|image| (0..groups).map(move |group| (image, group))) {
            let planes = self.planes(image, group);
            for (plane, wide) in planes.chunks_exact(p.output_area()).zip(own.wide.chunks_exact_mut(len)) {
                let gradient = plane.chunks_exact(p.output_width as usize).skip(rows.start);
                for (wide, gradient) in wide.chunks_mut(self.layout.width).take(rows.len()).zip(gradient) {
                    copy(&mut wide[..gradient.len()], gradient);
                }
            }
            let gradients = own.wide.chunks_exact(len);
            let bias = bias.iter_mut().skip(group * filters);
            bias.zip(gradients).for_each(|(bias, gradients)| *bias += sum(gradients));
            if p.taps() > 0 {
                self.fill(image, group, rows.start, &mut own.source);
                let weights = &mut weights[group * filters * p.taps()..][..filters * p.taps()];
                dot_products(&own.source, self.offsets, &own.wide, len, weights);
            }
        }
    }

    /// By [`dot_products_of_filters`].
    fn sum_filters_in_lanes(&self, own: &mut Image, Sums { images, rows, weights, bias }: Sums<'_>) {
        let p = self.params.shape();
        let (groups, filters, taps) = (p.groups as usize, p.filters as usize, p.taps());
        let (width, output_width) = (self.layout.width, p.output_width as usize);
        let order = ByLane::new((0..rows.len()).flat_map(|y| (0..output_width).map(move |x| y * width + x)));
        let pixel = |place: &usize| (rows.start + place / width) * output_width + place % width;
        let pixels: Vec<usize> = order.places().iter().map(pixel).collect();
        let padded = filters.next_multiple_of(LANES);
        own.sums.clear();
        own.sums.resize(groups * taps * padded, 0.0);
        // The lanes behind the last filter stay 0 for every image.
        own.wide.clear();
        own.wide.resize(padded * pixels.len(), 0.0);
        for (image, group) in images.flat_map(|image| (0..groups).map(move |group| (image, group))) {
            for (filter, plane) in self.planes(image, group).chunks_exact(p.output_area()).enumerate() {
                let values = &mut own.wide[filter / LANES * pixels.len() * LANES..];
                for (values, pixel) in values.as_chunks_mut::<LANES>().0.iter_mut().zip(&pixels) {
                    values[filter % LANES] = plane[*pixel];
                }
            }
            let bias = bias.iter_mut().skip(group * filters).take(filters);
            bias.zip(sums_of_filters(&order, &own.wide)).for_each(|(bias, sum)| *bias += sum);
            self.fill(image, group, rows.start, &mut own.source);
            let sums = &mut own.sums[group * taps * padded..][..taps * padded];
            dot_products_of_filters(&own.source, self.offsets, &order, &own.wide, sums);
        }
        for (index, weights) in weights.chunks_exact_mut(taps).enumerate() {
            let (group, filter) = (index / filters, index % filters);
            let sums = own.sums[group * taps * padded..].iter().skip(filter).step_by(padded);
            weights.iter_mut().zip(sums).for_each(|(weight, sum)| *weight = *sum);
        }
    }

    /// The gradients of a group's filters.
    fn planes(&self, image: usize, group: usize) -> &[f32] {
        let p = self.params.shape();
        let len = p.filters as usize * p.output_area();
        &self.gradients[(image * p.groups as usize + group) * len..][..len]
    }

    /// Lays out a group's channels for the windows from output row `first_row` on.
    fn fill(&self, image: usize, group: usize, first_row: usize, source: &mut Vec<f32>) {
        let p = self.params.shape();
        let channels = p.channels as usize;
        let start = (image * p.groups as usize + group) * channels * p.input_area();
        let top = (first_row * p.stride_height as usize) as isize - p.pad_top as isize;
        let (corner, size) = ([top, -(p.pad_left as isize)], [p.height as usize, p.width as usize]);
        self.layout.fill(&self.input[start..], channels, size, corner, 0.0, source);
    }
}

/// Of each filter of the blocks that [`dot_products_of_filters`] reads, what [`sum`] gives.
fn sums_of_filters(order: &ByLane, values: &[f32]) -> impl Iterator<Item = f32> {
    values.chunks_exact(order.places().len() * LANES).flat_map(|values| {
        let values = values.as_chunks::<LANES>().0;
        let mut lanes = [[0.0; LANES]; LANES];
        for (lane, range) in order.ranges() {
            for values in &values[range] {
                lanes[lane].iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
        }
        let add = |mut sums: [f32; LANES], lane: [f32; LANES]| {
            sums.iter_mut().zip(lane).for_each(|(sum, value)| *sum += value);
            sums
        };
        lanes.into_iter().reduce(add).unwrap_or_default()
    })
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
