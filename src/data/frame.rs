//! A table with columns of any kind in memory: numbers, or codes of texts.

use std::collections::{HashMap, TryReserveError};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use csv::{ReaderBuilder, StringRecord, Trim};
use rayon::prelude::*;

use super::bytes::{open_csv, read_error};
use super::cells;
use super::csv::{Lines, MAX_FIELDS, MAX_LINE_BYTES, UNIX, csv_problem, delimiter, lines_differ, no_memory};
use super::error::Problem;
use super::header::{self, FirstLine};
use crate::place::Place;

/// The most levels of a column that are told apart.
pub(super) const MAX_LEVELS: usize = 10_000;
/// The code of a cell without a value.
pub(super) const NO_LEVEL: u32 = u32::MAX;
/// So much of a file is read at once.
const BLOCK: usize = 8 << 20;
/// The rows that tell what the first line is.
const SAMPLE: usize = 1000;

/// How a column is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// As numbers, unless its first value is a text.
    Told,
    /// As texts.
    Texts,
    /// As both, where it is numbers: they may be classes.
    Both,
}

/// A column.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    /// A number for each row, NaN where it is missing; none where a cell is a text.
    pub(super) numbers: Option<Vec<f64>>,
    /// The level of each row; none where the column was read as numbers alone, or has too many levels.
    pub(super) codes: Option<Vec<u32>>,
    /// The levels, in the order in which they were met.
    pub(super) levels: Vec<String>,
    /// Whether there are more levels than are told apart.
    pub(super) overflows: bool,
    /// Cells without a value, and the line of the first.
    pub(super) missing: (usize, u64),
    /// The first cell that is a number, with its line.
    pub(super) number: Option<(u64, String)>,
    /// The first cell that is a text, with its line.
    pub(super) text: Option<(u64, String)>,
    /// The first number written with a comma, with its line.
    comma: Option<(u64, String)>,
    /// The first number written with a point, with its line.
    point: Option<(u64, String)>,
    /// The first number that is not finite, as it is trained on, with its line.
    pub(super) not_finite: Option<(u64, f64)>,
}

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
    lines: Fields,
    /// What it was read from, where that is a file.
    origin: Option<Origin>,
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
        Frame::from_file(open_csv(&place.path)?, header, expected, reading, stamp.map(|stamp| (&*place.path, stamp)))
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

    /// The same of a text.
    #[cfg(test)]
    fn from_text(
        text: impl Read,
        header: Option<bool>,
        expected: &[String],
        reading: impl Fn(usize, &str) -> Reading,
    ) -> Result<Frame, Problem> {
        Frame::from_file(text, header, expected, reading, None)
    }

    fn from_file(
        text: impl Read,
        header: Option<bool>,
        expected: &[String],
        reading: impl Fn(usize, &str) -> Reading,
        file: Option<(&Path, (u64, SystemTime))>,
    ) -> Result<Frame, Problem> {
        let (mut text, mut block) = (Lines::new(text), Vec::new());
        let mut is_last = fill(&mut text, &mut block)?;
        if block.starts_with(b"\xff\xfe") || block.starts_with(b"\xfe\xff") {
            return Err(Problem::Table { line: 1, cause: "this is UTF-16 text; save it as UTF-8".into() });
        }
        let bom = block.starts_with(b"\xef\xbb\xbf");
        if bom {
            block.drain(..3);
        }
        let delimiter = delimiter(&block);
        let lines = Fields { delimiter, commas: delimiter != b',' };
        let start = Start::look(&block, lines, header, expected)?;
        let names: Vec<String> = match &start.names {
            Some(names) => names.clone(),
            None => (0..start.width).map(|column| format!("#{column}")).collect(),
        };
        let readings: Vec<Reading> = names.iter().enumerate().map(|(column, name)| reading(column, name)).collect();
        let origin = file.map(|(path, stamp)| {
            let (names, doubtful) = (start.names.clone(), start.doubtful);
            Origin { path: path.to_path_buf(), stamp, names, doubtful, readings: readings.clone() }
        });
        if let Some(kept) = origin.as_ref().and_then(Frame::kept) {
            return Ok(kept);
        }
        let mut columns = vec![Values::default(); start.width];
        let (mut rows, mut line) = (0, start.line);
        block.drain(..start.bytes);
        loop {
            let end = if is_last { block.len() } else { last_end(&block, delimiter) };
            if end == 0 && block.len() > MAX_LINE_BYTES {
                let cause = format!(
                    "a line is longer than {} MiB, or a quotation mark is never closed; give each example a line of its own",
                    MAX_LINE_BYTES >> 20
                );
                return Err(Problem::Table { line, cause });
            }
            let pieces = cut(&block[..end], delimiter, line);
            let read = |(piece, line): &(&[u8], u64)| lines.read(piece, *line, &readings, &start);
            let read = pieces.par_iter().map(read).collect::<Result<Vec<_>, Problem>>()?;
            for (more, count) in read {
                let added = columns.par_iter_mut().zip(more).map(|(column, more)| column.append(more, rows, count));
                added.collect::<Result<(), TryReserveError>>().map_err(|_| no_memory())?;
                rows += count;
            }
            line += line_ends(&block[..end]);
            block.drain(..end);
            if is_last {
                break;
            }
            is_last = fill(&mut text, &mut block)?;
        }
        check_points(&columns, &names)?;
        let comma = columns.iter().find_map(|column| column.comma.as_ref().map(|(_, cell)| cell.as_str()));
        let dialect = start.in_words(delimiter, bom, comma);
        Ok(Frame { names: start.names, columns, rows, dialect, lines, origin })
    }

    /// The texts of a column of the file that this table was read from, one for each row.
    pub(super) fn texts(&self, place: &Place, column: usize) -> Result<Vec<String>, Problem> {
        let text = Lines::new(open_csv(&place.path)?);
        let mut reader = self.lines.reader(text);
        let mut record = StringRecord::new();
        let mut texts = Vec::with_capacity(self.rows);
        while self.lines.next(&mut reader, &mut record)? {
            texts.push(record.get(column).unwrap_or_default().to_owned());
        }
        texts.drain(..usize::from(self.is_named()).min(texts.len()));
        Ok(texts)
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
                Err(Problem::ColumnTwice { name: name.to_owned(), columns: [first + 1, second + 1] })
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
        let missing = || Problem::ColumnMissing { key: name.to_owned(), columns: self.names() };
        self.find(name)?.ok_or_else(missing)
    }

    /// What is wrong with a cell.
    pub(super) fn cell(&self, line: u64, column: usize, cause: String) -> Problem {
        Problem::Cell { line, column: column + 1, name: format!("{:?}", self.name(column)), cause }
    }
}

