//! What the convolution kernels share: the shape of a launch, and the choice of a variant.

use crate::ir::{Cost, Demands, Slice, linear_grid, params};
use crate::kernel::Real;
use crate::kernel::dense::tiling::{TILES, Tile, Tiling};
use crate::kernel::formula::activation;

params! {
    /// Shape of one launch.
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
        /// Elements from one model's parameters to the next's.
        parameter_stride: u32,
        /// Elements from one model's input to the next's (forward and weight gradient only).
        input_stride: u32,
        /// Rows from one tap of a filter to the next.
        dilation_height: u32,
        /// Columns from one tap of a filter to the next.
        dilation_width: u32,
        /// Groups, each with channels and filters of its own.
        groups: u32,
    }
}

impl Params {
    /// Weights of one filter.
    pub fn taps(&self) -> usize {
        self.channels as usize * self.kernel_area()
    }

    /// Weights of one filter and channel.
    pub fn kernel_area(&self) -> usize {
        self.kernel_height as usize * self.kernel_width as usize
    }

    /// Channels in, of all groups.
    pub fn all_channels(&self) -> usize {
        self.groups as usize * self.channels as usize
    }

    /// Channels out, of all groups.
    pub fn all_filters(&self) -> usize {
        self.groups as usize * self.filters as usize
    }

    /// Numbers of a model's input.
    pub fn inputs(&self) -> usize {
        self.batch as usize * self.all_channels() * self.input_area()
    }

    /// Numbers of a model's output.
    pub fn outputs(&self) -> usize {
        self.batch as usize * self.all_filters() * self.output_area()
    }

    /// Numbers of a model's weight.
    pub fn weights(&self) -> usize {
        self.all_filters() * self.taps()
    }

    /// Rows and columns from the first tap of a filter to the last.
    pub fn reach(&self) -> [usize; 2] {
        let reach = |size: u32, dilation: u32| size.saturating_sub(1) as usize * dilation as usize;
        [reach(self.kernel_height, self.dilation_height), reach(self.kernel_width, self.dilation_width)]
    }

    /// Rows and columns from the first tap of a channel to this one.
    pub(crate) fn tap(&self, tap: usize) -> [usize; 2] {
        let (i, j) = (tap / self.kernel_width as usize, tap % self.kernel_width as usize);
        [i * self.dilation_height as usize, j * self.dilation_width as usize]
    }

    /// Whether each filter sees one channel alone, of several; or nothing, for the sake of its bias.
    pub fn depthwise(&self) -> bool {
        self.channels == 1 && (self.groups > 1 || self.kernel_area() == 0)
    }

    /// Pixels of an input channel.
    pub fn input_area(&self) -> usize {
        self.height as usize * self.width as usize
    }

    /// Pixels of an output channel.
    pub fn output_area(&self) -> usize {
        self.output_height as usize * self.output_width as usize
    }

    /// True when some window reaches beyond its image.
    pub fn padded(&self) -> bool {
        let last = |outputs: u32, stride: u32, reach: usize| (outputs as usize - 1) * stride as usize + reach;
        let [down, across] = self.reach();
        self.pad_top > 0
            || self.pad_left > 0
            || last(self.output_height, self.stride_height, down) >= self.height as usize
            || last(self.output_width, self.stride_width, across) >= self.width as usize
    }

    /// True unless windows step by one pixel.
    pub fn strided(&self) -> bool {
        self.stride_height > 1 || self.stride_width > 1
    }
}

/// The row of the image that window `window` covers so many rows below its first, or the same for columns; `None` outside the
/// image.
pub(crate) fn covered(window: usize, stride: u32, below: usize, pad: u32, size: u32) -> Option<usize> {
    (window * stride as usize + below).checked_sub(pad as usize).filter(|&at| at < size as usize)
}

/// What becomes of each sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epilogue {
    /// An output: the bias of its channel is added, if the layer has one, and the activation applied.
    Output {
        /// One number for each channel of what is written, for each model.
        bias: Option<Slice>,
    },
    /// A gradient: it is multiplied by the derivative of the activation at what was saved.
    Gradient {
        /// As large as what is written. With [`activation::LINEAR`] it is not read, and may be any slice of floats that the
        /// launch does not write.
        saved: Slice,
    },
}

