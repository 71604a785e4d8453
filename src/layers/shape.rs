//! The shape of one example as it flows from layer to layer.

use std::fmt;

/// The shape of one example (without the batch axis). Everything in memory is channels first, as in PyTorch, so that
/// flattening an image gives the same feature order there and here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// A flat vector of features.
    Features(usize),
    /// An image, stored channel by channel, each channel row by row.
    Image {
        /// Number of channels.
        channels: usize,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
}

impl Shape {
    /// True for an image of more than one pixel.
    pub fn is_picture(&self) -> bool {
        matches!(self, Shape::Image { height, width, .. } if height * width > 1)
    }

    /// Whether it has rows and columns.
    pub fn is_image(&self) -> bool {
        matches!(self, Shape::Image { .. })
    }

    /// Number of scalars in one example.
    pub fn len(&self) -> usize {
        match *self {
            Shape::Features(n) => n,
            Shape::Image { channels, height, width } => channels * height * width,
        }
    }

    /// Channels of an image; 1 for a vector.
    pub fn channels(&self) -> usize {
        match *self {
            Shape::Features(_) => 1,
            Shape::Image { channels, .. } => channels,
        }
    }

    /// The sizes of an array of so many in a file: images with their channels last, and without these where there is one.
    pub fn in_files(&self, count: usize) -> Vec<usize> {
        match *self {
            Shape::Features(width) => vec![count, width],
            Shape::Image { channels: 1, height, width } => vec![count, height, width],
            Shape::Image { channels, height, width } => vec![count, height, width, channels],
        }
    }

    /// True when an example holds no scalar at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for Shape {
    /// `784` or `28x28x1` (height x width x channels, as recipes write it).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Shape::Features(n) => write!(f, "{n}"),
            Shape::Image { channels, height, width } => write!(f, "{height}x{width}x{channels}"),
        }
    }
}
