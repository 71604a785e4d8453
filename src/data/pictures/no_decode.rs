//! In the place of `decode.rs` where the feature `pictures` is off.

#![allow(dead_code, reason = "there is no picture without a decoder")]

use super::super::error::Problem;
use super::orientation::Orientation;

pub(super) struct Picture {
    pub width: usize,
    pub height: usize,
    pub channels: usize,
    pub values: Vec<u8>,
    pub orientation: Orientation,
    pub transparent: bool,
    pub deep: bool,
}

pub(super) struct Head {
    pub width: usize,
    pub height: usize,
    pub grey: bool,
}

pub(super) fn check_there() -> Result<(), Problem> {
    Err(Problem::LeftOut { format: "pictures", feature: "pictures", convert: "write the pixels as .npy" })
}

pub(super) fn decode(_: &[u8]) -> Result<Picture, String> {
    Err("this build decodes no pictures".into())
}

pub(super) fn head(_: &[u8]) -> Result<Head, String> {
    Err("this build decodes no pictures".into())
}
