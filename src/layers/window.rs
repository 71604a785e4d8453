//! The sliding window of convolutions and poolings.

use super::tensor::{positive, within_limit};
use super::{LayerProblem, Shape};
use crate::keys::{Entry, Form, Item, KeyError, Pair, Plain, Value, Written, nearest};
use crate::onnx;

/// A window sliding over an image, worked out for an input. Row `o` of the output sees the input rows
/// `o * stride[0] - before[0] + (0..size[0]) * dilation[0]`; those outside the image are padding: zeros for a convolution, no values
/// at all for a pooling (a maximum skips them, a mean divides by the values it has).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Height and width.
    pub size: [usize; 2],
    /// Step down and across.
    pub stride: [usize; 2],
    /// Rows from one of its own to the next, and columns.
    pub dilation: [usize; 2],
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
        (key, window_size): (&'static str, [usize; 2]),
        stride: [usize; 2],
        dilation: [usize; 2],
        padding: Padding,
    ) -> Result<Window, LayerProblem> {
        positive(key, &window_size)?;
        positive("stride", &stride)?;
        positive("dilation", &dilation)?;
        let (channels, image) = input.image()?;
        let reach = [0, 1].map(|a| extent(window_size[a], dilation[a]));
        let numbers = [stride, reach.map(|reach| reach.unwrap_or(usize::MAX)), padding.pixels()];
        if let Some(&number) = numbers.as_flattened().iter().find(|number| **number > MOST_PIXELS) {
            return Err(LayerProblem::TooManyPixels { number, limit: MOST_PIXELS });
        }
        let size = reach.map(|reach| reach.unwrap_or(usize::MAX));
        let window = Window::over(input, window_size, stride, dilation, padding);
        let window = window.ok_or(LayerProblem::WindowTooLarge { size, image })?;
        within_limit("the output", &[channels, window.output[0], window.output[1]])?;
        Ok(window)
    }

    /// How the window lies over its image, in ONNX.
    pub(super) fn onnx(self) -> Vec<onnx::proto::AttributeProto> {
        let Window { size, stride, dilation, before, after, .. } = self;
        let pads = [before[0], before[1], after[0], after[1]];
        let mut attributes =
            vec![onnx::ints("kernel_shape", &size), onnx::ints("strides", &stride), onnx::ints("pads", &pads)];
        attributes.extend((dilation != [1, 1]).then(|| onnx::ints("dilations", &dilation)));
        attributes
    }

    /// A window over the whole of an image.
    pub(crate) fn whole(input: Shape) -> Window {
        let Shape::Image { height, width, .. } = input else {
            unreachable!("Model::build gives every pooling an image");
        };
        let ([stride, dilation], [before, after]) = ([[1, 1]; 2], [[0, 0]; 2]);
        Window { size: [height, width], stride, dilation, before, after, output: [1, 1] }
    }

    /// The window over an image; `None` for a vector, or a window that does not fit.
    pub fn over(
        input: Shape,
        size: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
        padding: Padding,
    ) -> Option<Window> {
        let Shape::Image { height, width, .. } = input else { return None };
        let axis = |a: usize, input| axis(input, extent(size[a], dilation[a])?, stride[a], padding.axis(a));
        let [y, x] = [axis(0, height)?, axis(1, width)?];
        Some(Window { size, stride, dilation, before: [y.0, x.0], after: [y.1, x.1], output: [y.2, x.2] })
    }
}

/// Sums of positions in an image must fit the u32 of shaders.
pub(super) const MOST_PIXELS: usize = 1 << 30;

/// Pixels from the first of a window to the last along one axis; `None` where they cannot be counted, and without any.
pub(super) fn extent(size: usize, dilation: usize) -> Option<usize> {
    size.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)
}

/// What a convolution or pooling window does at the border.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Padding {
    /// Windows stay inside the image.
    #[default]
    Valid,
    /// ceil(input / stride) outputs; where the padding is odd, the extra row or column is at the bottom or right.
    Same,
    /// So many rows above and below, and columns left and right, as PyTorch has it.
    Pixels([usize; 2]),
}

/// A word, a number for both directions, or [height, width].
impl Form<Padding> for Plain {
    fn expected(&self) -> String {
        "\"valid\", \"same\", a number of pixels or [height, width]".into()
    }

