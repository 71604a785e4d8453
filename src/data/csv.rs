//! Comma-separated numbers, with or without a header line: one example per row.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::array::{Array, Dtype};
use super::bytes::{open_csv, read_error};
use super::column::{Cell, Kind, Sink, Unusable};
use super::columnar::ColumnFile;
use super::error::Problem;
use super::header::{self, FirstLine, number};
use crate::place::Place;

/// Reads a table as an array (rows, columns); with a key only those columns, and of a single one (rows,).
///
/// A key is a column's name, its number from 0, a range `1..` or `1..785`, or several of these with commas between them.
pub(crate) fn read(reader: impl Read, key: Option<&str>) -> Result<Array, Problem> {
    let table = Table::read(reader, None)?;
    table.array(&table.keyed(key)?)
}

/// Some columns of a table.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    /// Their numbers, from 0.
    pub(crate) indices: Vec<usize>,
    /// Whether one column was asked for, not a list that happens to hold one.
    pub(crate) single: bool,
}

/// The most bytes of a line, and the most fields: far above any example, so that a small compressed file of one endless line does
/// not exhaust memory.
pub(super) const MAX_LINE_BYTES: usize = 16 << 20;
pub(super) const MAX_FIELDS: usize = 1 << 20;
/// Why lines differ in their number of fields; the first one, which sets the number, begins with the field `start`.
pub(super) fn lines_differ(found: usize, width: usize, first: u64, start: &str) -> String {
    let remark = match start {
        _ if start.starts_with('#') => format!(" (line {first} looks like a comment: remove it)"),
        _ if start.starts_with("sep=") => format!(" (line {first} tells a spreadsheet the separator: remove it)"),
        _ => String::new(),
    };
    let fields = if found == 1 { "field" } else { "fields" };
    format!("it has {found} {fields}, but line {first} has {width}; give every line as many{remark}")
}

/// The end of a line.
pub(super) const UNIX: u8 = b'\n';

/// Text whose lines are short enough, and end in [`UNIX`] whether they do so in the file, as on Windows or as on an old Mac.
pub(super) struct Lines<R> {
    inner: R,
    /// Bytes of the last line so far.
    last: usize,
    /// Whether the last byte was a carriage return.
    returned: bool,
}

impl<R> Lines<R> {
    pub(super) fn new(inner: R) -> Lines<R> {
        Lines { inner, last: 0, returned: false }
    }

    /// Ends the lines of a text, in its place, and gives back how long it is then.
    fn end_lines(&mut self, text: &mut [u8]) -> usize {
        if !self.returned && !text.contains(&b'\r') {
            return text.len();
        }
        let mut length = 0;
        for index in 0..text.len() {
            let byte = text[index];
            let is_second = self.returned && byte == UNIX;
            self.returned = byte == b'\r';
            if !is_second {
                text[length] = if self.returned { UNIX } else { byte };
                length += 1;
            }
        }
        length
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut count = 0;
        while count == 0 {
            let read = self.inner.read(buffer)?;
            if read == 0 {
                return Ok(0);
            }
            count = self.end_lines(&mut buffer[..read]);
        }
        for (index, line) in buffer[..count].split(|&byte| byte == b'\n').enumerate() {
            self.last = if index == 0 { self.last + line.len() } else { line.len() };
            if self.last > MAX_LINE_BYTES {
                let limit = MAX_LINE_BYTES >> 20;
                return Err(std::io::Error::other(format!(
                    "a line is longer than {limit} MiB; give each example a line of its own"
                )));
            }
        }
        Ok(count)
    }
}

/// The numbers of a column.
#[derive(Default)]
struct Numbers {
    values: Vec<f64>,
    /// The first cell that is no number, with its row.
    unread: Option<(u64, String)>,
    /// The first cell that is NaN or infinite, with its row.
    not_finite: Option<(u64, f64)>,
}

