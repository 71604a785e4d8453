//! Convolution, backward to its parameters:
//! `weight_gradient[f, c, i, j] = sum over images and windows of output_gradient[f] * input[c, window at i, j]`,
//! and the bias gradient, the sum of `output_gradient[f]`.
//!
//! The sums are long and few, so each is split over images and output rows; [`SumPartials`] adds the splits.

use crate::ir::{Demands, Dispatch, Kernel, Limits, Needs, Slice, linear_grid, params, read, write};
use crate::kernel::conv::mixed::{self, Convolution};
use crate::kernel::conv::shape::{self, covered, shapes};
use crate::kernel::dense::rounding::on_rounded;
use crate::kernel::dense::tiling::Tiling;
use crate::kernel::reduce::sum_partials::{self, SumPartials};
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};
use std::sync::Arc;

params! {
    /// Shape of one launch; see [`shape::Params`] for the first fields.
    Params {
        /// Images in the batch.
        batch: u32,
        /// Channels in, of each group.
        channels: u32,
        /// Rows in.
        height: u32,
        /// Columns in.
        width: u32,
        /// Channels out, of each group.
        filters: u32,
        /// Rows of a filter.
        kernel_height: u32,
        /// Columns of a filter.
        kernel_width: u32,
        /// Step down.
        stride_height: u32,
        /// Step across.
        stride_width: u32,
        /// Rows of zeros above the image.
        pad_top: u32,
        /// Columns of zeros left of the image.
        pad_left: u32,
        /// Rows out.
        output_height: u32,
        /// Columns out.
        output_width: u32,
        /// Elements from one model's sums to the next's.
        parameter_stride: u32,
        /// Elements from one model's input to the next's.
        input_stride: u32,
        /// Rows from one tap of a filter to the next.
        dilation_height: u32,
        /// Columns from one tap of a filter to the next.
        dilation_width: u32,
        /// Groups, each with channels and filters of its own.
        groups: u32,
        /// Images of one split.
        split_images: u32,
        /// Output rows of one split, of each of its images.
        split_rows: u32,
        /// Elements from one split's sums to the next's.
        split_stride: u32,
        /// Where the bias's sums start, after the weight's.
        bias_offset: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_backward_weight",
    wgsl: include_str!("../../../shaders/conv2d_backward_weight.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("input"), read("output_gradient"), write("sums")],
    params: Params::FIELDS,
};

/// The kernel for filters that see one channel each.
pub static KERNEL_DEPTHWISE: Kernel = Kernel {
    name: "depthwise_backward_weight",
    wgsl: include_str!("../../../shaders/depthwise_backward_weight.wgsl"),
    ..KERNEL
};

/// As a matrix product with both factors rounded to f16.
pub static KERNEL_F16: Kernel = Kernel {
    name: "conv2d_backward_weight_f16",
    wgsl: include_str!("../../../shaders/conv2d_backward_weight_f16.wgsl"),
    needs: Needs::F16,
    bindings: &[read("input"), read("output_gradient"), write("gradient")],
    ..KERNEL
};

/// The same on matrix units.
pub static KERNEL_COOPERATIVE: Kernel = Kernel {
    name: "conv2d_backward_weight_cooperative",
    wgsl: include_str!("../../../shaders/conv2d_backward_weight_cooperative.wgsl"),
    needs: Needs::MatrixUnits,
    ..KERNEL_F16
};

/// What it computes.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 1e-5,
    cases: || cases(shapes::all()),
};

/// The same for the depthwise kernel.
pub static SPECIFICATION_DEPTHWISE: Specification = Specification {
    kernel: &KERNEL_DEPTHWISE,
    cases: || cases(shapes::depthwise().chain(shapes::without_taps())),
    ..SPECIFICATION
};

/// What the product computes of rounded factors.
pub static SPECIFICATION_F16: Specification = Specification {
    kernel: &KERNEL_F16,
    reference: |args| on_rounded(args, reference),
    reference_f64: |args| on_rounded(args, reference),
    cases: || mixed::cases(tried(shapes::all()), Needs::F16),
    ..SPECIFICATION
};

/// What matrix units compute.
pub static SPECIFICATION_COOPERATIVE: Specification = Specification {
    kernel: &KERNEL_COOPERATIVE,
    cases: || mixed::cases(tried(shapes::all()), Needs::MatrixUnits),
    ..SPECIFICATION_F16
};

/// How the sum over images and output rows is split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// Images of one split.
    pub images: u32,
    /// Output rows of one split, of each of its images.
    pub rows: u32,
}

