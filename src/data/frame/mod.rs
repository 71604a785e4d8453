//! A table with columns of any kind: numbers, or codes of texts. What a large one comes to lies in files without a name.

mod parts;
mod text;
mod values;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use csv::StringRecord;

use super::bytes::open_csv;
use super::column::Kind;
use super::columnar::ColumnFile;
use super::csv::Lines;
use super::error::Problem;
use crate::place::Place;
use parts::Keeper;
pub(super) use parts::Parts;
use text::Fields;
use values::Draft;
pub(super) use values::{MAX_LEVELS, NO_LEVEL, Reading, Values};

/// A table.
#[derive(Debug)]
pub(super) struct Frame {
    /// The names of the columns, where the first line holds them.
    names: Option<Vec<String>>,
    /// The columns.
    pub(super) columns: Vec<Values>,
    /// Number of rows.
    pub(super) rows: usize,
    /// What the file was taken for, in words.
    pub(super) dialect: String,
    made_of: Rows,
    /// Whether it is told from the first line of text what that is.
    is_told: bool,
    /// What it was read from, where that is a file.
    origin: Option<Origin>,
}

/// What its rows were.
#[derive(Debug, Clone, Copy)]
enum Rows {
    /// Lines of text.
    Lines(Fields),
    /// Places in the columns of a file.
    Columns,
}

/// The file of a table and how it was read: who reads it so again gets the same.
#[derive(Debug, PartialEq)]
struct Origin {
    path: PathBuf,
    /// Its bytes, and when it was changed.
    stamp: (u64, SystemTime),
    names: Option<Vec<String>>,
    doubtful: bool,
    readings: Vec<Reading>,
}

/// A table that was looked at, for the one who loads it next.
static KEPT: Mutex<Option<Frame>> = Mutex::new(None);

impl Frame {
    /// Reads the table of a file. Whether the first line names the columns is told from it, unless `header` says so: it does
    /// where it has the names that are `expected`. `reading` says how a column of a number and a name is to be read.
    pub(super) fn read(
        place: &Place,
        header: Option<bool>,
        expected: &[String],
        reading: impl Fn(usize, &str) -> Reading,
    ) -> Result<Frame, Problem> {
        // Before it is read: a file that changes meanwhile is another one then.
        let found = std::fs::metadata(&place.path);
        let stamp = found.and_then(|found| Ok((found.len(), found.modified()?))).ok();
        let stamped = stamp.map(|stamp| (&*place.path, stamp));
        match ColumnFile::open(&place.path)? {
            Some(file) => Frame::from_columns(file, reading, stamped),
            None => Frame::from_text(open_csv(&place.path)?, header, expected, reading, stamped),
        }
    }

    /// Reads a file of columns, which have names.
    fn from_columns(
        mut file: ColumnFile,
        reading: impl Fn(usize, &str) -> Reading,
        stamped: Option<(&Path, (u64, SystemTime))>,
    ) -> Result<Frame, Problem> {
        let names: Vec<String> = file.columns().iter().map(|column| column.name.clone()).collect();
        let readings: Vec<Reading> = names.iter().enumerate().map(|(column, name)| reading(column, name)).collect();
        let origin = stamped.map(|(path, stamp)| {
            let (names, readings) = (Some(names.clone()), readings.clone());
            Origin { path: path.to_path_buf(), stamp, names, doubtful: false, readings }
        });
        if let Some(kept) = origin.as_ref().and_then(Frame::kept) {
            return Ok(kept);
        }
        let kinds: Vec<Kind> = file.columns().iter().map(|column| column.kind.clone()).collect();
        let mut drafts: Vec<Option<Draft>> =
            kinds.iter().zip(&readings).map(|(kind, reading)| Draft::of_kind(kind, *reading)).collect();
        let mut keeper = Keeper::default();
        let mut keep =
            |drafts: &mut [Option<Draft>]| keeper.keep(drafts.iter_mut().flatten().map(|draft| &mut draft.values));
        let rows = file.read(&mut drafts, &mut keep)?;
        let values = |(draft, kind): (Option<Draft>, Kind)| match (draft, kind) {
            (Some(draft), _) => draft.values,
            (None, Kind::Unusable(why)) => Values { unusable: Some(why), ..Values::default() },
            (None, Kind::Cells) => Values::default(),
        };
        let columns = drafts.into_iter().zip(kinds).map(values).collect();
        Ok(Frame {
            names: Some(names),
            columns,
            rows,
            dialect: file.in_words(),
            made_of: Rows::Columns,
            is_told: false,
            origin,
        })
    }

