//! Tables of text: what the first line is, what separates the fields, and the columns of their lines, read by all threads.

use std::collections::TryReserveError;
use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use csv::{ReaderBuilder, StringRecord, Trim};
use rayon::prelude::*;

use super::values::{Draft, Reading, Values};
use super::{Frame, Keeper, Origin, Rows};
use crate::data::bytes::read_error;
use crate::data::cells;
use crate::data::csv::{Lines, MAX_FIELDS, MAX_LINE_BYTES, UNIX, csv_problem, delimiter, lines_differ, no_memory};
use crate::data::error::Problem;
use crate::data::header::{self, FirstLine};

/// So much of a file is read at once.
const BLOCK: usize = 8 << 20;
/// The rows that tell what the first line is.
const SAMPLE: usize = 1000;

impl Frame {
    /// Reads a table of text: see [`Frame::read`].
    pub(super) fn from_text(
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
        let (mut rows, mut line, mut keeper) = (0, start.line, Keeper::default());
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
            keeper.keep(columns.iter_mut());
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
        let (made_of, is_told) = (Rows::Lines(lines), header.is_none());
        Ok(Frame { names: start.names, columns, rows, dialect, made_of, is_told, origin })
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
pub(super) struct Fields {
    delimiter: u8,
    /// Whether a comma may be the point of a number.
    commas: bool,
}

impl Fields {
    pub(super) fn reader<R: Read>(self, text: R) -> csv::Reader<R> {
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(self.delimiter).trim(Trim::All).from_reader(text)
    }

    /// The next line; false at the end.
    pub(super) fn next(self, reader: &mut csv::Reader<impl Read>, record: &mut StringRecord) -> Result<bool, Problem> {
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
                draft.add_text(cell, line, self.commas);
            }
            rows += 1;
        }
        Ok((drafts.into_iter().map(|draft| draft.values).collect(), rows))
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
    use super::super::values::NO_LEVEL;
    use super::*;
    use crate::data::numbers::with_large_from;
    use crate::place::Place;

    fn frame(text: &str) -> Frame {
        Frame::from_text(text.as_bytes(), None, &[], |_, _| Reading::Told, None)
            .unwrap_or_else(|error| panic!("{text:?}: {error}"))
    }

    fn numbers(frame: &Frame, column: usize) -> Vec<f64> {
        frame.columns[column].numbers.as_ref().expect("numbers").iter().collect()
    }

    fn codes(frame: &Frame, column: usize) -> Option<Vec<u32>> {
        frame.columns[column].codes.as_ref().map(|codes| codes.iter().collect())
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
            assert_eq!((kind.levels.join("/").as_str(), codes(&frame, 2)), ("x/y, z", Some(vec![0, 1])), "{text:?}");
            assert!(frame.dialect.contains(words), "{text:?}: {}", frame.dialect);
        }
        let error = |text: &str| {
            Frame::from_text(text.as_bytes(), None, &[], |_, _| Reading::Told, None).unwrap_err().to_string()
        };
        assert!(error("a;b\n1,5;2.5\n").contains("\"1,5\" is written with a comma, but \"2.5\" (line 2) with a point"));
        assert!(error("a,b\n1,2\n3\n").contains("line 3: it has 1 field, but line 1 has 2"));
        assert!(error("# by hand\na,b\n1,2\n").contains("(line 1 looks like a comment: remove it)"));
        assert!(error("").contains("holds no examples"));
    }

    #[test]
    fn pieces_and_blocks_give_what_one_piece_gives() {
        /// The rows before a text, more than a block.
        const LATE: usize = 600_000;
        // Longer than a block, with ends of lines in quoted fields, texts that come late, and missing cells.
        let row =
            |row: usize| format!("{row},\"q\n{}\",{},{}\n", row % 7, if row < LATE { "" } else { "late" }, row % 3);
        let text: String = (0..700_000).map(row).collect();
        assert!(text.len() > BLOCK && row(LATE).len() * LATE > BLOCK);
        // In memory, and in files.
        for large_from in [64 << 20, 1] {
            let frame = with_large_from(large_from, || {
                Frame::from_text(text.as_bytes(), Some(false), &[], |_, _| Reading::Told, None).unwrap()
            });
            assert_eq!(frame.rows, 700_000);
            assert_eq!(numbers(&frame, 0), (0..700_000).map(|row| row as f64).collect::<Vec<_>>());
            let (quoted, late) = (&frame.columns[1], &frame.columns[2]);
            assert_eq!((quoted.levels.len(), quoted.levels[3].as_str()), (7, "q\n3"));
            assert!(codes(&frame, 1).unwrap().into_iter().eq((0..700_000).map(|row| row % 7)));
            assert_eq!((late.missing, late.levels.join(" ").as_str()), ((LATE, 1), "late"));
            assert!(codes(&frame, 2).unwrap().into_iter().eq((0..700_000).map(|row| if row < LATE {
                NO_LEVEL
            } else {
                0
            })));
        }
        let broken = text + "1,2\n";
        let error =
            Frame::from_text(broken.as_bytes(), Some(false), &[], |_, _| Reading::Told, None).unwrap_err().to_string();
        assert!(error.contains("line 1400001: it has 2 fields"), "{error}");
    }

    #[test]
    fn a_table_that_was_looked_at_is_not_parsed_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.csv");
        std::fs::write(&path, "a,b\n1,x\n2,y\n").unwrap();
        let place = Place { path, key: None };
        let read = |reading: Reading| Frame::read(&place, None, &[], |_, _| reading).unwrap();
        let values = |frame: &Frame| frame.columns.as_ptr();
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
        let both = Frame::from_text(&b"k\n2\n0\n2\n"[..], None, &[], |_, _| Reading::Both, None).unwrap();
        assert_eq!((numbers(&both, 0), both.columns[0].levels.join("")), (vec![2.0, 0.0, 2.0], "20".to_string()));
    }
}