impl Split {
    /// Enough splits to fill a GPU: either several bands of rows for each image, or whole images, one or several. The same
    /// whether other models train beside this one: the sums' order, and with it their last bits, must not depend on that.
    pub fn choose(shape: &shape::Params) -> Split {
        const ENOUGH_WORKGROUPS: usize = 512;
        /// The CPU's threads share the work by splits.
        const LEAST: usize = 8;
        /// Fewer multiply-adds than this per sum are not worth a partial result of their own.
        const LEAST_PIXELS: usize = 64;
        let wanted = ENOUGH_WORKGROUPS.div_ceil(workgroups(shape)).max(LEAST);
        let (batch, height) = (shape.batch as usize, shape.output_height as usize);
        if wanted <= batch {
            return Split { images: batch.div_ceil(wanted) as u32, rows: shape.output_height };
        }
        let least_rows = LEAST_PIXELS.div_ceil(shape.output_width as usize);
        let bands = wanted.div_ceil(batch).min(height / least_rows).max(1);
        Split { images: 1, rows: height.div_ceil(bands) as u32 }
    }

    /// Number of splits.
    pub fn count(&self, batch: u32, output_height: u32) -> usize {
        batch.div_ceil(self.images) as usize * output_height.div_ceil(self.rows) as usize
    }
}

/// Slices of one launch.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, batch, groups, channels, height, width).
    pub input: Slice,
    /// (models, batch, groups, filters, output_height, output_width), at the pre-activation.
    pub output_gradient: Slice,
    /// The layer's weight gradient, and its bias gradient from `bias_offset` on, for each model.
    pub gradient: Slice,
    /// Memory of [`scratch_len`] elements; with `None` the sum is not split.
    pub scratch: Option<Slice>,
}

/// Filters that a thread sums.
fn columns(filters: usize) -> usize {
    match filters {
        0..=4 => 4,
        5..=8 | 17..=24 => 8,
        _ => 16,
    }
}

/// Taps of a filter, the bias among them, that a workgroup of the depthwise kernel sums.
fn depthwise_taps(shape: &shape::Params) -> usize {
    const MOST: usize = 10;
    let taps = shape.kernel_area() + 1;
    taps.div_ceil(taps.div_ceil(MOST))
}

/// Workgroups of one split.
fn workgroups(shape: &shape::Params) -> usize {
    const THREADS: usize = 64;
    let (taps, filters) = (shape.taps() + 1, shape.filters as usize);
    match shape.depthwise() {
        true => taps.div_ceil(depthwise_taps(shape)) * shape.all_filters(),
        false => taps.div_ceil(THREADS) * filters.div_ceil(columns(filters)) * shape.groups as usize,
    }
}

/// Elements of one split's sums.
fn sums_len(shape: &shape::Params, bias: bool) -> usize {
    shape.all_filters() * (shape.taps() + usize::from(bias))
}

/// Elements of scratch memory that the launches for this shape need; 0 when the sum is not split.
pub fn scratch_len(shape: &shape::Params, models: usize, bias: bool, split: Split) -> usize {
    match split.count(shape.batch, shape.output_height) {
        1 => 0,
        count => models * count * sums_len(shape, bias),
    }
}

/// The launches for `models` models: one, or two with the sum of the splits. `bias` tells whether the layer has one; its
/// gradient starts at `bias_offset` in `operands.gradient`, and `shape.parameter_stride` leads to the next model's.
pub fn launches(
    label: &str,
    shape: shape::Params,
    models: usize,
    bias: bool,
    bias_offset: u32,
    split: Split,
    operands: Operands,
) -> Vec<Arc<dyn Launch>> {
    let (launch, sum) = split_launches(label, shape, models, bias, bias_offset, split, operands);
    let sum = sum.map(|sum| Arc::new(sum) as Arc<dyn Launch>);
    std::iter::once(Arc::new(launch) as Arc<dyn Launch>).chain(sum).collect()
}