impl Epilogue {
    /// Shader constants.
    pub(crate) fn constants(self, activation: u32) -> [(&'static str, u32); 3] {
        let bias = matches!(self, Epilogue::Output { bias: Some(_) });
        let gradient = matches!(self, Epilogue::Gradient { .. });
        [("ACTIVATION", activation), ("GRADIENT", gradient.into()), ("BIAS", bias.into())]
    }

    /// What is bound; without a bias `unused`, which is not read.
    pub(crate) fn slice(self, unused: Slice) -> Slice {
        match self {
            Epilogue::Output { bias } => bias.unwrap_or(unused),
            Epilogue::Gradient { saved } => saved,
        }
    }
}

/// The epilogue of a launch, as the CPU sees it.
pub(crate) struct Finish<'a, T> {
    /// Code of the activation.
    pub activation: u32,
    /// Whether the sums are a gradient.
    pub gradient: bool,
    /// Whether there is a bias.
    pub bias: bool,
    /// The bias, or what was saved.
    pub bias_or_saved: &'a [T],
}

impl<'a, T: Real> Finish<'a, T> {
    /// Of a launch with these constants.
    pub(crate) fn new(constants: &[(&str, u32)], bias_or_saved: &'a [T]) -> Finish<'a, T> {
        let constant = |name: &str| constants.iter().find(|(known, _)| *known == name).map_or(0, |(_, value)| *value);
        let [activation, gradient, bias] = ["ACTIVATION", "GRADIENT", "BIAS"].map(constant);
        Finish { activation, gradient: gradient == 1, bias: bias == 1, bias_or_saved }
    }

    /// What becomes of a sum: `channel` is its place among the biases of all models, `index` among the results.
    fn apply(&self, sum: f64, channel: usize, index: usize) -> f64 {
        let linear = self.activation == activation::LINEAR;
        match self.gradient {
            true if linear => sum,
            true => sum * activation::gradient(self.bias_or_saved[index].to_f64(), self.activation),
            false if self.bias => activation::activate(sum + self.bias_or_saved[channel].to_f64(), self.activation),
            false => activation::activate(sum, self.activation),
        }
    }

    /// What becomes of the sums of all results: `sum` gives that of a model, an image of it, a channel of that and a pixel of that.
    pub(crate) fn each(
        &self,
        [models, batch, channels, area]: [usize; 4],
        parameter_stride: u32,
        results: &mut [T],
        sum: impl Fn(usize, usize, usize, usize) -> f64,
    ) {
        let count = models * batch * channels * area;
        for (index, result) in results.iter_mut().take(count).enumerate() {
            let (pixel, plane) = (index % area, index / area);
            let (channel, image) = (plane % channels, plane / channels);
            let (model, image) = (image / batch, image % batch);
            let sum = sum(model, image, channel, pixel);
            *result = T::from_f64(self.apply(sum, model * parameter_stride as usize + channel, index));
        }
    }
}

/// How a GPU computes a convolution or its input gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Variant {
    /// As a matrix product, with these tiles.
    Matmul(Tile),
    /// Each thread keeps this many filters (channels, for the input gradient; a multiple of four) of this many pixels.
    Direct {
        /// Filters or channels.
        columns: u32,
        /// Pixels.
        pixels: u32,
    },
    /// Each thread computes one pixel, of filters that see one channel each: the way of depthwise convolutions, and of no others.
    Depthwise,
}

/// The direct variants that the planner can choose.
pub const DIRECT: [[u32; 2]; 6] = [[4, 1], [4, 4], [8, 1], [8, 2], [16, 1], [16, 2]];

/// Threads in a workgroup of the direct and depthwise variants.
const DIRECT_THREADS: u32 = 64;

/// Results of a thread from which on compilers no longer unroll loops over them by themselves.
const UNROLL_FROM: u32 = 32;

impl Variant {
    /// Every variant that the planner can choose where filters see several channels.
    pub fn all() -> impl Iterator<Item = Variant> {
        let direct = DIRECT.map(|[columns, pixels]| Variant::Direct { columns, pixels });
        direct.into_iter().chain(TILES.map(Variant::Matmul))
    }

