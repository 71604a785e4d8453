//! What the pooling kernels share: the shape of a launch and the geometry of windows.

use crate::ir::params;
use std::ops::Range;

params! {
    /// Shape of one launch.
    Params {
        /// Channels of all images of the batch.
        planes: u32,
        /// Rows in.
        height: u32,
        /// Columns in.
        width: u32,
        /// Rows of a window.
        size_height: u32,
        /// Columns of a window.
        size_width: u32,
        /// Step down.
        stride_height: u32,
        /// Step across.
        stride_width: u32,
        /// Rows of padding above the image.
        pad_top: u32,
        /// Columns of padding left of the image.
        pad_left: u32,
        /// Rows out.
        output_height: u32,
        /// Columns out.
        output_width: u32,
    }
}

impl Params {
    /// Pixels of an input plane.
    pub fn input_area(&self) -> usize {
        self.height as usize * self.width as usize
    }

    /// Pixels of an output plane.
    pub fn output_area(&self) -> usize {
        self.output_height as usize * self.output_width as usize
    }

    /// Threads of a shader that share one window: a power of two, more for larger windows.
    pub(crate) fn lanes(&self) -> usize {
        const PIXELS_PER_LANE: usize = 8;
        let pixels = self.size_height as usize * self.size_width as usize;
        (pixels / PIXELS_PER_LANE).next_power_of_two().min(THREADS)
    }

    /// Whether there is one window, and it has all pixels.
    pub(crate) fn is_whole(&self) -> bool {
        self.output_area() == 1
            && self.pad_top + self.pad_left == 0
            && self.size_height >= self.height
            && self.size_width >= self.width
    }

    /// The rows and columns inside the image of window (y, x).
    pub(crate) fn window(&self, y: usize, x: usize) -> [Range<usize>; 2] {
        let range = |window: usize, stride: u32, pad: u32, size: u32, limit: u32| {
            let start = window * stride as usize;
            let inside = |at: usize| at.saturating_sub(pad as usize).min(limit as usize);
            inside(start)..inside(start + size as usize)
        };
        [
            range(y, self.stride_height, self.pad_top, self.size_height, self.height),
            range(x, self.stride_width, self.pad_left, self.size_width, self.width),
        ]
    }

    /// The first largest pixel of window (y, x) of a plane, as an index; NaN counts as the largest. `is_larger` compares
    /// a candidate with the largest so far.
    pub(crate) fn first_maximum<T: Copy>(
        &self,
        plane: &[T],
        [rows, columns]: [Range<usize>; 2],
        is_larger: impl Fn(T, T) -> bool,
    ) -> usize {
        let width = self.width as usize;
        let mut largest = rows.start * width + columns.start;
        let mut value = plane[largest];
        for y in rows {
            let start = y * width + columns.start;
            for (index, &candidate) in (start..).zip(&plane[start..start + columns.len()]) {
                // Two selections rather than a branch, which no processor could foresee.
                let larger = is_larger(candidate, value);
                largest = if larger { index } else { largest };
                value = if larger { candidate } else { value };
            }
        }
        largest
    }
}

/// Threads in a workgroup of the pooling shaders.
pub(crate) const THREADS: usize = 64;

/// Shapes for cases.
pub(crate) mod shapes {
    use super::Params;

    /// (models, planes, height, width, size, stride, same padding)
    type Row = (usize, u32, u32, u32, [u32; 2], [u32; 2], bool);

    const ROWS: [Row; 15] = [
        (1, 1, 1, 1, [1, 1], [1, 1], false),
        (2, 3, 5, 7, [2, 2], [2, 2], false),
        (1, 5, 5, 7, [2, 2], [2, 2], true),
        (3, 2, 7, 5, [3, 2], [1, 2], true),
        (1, 7, 6, 9, [3, 3], [2, 1], false),
        (1, 4, 9, 4, [2, 3], [3, 3], false),
        (2, 11, 8, 8, [3, 3], [3, 2], true),
        (1, 13, 7, 7, [7, 7], [1, 1], false),
        (2, 3, 13, 11, [13, 11], [13, 11], false),
        (1, 17, 1, 3, [1, 3], [1, 1], true),
        (1, 8, 20, 20, [2, 2], [2, 2], false),
        // Windows as large as the image: a global pool.
        (2, 3, 7, 5, [7, 5], [7, 5], false),
        (1, 2, 64, 64, [64, 64], [64, 64], false),
        (2, 3, 19, 29, [19, 29], [19, 29], false),
        // Several lanes for a window.
        (2, 3, 13, 17, [5, 6], [4, 3], true),
    ];

    fn axis(input: u32, size: u32, stride: u32, same: bool) -> (u32, u32) {
        if same {
            let output = input.div_ceil(stride);
            (((output - 1) * stride + size).saturating_sub(input) / 2, output)
        } else {
            (0, (input - size) / stride + 1)
        }
    }

    /// Name, number of models and launch of every shape.
    pub(crate) fn all() -> impl Iterator<Item = (String, usize, Params)> {
        ROWS.into_iter().map(|(models, planes, height, width, size, stride, same)| {
            let (pad_top, output_height) = axis(height, size[0], stride[0], same);
            let (pad_left, output_width) = axis(width, size[1], stride[1], same);
            let params = Params {
                planes,
                height,
                width,
                size_height: size[0],
                size_width: size[1],
                stride_height: stride[0],
                stride_width: stride[1],
                pad_top,
                pad_left,
                output_height,
                output_width,
            };
            let padding = if same { "same" } else { "valid" };
            (format!("{models}x{planes}x{height}x{width}, size {size:?} stride {stride:?} {padding}"), models, params)
        })
    }
}
