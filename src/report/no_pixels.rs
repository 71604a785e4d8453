//! In the place of `pixels.rs` where the feature `png` is off: no drawing becomes pixels, and no font measures a text.

use super::ReportError;

/// There are none.
#[derive(Debug)]
pub(crate) enum Pixmap {}

impl Pixmap {
    pub(super) fn width(&self) -> u32 {
        match *self {}
    }

    pub(super) fn height(&self) -> u32 {
        match *self {}
    }

    pub(super) fn data_mut(&mut self) -> &mut [u8] {
        match *self {}
    }
}

pub(crate) fn rasterise(_: &str, _: f32) -> Result<Pixmap, ReportError> {
    Err(ReportError::NoPng)
}

pub(crate) fn blank(_: u32, _: u32) -> Result<Pixmap, ReportError> {
    Err(ReportError::NoPng)
}

pub(crate) fn encode(pixels: &Pixmap) -> Result<Vec<u8>, ReportError> {
    match *pixels {}
}

pub(crate) fn width_of_last(_: &str) -> Option<f64> {
    None
}