fn split_launches(
    label: &str,
    shape: shape::Params,
    models: usize,
    bias: bool,
    bias_offset: u32,
    split: Split,
    operands: Operands,
) -> (BackwardWeight, Option<SumPartials>) {
    let whole = Split { images: shape.batch, rows: shape.output_height };
    let split = if operands.scratch.is_some() { split } else { whole };
    let count = split.count(shape.batch, shape.output_height) as u32;
    let (weights, len) = (sums_len(&shape, false) as u32, sums_len(&shape, bias) as u32);
    let launch =
        BackwardWeight { label: label.into(), shape, models, bias, bias_offset, split, split_stride: 0, operands };
    let Some(scratch) = operands.scratch.filter(|_| count > 1) else { return (launch, None) };
    let partial = shape::Params { parameter_stride: (count as usize * len as usize) as u32, ..shape };
    let into_scratch = Operands { gradient: scratch, ..operands };
    let launch =
        BackwardWeight { shape: partial, bias_offset: weights, split_stride: len, operands: into_scratch, ..launch };
    let sum = SumPartials {
        label: format!("{label}, sum of splits"),
        shape: sum_partials::Params {
            len,
            count,
            first: weights,
            second: bias_offset,
            output_stride: shape.parameter_stride,
        },
        models,
        partials: scratch,
        output: operands.gradient,
    };
    (launch, Some(sum))
}

/// A launch.
#[derive(Debug, Clone)]
pub struct BackwardWeight {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: shape::Params,
    /// Models side by side.
    pub models: usize,
    /// Whether the layer has a bias.
    pub bias: bool,
    /// Where the bias gradient starts in the slice of the gradient.
    pub bias_offset: u32,
    /// How the sums are split.
    pub split: Split,
    /// Elements from one split's sums to the next's.
    pub split_stride: u32,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for BackwardWeight {
    fn lower(&self) -> Dispatch {
        let BackwardWeight { shape, models, bias, split, operands, .. } = self.clone();
        let splits = split.count(shape.batch, shape.output_height);
        let (kernel, constant) = match shape.depthwise() {
            true => (&KERNEL_DEPTHWISE, ("TAPS", depthwise_taps(&shape) as u32)),
            false => (&KERNEL, ("COLUMNS", columns(shape.filters as usize) as u32)),
        };
        let mut constants = vec![constant, ("BIAS", bias.into())];
        constants.extend((!shape.depthwise()).then(|| ("PADDED", shape.padded().into())));
        let mut params = shape.words();
        params.extend([split.images, split.rows, self.split_stride, self.bias_offset]);
        Dispatch {
            kernel,
            label: self.label.clone(),
            constants,
            params,
            slices: vec![operands.input, operands.output_gradient, operands.gradient],
            grid: linear_grid(workgroups(&shape) * splits, models as u32),
            // As of the forward pass; the splits' sums are few.
            cost: shape::cost(&shape.words()).times(models),
            demands: Demands::default(),
        }
    }

    fn mixed(&self, limits: &Limits) -> Option<Arc<dyn Launch>> {
        mixed::launch(self, limits)
    }
}

impl Convolution for BackwardWeight {
    const KERNELS: [&'static Kernel; 3] = [&KERNEL, &KERNEL_F16, &KERNEL_COOPERATIVE];

    fn shape(&self) -> &shape::Params {
        &self.shape
    }

    fn models(&self) -> usize {
        self.models
    }

    fn results(&self) -> [usize; 3] {
        let (shape, [rows, columns]) = (&self.shape, self.layer_sides());
        [rows, columns, shape.groups as usize * self.split.count(shape.batch, shape.output_height)]
    }

    fn layer_sides(&self) -> [usize; 2] {
        [self.shape.filters as usize, self.shape.taps()]
    }

    fn is_linear(&self) -> bool {
        true
    }

    fn as_product(&self, kernel: &'static Kernel, tiling: Tiling) -> Dispatch {
        let mut constants = tiling.constants();
        constants.push(("ROW_SUMS", self.bias.into()));
        let (grid, demands) = (tiling.grid(self.results(), self.models), tiling.demands([true, true]));
        Dispatch { kernel, constants, grid, demands, ..self.lower() }
    }
}

/// Whether a launch sums the gradients of the bias too; the matrix product calls them the sums of its rows.
pub(crate) fn sums_bias<T>(args: &Args<'_, T>) -> bool {
    args.constant("BIAS", 0) == 1 || args.constant("ROW_SUMS", 0) == 1
}

impl Params {
    /// The fields before the splits'.
    pub(crate) fn shape(&self) -> shape::Params {
        bytemuck::pod_read_unaligned(&bytemuck::bytes_of(self)[..size_of::<shape::Params>()])
    }

    /// Number of splits.
    pub(crate) fn splits(&self) -> usize {
        Split { images: self.split_images, rows: self.split_rows }.count(self.batch, self.output_height)
    }

