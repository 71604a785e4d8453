//! The cells of a column, made of its values.

use half::f16;
use parquet::column::reader::ColumnReader;

use super::super::{Budget, big_endian, decimal_text};
use super::problem::PARQUET;
use super::schema::{How, Leaf};
use super::values::{Part, each};
use crate::data::column::{Cell, Column, Sink};
use crate::data::error::Problem;

/// Makes cells of a column's values and gives them to its sink.
pub(super) struct Cells<'a, S> {
    column: &'a Column,
    leaf: Leaf,
    sink: &'a mut S,
    /// Of the texts.
    budget: &'a mut Budget,
    /// The decimal number that was written last.
    decimal: String,
}

impl<'a, S: Sink> Cells<'a, S> {
    pub(super) fn new(column: &'a Column, leaf: Leaf, budget: &'a mut Budget, sink: &'a mut S) -> Cells<'a, S> {
        Cells { column, leaf, sink, budget, decimal: String::new() }
    }

    /// Reads a part of the column.
    pub(super) fn read(&mut self, reader: ColumnReader, part: Part) -> Result<(), Problem> {
        let single = |value: Option<f32>| value.map_or(Cell::Missing, Cell::Single);
        match reader {
            _ if self.leaf.how == How::Nothing => {
                (0..part.rows).for_each(|_| self.add(Cell::Missing));
                Ok(())
            }
            ColumnReader::BoolColumnReader(reader) => each(reader, part, |value| {
                self.add(value.map_or(Cell::Missing, |value| Cell::boolean(*value)));
                Ok(())
            }),
            ColumnReader::Int32ColumnReader(reader) => each(reader, part, |value| {
                self.integer(value.map(|value| (i64::from(*value), u64::from(*value as u32))));
                Ok(())
            }),
            ColumnReader::Int64ColumnReader(reader) => each(reader, part, |value| {
                self.integer(value.map(|value| (*value, *value as u64)));
                Ok(())
            }),
            ColumnReader::FloatColumnReader(reader) => each(reader, part, |value| {
                self.add(single(value.copied()));
                Ok(())
            }),
            ColumnReader::DoubleColumnReader(reader) => each(reader, part, |value| {
                self.add(value.map_or(Cell::Missing, |value| Cell::Double(*value)));
                Ok(())
            }),
            ColumnReader::ByteArrayColumnReader(reader) => match self.leaf.how {
                How::Decimal { scale } => {
                    each(reader, part, |value| self.long_decimal(value.map(|value| value.data()), scale))
                }
                _ => each(reader, part, |value| self.text(value.map(|value| value.data()))),
            },
            ColumnReader::FixedLenByteArrayColumnReader(reader) => match self.leaf.how {
                How::Decimal { scale } => {
                    each(reader, part, |value| self.long_decimal(value.map(|value| value.data()), scale))
                }
                _ => each(reader, part, |value| {
                    let half =
                        value.map(|value| value.data().try_into().map_err(|_| self.odd()).map(f16::from_le_bytes));
                    self.add(single(half.transpose()?.map(f16::to_f32)));
                    Ok(())
                }),
            },
            ColumnReader::Int96ColumnReader(_) => Ok(()),
        }
    }

    fn add(&mut self, cell: Cell<'_>) {
        match cell {
            Cell::Missing => self.sink.add(cell),
            cell if self.leaf.is_category => self.sink.add(Cell::Text(&cell.text())),
            cell => self.sink.add(cell),
        }
    }

    /// A whole number, with a sign and without one.
    fn integer(&mut self, value: Option<(i64, u64)>) {
        match (value, self.leaf.how) {
            (None, _) => self.add(Cell::Missing),
            (Some((value, _)), How::Decimal { scale }) => self.decimal(&value.to_string(), scale),
            (Some((_, value)), How::Unsigned) => self.add(Cell::Unsigned(value)),
            (Some((value, _)), _) => self.add(Cell::Integer(value)),
        }
    }

    /// A decimal number of these digits.
    fn decimal(&mut self, digits: &str, scale: i32) {
        let mut text = std::mem::take(&mut self.decimal);
        decimal_text(digits, scale, &mut text);
        self.add(Cell::Decimal(&text));
        self.decimal = text;
    }

    /// A decimal number whose digits are a whole number of several bytes.
    fn long_decimal(&mut self, value: Option<&[u8]>, scale: i32) -> Result<(), Problem> {
        match value {
            None => self.add(Cell::Missing),
            Some(value) => self.decimal(&big_endian(value).ok_or_else(|| self.odd())?.to_string(), scale),
        }
        Ok(())
    }

    fn text(&mut self, value: Option<&[u8]>) -> Result<(), Problem> {
        let Some(value) = value else {
            self.add(Cell::Missing);
            return Ok(());
        };
        self.budget.spend(value)?;
        let text = std::str::from_utf8(value).map_err(|_| {
            Problem::malformed(PARQUET, format!("a text of its column {:?} is not UTF-8", self.column.name))
        })?;
        self.add(Cell::Text(text));
        Ok(())
    }

    fn odd(&self) -> Problem {
        Problem::malformed(PARQUET, format!("a value of its column {:?} is of another length", self.column.name))
    }
}