/// What the first lines say of a file.
struct Start {
    names: Option<Vec<String>>,
    width: usize,
    /// The number of the first line that holds anything, and its first field.
    first_line: u64,
    first_field: String,
    /// Whether the first line might be something else than it was taken for.
    doubtful: bool,
    /// Bytes before the first example, and its line.
    bytes: usize,
    line: u64,
}

impl Start {
    fn look(block: &[u8], lines: Fields, header: Option<bool>, expected: &[String]) -> Result<Start, Problem> {
        let mut reader = lines.reader(block);
        let mut record = StringRecord::new();
        if !lines.next(&mut reader, &mut record)? {
            return Err(Problem::Empty { shape: vec![0, 0] });
        }
        let first: Vec<String> = record.iter().map(str::to_owned).collect();
        let first_line = record.position().map_or(1, csv::Position::line);
        let after = reader.position().clone();
        if first.len() > MAX_FIELDS {
            let cause = format!("it has {} fields, more than {MAX_FIELDS}", first.len());
            return Err(Problem::Table { line: first_line, cause });
        }
        let (mut second, mut bare) = (None, false);
        for _ in 0..SAMPLE {
            // What is wrong with later lines is told when they are read.
            if !lines.next(&mut reader, &mut record).unwrap_or(false) {
                break;
            }
            let numbers = || record.iter().map(|cell| cells::number(cell, lines.commas).map_or(f64::NAN, |(n, _)| n));
            second.get_or_insert_with(|| numbers().collect::<Vec<f64>>());
            bare = bare || record.iter().any(header::is_bare);
        }
        // A number may stand for a column's place.
        let is_name = |name: &String| name.strip_prefix('#').unwrap_or(name).parse::<usize>().is_err();
        let is_expected = |name: &String| is_name(name) && first.contains(name);
        let (reading, doubtful) = match header {
            Some(true) => (FirstLine::Names, false),
            Some(false) => (FirstLine::Example, false),
            None if expected.iter().any(is_expected) => (FirstLine::Names, false),
            None => match header::judge_text(first.iter().map(String::as_str)) {
                Some(reading) => (reading, true),
                None => header::judge_numbers(&first, second.as_deref(), bare),
            },
        };
        let (width, is_named) = (first.len(), reading == FirstLine::Names);
        let (bytes, line) = if is_named { (after.byte() as usize, after.line()) } else { (0, 1) };
        let first_field = first.first().cloned().unwrap_or_default();
        Ok(Start { names: is_named.then_some(first), width, first_line, first_field, doubtful, bytes, line })
    }

