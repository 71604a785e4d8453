//! The values of a part of a column, decoded.

use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::DataType;

use super::problem::{PARQUET, guarded};
use crate::data::error::Problem;

/// Values that are decoded at once.
const BATCH: usize = 8192;

/// A part of a column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) rows: usize,
    /// The level of a value that is there, 0 where each is; a level below it says that one is missing.
    pub(super) highest: i16,
}

/// Calls `visit` with each value of a part of a column, none where it is missing. There must be so many.
pub(super) fn each<T: DataType>(
    reader: ColumnReaderImpl<T>,
    part: Part,
    mut visit: impl FnMut(Option<&T::T>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    each_while(reader, part, BATCH, |value| visit(value).map(|()| true))
}

/// The same until `visit` gives false, decoding so many values at once.
pub(super) fn each_while<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    part: Part,
    batch: usize,
    mut visit: impl FnMut(Option<&T::T>) -> Result<bool, Problem>,
) -> Result<(), Problem> {
    let differ = || Problem::malformed(PARQUET, "a column has not as many values as there are rows");
    let (mut levels, mut values, mut left) = (Vec::new(), Vec::new(), part.rows);
    loop {
        levels.clear();
        values.clear();
        // One more than there are rows would be one too many.
        let (records, ..) = guarded(|| reader.read_records(batch.min(left + 1), Some(&mut levels), None, &mut values))?;
        if records == 0 {
            return if left == 0 { Ok(()) } else { Err(differ()) };
        }
        left = left.checked_sub(records).ok_or_else(differ)?;
        let mut present = values.iter();
        for record in 0..records {
            let is_there = part.highest == 0 || levels.get(record).is_some_and(|level| *level == part.highest);
            if !visit(if is_there { present.next() } else { None })? {
                return Ok(());
            }
        }
    }
}
