//! Pictures brought to the shape that a network takes.
//!
//! Resizing is Pillow's with its filter BILINEAR: a triangle, as wide as a pixel of the smaller picture, so that nothing
//! is left out when a picture is made smaller. It works on the values as they are stored (sRGB, as most programs do).

use std::borrow::Cow;

use super::decode::Picture;
use crate::recipe::Fit;

/// The shape that pictures are brought to, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// What becomes of pictures of another ratio of sides.
    pub fit: Fit,
}

impl Form {
    /// Values of a picture.
    pub(super) fn len(&self) -> usize {
        self.height * self.width * self.channels
    }
}

/// What is taken of a picture, in pixels.
#[derive(Debug, Clone, Copy)]
struct Part {
    start: f64,
    length: f64,
}

/// A side of a picture: how long it is, what is taken of it, and how long that becomes.
#[derive(Debug, Clone, Copy)]
struct Side {
    whole: usize,
    part: Part,
    fitted: usize,
}

/// The picture in its form, channel after channel.
pub(super) fn fitted(picture: &Picture, form: &Form) -> Vec<u8> {
    let turns = picture.orientation.turns();
    let (width, height) = (picture.width, picture.height);
    let (across, down) = sides(if turns { (height, width) } else { (width, height) }, form);
    // What is taken lies in the middle, so that it is the same part before and after the picture is turned.
    let stored = if turns { (down, across) } else { (across, down) };
    let (values, channels) = match (picture.channels, form.channels) {
        (3, 1) => (Cow::Owned(grey(&picture.values)), 1),
        (channels, _) => (Cow::Borrowed(&picture.values[..]), channels),
    };
    let values = resized(&values, channels, stored.0, stored.1);
    let values = picture.orientation.apply(values, stored.0.fitted, stored.1.fitted, channels);
    placed(&values, channels, (across.fitted, down.fitted), form)
}

/// What is taken of a picture's width and height, and what becomes of it.
fn sides((width, height): (usize, usize), form: &Form) -> (Side, Side) {
    let whole = |whole: usize, fitted: usize| Side { whole, part: Part { start: 0.0, length: whole as f64 }, fitted };
    let middle = |whole: usize, length: f64, fitted: usize| {
        let start = (whole as f64 - length) / 2.0;
        Side { whole, part: Part { start, length }, fitted }
    };
    let (w, h) = (width as f64, height as f64);
    let (to_w, to_h) = (form.width as f64, form.height as f64);
    let is_wide = w * to_h > h * to_w;
    match form.fit {
        Fit::Crop if is_wide => (middle(width, h * to_w / to_h, form.width), whole(height, form.height)),
        Fit::Crop => (whole(width, form.width), middle(height, w * to_h / to_w, form.height)),
        Fit::Pad if is_wide => {
            let fitted = ((h / w * to_w).round() as usize).clamp(1, form.height);
            (whole(width, form.width), whole(height, fitted))
        }
        Fit::Pad => {
            let fitted = ((w / h * to_h).round() as usize).clamp(1, form.width);
            (whole(width, fitted), whole(height, form.height))
        }
        Fit::Stretch => (whole(width, form.width), whole(height, form.height)),
    }
}

/// The brightness of colours, by the weights of ITU-R BT.601, as in Pillow and OpenCV.
fn grey(values: &[u8]) -> Vec<u8> {
    let (pixels, _) = values.as_chunks();
    let brightness = |&[red, green, blue]: &[u8; 3]| {
        ((299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue) + 500) / 1000) as u8
    };
    pixels.iter().map(brightness).collect()
}

/// The pixels of the picture that one pixel of the fitted one is made of.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// The taps of every pixel of a fitted side.
fn taps(side: Side) -> Vec<Taps> {
    let step = side.part.length / side.fitted as f64;
    let reach = step.max(1.0);
    let one = |index: usize| {
        let center = side.part.start + (index as f64 + 0.5) * step;
        let first = (center - reach + 0.5).max(0.0) as usize;
        let end = ((center + reach + 0.5) as usize).min(side.whole).max(first + 1);
        let weight = |pixel: usize| (1.0 - ((pixel as f64 + 0.5 - center) / reach).abs()).max(0.0);
        let weights: Vec<f64> = (first..end).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        Taps { first, weights: weights.iter().map(|weight| (weight / sum) as f32).collect() }
    };
    (0..side.fitted).map(one).collect()
}

/// Rows of pixels, resized: each row first, then added to the rows it is a part of.
fn resized(values: &[u8], channels: usize, across: Side, down: Side) -> Vec<u8> {
    let (columns, rows) = (taps(across), taps(down));
    let mut row = vec![0.0f32; across.fitted * channels];
    let mut sums = vec![0.0f32; down.fitted * row.len()];
    // Fitted rows before this one have all of their parts.
    let mut done = 0;
    for (y, pixels) in values.chunks_exact(across.whole * channels).enumerate() {
        done += rows[done..].iter().take_while(|taps| taps.first + taps.weights.len() <= y).count();
        let parts = rows[done..].iter().take_while(|taps| taps.first <= y).count();
        if parts == 0 {
            continue;
        }
        match channels {
            1 => resize_row::<1>(pixels, &columns, &mut row),
            _ => resize_row::<3>(pixels, &columns, &mut row),
        }
        for (taps, sum) in rows[done..][..parts].iter().zip(sums[done * row.len()..].chunks_exact_mut(row.len())) {
            let Some(weight) = taps.weights.get(y - taps.first) else { continue };
            sum.iter_mut().zip(&row).for_each(|(sum, value)| *sum += weight * value);
        }
    }
    sums.iter().map(|sum| sum.round() as u8).collect()
}

fn resize_row<const CHANNELS: usize>(pixels: &[u8], columns: &[Taps], row: &mut [f32]) {
    let (pixels, _) = pixels.as_chunks::<CHANNELS>();
    let (row, _) = row.as_chunks_mut::<CHANNELS>();
    for (taps, fitted) in columns.iter().zip(row) {
        let mut sum = [0.0; CHANNELS];
        for (weight, pixel) in taps.weights.iter().zip(&pixels[taps.first..]) {
            sum.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += weight * f32::from(value));
        }
        *fitted = sum;
    }
}

/// Rows of pixels in the middle of a black picture, channel after channel; grey ones in every channel.
fn placed(values: &[u8], channels: usize, (width, height): (usize, usize), form: &Form) -> Vec<u8> {
    let (left, top) = ((form.width - width) / 2, (form.height - height) / 2);
    let mut placed = vec![0; form.len()];
    for (channel, plane) in placed.chunks_exact_mut(form.height * form.width).enumerate() {
        let from = channel.min(channels - 1);
        for (line, row) in values.chunks_exact(width * channels).zip(plane.chunks_exact_mut(form.width).skip(top)) {
            line.iter().skip(from).step_by(channels).zip(&mut row[left..]).for_each(|(value, place)| *place = *value);
        }
    }
    placed
}