impl Sink for Numbers {
    fn add(&mut self, cell: Cell<'_>) {
        let row = self.values.len() as u64;
        // Booleans are 0 and 1.
        let value = match cell {
            Cell::Missing => None,
            Cell::Text(text) => number(text).filter(|_| cell == Cell::boolean(true) || cell == Cell::boolean(false)),
            cell => cell.number(),
        };
        match value {
            None => {
                self.unread.get_or_insert_with(|| (row, cell.text().chars().take(60).collect()));
            }
            // As it is trained on.
            Some(value) if !(value as f32).is_finite() => {
                self.not_finite.get_or_insert((row, value));
            }
            Some(_) => {}
        }
        self.values.push(value.unwrap_or(f64::NAN));
    }
}

/// A table in memory.
pub(crate) struct Table {
    /// The names of the columns, where the first line holds them.
    names: Option<Vec<String>>,
    /// What else the first line might have been, in words.
    doubt: Option<String>,
    /// Whether it is told from the first line of text what that is.
    is_told: bool,
    width: usize,
    values: Vec<f64>,
    /// The first cell of a column that is no number, with its line.
    unread: BTreeMap<usize, (u64, String)>,
    /// The first cell of a column that is NaN or infinite, with its line.
    not_finite: BTreeMap<usize, (u64, f64)>,
    /// Columns of a file of columns that hold no cells; none where the table is one of text. The lines of such a file are its rows,
    /// from 0.
    unusable: Option<BTreeMap<usize, Unusable>>,
}

impl Table {
    /// Reads the table of a file.
    pub(crate) fn open(place: &Place, header: Option<bool>) -> Result<Table, Problem> {
        match ColumnFile::open(&place.path)? {
            Some(file) => Table::of_columns(file),
            None => Table::read(open_csv(&place.path)?, header),
        }
    }

    /// Reads the table of a file of columns.
    pub(crate) fn of_columns(mut file: ColumnFile) -> Result<Table, Problem> {
        let width = file.columns().len();
        let names = file.columns().iter().map(|column| column.name.clone()).collect();
        let (mut sinks, mut unusable) = (Vec::new(), BTreeMap::new());
        for (place, column) in file.columns().iter().enumerate() {
            sinks.push((column.kind == Kind::Cells).then(Numbers::default));
            if let Kind::Unusable(why) = &column.kind {
                unusable.insert(place, why.clone());
            }
        }
        let rows = file.read(&mut sinks, &mut |_| {})?;
        let mut values = Vec::new();
        values.try_reserve_exact(rows.saturating_mul(width)).map_err(|_| no_memory())?;
        values.resize(rows * width, f64::NAN);
        let (mut unread, mut not_finite) = (BTreeMap::new(), BTreeMap::new());
        for (place, numbers) in sinks.into_iter().enumerate().filter_map(|(place, sink)| Some((place, sink?))) {
            for (row, value) in values.chunks_exact_mut(width).zip(numbers.values) {
                row[place] = value;
            }
            unread.extend(numbers.unread.map(|found| (place, found)));
            not_finite.extend(numbers.not_finite.map(|found| (place, found)));
        }
        let (names, is_told) = (Some(names), false);
        Ok(Table { names, doubt: None, is_told, width, values, unread, not_finite, unusable: Some(unusable) })
    }

