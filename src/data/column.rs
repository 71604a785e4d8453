//! Files of columns, Parquet and Arrow: how they are told from others, and what their columns and cells are.

#![cfg_attr(not(feature = "parquet"), allow(dead_code, reason = "nothing reads columns then"))]

use std::borrow::Cow;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::error::Problem;
use crate::place::{self, Format};

/// A format of files of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileFormat {
    Parquet,
    /// Arrow on the disk, which is Feather's second version too, or as a stream.
    Arrow,
}

impl FileFormat {
    pub(super) fn name(self) -> &'static str {
        match self {
            FileFormat::Parquet => "Parquet",
            FileFormat::Arrow => "Arrow",
        }
    }

    /// The format of a file by its bytes, none where it is no file of columns. A file that is called as one and is none is refused.
    pub(super) fn of(path: &Path) -> Result<Option<FileFormat>, Problem> {
        let named = match Format::from_path(path) {
            Some((Format::Parquet, _)) => Some(FileFormat::Parquet),
            Some((Format::Arrow, _)) => Some(FileFormat::Arrow),
            _ => None,
        };
        if place::is_bundled(path) {
            return Ok(None);
        }
        let mut file = crate::file::open(path)?;
        let mut start = Vec::new();
        (&mut file).take(8).read_to_end(&mut start)?;
        let found = match &start[..] {
            [b'P', b'A', b'R', b'1', ..] if ends_with(&mut file, b"PAR1")? => Some(FileFormat::Parquet),
            b"ARROW1\0\0" => Some(FileFormat::Arrow),
            // So little does not tell a stream from other bytes.
            [0xff, 0xff, 0xff, 0xff, ..] if named == Some(FileFormat::Arrow) => Some(FileFormat::Arrow),
            _ => None,
        };
        match (found, named) {
            (None, Some(named)) => Err(Problem::malformed(named.name(), why_not(&start))),
            _ => Ok(found),
        }
    }
}

fn ends_with(file: &mut File, end: &[u8; 4]) -> Result<bool, Problem> {
    let mut last = [0; 4];
    let is_long = file.metadata()?.len() >= 12;
    if is_long {
        file.seek(SeekFrom::End(-4))?;
        file.read_exact(&mut last)?;
    }
    Ok(is_long && last == *end)
}

/// Why a file that is called as one of columns is none.
fn why_not(start: &[u8]) -> &'static str {
    match start {
        [] => "it is empty",
        [0x1f, 0x8b, ..] => "it is gzipped, and such files are packed inside: unpack it with gunzip",
        [b'P', b'A', b'R', b'E', ..] => "it is encrypted: decrypt it first",
        [b'P', b'A', b'R', b'1', ..] => "it is cut short: it begins with PAR1, but does not end with it",
        [b'F', b'E', b'A', b'1', ..] => "it is of Feather's first version: write it by a later pandas, with to_feather",
        _ => "it begins with neither PAR1 nor ARROW1",
    }
}

/// What is in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Numbers, booleans or texts.
    Cells,
    /// What a table of text could not hold.
    Unusable(Unusable),
}

/// Why the values of a column are no cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unusable {
    /// They are dates or times.
    Dates,
    /// They are pictures, each the bytes of a file.
    Pictures,
    /// They are of this type.
    Type(String),
}

impl Unusable {
    /// What is to be said of columns of one kind.
    pub(super) fn problem(&self, columns: Vec<String>) -> Problem {
        match self {
            Unusable::Dates => Problem::Dates { columns },
            Unusable::Pictures => Problem::PictureColumns { columns },
            Unusable::Type(kind) => Problem::ColumnType { columns, kind: kind.clone() },
        }
    }

    /// What the values are.
    pub(super) fn in_words(&self) -> &str {
        match self {
            Unusable::Dates => "dates",
            Unusable::Pictures => "pictures",
            Unusable::Type(kind) => kind,
        }
    }
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// A value of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell<'a> {
    Missing,
    Integer(i64),
    Unsigned(u64),
    Single(f32),
    Double(f64),
    /// The digits of a decimal number, with its point.
    Decimal(&'a str),
    /// A text, a category or a boolean.
    Text(&'a str),
}

impl Cell<'_> {
    /// A boolean, as pandas writes it to a table of text.
    pub(super) fn boolean(value: bool) -> Cell<'static> {
        Cell::Text(if value { "True" } else { "False" })
    }

    /// The number, if it is one; NaN where it is missing.
    pub(super) fn number(&self) -> Option<f64> {
        match *self {
            Cell::Missing => Some(f64::NAN),
            Cell::Integer(value) => Some(value as f64),
            Cell::Unsigned(value) => Some(value as f64),
            Cell::Single(value) => Some(f64::from(value)),
            Cell::Double(value) => Some(value),
            Cell::Decimal(digits) => digits.parse().ok(),
            Cell::Text(_) => None,
        }
    }

    /// The text that stands for it in a table of text, as pandas writes it.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match *self {
            Cell::Missing => "".into(),
            Cell::Integer(value) => value.to_string().into(),
            Cell::Unsigned(value) => value.to_string().into(),
            Cell::Single(value) if value.is_nan() => "".into(),
            Cell::Double(value) if value.is_nan() => "".into(),
            Cell::Single(value) => format!("{value:?}").into(),
            Cell::Double(value) => format!("{value:?}").into(),
            Cell::Decimal(text) | Cell::Text(text) => text.into(),
        }
    }
}

/// What takes the cells of a column, from its first row to its last.
pub(super) trait Sink: Send {
    fn add(&mut self, cell: Cell<'_>);
}

impl Sink for Vec<String> {
    fn add(&mut self, cell: Cell<'_>) {
        self.push(cell.text().into_owned());
    }
}

/// A column of a table that is written.
#[derive(Debug, Clone, PartialEq)]
pub enum WrittenColumn {
    /// Whole numbers.
    Integers(Vec<i64>),
    /// Numbers.
    Floats(Vec<f32>),
    /// Texts.
    Texts(Vec<String>),
}

impl WrittenColumn {
    /// Integers, where every text is one as it is written, else texts.
    pub fn of_texts(texts: Vec<String>) -> WrittenColumn {
        let integer = |text: &String| text.parse::<i64>().ok().filter(|number| number.to_string() == *text);
        let integers: Option<Vec<i64>> = texts.iter().map(integer).collect();
        integers.map_or(WrittenColumn::Texts(texts), WrittenColumn::Integers)
    }

    #[cfg(feature = "parquet")]
    pub(super) fn len(&self) -> usize {
        match self {
            WrittenColumn::Integers(values) => values.len(),
            WrittenColumn::Floats(values) => values.len(),
            WrittenColumn::Texts(values) => values.len(),
        }
    }
}