    /// What the file was taken for.
    fn in_words(&self, delimiter: u8, bom: bool, comma: Option<&str>) -> String {
        let separator = match delimiter {
            b',' => "commas",
            b';' => "semicolons",
            b'\t' => "tabs",
            b'|' => "vertical bars",
            _ => "spaces",
        };
        let first = match (self.names.is_some(), self.doubtful) {
            (true, false) => "the first line names the columns",
            (true, true) => {
                "the first line is taken for the names of the columns (if it is an example: data.header = false)"
            }
            (false, true) => "the first line is taken for an example (if it names the columns: data.header = true)",
            (false, false) => "no line names the columns",
        };
        let comma = comma.map(|cell| format!(", decimal commas ({cell} is {})", cell.replacen(',', ".", 1)));
        let bom = if bom { ", a byte order mark" } else { "" };
        format!("separated by {separator}{}{bom}; {first}", comma.unwrap_or_default())
    }
}

/// How lines become fields.
#[derive(Debug, Clone, Copy)]
struct Fields {
    delimiter: u8,
    /// Whether a comma may be the point of a number.
    commas: bool,
}

impl Fields {
    fn reader<R: Read>(self, text: R) -> csv::Reader<R> {
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(self.delimiter).trim(Trim::All).from_reader(text)
    }

    /// The next line; false at the end.
    fn next(self, reader: &mut csv::Reader<impl Read>, record: &mut StringRecord) -> Result<bool, Problem> {
        let more = reader.read_record(record).map_err(csv_problem)?;
        if self.delimiter == b' ' {
            // Several spaces are one.
            let position = record.position().cloned();
            *record = record.iter().filter(|field| !field.is_empty()).collect();
            record.set_position(position);
        }
        Ok(more)
    }

    /// The columns of whole lines, and how many lines; the first of them is number `line`.
    fn read(
        self,
        text: &[u8],
        line: u64,
        readings: &[Reading],
        start: &Start,
    ) -> Result<(Vec<Values>, usize), Problem> {
        let mut drafts: Vec<Draft> = readings.iter().map(|reading| Draft::new(*reading)).collect();
        let mut reader = self.reader(text);
        let mut record = StringRecord::new();
        let mut rows = 0;
        let moved = |problem| match problem {
            Problem::Table { line: found, cause } => Problem::Table { line: line + found - 1, cause },
            other => other,
        };
        let (mut at, mut from) = (line, 0);
        while self.next(&mut reader, &mut record).map_err(moved)? {
            // Lines without anything on them belong to the record after them.
            let mut begin = record.position().map_or(0, |position| position.byte() as usize);
            begin += text[begin..].iter().take_while(|byte| **byte == UNIX).count();
            (at, from) = (at + line_ends(&text[from..begin]), begin);
            let line = at;
            if record.len() != drafts.len() {
                let cause = lines_differ(record.len(), drafts.len(), start.first_line, &start.first_field);
                return Err(Problem::Table { line, cause });
            }
            for (draft, cell) in drafts.iter_mut().zip(&record) {
                draft.add(cell, line, rows, self.commas);
            }
            rows += 1;
        }
        Ok((drafts.into_iter().map(|draft| draft.values).collect(), rows))
    }
}

/// A column while it is read.
struct Draft {
    reading: Reading,
    values: Values,
    known: HashMap<String, u32>,
}

impl Draft {
    fn new(reading: Reading) -> Draft {
        let values = Values {
            numbers: (reading != Reading::Texts).then(Vec::new),
            codes: (reading != Reading::Told).then(Vec::new),
            ..Values::default()
        };
        Draft { reading, values, known: HashMap::new() }
    }