    /// Reads a table. Whether the first line names the columns is told from it, unless `header` says so.
    pub(crate) fn read(reader: impl Read, header: Option<bool>) -> Result<Table, Problem> {
        let mut reader = BufReader::with_capacity(1 << 16, Lines::new(reader));
        let start = reader.fill_buf().map_err(|e| read_error("CSV", e))?;
        if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
            return Err(Problem::Table { line: 1, cause: "this is UTF-16 text; save it as UTF-8".into() });
        }
        let delimiter = delimiter(start);
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .trim(Trim::All)
            .from_reader(reader);
        let mut draft = Draft::new(header);
        let mut record = StringRecord::new();
        while reader.read_record(&mut record).map_err(csv_problem)? {
            let line = record.position().map_or(0, csv::Position::line);
            if delimiter == b' ' {
                // Several spaces are one.
                let fields: StringRecord = record.iter().filter(|field| !field.is_empty()).collect();
                draft.line(line, &fields)?;
            } else {
                draft.line(line, &record)?;
            }
        }
        Ok(draft.finish())
    }

    /// The names of the columns, where the first line holds them.
    pub(crate) fn names(&self) -> Option<&[String]> {
        self.names.as_deref()
    }

    /// What the first line was taken for, where it might have been something else.
    pub(crate) fn doubt(&self) -> Option<&str> {
        self.doubt.as_deref()
    }

    /// The columns that a key stands for, or every one.
    pub(crate) fn keyed(&self, key: Option<&str>) -> Result<Columns, Problem> {
        key.map_or_else(|| Ok(Columns { indices: (0..self.width).collect(), single: false }), |key| self.find(key))
    }

    /// The columns that a key stands for. A name wins over a number.
    fn find(&self, key: &str) -> Result<Columns, Problem> {
        if let Some(column) = self.named(key)? {
            return Ok(Columns { indices: vec![column], single: true });
        }
        let mut indices = Vec::new();
        let parts: Vec<&str> = key.split(',').map(str::trim).collect();
        for part in &parts {
            match self.named(part)? {
                Some(column) => indices.push(column),
                None => indices.extend(self.numbered(part).ok_or_else(|| self.missing(part))?),
            }
        }
        Ok(Columns { indices, single: parts.len() == 1 && !key.contains("..") })
    }

    /// The column of that name.
    fn named(&self, name: &str) -> Result<Option<usize>, Problem> {
        let mut named = self.names.iter().flatten().enumerate().filter(|(_, known)| *known == name);
        match (named.next(), named.next()) {
            (Some((first, _)), Some((second, _))) => {
                let header = self.is_told.then_some(false);
                Err(Problem::ColumnTwice { name: name.to_owned(), columns: [first + 1, second + 1], header })
            }
            (first, _) => Ok(first.map(|(column, _)| column)),
        }
    }

    /// The columns of a number or a range of numbers.
    fn numbered(&self, text: &str) -> Option<Range<usize>> {
        let (start, end) = match text.split_once("..") {
            Some((start, end)) => (
                if start.is_empty() { 0 } else { start.parse().ok()? },
                if end.is_empty() { self.width } else { end.parse().ok()? },
            ),
            None => {
                let column: usize = text.parse().ok()?;
                (column, column.checked_add(1)?)
            }
        };
        (start < end && end <= self.width).then_some(start..end)
    }

    fn missing(&self, key: &str) -> Problem {
        let numbers = || vec![format!("columns #0 to #{}", self.width.saturating_sub(1))];
        let header = (self.is_told && self.names.is_none()).then_some(true);
        Problem::ColumnMissing { key: key.to_owned(), columns: self.names.clone().unwrap_or_else(numbers), header }
    }

    /// The numbers of the columns of these names, among some; an error names all that are missing.
    pub(crate) fn by_names(&self, names: &[String], among: &Columns) -> Result<Vec<usize>, Problem> {
        let (mut indices, mut missing) = (Vec::new(), Vec::new());
        for name in names {
            match self.named(name)?.filter(|column| among.indices.contains(column)) {
                Some(column) => indices.push(column),
                None => missing.push(name.clone()),
            }
        }
        if missing.is_empty() {
            return Ok(indices);
        }
        let columns = among.indices.iter().map(|&column| self.name(column)).collect();
        Err(Problem::FeaturesMissing { missing, columns })
    }

    /// What a column is called: by its name or, without any, by the key that picks it.
    pub(crate) fn name(&self, column: usize) -> String {
        self.names.as_ref().map_or_else(|| format!("#{column}"), |names| names[column].clone())
    }

    /// Columns as (rows, columns), or a single one as (rows,). An error names the first cell that is no number.
    pub(crate) fn array(&self, columns: &Columns) -> Result<Array, Problem> {
        for column in &columns.indices {
            if let Some(why) = self.unusable.as_ref().and_then(|unusable| unusable.get(column)) {
                return Err(why.problem(vec![self.name(*column)]));
            }
        }
        let unread = columns.indices.iter().filter_map(|column| Some((self.unread.get(column)?, *column)));
        if let Some(((line, field), column)) = unread.min() {
            let is_first = *line == 1 && self.unusable.is_none();
            return Err(self.cell(*line, column, unreadable(field, is_first)));
        }
        let shape = self.shape(columns);
        let length = size_of::<f64>() * shape.iter().product::<usize>();
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).map_err(|_| no_memory())?;
        for row in self.values.chunks_exact(self.width.max(1)) {
            columns.indices.iter().for_each(|&column| bytes.extend_from_slice(&row[column].to_le_bytes()));
        }
        Array::new(Dtype::F64, shape, bytes).ok_or_else(|| Problem::malformed("CSV", "its rows differ in length"))
    }

    /// The shape of columns as an array.
    pub(crate) fn shape(&self, columns: &Columns) -> Vec<usize> {
        let rows = self.values.len().checked_div(self.width).unwrap_or(0);
        if columns.single { vec![rows] } else { vec![rows, columns.indices.len()] }
    }

    /// The same, but every value must be finite: examples are to be trained on.
    pub(crate) fn finite_array(&self, columns: &Columns) -> Result<Array, Problem> {
        let array = self.array(columns)?;
        let odd = columns.indices.iter().filter_map(|column| Some((*self.not_finite.get(column)?, *column)));
        match odd.min_by_key(|((line, _), column)| (*line, *column)) {
            Some(((line, value), column)) => {
                let cause = format!("the value is {value}; every value must be finite: {FILL}");
                Err(self.cell(line, column, cause))
            }
            None => Ok(array),
        }
    }

    fn cell(&self, line: u64, column: usize, cause: String) -> Problem {
        if self.unusable.is_some() {
            return Problem::ColumnCell { row: line, name: self.name(column), cause };
        }
        let name = self.names.as_ref().map_or_else(|| format!("#{column}"), |names| format!("{:?}", names[column]));
        Problem::Cell { line, column: column + 1, name, cause }
    }
}

