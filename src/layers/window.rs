//! The sliding window of convolutions and poolings.

use super::tensor::{positive, within_limit};
use super::{LayerProblem, Shape};
use crate::keys::keywords;
use crate::onnx;

/// A window sliding over an image, worked out for an input. Row `o` of the output sees the input rows
/// `o * stride[0] - before[0] + (0..size[0])`; those outside the image are padding: zeros for a convolution, no values
/// at all for a pooling (a maximum skips them, a mean divides by the values it has).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Height and width.
    pub size: [usize; 2],
    /// Step down and across.
    pub stride: [usize; 2],
    /// Rows of padding above, columns of padding to the left.
    pub before: [usize; 2],
    /// Rows of padding below, columns of padding to the right.
    pub after: [usize; 2],
    /// Rows and columns of the output.
    pub output: [usize; 2],
}

impl Window {
    /// The window over what comes in, or why it has none; `key` and `size` are the recipe's.
    pub(crate) fn fit(
        input: Shape,
        (key, size): (&'static str, [usize; 2]),
        stride: [usize; 2],
        padding: Padding,
    ) -> Result<Window, LayerProblem> {
        positive(key, &size)?;
        positive("stride", &stride)?;
        let (channels, image) = input.image()?;
        let window = Window::over(input, size, stride, padding).ok_or(LayerProblem::WindowTooLarge { size, image })?;
        within_limit("the output", &[channels, window.output[0], window.output[1]])?;
        Ok(window)
    }

    /// How the window lies over its image, in ONNX.
    pub(super) fn onnx(self) -> Vec<onnx::proto::AttributeProto> {
        let Window { size, stride, before, after, .. } = self;
        let pads = [before[0], before[1], after[0], after[1]];
        vec![onnx::ints("kernel_shape", &size), onnx::ints("strides", &stride), onnx::ints("pads", &pads)]
    }

    /// A window over the whole of an image.
    pub(crate) fn whole(input: Shape) -> Window {
        let Shape::Image { height, width, .. } = input else {
            unreachable!("Model::build gives every pooling an image");
        };
        Window { size: [height, width], stride: [1, 1], before: [0, 0], after: [0, 0], output: [1, 1] }
    }

    /// The window over an image; `None` for a vector, or a window that does not fit.
    pub fn over(input: Shape, size: [usize; 2], stride: [usize; 2], padding: Padding) -> Option<Window> {
        let Shape::Image { height, width, .. } = input else { return None };
        let [y, x] = [axis(height, size[0], stride[0], padding)?, axis(width, size[1], stride[1], padding)?];
        Some(Window { size, stride, before: [y.0, x.0], after: [y.1, x.1], output: [y.2, x.2] })
    }
}

/// What a convolution or pooling window does at the border.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Padding {
    /// Windows stay inside the image.
    #[default]
    Valid,
    /// ceil(input / stride) outputs; where the padding is odd, the extra row or column is at the bottom or right.
    Same,
}

keywords!(Padding { "valid" => Valid, "same" => Same });

/// Padding before, padding after and number of outputs along one axis.
fn axis(input: usize, size: usize, stride: usize, padding: Padding) -> Option<(usize, usize, usize)> {
    if input == 0 || size == 0 || stride == 0 {
        return None;
    }
    match padding {
        Padding::Valid => Some((0, 0, input.checked_sub(size)? / stride + 1)),
        Padding::Same => {
            let output = input.div_ceil(stride);
            // The last window starts inside the image, so only the window's size can overflow.
            let total = ((output - 1) * stride).checked_add(size)?.saturating_sub(input);
            Some((total / 2, total - total / 2, output))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_equal_keras_and_pytorch() {
        // (input, size, stride) -> valid outputs; same: before, after, outputs (tf.nn.max_pool's documented rule)
        assert_eq!(axis(28, 3, 1, Padding::Valid), Some((0, 0, 26)));
        assert_eq!(axis(28, 3, 1, Padding::Same), Some((1, 1, 28)));
        assert_eq!(axis(9, 2, 2, Padding::Valid), Some((0, 0, 4)));
        assert_eq!(axis(9, 2, 2, Padding::Same), Some((0, 1, 5)));
        assert_eq!(axis(28, 4, 1, Padding::Same), Some((1, 2, 28)));
        assert_eq!(axis(5, 3, 2, Padding::Same), Some((1, 1, 3)));
        assert_eq!(axis(6, 3, 2, Padding::Same), Some((0, 1, 3)));
        assert_eq!(axis(7, 1, 3, Padding::Same), Some((0, 0, 3)));
    }

    #[test]
    fn windows_that_do_not_fit_are_refused() {
        assert_eq!(axis(3, 4, 1, Padding::Valid), None);
        assert_eq!(axis(3, 0, 1, Padding::Same), None);
        assert_eq!(axis(3, 1, 0, Padding::Same), None);
        assert_eq!(axis(3, usize::MAX, 1, Padding::Same), None);
    }

    #[test]
    fn every_same_window_overlaps_the_image() {
        for input in 1..20 {
            for size in 1..8 {
                for stride in 1..8 {
                    let (before, after, output) = axis(input, size, stride, Padding::Same).unwrap();
                    let last = (output - 1) * stride;
                    assert!(before < size && after < size, "{input} {size} {stride}");
                    assert!(last < before + input, "{input} {size} {stride}");
                }
            }
        }
    }
}
