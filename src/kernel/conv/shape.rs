//! What the convolution kernels share: the shape of a launch, and the choice of a variant.

use crate::ir::{Cost, Demands, linear_grid, params};
use crate::kernel::dense::tiling::{TILES, Tile, Tiling, grid};
use crate::kernel::formula::activation;

params! {
    /// Shape of one launch.
    Params {
        /// Images in the batch.
        batch: u32,
        /// Channels in.
        channels: u32,
        /// Rows in.
        height: u32,
        /// Columns in.
        width: u32,
        /// Channels out.
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
        let reach = |outputs: u32, stride: u32, size: u32| (outputs as usize - 1) * stride as usize + size as usize;
        self.pad_top > 0
            || self.pad_left > 0
            || reach(self.output_height, self.stride_height, self.kernel_height) > self.height as usize
            || reach(self.output_width, self.stride_width, self.kernel_width) > self.width as usize
    }

    /// True unless windows step by one pixel.
    pub fn strided(&self) -> bool {
        self.stride_height > 1 || self.stride_width > 1
    }
}

/// The row of the image that row `tap` of window `window` covers, or the same for columns; `None` outside the image.
pub(crate) fn covered(window: usize, stride: u32, tap: usize, pad: u32, size: u32) -> Option<usize> {
    (window * stride as usize + tap).checked_sub(pad as usize).filter(|&at| at < size as usize)
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
}

/// The direct variants that the planner can choose.
pub const DIRECT: [[u32; 2]; 6] = [[4, 1], [4, 4], [8, 1], [8, 2], [16, 1], [16, 2]];

/// Threads in a workgroup of the direct variants.
const DIRECT_THREADS: usize = 64;

impl Variant {
    /// Every variant that the planner can choose.
    pub fn all() -> impl Iterator<Item = Variant> {
        let direct = DIRECT.map(|[columns, pixels]| Variant::Direct { columns, pixels });
        direct.into_iter().chain(TILES.map(Variant::Matmul))
    }

    /// The variant for `columns` filters (or channels) at `pixels` output (or input) pixels of the whole batch.
    pub fn choose(columns: usize, pixels: usize, models: usize) -> Variant {
        /// From here on a tile of the matrix product reuses what it loads more often than a thread of the direct one.
        const MANY_COLUMNS: usize = 48;
        const ENOUGH_WORKGROUPS: usize = 512;
        if columns >= MANY_COLUMNS {
            return Variant::Matmul(Tile::choose([columns, pixels], models, ENOUGH_WORKGROUPS));
        }
        let wanted = match columns {
            0..=4 => 4,
            5..=8 | 17..=24 => 8,
            _ => 16,
        };
        let groups =
            |v: &[u32; 2]| pixels.div_ceil(DIRECT_THREADS * v[1] as usize) * columns.div_ceil(v[0] as usize) * models;
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
            Variant::Direct { columns, pixels } => vec![("COLUMNS", columns), ("PIXELS", pixels)],
        }
    }

    /// What a workgroup asks of a device.
    pub(crate) fn demands(self) -> Demands {
        match self {
            Variant::Matmul(tile) => Tiling::plain(tile).demands([true, false]),
            Variant::Direct { .. } => Demands::default(),
        }
    }

    /// Grid for a result of `columns` x `pixels`.
    pub(crate) fn grid(self, columns: usize, pixels: usize, models: usize) -> [u32; 3] {
        match self {
            Variant::Matmul(tile) => grid(tile.sides(), [columns, pixels, 1], models),
            Variant::Direct { columns: block, pixels: per_thread } => {
                let groups = pixels.div_ceil(DIRECT_THREADS * per_thread as usize);
                linear_grid(groups * columns.div_ceil(block as usize), models as u32)
            }
        }
    }
}

/// Work of a convolution, or of its input gradient, whose parameter words start like [`Params`].
pub(crate) fn cost(words: &[u32]) -> Cost {
    let at = |i: usize| f64::from(words[i]);
    let (batch, input, output) = (at(0), at(1) * at(2) * at(3), at(4) * at(11) * at(12));
    let taps = at(1) * at(5) * at(6);
    Cost { flops: 2.0 * batch * output * taps, bytes: 4.0 * (batch * (input + output) + at(4) * taps) }
}

/// Awkward shapes for cases, and the common small ones.
pub(crate) mod shapes {
    use super::Params;

    /// One shape: how many models, and a launch without strides between models.
    pub(crate) struct Shape {
        pub name: String,
        pub models: usize,
        pub params: Params,
    }

    /// (models, batch, channels, height, width, filters, kernel, stride, same padding)
    type Row = (usize, u32, u32, u32, u32, u32, [u32; 2], [u32; 2], bool);

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

    /// Two activations for each variant, all of them over the variants: every pair would be too many pipelines.
    pub(crate) fn activation(shape: usize, variant: usize) -> u32 {
        ((variant + 3 * (shape % 2)) % 7) as u32
    }

    /// Inputs up to 1000 for every third shape, and for single taps at many pixels. With more taps only where the
    /// activation keeps the scale: rounding a sum of many large terms moves tanh of it by more than any tolerance.
    pub(crate) fn input_scale(params: &Params, shape: usize, activation: u32) -> f32 {
        let keeps_scale = activation <= super::activation::LEAKY_RELU;
        let single = params.taps() == 1 && params.output_area() > 1;
        if single || keeps_scale && shape % 3 == 2 { 1000.0 } else { 1.0 }
    }

    fn axis(input: u32, kernel: u32, stride: u32, same: bool) -> (u32, u32) {
        if same {
            let output = input.div_ceil(stride);
            (((output - 1) * stride + kernel).saturating_sub(input) / 2, output)
        } else {
            (0, (input - kernel) / stride + 1)
        }
    }

    /// Every shape of the table.
    pub(crate) fn all() -> impl Iterator<Item = Shape> {
        ROWS.into_iter().map(|(models, batch, channels, height, width, filters, kernel, stride, same)| {
            let (pad_top, output_height) = axis(height, kernel[0], stride[0], same);
            let (pad_left, output_width) = axis(width, kernel[1], stride[1], same);
            let params = Params {
                batch,
                channels,
                height,
                width,
                filters,
                kernel_height: kernel[0],
                kernel_width: kernel[1],
                stride_height: stride[0],
                stride_width: stride[1],
                pad_top,
                pad_left,
                output_height,
                output_width,
                parameter_stride: filters * channels * kernel[0] * kernel[1] + filters + 5,
                input_stride: batch * channels * height * width,
            };
            let padding = if same { "same" } else { "valid" };
            let name = format!(
                "{models}x{batch}x{channels}x{height}x{width} to {filters}, kernel {kernel:?} stride {stride:?} {padding}"
            );
            Shape { name, models, params }
        })
    }
}