/// A table is larger than what memory is left.
pub(super) fn no_memory() -> Problem {
    let cause = "the memory of this machine does not hold the table; split it, or write it as .npy of a smaller type";
    Problem::Io(std::io::Error::new(std::io::ErrorKind::OutOfMemory, cause))
}

/// What to do about cells without a value.
const FILL: &str = "fill the cell in or remove the row, in pandas with fillna or dropna";

/// Why a cell is no number, and the remedy.
fn unreadable(field: &str, is_first: bool) -> String {
    let shown: String = field.chars().take(40).collect();
    let missing = ["na", "n/a", "null", "none", "nil", "?", "-", "."];
    let cause = if field.is_empty() {
        format!("the cell is empty; {FILL}")
    } else if missing.contains(&&*field.to_ascii_lowercase()) {
        format!("{shown:?} stands for a missing value; {FILL}")
    } else if header::has_comma(field) {
        format!(
            "{shown:?} is written with a comma; write a point, in pandas with to_csv(decimal=\".\"), and no comma between thousands"
        )
    } else {
        format!(
            "{shown:?} is text, not a number; number classes from 0, in pandas with factorize, or leave the column out by \
             naming the others: FILE#NAME,NAME"
        )
    };
    match is_first {
        true => format!(
            "{cause}. Names of columns are no numbers; if line 1 does name them, say so with data.header = true"
        ),
        false => cause,
    }
}

/// A table while it is read.
struct Draft {
    table: Table,
    header: Option<bool>,
    /// The first line, if it consists of numbers: it may name the columns all the same.
    first: Option<Vec<String>>,
    /// The number of the first line.
    first_line: u64,
    /// The first field of that line.
    start: String,
    /// Whether a later value is written as an integer.
    bare: bool,
}

