//! The cells of a column, made of its values.

use std::collections::HashMap;

use super::super::decimal_text;
use super::batch::{Batch, Place};
use super::problem::broken;
use super::schema::{Field, Integer, Type};
use super::values::{There, bit, float};
use crate::data::column::Cell;
use crate::data::error::Problem;

/// The levels of each dictionary; none where one is missing.
pub(super) type Dictionaries = HashMap<i64, Vec<Option<String>>>;

/// What makes a cell of its bytes.
type OfBytes<'a> = &'a mut dyn FnMut(&[u8], Add<'_>) -> Result<(), Problem>;

/// What takes the cells of a column.
type Add<'a> = &'a mut dyn FnMut(Cell<'_>) -> Result<(), Problem>;

/// A column of a batch.
pub(super) struct Cells<'a> {
    batch: &'a Batch<'a>,
    field: &'a Field,
    place: Place,
    there: There<'a>,
}

impl<'a> Cells<'a> {
    pub(super) fn new(batch: &'a Batch<'a>, field: &'a Field, place: Place) -> Result<Cells<'a>, Problem> {
        let there = batch.there(place, field.values == Type::Null && field.dictionary.is_none())?;
        Ok(Cells { batch, field, place, there })
    }

    /// Gives the cells, of which those of a dictionary are its levels.
    pub(super) fn give(&self, dictionaries: &Dictionaries, add: Add<'_>) -> Result<(), Problem> {
        if let Some((id, index)) = self.field.dictionary {
            let none = Vec::new();
            return self.levels(dictionaries.get(&id).unwrap_or(&none), index, add);
        }
        match &self.field.values {
            Type::Null => (0..self.batch.rows).try_for_each(|_| add(Cell::Missing)),
            Type::Boolean => self.booleans(add),
            Type::Integer(integer) => self.each(integer.bytes, &mut |value, add| add(integer.cell(value)), add),
            Type::Float(size) => self.each(*size, &mut |value, add| add(float(value)), add),
            Type::Decimal { bytes, scale } => self.decimals(*bytes, *scale, add),
            Type::Bytes { .. } | Type::Views { .. } => self.texts(add),
            Type::Struct | Type::Dates | Type::Other(..) => Ok(()),
        }
    }

    fn short(&self) -> Problem {
        broken(format!("its column {:?} has fewer values than there are rows", self.field.name))
    }

    /// Gives the cells of values of one size.
    fn each(&self, size: usize, cell: OfBytes<'_>, add: Add<'_>) -> Result<(), Problem> {
        let values = self.batch.buffer(self.place.buffer + 1)?;
        let bytes = self.batch.rows.checked_mul(size);
        let values = bytes.and_then(|bytes| values.get(..bytes)).ok_or_else(|| self.short())?;
        for (row, value) in values.chunks_exact(size).enumerate() {
            if self.there.has(row) { cell(value, add)? } else { add(Cell::Missing)? }
        }
        Ok(())
    }

    /// Gives the levels of a dictionary, by their numbers.
    fn levels(&self, levels: &[Option<String>], index: Integer, add: Add<'_>) -> Result<(), Problem> {
        let none = || broken(format!("its column {:?} has a level that is none", self.field.name));
        let give = &mut |value: &[u8], add: Add<'_>| {
            let level = match index.cell(value) {
                Cell::Integer(level) => usize::try_from(level).ok(),
                Cell::Unsigned(level) => usize::try_from(level).ok(),
                _ => None,
            };
            let level = level.and_then(|level| levels.get(level)).ok_or_else(none)?;
            add(level.as_ref().map_or(Cell::Missing, |level| Cell::Text(level)))
        };
        self.each(index.bytes, give, add)
    }

    fn booleans(&self, add: Add<'_>) -> Result<(), Problem> {
        let values = self.batch.buffer(self.place.buffer + 1)?;
        if values.len() < self.batch.rows.div_ceil(8) {
            return Err(self.short());
        }
        let cell = |row: usize| if self.there.has(row) { Cell::boolean(bit(&values, row)) } else { Cell::Missing };
        (0..self.batch.rows).try_for_each(|row| add(cell(row)))
    }

    fn decimals(&self, bytes: usize, scale: i32, add: Add<'_>) -> Result<(), Problem> {
        let mut text = String::new();
        let give = &mut |value: &[u8], add: Add<'_>| {
            let mut all = [if value.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 }; 16];
            all.get_mut(..value.len()).ok_or_else(|| self.short())?.copy_from_slice(value);
            decimal_text(&i128::from_le_bytes(all).to_string(), scale, &mut text);
            add(Cell::Decimal(&text))
        };
        self.each(bytes, give, add)
    }

    fn texts(&self, add: Add<'_>) -> Result<(), Problem> {
        let not_text = || broken(format!("a text of its column {:?} is not UTF-8", self.field.name));
        let values = self.batch.values(self.field, self.place)?;
        for row in 0..self.batch.rows {
            if !self.there.has(row) {
                add(Cell::Missing)?;
                continue;
            }
            let text = values.get(row).ok_or_else(|| self.short())?;
            add(Cell::Text(std::str::from_utf8(text).map_err(|_| not_text())?))?;
        }
        Ok(())
    }
}