    /// Images and output rows of a split.
    pub(crate) fn part(&self, split: usize) -> [std::ops::Range<usize>; 2] {
        let bands = self.output_height.div_ceil(self.split_rows) as usize;
        let range = |index: usize, size: u32, end: u32| {
            let first = index * size as usize;
            first..(first + size as usize).min(end as usize)
        };
        [range(split / bands, self.split_images, self.batch), range(split % bands, self.split_rows, self.output_height)]
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let params: Params = args.params();
    let (models, bias, p) = (args.models(), sums_bias(args), params.shape());
    let [input, output_gradient, sums] = args.operands();
    let (input, output_gradient, sums) = (input.read(), output_gradient.read(), sums.write());
    let (width, area) = (p.output_width as usize, p.output_area());
    for model in 0..models {
        for split in 0..params.splits() {
            let sums = &mut sums[model * params.parameter_stride as usize + split * params.split_stride as usize..];
            let [images, rows] = params.part(split);
            // The sum over this split's windows of the gradient times `value(image, y, x)`.
            let sum = |filter: usize, value: &dyn Fn(usize, usize, usize) -> f64| {
                let mut sum = 0.0;
                for image in images.clone() {
                    let plane = (model * p.batch as usize + image) * p.all_filters() + filter;
                    for (y, x) in rows.clone().flat_map(|y| (0..width).map(move |x| (y, x))) {
                        sum += output_gradient[plane * area + y * width + x].to_f64() * value(image, y, x);
                    }
                }
                T::from_f64(sum)
            };
            for filter in 0..p.all_filters() {
                let first_channel = filter / p.filters as usize * p.channels as usize;
                for tap in 0..p.taps() {
                    let channel = first_channel + tap / p.kernel_area();
                    let [i, j] = p.tap(tap % p.kernel_area());
                    sums[filter * p.taps() + tap] = sum(filter, &|image, y, x| {
                        let row = covered(y, p.stride_height, i, p.pad_top, p.height);
                        let column = covered(x, p.stride_width, j, p.pad_left, p.width);
                        let (Some(row), Some(column)) = (row, column) else { return 0.0 };
                        let plane = image * p.all_channels() + channel;
                        let place = plane * p.input_area() + row * p.width as usize + column;
                        input[model * p.input_stride as usize + place].to_f64()
                    });
                }
                if bias {
                    sums[params.bias_offset as usize + filter] = sum(filter, &|_, _, _| 1.0);
                }
            }
        }
    }
}

fn cases(shapes: impl Iterator<Item = shapes::Shape>) -> Vec<Case> {
    let case = |(name, launch, contents): (String, BackwardWeight, Vec<Contents>)| Case {
        name,
        dispatch: launch.lower(),
        contents,
    };
    tried(shapes).into_iter().map(case).collect()
}

/// What verification tries: a launch of each shape, split in each way, with its data.
fn tried(shapes: impl Iterator<Item = shapes::Shape>) -> Vec<(String, BackwardWeight, Vec<Contents>)> {
    let mut tried = Vec::new();
    for (index, shape) in shapes.enumerate() {
        let (p, models) = (shape.params, shape.models);
        let chosen = Split::choose(&p);
        let whole = Split { images: p.batch, rows: p.output_height };
        let pairs = Split { images: 2, rows: p.output_height };
        let bands = Split { images: 1, rows: 2 };
        for (number, split) in [whole, chosen, pairs, bands].into_iter().enumerate() {
            let scale = if index % 3 == 2 { 1000.0 } else { 1.0 };
            let bias = (index + number) % 3 != 0 || p.taps() == 0;
            let bias_offset = p.weights().next_multiple_of(64) as u32;
            let layer = bias_offset + p.all_filters() as u32;
            let p = shape::Params { parameter_stride: layer + 5, ..p };
            let scratch = scratch_len(&p, models, bias, split);
            let gradient = ((models - 1) as u32 * p.parameter_stride + layer) as usize;
            let contents = vec![
                Contents::random(models * p.input_stride as usize, 1.0, 1),
                Contents::random(models * p.outputs(), scale, 2),
                Contents::random(if scratch > 0 { scratch } else { gradient }, 1.0, 3),
            ];
            let s = Case::slices(&contents);
            let operands =
                Operands { input: s[0], output_gradient: s[1], gradient: s[2], scratch: (scratch > 0).then_some(s[2]) };
            let (launch, _) = split_launches("case", p, models, bias, bias_offset, split, operands);
            tried.push((format!("{} bias {bias} {split:?}", shape.name), launch, contents));
        }
    }
    tried
}