impl Draft {
    fn new(header: Option<bool>) -> Draft {
        let (unread, not_finite) = (BTreeMap::new(), BTreeMap::new());
        let (names, doubt, values, unusable) = (None, None, Vec::new(), None);
        let is_told = header.is_none();
        let table = Table { names, doubt, is_told, width: 0, values, unread, not_finite, unusable };
        Draft { table, header, first: None, first_line: 0, start: String::new(), bare: false }
    }

    fn line(&mut self, line: u64, fields: &StringRecord) -> Result<(), Problem> {
        if fields.len() > MAX_FIELDS {
            let cause =
                format!("it has {} fields, more than {MAX_FIELDS}; give each example a line of its own", fields.len());
            return Err(Problem::Table { line, cause });
        }
        if self.table.width == 0 {
            (self.table.width, self.first_line) = (fields.len(), line);
            self.start = fields.get(0).unwrap_or_default().to_owned();
            let names = || Some(fields.iter().map(str::to_owned).collect());
            let reading = match self.header {
                Some(true) => Some(FirstLine::Names),
                Some(false) => Some(FirstLine::Example),
                None => header::judge_text(fields.iter()),
            };
            match reading {
                Some(FirstLine::Names) => {
                    self.table.names = names();
                    return Ok(());
                }
                Some(FirstLine::Example) => {}
                None => self.first = names(),
            }
        } else {
            self.bare = self.bare || self.first.is_some() && fields.iter().any(header::is_bare);
        }
        if fields.len() != self.table.width {
            let cause = lines_differ(fields.len(), self.table.width, self.first_line, &self.start);
            return Err(Problem::Table { line, cause });
        }
        self.table.values.try_reserve(fields.len()).map_err(|_| no_memory())?;
        for (column, field) in fields.iter().enumerate() {
            let value = number(field);
            match value {
                None => {
                    let found = || (line, field.chars().take(60).collect());
                    self.table.unread.entry(column).or_insert_with(found);
                }
                // As it is trained on.
                Some(value) if !(value as f32).is_finite() => {
                    self.table.not_finite.entry(column).or_insert((line, value));
                }
                Some(_) => {}
            }
            self.table.values.push(value.unwrap_or(f64::NAN));
        }
        Ok(())
    }

    /// The table, once it is known whether a first line of numbers names the columns.
    fn finish(mut self) -> Table {
        let Some(first) = self.first else { return self.table };
        let second = self.table.values.get(self.table.width..2 * self.table.width);
        let (reading, doubtful) = header::judge_numbers(&first, second, self.bare);
        if doubtful {
            let line = if first.len() > 4 {
                format!("{},…,{}", first[..3].join(","), first[first.len() - 1])
            } else {
                first.join(",")
            };
            self.table.doubt = Some(match reading {
                FirstLine::Names => format!(
                    "the first line ({line}) was taken for the names of the columns; if it is an example, say so with \
                     data.header = false (eval and predict: --header false)"
                ),
                FirstLine::Example => format!(
                    "the first line ({line}) was taken for an example; if it names the columns, say so with data.header = \
                     true (eval and predict: --header true)"
                ),
            });
        }
        if reading == FirstLine::Names {
            self.table.values.drain(..self.table.width);
            self.table.names = Some(first);
        }
        self.table
    }
}

/// What separates the fields: a comma, a semicolon, a tab or a vertical bar, or else (as `numpy.savetxt` does) spaces. Numbers may be
/// written with commas, and names hold any of these: a separator stands in the first two lines equally often.
pub(super) fn delimiter(start: &[u8]) -> u8 {
    let mut lines = start.split(|&byte| byte == UNIX).filter(|line| !line.trim_ascii().is_empty());
    let [first, second] = [lines.next().unwrap_or_default(), lines.next().unwrap_or_default()];
    let regular = |separator: &u8| {
        let [first, second] = [first, second].map(|line| outside_quotes(line, *separator));
        first > 0 && first == second
    };
    let there = |separator: &u8| outside_quotes(first, *separator) > 0;
    let regular = [b'\t', b';', b'|', b','].into_iter().find(regular);
    let separator = regular.or_else(|| [b',', b';', b'\t', b'|'].into_iter().find(there));
    let spaced = first.trim_ascii().contains(&b' ');
    separator.unwrap_or(if spaced { b' ' } else { b',' })
}