    fn add(&mut self, cell: &str, line: u64, row: usize, commas: bool) {
        let values = &mut self.values;
        if cells::is_missing(cell) {
            if values.missing.0 == 0 {
                values.missing.1 = line;
            }
            values.missing.0 += 1;
            values.numbers.iter_mut().for_each(|numbers| numbers.push(f64::NAN));
            values.codes.iter_mut().for_each(|codes| codes.push(NO_LEVEL));
            return;
        }
        let found = || Some((line, shortened(cell)));
        // Once a column is known to be texts, only levels that are new are looked at.
        let is_new = values.numbers.is_some() || !self.known.contains_key(cell);
        let number = if is_new { cells::number(cell, commas) } else { None };
        match number {
            Some((number, comma)) => {
                values.number = values.number.take().or_else(found);
                if comma {
                    values.comma = values.comma.take().or_else(found);
                } else if values.point.is_none() && cell.contains('.') {
                    values.point = found();
                }
                if !(number as f32).is_finite() {
                    values.not_finite.get_or_insert((line, number));
                }
                values.numbers.iter_mut().for_each(|numbers| numbers.push(number));
            }
            None if is_new => {
                values.text = values.text.take().or_else(found);
                // Texts after nothing but missing cells.
                let only_missing = values.missing.0 == row && values.codes.is_none();
                values.numbers = None;
                if self.reading == Reading::Told && only_missing {
                    values.codes = Some(vec![NO_LEVEL; row]);
                }
            }
            None => {}
        }
        let Some(codes) = &mut values.codes else { return };
        let code = match self.known.get(cell) {
            Some(code) => *code,
            None if self.known.len() < MAX_LEVELS => {
                let code = self.known.len() as u32;
                self.known.insert(cell.to_owned(), code);
                values.levels.push(cell.to_owned());
                code
            }
            None => {
                (values.codes, values.overflows) = (None, true);
                return;
            }
        };
        codes.push(code);
    }
}

/// The beginning of a cell, for people.
fn shortened(cell: &str) -> String {
    cell.chars().take(40).collect()
}

impl Values {
    /// Adds `more` rows below the first `rows`.
    fn append(&mut self, more: Values, rows: usize, count: usize) -> Result<(), TryReserveError> {
        if rows == 0 {
            *self = more;
            return Ok(());
        }
        let only_missing = |values: &Values, rows: usize| values.missing.0 == rows;
        let (here, there) = (only_missing(self, rows), only_missing(&more, count));
        let fill = |values: &mut Values, rows: usize, like: &Values| {
            values.numbers = like.numbers.as_ref().map(|_| vec![f64::NAN; rows]);
            values.codes = like.codes.as_ref().map(|_| vec![NO_LEVEL; rows]);
        };
        let mut more = more;
        if here {
            fill(self, rows, &more);
        } else if there {
            fill(&mut more, count, self);
        }
        if self.missing.0 == 0 {
            self.missing.1 = more.missing.1;
        }
        self.missing.0 += more.missing.0;
        self.numbers = match (self.numbers.take(), more.numbers) {
            (Some(mut numbers), Some(more)) => {
                numbers.try_reserve(more.len())?;
                numbers.extend(more);
                Some(numbers)
            }
            _ => None,
        };
        self.overflows |= more.overflows;
        self.codes = match (self.codes.take(), more.codes) {
            (Some(mut codes), Some(more_codes)) => {
                let mut known: HashMap<String, u32> =
                    self.levels.drain(..).enumerate().map(|(code, level)| (level, code as u32)).collect();
                let moved: Vec<u32> = more
                    .levels
                    .into_iter()
                    .map(|level| {
                        let next = known.len() as u32;
                        *known.entry(level).or_insert(next)
                    })
                    .collect();
                let moved = |code: u32| if code == NO_LEVEL { NO_LEVEL } else { moved[code as usize] };
                codes.try_reserve(more_codes.len())?;
                codes.extend(more_codes.into_iter().map(moved));
                let mut levels: Vec<(String, u32)> = known.into_iter().collect();
                levels.sort_unstable_by_key(|(_, code)| *code);
                self.levels = levels.into_iter().map(|(level, _)| level).collect();
                self.overflows |= self.levels.len() > MAX_LEVELS;
                Some(codes).filter(|_| !self.overflows)
            }
            _ => None,
        };
        self.number = self.number.take().or(more.number);
        self.text = self.text.take().or(more.text);
        self.comma = self.comma.take().or(more.comma);
        self.point = self.point.take().or(more.point);
        self.not_finite = self.not_finite.take().or(more.not_finite);
        Ok(())
    }

    /// Whether no cell has a value.
    pub(super) fn is_empty(&self) -> bool {
        self.number.is_none() && self.text.is_none()
    }
}