    /// The variant for `columns` filters (or channels) of each group at `pixels` output (or input) pixels of the whole batch.
    pub(crate) fn choose(shape: &Params, columns: u32, pixels: usize, models: usize) -> Variant {
        /// From here on a tile of the matrix product reuses what it loads more often than a thread of the direct one.
        const MANY_COLUMNS: usize = 48;
        const ENOUGH_WORKGROUPS: usize = 512;
        if shape.depthwise() {
            return Variant::Depthwise;
        }
        let (columns, products) = (columns as usize, models * shape.groups as usize);
        if columns >= MANY_COLUMNS {
            return Variant::Matmul(Tile::choose([columns, pixels], products, ENOUGH_WORKGROUPS));
        }
        let wanted = match columns {
            0..=4 => 4,
            5..=8 | 17..=24 => 8,
            _ => 16,
        };
        let groups = |v: &[u32; 2]| {
            pixels.div_ceil((DIRECT_THREADS * v[1]) as usize) * columns.div_ceil(v[0] as usize) * products
        };
        let of_width = || DIRECT.into_iter().rev().filter(|v| v[0] == wanted);
        let [columns, pixels] = of_width().find(|v| groups(v) >= ENOUGH_WORKGROUPS).unwrap_or([wanted, 1]);
        Variant::Direct { columns, pixels }
    }

    /// Shader constants.
    pub(crate) fn constants(self) -> Vec<(&'static str, u32)> {
        match self {
            Variant::Matmul(tile) => {
                let mut constants = tile.constants(1);
                constants.push(("B_K_CONTIGUOUS", 0));
                constants
            }
            Variant::Direct { columns, pixels } => {
                vec![("COLUMNS", columns), ("PIXELS", pixels), ("UNROLL", (columns * pixels >= UNROLL_FROM).into())]
            }
            Variant::Depthwise => vec![],
        }
    }

    /// What a workgroup asks of a device.
    pub(crate) fn demands(self) -> Demands {
        match self {
            Variant::Matmul(tile) => Tiling::plain(tile).demands([true, false]),
            Variant::Direct { .. } | Variant::Depthwise => Demands::default(),
        }
    }

    /// Grid for a result of `columns` x `pixels` of each group.
    pub(crate) fn grid(self, groups: u32, columns: u32, pixels: usize, models: usize) -> [u32; 3] {
        let products = |[height, width]: [u32; 2]| {
            columns.div_ceil(height) as usize * pixels.div_ceil(width as usize) * groups as usize
        };
        let workgroups = match self {
            Variant::Matmul(tile) => products(tile.sides()),
            Variant::Direct { columns, pixels } => products([columns, DIRECT_THREADS * pixels]),
            Variant::Depthwise => (groups as usize * columns as usize * pixels).div_ceil(DIRECT_THREADS as usize),
        };
        linear_grid(workgroups, models as u32)
    }
}

/// Work of a convolution, or of its input gradient, whose parameter words start like [`Params`].
pub(crate) fn cost(words: &[u32]) -> Cost {
    let at = |i: usize| f64::from(words[i]);
    let (batch, groups) = (at(0), at(17));
    let (input, filters, taps) = (groups * at(1) * at(2) * at(3), groups * at(4), at(1) * at(5) * at(6));
    let output = filters * at(11) * at(12);
    Cost { flops: 2.0 * batch * output * taps, bytes: 4.0 * (batch * (input + output) + filters * taps) }
}

/// Awkward shapes for cases, and the common small ones.
pub(crate) mod shapes {
    use super::Params;
    use crate::kernel::Contents;

    /// One shape: how many models, and a launch without strides between models.
    pub(crate) struct Shape {
        pub name: String,
        pub models: usize,
        pub params: Params,
    }

    /// (models, batch, channels, height, width, filters, kernel, stride, same padding)
    type Row = (usize, u32, u32, u32, u32, u32, [u32; 2], [u32; 2], bool);

    /// (models, batch, groups, channels and filters of each, height, width, kernel, stride, dilation, padding)
    type Grouped = (usize, u32, u32, [u32; 2], [u32; 2], [u32; 2], [u32; 2], [u32; 2], [u32; 2]);

