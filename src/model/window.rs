//! The sliding window of convolutions and poolings.

use crate::model::Shape;
use crate::recipe::{LayerSpec, Padding};

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
    /// The window of a layer over `input`; `None` for other kinds of layer, a vector, or a window that does not fit.
    pub fn of(spec: &LayerSpec, input: Shape) -> Option<Window> {
        let (LayerSpec::Conv2d { kernel: size, stride, padding, .. }
        | LayerSpec::MaxPool { size, stride, padding }
        | LayerSpec::AveragePool { size, stride, padding }) = *spec
        else {
            return None;
        };
        let Shape::Image { height, width, .. } = input else { return None };
        let [y, x] = [axis(height, size[0], stride[0], padding)?, axis(width, size[1], stride[1], padding)?];
        Some(Window { size, stride, before: [y.0, x.0], after: [y.1, x.1], output: [y.2, x.2] })
    }
}

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