/// Refuses a file that writes some numbers with a comma and others with a point.
fn check_points(columns: &[Values], names: &[String]) -> Result<(), Problem> {
    let find = |of: fn(&Values) -> &Option<(u64, String)>| {
        columns.iter().enumerate().find_map(|(column, values)| Some((column, of(values).as_ref()?)))
    };
    let (comma, point) = (find(|values| &values.comma), find(|values| &values.point));
    let (Some((column, (line, comma))), Some((_, (other, point)))) = (comma, point) else { return Ok(()) };
    let cause = format!(
        "{comma:?} is written with a comma, but {point:?} (line {other}) with a point; write all numbers one way, and none \
         with a comma between thousands"
    );
    Err(Problem::Cell { line: *line, column: column + 1, name: format!("{:?}", names[column]), cause })
}

/// Reads the next part of a text; true at its end.
fn fill(text: &mut impl Read, block: &mut Vec<u8>) -> Result<bool, Problem> {
    let before = block.len();
    text.take(BLOCK as u64).read_to_end(block).map_err(|error| read_error("CSV", error))?;
    Ok(block.len() - before < BLOCK)
}

fn line_ends(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == UNIX).count() as u64
}

/// Where the last whole line ends; 0 if none does.
fn last_end(text: &[u8], delimiter: u8) -> usize {
    let plain = !text.contains(&b'"');
    if plain {
        return text.iter().rposition(|byte| *byte == UNIX).map_or(0, |end| end + 1);
    }
    let mut last = 0;
    ends(text, delimiter, |end| last = end);
    last
}

/// Calls `visit` with the place after each line's end that is in no quoted field.
fn ends(text: &[u8], delimiter: u8, mut visit: impl FnMut(usize)) {
    #[derive(PartialEq)]
    enum At {
        FieldStart,
        Field,
        Quoted,
        QuoteInQuoted,
    }
    let mut at = At::FieldStart;
    for (place, byte) in text.iter().enumerate() {
        at = match (at, *byte) {
            (At::Quoted, b'"') => At::QuoteInQuoted,
            (At::Quoted, _) => At::Quoted,
            (At::QuoteInQuoted, b'"') => At::Quoted,
            (At::FieldStart, b'"') => At::Quoted,
            (_, UNIX) => {
                visit(place + 1);
                At::FieldStart
            }
            (_, byte) if byte == delimiter => At::FieldStart,
            _ => At::Field,
        };
    }
}