/// How often a byte stands outside of quotation marks.
fn outside_quotes(line: &[u8], wanted: u8) -> usize {
    let mut quoted = false;
    let outside = line.trim_ascii().iter().filter(|byte| {
        quoted ^= **byte == b'"';
        **byte == wanted && !quoted
    });
    outside.count()
}

pub(super) fn csv_problem(error: csv::Error) -> Problem {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => read_error("CSV", error),
        csv::ErrorKind::Utf8 { pos, err } => {
            let line = pos.map_or(0, |pos| pos.line());
            Problem::Table {
                line,
                cause: format!("field {} is not UTF-8 text; save the file as UTF-8", err.field() + 1),
            }
        }
        other => Problem::malformed("CSV", format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_lines_are_refused() {
        let message = |text: String| read(text.as_bytes(), None).unwrap_err().to_string();
        let fields = message("1,".repeat(MAX_FIELDS) + "1\n");
        assert!(fields.contains("it has 1048577 fields"), "{fields}");
        let line = message("1\n2\n".to_string() + &"1".repeat(MAX_LINE_BYTES + 1));
        assert!(line.contains("a line is longer than 16 MiB"), "{line}");
        let long = "1".repeat(1 << 12) + "\n";
        assert_eq!(read(long.repeat(3).as_bytes(), None).unwrap().shape(), [3, 1]);
    }

    fn values(text: &str, key: Option<&str>) -> (Vec<usize>, Vec<f64>) {
        let array = read(text.as_bytes(), key).unwrap();
        (array.shape().to_vec(), array.to_f64())
    }

    #[test]
    fn tables_with_and_without_header_and_by_any_separator() {
        assert_eq!(values("1,2\n3,4\n", None), (vec![2, 2], vec![1.0, 2.0, 3.0, 4.0]));
        assert_eq!(values("a;b\r\n1; 2.5\r\n", None), (vec![1, 2], vec![1.0, 2.5]));
        assert_eq!(values("1e3 2\n", None), (vec![1, 2], vec![1000.0, 2.0]));
        assert_eq!(values("label\n7\n8\n", None), (vec![2, 1], vec![7.0, 8.0]));
        assert_eq!(values("", None).0, [0, 0]);
    }

    #[test]
    fn keys_pick_columns() {
        let text = "label,p0,p1\n5,10,20\n6,30,40\n";
        assert_eq!(values(text, Some("label")), (vec![2], vec![5.0, 6.0]));
        assert_eq!(values(text, Some("2")), (vec![2], vec![20.0, 40.0]));
        assert_eq!(values(text, Some("1..")), (vec![2, 2], vec![10.0, 20.0, 30.0, 40.0]));
        assert_eq!(values(text, Some("0..2")).1, [5.0, 10.0, 6.0, 30.0]);
        assert_eq!(values(text, Some("p1,label")), (vec![2, 2], vec![20.0, 5.0, 40.0, 6.0]));
        assert_eq!(values(text, Some("label, 1..")).0, [2, 3]);
        for odd in ["p2", "3", "2..1", "0..4", "-1", "p0,p2", "", "18446744073709551615"] {
            assert!(read(text.as_bytes(), Some(odd)).is_err(), "{odd}");
        }
    }

    #[test]
    fn separators_are_told_apart() {
        for (text, shape, first) in [
            ("1,5;2,5\n3,5;4,5\n", "line 1, column 1 (#0): \"1,5\" is written with a comma", 0.0),
            ("\"a,b\";c\n1;2\n", "(1, 2)", 1.0),
            ("\"size, m2\",price\n3,4\n", "(1, 2)", 3.0),
            ("x (m;s),y\n5,6\n", "(1, 2)", 5.0),
            ("1   2  3\n  4 5   6\n", "(2, 3)", 1.0),
            ("a\tb\n7\t8\n", "(1, 2)", 7.0),
        ] {
            match read(text.as_bytes(), None) {
                Ok(array) => {
                    let sides = array.shape().iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
                    assert_eq!((format!("({sides})"), array.to_f64()[0]), (shape.to_owned(), first), "{text}");
                }
                Err(error) => assert!(error.to_string().starts_with(shape), "{text}: {error}"),
            }
        }
    }

    #[test]
    fn errors_name_line_column_cause_and_remedy() {
        for (text, says) in [
            ("1,2\n3,x\n", "line 2, column 2 (#1): \"x\" is text"),
            ("1,2\n3\n", "line 2: it has 1 field, but line 1 has 2; give every line as many"),
            ("# made by hand\na,b\n1,2\n", "(line 1 looks like a comment: remove it)"),
            (
                "sep=;\na;b;c\n1;2;3\n",
                "line 2: it has 3 fields, but line 1 has 2; give every line as many (line 1 tells a spreadsheet",
            ),
            ("a,\n2,3\n4,\n", "line 3, column 2 (\"\"): the cell is empty; fill the cell in"),
            ("1,\n2,3\n", "line 1, column 2 (#1): the cell is empty"),
            (
                "size,kind\n1,setosa\n",
                "line 2, column 2 (\"kind\"): \"setosa\" is text, not a number; number classes from 0",
            ),
            ("a;b\n1;2,5\n", "line 2, column 2 (\"b\"): \"2,5\" is written with a comma; write a point"),
            ("a,b\n1,2\n\"1,000\",2\n", "line 3, column 1 (\"a\"): \"1,000\" is written with a comma"),
            ("a,b\r\n1,2\r\n1,NA\r\n", "line 3, column 2 (\"b\"): \"NA\" stands for a missing value"),
            ("a|b\r1|2\r1|NA\r", "line 3, column 2 (\"b\"): \"NA\" stands for a missing value"),
            ("a,b\n1,2\n1,NA\n", "line 3, column 2 (\"b\"): \"NA\" stands for a missing value"),
            ("label,400,402\n1,2,3\n", "if line 1 does name them, say so with data.header = true"),
        ] {
            let error = read(text.as_bytes(), None).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
            assert!(!error.contains("again"), "{error}");
        }
        for (bytes, says) in [
            (&b"\xff\xfea\0,\0b\0"[..], "line 1: this is UTF-16"),
            (b"a,b\n1,2\n3,\xe9\n", "line 3: field 2 is not UTF-8 text"),
        ] {
            let error = read(bytes, None).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let error = read(&b"a,b,a\n1,2,3\n"[..], Some("a")).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("columns 1 and 3 are both called \"a\""), "{error}");
    }

    #[test]
    fn columns_that_are_not_asked_for_may_hold_anything() {
        let text = "id,a,kind\nx1,1,setosa\nx2,True,\n";
        assert_eq!(values(text, Some("a")), (vec![2], vec![1.0, 1.0]));
        assert!(read(text.as_bytes(), None).is_err());
    }

    #[test]
    fn a_first_line_of_numbers_is_read_as_it_was_taken_or_said() {
        let table = |header| Table::read(&b"0,1,2,3\n5,1,4,784\n9,8,1,0\n"[..], header).unwrap();
        let told = table(None);
        assert_eq!(told.names().unwrap(), ["0", "1", "2", "3"]);
        assert!(told.doubt().unwrap().contains("(0,1,2,3) was taken for the names of the columns"));
        assert_eq!(told.array(&told.keyed(None).unwrap()).unwrap().shape(), [2, 4]);
        let said = table(Some(false));
        assert_eq!(
            (said.names(), said.doubt(), said.array(&said.keyed(None).unwrap()).unwrap().shape()),
            (None, None, &[3, 4][..])
        );
        let text = Table::read(&b"400,402\n5,1\n"[..], Some(true)).unwrap();
        assert_eq!(
            (text.name(1), text.array(&text.keyed(None).unwrap()).unwrap().to_f64()),
            ("402".to_owned(), vec![5.0, 1.0])
        );
    }
}
