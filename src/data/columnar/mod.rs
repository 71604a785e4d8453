//! Files of columns: Parquet, read through the `parquet` crate, and Arrow.
//!
//! Nothing is allocated for what a header announces alone: pages and buffers come to no more than a file of this size can hold
//! ([`most_unpacked`]), and so do all cells together ([`most_cells`]).

mod arrow;
mod codec;
mod flat;
mod parquet;
mod thrift;
mod write;

use std::path::Path;

use rayon::prelude::*;

use super::column::{Column, FileFormat, Kind, Sink, Unusable};
use super::error::Problem;
use super::picture_format::PictureFormat;
use arrow::ArrowFile;
use parquet::ParquetFile;
pub(super) use write::write;

/// Bytes that a piece of so many packed ones may come to: as many as gzip can hold, and a page of runs beside.
fn most_unpacked(packed: usize) -> usize {
    super::bytes::most_unpacked(packed as u64).saturating_add(16 << 20) as usize
}

/// The most cells that a file of so many bytes may have: runs of equal ones take no room, but not all are.
fn most_cells(bytes: u64) -> u64 {
    super::bytes::most_unpacked(bytes).saturating_add(4 << 20)
}

/// Bytes that the texts or pictures of a column may still come to: rows may repeat a long one that lies in the file once.
struct Budget(u64);

impl Budget {
    /// That of a file of so many bytes: several for each cell that it may have.
    fn new(bytes: u64) -> Budget {
        Budget(most_cells(bytes).saturating_mul(16))
    }

    fn spend(&mut self, value: &[u8]) -> Result<(), Problem> {
        let repeats =
            || Problem::malformed("Parquet or Arrow", "its rows repeat more bytes than a file of this size can mean");
        self.0 = self.0.checked_sub(value.len() as u64).ok_or_else(repeats)?;
        Ok(())
    }
}

/// Pictures that are handed on at once, and about how many bytes.
const PICTURES: usize = 1024;
const PICTURE_BYTES: usize = 64 << 20;

/// What takes pictures piece by piece, none where one is missing; false once it wants no more.
type TakePictures<'a> = &'a mut dyn FnMut(Vec<Option<Vec<u8>>>) -> Result<bool, Problem>;

/// What is called between parts of a table.
type Pause<'a, S> = &'a mut dyn FnMut(&mut [Option<S>]);

/// Calls `read` with each column that has a sink, by all threads, for so many rows: with so many columns at once that their cells are
/// not many, or one for each thread.
fn each_column<S: Sink, C: Send>(
    rows: usize,
    sinks: &mut [Option<S>],
    columns: &mut [C],
    pause: Pause<'_, S>,
    read: impl Fn(&mut S, &mut C) -> Result<(), Problem> + Sync,
) -> Result<(), Problem> {
    /// Cells that are not many.
    const FEW: usize = 8 << 20;
    let at_once = (FEW / rows.max(1)).max(rayon::current_num_threads()).max(1);
    let mut from = 0;
    while from < sinks.len() {
        let end = sinks.len().min(from + at_once);
        sinks[from..end].par_iter_mut().zip(&mut columns[from..end]).try_for_each(|(sink, column)| match sink {
            Some(sink) => read(sink, column),
            None => Ok(()),
        })?;
        pause(sinks);
        from = end;
    }
    Ok(())
}

/// An open file of columns.
pub(super) struct ColumnFile {
    columns: Vec<Column>,
    inner: Inner,
}

enum Inner {
    Parquet(Box<ParquetFile>),
    Arrow(ArrowFile),
}

impl ColumnFile {
    /// Opens a file, if it is one of columns.
    pub(super) fn open(path: &Path) -> Result<Option<ColumnFile>, Problem> {
        let inner = match FileFormat::of(path)? {
            None => return Ok(None),
            Some(FileFormat::Parquet) => Inner::Parquet(Box::new(ParquetFile::open(path)?)),
            Some(FileFormat::Arrow) => Inner::Arrow(ArrowFile::open(path)?),
        };
        let columns = match &inner {
            Inner::Parquet(file) => file.columns(),
            Inner::Arrow(file) => file.columns(),
        };
        let mut file = ColumnFile { columns, inner };
        for column in 0..file.columns.len() {
            // Bytes may be anything.
            if file.columns[column].kind == Kind::Unusable(Unusable::Pictures) && !file.begins_with_picture(column)? {
                file.columns[column].kind = Kind::Unusable(Unusable::Type("bytes".into()));
            }
        }
        Ok(Some(file))
    }

    /// Whether the first value of a column of bytes is a picture.
    fn begins_with_picture(&self, column: usize) -> Result<bool, Problem> {
        let mut is_picture = false;
        self.pictures_by(1, column, &mut |piece| {
            let first = piece.into_iter().flatten().next();
            is_picture = first.as_ref().is_some_and(|bytes| PictureFormat::of(bytes).is_ok());
            Ok(first.is_none())
        })?;
        Ok(is_picture)
    }

    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// What the file is.
    pub(super) fn in_words(&self) -> String {
        match &self.inner {
            Inner::Parquet(file) => file.in_words(),
            Inner::Arrow(_) => "an Arrow file".into(),
        }
    }