    fn read(&self, item: &Item<'_>) -> Result<Padding, KeyError> {
        let expected = Form::<Padding>::expected(self);
        let pixels = match &item.node.value {
            Value::String(text) => {
                let near = nearest(text, ["valid", "same"]);
                let hint = near.map_or(String::new(), |near| format!(" (did you mean \"{near}\"?)"));
                return match text.as_str() {
                    "valid" => Ok(Padding::Valid),
                    "same" => Ok(Padding::Same),
                    _ => Err(item.wrong(format!("{expected}{hint}"))),
                };
            }
            Value::Integer(_) | Value::Array(_) => Pair(0).read(item)?,
            _ => return Err(item.wrong(expected)),
        };
        Ok(if pixels == [0, 0] { Padding::Valid } else { Padding::Pixels(pixels) })
    }
}

impl Written for Padding {
    fn written(&self) -> Option<Entry> {
        match self {
            Padding::Valid => "valid".written(),
            Padding::Same => "same".written(),
            Padding::Pixels(pixels) => pixels.written(),
        }
    }
}

impl Padding {
    /// Rows and columns that the recipe names.
    pub(super) fn pixels(self) -> [usize; 2] {
        match self {
            Padding::Pixels(pixels) => pixels,
            Padding::Valid | Padding::Same => [0, 0],
        }
    }

    /// Pixels before and after along an axis; `None` where the image's size decides.
    fn axis(self, axis: usize) -> Option<usize> {
        (self != Padding::Same).then(|| self.pixels()[axis])
    }
}

/// Padding before, padding after and number of outputs along one axis, for windows of so many pixels; without padding those of
/// `same`.
fn axis(input: usize, size: usize, stride: usize, padding: Option<usize>) -> Option<(usize, usize, usize)> {
    if input == 0 || size == 0 || stride == 0 {
        return None;
    }
    let Some(padding) = padding else {
        let output = input.div_ceil(stride);
        // The last window starts inside the image, so only the window's size can overflow.
        let total = ((output - 1) * stride).checked_add(size)?.saturating_sub(input);
        return Some((total / 2, total - total / 2, output));
    };
    let padded = input.checked_add(padding.checked_mul(2)?)?;
    Some((padding, padding, padded.checked_sub(size)? / stride + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_equal_keras_and_pytorch() {
        // (input, size, stride) -> valid outputs; same: before, after, outputs (tf.nn.max_pool's documented rule)
        assert_eq!(axis(28, 3, 1, Some(0)), Some((0, 0, 26)));
        assert_eq!(axis(28, 3, 1, None), Some((1, 1, 28)));
        assert_eq!(axis(9, 2, 2, Some(0)), Some((0, 0, 4)));
        assert_eq!(axis(9, 2, 2, None), Some((0, 1, 5)));
        assert_eq!(axis(28, 4, 1, None), Some((1, 2, 28)));
        assert_eq!(axis(5, 3, 2, None), Some((1, 1, 3)));
        assert_eq!(axis(6, 3, 2, None), Some((0, 1, 3)));
        assert_eq!(axis(7, 1, 3, None), Some((0, 0, 3)));
        // torch.nn.Conv2d's documented rule.
        assert_eq!(axis(28, 3, 1, Some(1)), Some((1, 1, 28)));
        assert_eq!(axis(224, 7, 2, Some(3)), Some((3, 3, 112)));
        assert_eq!(axis(5, 2, 3, Some(2)), Some((2, 2, 3)));
        assert_eq!(axis(28, extent(3, 2).unwrap(), 1, Some(2)), Some((2, 2, 28)));
    }

    #[test]
    fn windows_that_do_not_fit_are_refused() {
        assert_eq!(axis(3, 4, 1, Some(0)), None);
        assert_eq!(axis(3, 0, 1, None), None);
        assert_eq!(axis(3, 1, 0, None), None);
        assert_eq!(axis(3, usize::MAX, 1, None), None);
        assert_eq!(axis(3, 6, 1, Some(1)), None);
        assert_eq!(axis(3, 6, 1, Some(usize::MAX)), None);
        assert_eq!(extent(3, usize::MAX), None);
    }

    #[test]
    fn every_same_window_overlaps_the_image() {
        for input in 1..20 {
            for size in 1..8 {
                for stride in 1..8 {
                    let (before, after, output) = axis(input, size, stride, None).unwrap();
                    let last = (output - 1) * stride;
                    assert!(before < size && after < size, "{input} {size} {stride}");
                    assert!(last < before + input, "{input} {size} {stride}");
                }
            }
        }
    }
}