    /// Keeps the table for the one who reads the same file next, in the same way. What was kept before is given up.
    pub(super) fn keep(self) {
        if self.origin.is_some() {
            *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = Some(self);
        }
    }

    /// The table that was kept, if it is this one; it is given up where the file is read in any other way.
    fn kept(origin: &Origin) -> Option<Frame> {
        let is_of_file = |frame: &mut Frame| frame.origin.as_ref().is_some_and(|kept| kept.path == origin.path);
        let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner).take_if(is_of_file);
        kept.filter(|frame| frame.origin.as_ref() == Some(origin))
    }

    /// The texts of a column of the file that this table was read from, one for each row.
    pub(super) fn texts(&self, place: &Place, column: usize) -> Result<Vec<String>, Problem> {
        let lines = match self.made_of {
            Rows::Lines(lines) => lines,
            Rows::Columns => return self.column_texts(place, column),
        };
        let mut reader = lines.reader(Lines::new(open_csv(&place.path)?));
        let mut record = StringRecord::new();
        let mut texts = Vec::with_capacity(self.rows);
        while lines.next(&mut reader, &mut record)? {
            texts.push(record.get(column).unwrap_or_default().to_owned());
        }
        texts.drain(..usize::from(self.is_named()).min(texts.len()));
        Ok(texts)
    }

    fn column_texts(&self, place: &Place, column: usize) -> Result<Vec<String>, Problem> {
        if let Some(why) = &self.columns[column].unusable {
            return Err(why.problem(vec![self.name(column)]));
        }
        let mut texts: Vec<Option<Vec<String>>> =
            (0..self.width()).map(|wanted| (wanted == column).then(Vec::new)).collect();
        if let Some(mut file) = ColumnFile::open(&place.path)? {
            file.read(&mut texts, &mut |_| {})?;
        }
        Ok(texts.swap_remove(column).unwrap_or_default())
    }

    /// The number of columns.
    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    /// Whether the first line names the columns.
    pub(super) fn is_named(&self) -> bool {
        self.names.is_some()
    }

    /// What a column is called: by its name or, without any, by the key that picks it.
    pub(super) fn name(&self, column: usize) -> String {
        let name = self.names.as_ref().map(|names| names[column].clone());
        name.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("#{column}"))
    }

    /// The names of all columns.
    pub(super) fn names(&self) -> Vec<String> {
        (0..self.width()).map(|column| self.name(column)).collect()
    }

    /// The column of that name or, where none is called so, of that number from 0; none if there is no such column.
    pub(super) fn find(&self, name: &str) -> Result<Option<usize>, Problem> {
        let mut named = (0..self.width()).filter(|column| self.name(*column) == name);
        match (named.next(), named.next()) {
            (Some(first), Some(second)) => {
                let header = self.is_told.then_some(false);
                Err(Problem::ColumnTwice { name: name.to_owned(), columns: [first + 1, second + 1], header })
            }
            (Some(first), None) => Ok(Some(first)),
            (None, _) => {
                let number = name.strip_prefix('#').unwrap_or(name).parse().ok();
                Ok(number.filter(|number| *number < self.width()))
            }
        }
    }

    /// The column of that name, which must be there.
    pub(super) fn require(&self, name: &str) -> Result<usize, Problem> {
        let header = (self.is_told && !self.is_named()).then_some(true);
        let missing = || Problem::ColumnMissing { key: name.to_owned(), columns: self.names(), header };
        self.find(name)?.ok_or_else(missing)
    }

    /// What is wrong with a cell. Its `line` is that of the text, or of a file of columns the row, from 0.
    pub(super) fn cell(&self, line: u64, column: usize, cause: String) -> Problem {
        let name = self.name(column);
        match self.made_of {
            Rows::Lines(_) => Problem::Cell { line, column: column + 1, name: format!("{name:?}"), cause },
            Rows::Columns => Problem::ColumnCell { row: line, name, cause },
        }
    }
}
