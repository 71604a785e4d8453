//! Rows of all columns of an Arrow file.

use std::borrow::Cow;

use super::super::Pieces;
use super::super::codec::{Codec, unknown};
use super::super::flat::{Broken, Table};
use super::problem::{ARROW, broken};
use super::schema::{Field, Type};
use super::values::{There, Values};
use crate::data::error::Problem;

/// Where the parts of a column lie in a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    node: usize,
    pub(super) buffer: usize,
    /// The place among the numbers of buffers of views.
    view: usize,
    /// Buffers that hold the bytes of its views.
    views: usize,
}

/// Rows of all columns.
pub(super) struct Batch<'a> {
    pub(super) rows: usize,
    /// Of each part of a column its length, and how many values are missing.
    nodes: &'a [[u8; 16]],
    /// Of each buffer where it begins, and its bytes.
    buffers: &'a [[u8; 16]],
    /// Of each column of views, how many buffers hold bytes.
    views: &'a [[u8; 8]],
    codec: Codec,
    body: &'a [u8],
}

/// Two numbers.
fn pair(bytes: &[u8; 16]) -> (i64, i64) {
    let (first, second) = bytes.split_at(8);
    let number = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes));
    (number(first), number(second))
}

impl<'a> Batch<'a> {
    pub(super) fn new(table: Table<'a>, body: &'a [u8]) -> Result<Batch<'a>, Problem> {
        let codec = match table.table(3)? {
            None => Codec::None,
            Some(packing) => match packing.byte(0)? {
                0 => Codec::Lz4Frame,
                1 => Codec::Zstd,
                other => return Err(unknown(ARROW, &format!("packing {other}"))),
            },
        };
        Ok(Batch {
            rows: usize::try_from(table.i64(0)?).map_err(|_| Broken)?,
            nodes: table.list(1)?.map_or(Ok(&[][..]), |list| list.items())?,
            buffers: table.list(2)?.map_or(Ok(&[][..]), |list| list.items())?,
            views: table.list(4)?.map_or(Ok(&[][..]), |list| list.items())?,
            codec,
            body,
        })
    }

    /// Where the columns lie.
    pub(super) fn places(&self, fields: &[Field]) -> Result<Vec<Place>, Problem> {
        let mut next = Place { node: 0, buffer: 0, view: 0, views: 0 };
        fields.iter().map(|field| self.place(field, &mut next)).collect()
    }

    /// The next place, behind which a field leaves `next`.
    fn place(&self, field: &Field, next: &mut Place) -> Result<Place, Problem> {
        let mut place = *next;
        next.node += 1;
        if field.dictionary.is_some() {
            next.buffer += 2;
            return Ok(place);
        }
        if let Type::Views { .. } = field.values {
            let count = self.views.get(next.view).map(|count| i64::from_le_bytes(*count)).ok_or(Broken)?;
            place.views = usize::try_from(count).ok().filter(|count| *count <= self.buffers.len()).ok_or(Broken)?;
            next.view += 1;
        }
        next.buffer += field.values.buffers() + place.views;
        for child in &field.children {
            self.place(child, next)?;
        }
        Ok(place)
    }

    pub(super) fn buffer(&self, number: usize) -> Result<Cow<'a, [u8]>, Problem> {
        let outside = || broken("a buffer of it lies outside of its message");
        let (start, length) = pair(self.buffers.get(number).ok_or_else(outside)?);
        let (start, length) = (usize::try_from(start), usize::try_from(length));
        let (Ok(start), Ok(length)) = (start, length) else { return Err(outside()) };
        let bytes = start.checked_add(length).and_then(|end| self.body.get(start..end)).ok_or_else(outside)?;
        if self.codec == Codec::None || bytes.is_empty() {
            return Ok(bytes.into());
        }
        // Its length comes first, or -1 where it is not packed.
        let (announced, packed) = bytes.split_first_chunk().ok_or_else(outside)?;
        let announced = i64::from_le_bytes(*announced);
        if announced == -1 {
            return Ok(packed.into());
        }
        if announced == 0 {
            return Ok([][..].into());
        }
        let unpacked = self.codec.unpack(packed).map_err(broken)?;
        match unpacked.len() as i64 == announced {
            true => Ok(unpacked.into()),
            false => Err(broken("a buffer of it unpacks to another length than it announces")),
        }
    }

    /// The rows of a column: so many, and which of them are there.
    pub(super) fn there(&self, place: Place, is_null: bool) -> Result<There<'a>, Problem> {
        let odd = || broken("a column has not as many values as there are rows");
        let (length, missing) = pair(self.nodes.get(place.node).ok_or_else(odd)?);
        if length != self.rows as i64 {
            return Err(odd());
        }
        if is_null || missing == 0 {
            return Ok(There { bits: None });
        }
        let bits = self.buffer(place.buffer)?;
        if bits.len() < self.rows.div_ceil(8) {
            return Err(odd());
        }
        Ok(There { bits: Some(bits) })
    }

    /// Gives the pictures of a column; false once no more are wanted.
    pub(super) fn pictures(&self, field: &Field, place: Place, pieces: &mut Pieces<'_>) -> Result<bool, Problem> {
        let there = self.there(place, false)?;
        let (mut inner, mut inner_place) = (field, place);
        if let Some(child) = field.picture_bytes() {
            let mut next = Place { node: place.node + 1, buffer: place.buffer + 1, ..place };
            for at in 0..=child {
                inner_place = self.place(&field.children[at], &mut next)?;
            }
            inner = &field.children[child];
        }
        let inner_there = self.there(inner_place, false)?;
        let values = self.values(inner, inner_place)?;
        for row in 0..self.rows {
            let picture = match there.has(row) && inner_there.has(row) {
                true => Some(values.get(row).ok_or_else(|| broken("a picture of it lies outside of its buffer"))?),
                false => None,
            };
            if !pieces.add(picture)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The values of a column of texts or bytes.
    pub(super) fn values(&self, field: &Field, place: Place) -> Result<Values<'a>, Problem> {
        let first = self.buffer(place.buffer + 1)?;
        Ok(match field.values {
            Type::Bytes { offset, .. } => {
                Values::Offsets { offsets: first, size: offset, bytes: self.buffer(place.buffer + 2)? }
            }
            _ => {
                let buffers = (0..place.views).map(|number| self.buffer(place.buffer + 2 + number));
                Values::Views { views: first, buffers: buffers.collect::<Result<_, Problem>>()? }
            }
        })
    }
}
