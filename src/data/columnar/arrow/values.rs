//! The values in the buffers of a column.

use std::borrow::Cow;

use half::f16;

use crate::data::column::Cell;

/// Which rows have a value; all where there are no bits.
pub(super) struct There<'a> {
    pub(super) bits: Option<Cow<'a, [u8]>>,
}

impl There<'_> {
    pub(super) fn has(&self, row: usize) -> bool {
        self.bits.as_ref().is_none_or(|bits| bit(bits, row))
    }
}

pub(super) fn bit(bits: &[u8], row: usize) -> bool {
    bits.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1)
}

/// Values of different lengths.
pub(super) enum Values<'a> {
    /// Each from its offset to the next one.
    Offsets { offsets: Cow<'a, [u8]>, size: usize, bytes: Cow<'a, [u8]> },
    /// Each its length and, if it is short, itself, else where it lies in which buffer.
    Views { views: Cow<'a, [u8]>, buffers: Vec<Cow<'a, [u8]>> },
}

impl Values<'_> {
    /// A value; none where it lies outside of its buffer.
    pub(super) fn get(&self, row: usize) -> Option<&[u8]> {
        match self {
            Values::Offsets { offsets, size, bytes } => {
                let offset = |row: usize| {
                    let found = offsets.get(row.checked_mul(*size)?..)?;
                    match size {
                        4 => usize::try_from(i32::from_le_bytes(*found.first_chunk()?)).ok(),
                        _ => usize::try_from(i64::from_le_bytes(*found.first_chunk()?)).ok(),
                    }
                };
                bytes.get(offset(row)?..offset(row + 1)?)
            }
            Values::Views { views, buffers } => {
                let view: &[u8; 16] = views.get(row.checked_mul(16)?..)?.first_chunk()?;
                let word =
                    |at: usize| u32::from_le_bytes([view[at], view[at + 1], view[at + 2], view[at + 3]]) as usize;
                let length = word(0);
                if length <= 12 {
                    return views.get(row * 16 + 4..row * 16 + 4 + length);
                }
                let start = word(12);
                buffers.get(word(8))?.get(start..start.checked_add(length)?)
            }
        }
    }
}

pub(super) fn float(value: &[u8]) -> Cell<'static> {
    match *value {
        [a, b] => Cell::Single(f16::from_le_bytes([a, b]).to_f32()),
        [a, b, c, d] => Cell::Single(f32::from_le_bytes([a, b, c, d])),
        _ => value.first_chunk().map_or(Cell::Missing, |bytes| Cell::Double(f64::from_le_bytes(*bytes))),
    }
}
