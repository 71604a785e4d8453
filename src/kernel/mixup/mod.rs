//! Mixup (Zhang et al., 2018): each example of a batch is mixed with another one, and so is what it should give.
//!
//! The others are the batch moved on by one row, as torchvision's `MixUp` takes them, and all rows of a batch are mixed in one
//! ratio, drawn from Beta(strength, strength). A batch's ratio follows from the model's seed, the epoch and the batch's number alone:
//! a hash of them picks one of [`QUANTILES`] quantiles that the host has computed, so that it has the same bits everywhere.

pub mod losses;
pub mod pairs;
mod quantiles;
pub mod rows;

pub use quantiles::{QUANTILES, quantiles};

use crate::ir::Slice;
use crate::kernel::formula::hash::combine;

/// What the hash of a ratio starts from: as in the shader.
const MIXUP: u32 = 0x6d69_7875;

/// The row that a real row of a batch is mixed with, of so many real ones.
pub fn other_row(row: u32, rows: u32) -> u32 {
    if row == 0 { rows - 1 } else { row - 1 }
}

/// Which of the quantiles is the others' share in a batch.
pub fn quantile(seed: u32, epoch: u32, batch: u32) -> usize {
    (combine(combine(combine(MIXUP, seed), epoch), batch) >> 20) as usize
}

/// What is mixed with what in the batch: each of (models, rows).
#[derive(Debug, Clone, Copy)]
pub struct Pairs {
    /// Each row's own place among the rows of all models.
    pub own: Slice,
    /// That of the other.
    pub other: Slice,
    /// The example of the other.
    pub other_examples: Slice,
    /// The share of the other.
    pub shares: Slice,
}