    const ROWS: [Row; 16] = [
        (1, 1, 1, 1, 1, 1, [1, 1], [1, 1], false),
        (2, 3, 1, 5, 7, 3, [3, 3], [1, 1], false),
        (1, 2, 3, 7, 5, 5, [3, 3], [1, 1], true),
        (1, 2, 3, 7, 5, 2, [2, 4], [1, 1], true),
        (3, 1, 2, 7, 7, 7, [3, 2], [2, 3], false),
        (1, 3, 5, 9, 8, 11, [5, 3], [2, 2], true),
        (2, 2, 3, 5, 5, 13, [5, 5], [1, 1], false),
        (1, 4, 2, 3, 3, 4, [3, 3], [3, 3], true),
        (1, 1, 7, 1, 11, 17, [1, 3], [1, 2], true),
        (1, 2, 2, 6, 6, 3, [1, 1], [3, 2], false),
        (1, 2, 16, 13, 13, 8, [7, 7], [1, 1], false),
        (1, 5, 1, 28, 28, 16, [3, 3], [1, 1], false),
        (2, 1, 19, 6, 7, 67, [3, 3], [1, 1], true),
        (1, 2, 53, 4, 5, 6, [2, 2], [1, 2], false),
        (1, 3, 1, 5, 4, 9, [1, 1], [1, 1], false),
        // With the bias as many taps as a workgroup has threads.
        (1, 2, 7, 4, 5, 3, [3, 3], [1, 1], true),
    ];

    /// Groups, taps that lie apart, and padding of so many pixels on all sides.
    const GROUPED: [Grouped; 7] = [
        (1, 2, 1, [3, 4], [9, 8], [3, 3], [1, 1], [2, 3], [2, 3]),
        (2, 2, 3, [2, 5], [5, 6], [3, 2], [2, 1], [1, 1], [1, 0]),
        (1, 3, 2, [3, 11], [7, 6], [2, 3], [1, 2], [3, 2], [3, 4]),
        (2, 1, 2, [17, 19], [4, 5], [3, 3], [1, 1], [1, 1], [1, 1]),
        (1, 2, 2, [5, 3], [8, 7], [2, 2], [3, 2], [2, 3], [2, 1]),
        (1, 1, 3, [2, 3], [6, 1], [1, 1], [1, 1], [1, 1], [0, 2]),
        // As many groups as threads that share the filters of one.
        (1, 2, 2, [2, 26], [4, 5], [2, 2], [1, 1], [1, 1], [0, 0]),
    ];

    /// The same, of one channel in each group.
    const DEPTHWISE: [Grouped; 9] = [
        (1, 1, 2, [1, 1], [1, 1], [1, 1], [1, 1], [1, 1], [0, 0]),
        (2, 3, 3, [1, 1], [5, 7], [3, 3], [1, 1], [1, 1], [1, 1]),
        (1, 2, 5, [1, 2], [7, 5], [3, 2], [2, 1], [1, 1], [1, 0]),
        (3, 1, 2, [1, 3], [9, 8], [2, 3], [1, 1], [3, 2], [3, 4]),
        (1, 3, 7, [1, 1], [8, 9], [5, 5], [2, 3], [1, 1], [2, 2]),
        (1, 2, 13, [1, 1], [6, 6], [3, 3], [3, 2], [2, 2], [2, 2]),
        (1, 5, 4, [1, 1], [20, 17], [3, 3], [1, 1], [1, 1], [1, 1]),
        (2, 2, 3, [1, 2], [4, 11], [1, 7], [1, 2], [1, 1], [0, 3]),
        (1, 2, 2, [1, 5], [5, 4], [4, 3], [1, 1], [1, 1], [0, 0]),
    ];

    /// Two activations for each variant, all of them over the variants: every pair would be too many pipelines.
    pub(crate) fn activation(shape: usize, variant: usize) -> u32 {
        ((variant + 3 * (shape % 2)) % 7) as u32
    }