/// Cuts whole lines into a piece for each thread, each with the number of its first line.
fn cut(text: &[u8], delimiter: u8, first: u64) -> Vec<(&[u8], u64)> {
    /// Less is not worth a thread.
    const LEAST: usize = 1 << 16;
    let size = text.len().div_ceil(rayon::current_num_threads().max(1)).max(LEAST);
    let mut places = vec![0];
    if !text.contains(&b'"') {
        let mut from = size;
        while from < text.len() {
            let Some(end) = text[from..].iter().position(|byte| *byte == UNIX) else { break };
            places.push(from + end + 1);
            from += end + 1 + size;
        }
    } else {
        let mut next = size;
        ends(text, delimiter, |end| {
            if end >= next {
                places.push(end);
                next = end + size;
            }
        });
    }
    places.push(text.len());
    let mut line = first;
    let piece = |pair: &[usize]| {
        let piece = &text[pair[0]..pair[1]];
        let at = line;
        line += line_ends(piece);
        (piece, at)
    };
    places.windows(2).map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> Frame {
        Frame::from_text(text.as_bytes(), None, &[], |_, _| Reading::Told)
            .unwrap_or_else(|error| panic!("{text:?}: {error}"))
    }

    fn numbers(frame: &Frame, column: usize) -> Vec<f64> {
        frame.columns[column].numbers.clone().expect("numbers")
    }

    #[test]
    fn every_dialect_gives_the_same_table() {
        for (text, words) in [
            ("a,b,kind\n1.5,2,x\n-3,4e1,\"y, z\"\n", "commas; the first line"),
            ("a;b;kind\r\n1,5;2;x\r\n-3;40;y, z\r\n", "semicolons, decimal commas (1,5 is 1.5)"),
            ("\u{feff}a\tb\tkind\n1.5\t2\tx\n-3\t40\ty, z", "tabs, a byte order mark"),
            ("a|b|kind\r1.5|2|x\r-3|40|y, z\r", "vertical bars; the first line"),
            ("a;b;kind\n1.5;2;x\n\n-3;40;\"y, z\"\n\n", "semicolons; the first line is taken for the names"),
        ] {
            let frame = frame(text);
            assert_eq!((frame.rows, frame.names().join(" ").as_str()), (2, "a b kind"), "{text:?}");
            assert_eq!((numbers(&frame, 0), numbers(&frame, 1)), (vec![1.5, -3.0], vec![2.0, 40.0]), "{text:?}");
            let kind = &frame.columns[2];
            assert_eq!(
                (kind.levels.join("/").as_str(), kind.codes.as_deref()),
                ("x/y, z", Some(&[0, 1][..])),
                "{text:?}"
            );
            assert!(frame.dialect.contains(words), "{text:?}: {}", frame.dialect);
        }
        let error =
            |text: &str| Frame::from_text(text.as_bytes(), None, &[], |_, _| Reading::Told).unwrap_err().to_string();
        assert!(error("a;b\n1,5;2.5\n").contains("\"1,5\" is written with a comma, but \"2.5\" (line 2) with a point"));
        assert!(error("a,b\n1,2\n3\n").contains("line 3: it has 1 field, but line 1 has 2"));
        assert!(error("# by hand\na,b\n1,2\n").contains("(line 1 looks like a comment: remove it)"));
        assert!(error("").contains("holds no examples"));
    }

    #[test]
    fn pieces_and_blocks_give_what_one_piece_gives() {
        // Longer than a block, with ends of lines in quoted fields, texts that come late, and missing cells.
        let row =
            |row: usize| format!("{row},\"q\n{}\",{},{}\n", row % 7, if row < 5000 { "" } else { "late" }, row % 3);
        let text: String = (0..700_000).map(row).collect();
        assert!(text.len() > BLOCK);
        let frame = Frame::from_text(text.as_bytes(), Some(false), &[], |_, _| Reading::Told).unwrap();
        assert_eq!(frame.rows, 700_000);
        assert_eq!(numbers(&frame, 0), (0..700_000).map(|row| row as f64).collect::<Vec<_>>());
        let (quoted, late) = (&frame.columns[1], &frame.columns[2]);
        assert_eq!((quoted.levels.len(), quoted.levels[3].as_str()), (7, "q\n3"));
        assert_eq!(quoted.codes.as_ref().unwrap()[699_999], (699_999 % 7) as u32);
        assert_eq!((late.missing, late.levels.join(" ").as_str()), ((5000, 1), "late"));
        assert_eq!(late.codes.as_ref().unwrap()[4999..5001], [NO_LEVEL, 0]);
        let broken = text + "1,2\n";
        let error =
            Frame::from_text(broken.as_bytes(), Some(false), &[], |_, _| Reading::Told).unwrap_err().to_string();
        assert!(error.contains("line 1400001: it has 2 fields"), "{error}");
    }

    #[test]
    fn a_table_that_was_looked_at_is_not_parsed_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.csv");
        std::fs::write(&path, "a,b\n1,x\n2,y\n").unwrap();
        let place = Place { path, key: None };
        let read = |reading: Reading| Frame::read(&place, None, &[], |_, _| reading).unwrap();
        let values = |frame: &Frame| frame.columns[0].numbers.as_ref().unwrap().as_ptr();
        let looked_at = read(Reading::Told);
        let at = values(&looked_at);
        looked_at.keep();
        let loaded = read(Reading::Told);
        assert_eq!(values(&loaded), at, "the very table");
        // Once; not where it is read otherwise, nor where the file is another one.
        assert_ne!(values(&read(Reading::Told)), at);
        loaded.keep();
        assert!(read(Reading::Both).columns[0].codes.is_some());
        read(Reading::Told).keep();
        std::fs::write(&place.path, "a,b\n1,x\n2,y\n3,z\n").unwrap();
        assert_eq!(read(Reading::Told).rows, 3);
    }

    #[test]
    fn columns_that_are_numbers_and_texts_say_so() {
        let frame = frame("a,b\n1,x\n,7\nz,y\n");
        let [a, b] = &frame.columns[..] else { panic!("two columns") };
        assert_eq!((a.number.clone(), a.text.clone()), (Some((2, "1".into())), Some((4, "z".into()))));
        assert_eq!((b.number.clone(), b.text.clone()), (Some((3, "7".into())), Some((2, "x".into()))));
        assert_eq!((a.missing, a.numbers.is_none()), ((1, 3), true));
        let both = Frame::from_text(&b"k\n2\n0\n2\n"[..], None, &[], |_, _| Reading::Both).unwrap();
        assert_eq!((numbers(&both, 0), both.columns[0].levels.join("")), (vec![2.0, 0.0, 2.0], "20".to_string()));
    }
}