    /// Reads the columns that have a sink, by all threads, and gives the number of rows. Where some cells of some columns were
    /// read, `pause` is called.
    pub(super) fn read<S: Sink>(&mut self, sinks: &mut [Option<S>], pause: Pause<'_, S>) -> Result<usize, Problem> {
        match &mut self.inner {
            Inner::Parquet(file) => file.read(sinks, pause),
            Inner::Arrow(file) => file.read(sinks, pause),
        }
    }

    /// Gives the bytes of the pictures in a column, in their order, to `take`.
    pub(super) fn pictures(&self, column: usize, take: TakePictures<'_>) -> Result<(), Problem> {
        self.pictures_by(PICTURES, column, take)
    }

    fn pictures_by(&self, most: usize, column: usize, take: TakePictures<'_>) -> Result<(), Problem> {
        let length = match &self.inner {
            Inner::Parquet(file) => file.length(),
            Inner::Arrow(file) => file.length,
        };
        let mut pieces = Pieces { most, piece: Vec::new(), bytes: 0, budget: Budget::new(length), take };
        match &self.inner {
            Inner::Parquet(file) => file.pictures(column, &mut pieces)?,
            Inner::Arrow(file) => file.pictures(column, &mut pieces)?,
        }
        pieces.hand_on().map(drop)
    }

    /// The names of a column's classes, as the library `datasets` keeps them in the file's metadata.
    pub(super) fn class_names(&self, column: &str) -> Option<Vec<String>> {
        let text = match &self.inner {
            Inner::Parquet(file) => file.metadata("huggingface"),
            Inner::Arrow(file) => file.metadata("huggingface"),
        }?;
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        let feature = value.get("info")?.get("features")?.get(column)?;
        let names = feature.get("names").filter(|_| feature.get("_type").is_some_and(|kind| kind == "ClassLabel"))?;
        names.as_array()?.iter().map(|name| Some(name.as_str()?.to_owned())).collect()
    }
}

/// Pictures that are handed on piece by piece.
struct Pieces<'a> {
    /// So many at once.
    most: usize,
    piece: Vec<Option<Vec<u8>>>,
    bytes: usize,
    budget: Budget,
    take: TakePictures<'a>,
}

impl Pieces<'_> {
    /// Adds a picture; false once no more are wanted.
    fn add(&mut self, picture: Option<&[u8]>) -> Result<bool, Problem> {
        self.budget.spend(picture.unwrap_or_default())?;
        self.bytes += picture.map_or(0, <[u8]>::len);
        self.piece.push(picture.map(<[u8]>::to_vec));
        match self.piece.len() >= self.most || self.bytes >= PICTURE_BYTES {
            true => self.hand_on(),
            false => Ok(true),
        }
    }

    fn hand_on(&mut self) -> Result<bool, Problem> {
        self.bytes = 0;
        let piece = std::mem::take(&mut self.piece);
        if piece.is_empty() { Ok(true) } else { (self.take)(piece) }
    }
}

/// The text of a decimal number whose digits, with a sign or none, have their point so many places from the end.
fn decimal_text(digits: &str, scale: i32, text: &mut String) {
    text.clear();
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    text.push_str(sign);
    match usize::try_from(scale) {
        Ok(0) => text.push_str(digits),
        Ok(places) => {
            (digits.len()..=places).for_each(|_| text.push('0'));
            text.push_str(digits);
            text.insert(text.len() - places, '.');
        }
        Err(_) => {
            text.push_str(digits);
            text.push_str(&"0".repeat(scale.unsigned_abs() as usize));
        }
    }
}

/// A whole number of at most 16 bytes, the first of which is the highest.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let first = *bytes.first()?;
    let mut all = [if first & 0x80 == 0 { 0 } else { 0xff }; 16];
    let start = all.len().checked_sub(bytes.len())?;
    all[start..].copy_from_slice(bytes);
    Some(i128::from_be_bytes(all))
}

/// The most digits of a decimal number, and of places behind or before its point.
const DIGITS: i32 = 38;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_written_with_their_point() {
        let of = |digits: &str, scale: i32| {
            let mut text = String::new();
            decimal_text(digits, scale, &mut text);
            text
        };
        assert_eq!(
            [of("12345", 2), of("-5", 3), of("0", 2), of("7", 0), of("-12", -2)],
            ["123.45", "-0.005", "0.00", "7", "-1200"]
        );
        assert_eq!(big_endian(&[0xff, 0xfe]), Some(-2));
        assert_eq!((big_endian(&[1, 0, 0]), big_endian(&[]), big_endian(&[0; 17])), (Some(65536), None, None));
    }
}