    /// The same where every pixel is a sum of its own.
    pub(crate) fn output_scale(shape: usize, activation: u32) -> f32 {
        if activation <= super::activation::LEAKY_RELU && shape % 3 == 2 { 1000.0 } else { 1.0 }
    }

    /// The biases of so many channels, or what was saved of so many results. A gradient of a linear layer must not touch it.
    pub(crate) fn bias_or_saved(
        params: &Params,
        models: usize,
        channels: usize,
        results: usize,
        activation: u32,
        gradient: bool,
    ) -> Contents {
        let len = match gradient {
            true if activation == super::activation::LINEAR => 1,
            true => results,
            false => (models - 1) * params.parameter_stride as usize + channels,
        };
        Contents::random(len, 1.0, 3)
    }

    /// Inputs up to 1000 for every third shape, and for single taps at many pixels. With more taps only where the
    /// activation keeps the scale: rounding a sum of many large terms moves tanh of it by more than any tolerance.
    pub(crate) fn input_scale(params: &Params, shape: usize, activation: u32) -> f32 {
        let keeps_scale = activation <= super::activation::LEAKY_RELU;
        let single = params.taps() == 1 && params.output_area() > 1;
        if single || keeps_scale && shape % 3 == 2 { 1000.0 } else { 1.0 }
    }

    /// Padding before, and outputs.
    fn same(input: u32, kernel: u32, stride: u32) -> (u32, u32) {
        let output = input.div_ceil(stride);
        (((output - 1) * stride + kernel).saturating_sub(input) / 2, output)
    }

    /// Every shape of the tables but the depthwise ones.
    pub(crate) fn all() -> impl Iterator<Item = Shape> {
        let single =
            ROWS.into_iter().map(|(models, batch, channels, height, width, filters, kernel, stride, is_same)| {
                let row = (models, batch, 1, [channels, filters], [height, width], kernel, stride, [1, 1], [0, 0]);
                let mut shape = grouped(row);
                if is_same {
                    let params = &mut shape.params;
                    (params.pad_top, params.output_height) = same(height, kernel[0], stride[0]);
                    (params.pad_left, params.output_width) = same(width, kernel[1], stride[1]);
                    shape.name += " same";
                }
                shape
            });
        single.chain(GROUPED.into_iter().map(grouped))
    }

    /// Every depthwise shape.
    pub(crate) fn depthwise() -> impl Iterator<Item = Shape> {
        DEPTHWISE.into_iter().map(grouped)
    }

    /// Filters of a bias alone.
    pub(crate) fn without_taps() -> impl Iterator<Item = Shape> {
        [
            (2, 3, 5, [1, 1], [4, 7], [1, 1], [1, 1], [1, 1], [0, 0]),
            (1, 2, 1, [1, 1], [9, 8], [1, 1], [1, 1], [1, 1], [0, 0]),
        ]
        .into_iter()
        .map(|row| {
            let mut shape = grouped(row);
            (shape.params.kernel_height, shape.params.kernel_width) = (0, 0);
            shape.name += ", of which only the bias";
            shape
        })
    }

    fn grouped(row: Grouped) -> Shape {
        let (models, batch, groups, [channels, filters], size, kernel, stride, dilation, pad) = row;
        let [output_height, output_width] =
            [0, 1].map(|a: usize| (size[a] + 2 * pad[a] - (kernel[a] - 1) * dilation[a] - 1) / stride[a] + 1);
        let params = Params {
            batch,
            channels,
            height: size[0],
            width: size[1],
            filters,
            kernel_height: kernel[0],
            kernel_width: kernel[1],
            stride_height: stride[0],
            stride_width: stride[1],
            pad_top: pad[0],
            pad_left: pad[1],
            output_height,
            output_width,
            parameter_stride: groups * filters * (channels * kernel[0] * kernel[1] + 1) + 5,
            input_stride: batch * groups * channels * size[0] * size[1],
            dilation_height: dilation[0],
            dilation_width: dilation[1],
            groups,
        };
        let name = format!(
            "{models}x{batch}x({groups}x{channels})x{size:?} to {filters}, kernel {kernel:?} stride {stride:?} \
             dilation {dilation:?} padding {pad:?}"
        );
        Shape { name, models, params }
    }
}
