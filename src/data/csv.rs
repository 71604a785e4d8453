//! Comma-separated numbers, with or without a header line: one example per row.

use std::io::{BufRead, BufReader, Read};
use std::ops::Range;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::array::Array;
use super::error::Problem;
use super::source::read_error;

/// Reads a table as an array (rows, columns); with a key only that column (rows,) or range of columns.
///
/// A key is a column's name, its number from 0, or a range `1..` or `1..785`.
pub(crate) fn read(reader: impl Read, key: Option<&str>) -> Result<Array, Problem> {
    let table = Table::read(reader)?;
    match key {
        None => table.columns(0..table.width),
        Some(key) => match table.find(key)? {
            Columns::One(column) => table.column(column),
            Columns::Several(range) => table.columns(range),
        },
    }
}

/// Reads a table without the column `key`: the features beside a column of labels in one file.
pub(crate) fn read_without(reader: impl Read, key: &str) -> Result<Array, Problem> {
    let table = Table::read(reader)?;
    let Columns::One(dropped) = table.find(key)? else {
        return Err(table.missing(key));
    };
    let kept = |row: &[f64]| [&row[..dropped], &row[dropped + 1..]].concat();
    let values: Vec<f64> = table.values.chunks_exact(table.width.max(1)).flat_map(kept).collect();
    array(&[table.rows(), table.width - 1], &values)
}

/// Whether the first line names the columns: a line with a number in it is one of the table, and wrong where it has
/// anything else. But columns may be named by their own numbers, counted with a first one of another name or without it.
fn is_header(line: &StringRecord) -> bool {
    let number = |field: &str| field.parse::<f64>().ok();
    let own = |(column, field): (usize, &str)| {
        number(field).is_none_or(|name| name == column as f64 || name + 1.0 == column as f64)
    };
    line.iter().any(|field| number(field).is_none()) && line.iter().enumerate().all(own)
}

enum Columns {
    One(usize),
    Several(Range<usize>),
}

struct Table {
    header: Option<Vec<String>>,
    width: usize,
    values: Vec<f64>,
}

impl Table {
    fn read(reader: impl Read) -> Result<Table, Problem> {
        let mut reader = BufReader::with_capacity(1 << 16, reader);
        let delimiter = delimiter(reader.fill_buf().map_err(|e| read_error("CSV", e))?);
        let mut reader =
            ReaderBuilder::new().has_headers(false).delimiter(delimiter).trim(Trim::All).from_reader(reader);
        let mut table = Table { header: None, width: 0, values: Vec::new() };
        let mut record = StringRecord::new();
        while reader.read_record(&mut record).map_err(problem)? {
            let line = record.position().map_or(0, csv::Position::line);
            if table.width == 0 {
                table.width = record.len();
                if is_header(&record) {
                    table.header = Some(record.iter().map(str::to_owned).collect());
                    continue;
                }
            }
            for (column, field) in record.iter().enumerate() {
                let value = field.parse().map_err(|_| {
                    let field: String = field.chars().take(40).collect();
                    let names = if line == 1 { ", and names of columns are no numbers" } else { "" };
                    Problem::malformed("CSV", format!("line {line}, column {column}: {field:?} is not a number{names}"))
                })?;
                table.values.push(value);
            }
        }
        Ok(table)
    }

    fn rows(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// The columns that a key stands for. A name wins over a number.
    fn find(&self, key: &str) -> Result<Columns, Problem> {
        if let Some(column) = self.header.iter().flatten().position(|name| name == key) {
            return Ok(Columns::One(column));
        }
        if let Some((start, end)) = key.split_once("..") {
            let start = if start.is_empty() { Some(0) } else { start.parse().ok() };
            let end = if end.is_empty() { Some(self.width) } else { end.parse().ok() };
            return match (start, end) {
                (Some(start), Some(end)) if start < end && end <= self.width => Ok(Columns::Several(start..end)),
                _ => Err(self.missing(key)),
            };
        }
        let column = key.parse().ok().filter(|&column| column < self.width);
        column.map(Columns::One).ok_or_else(|| self.missing(key))
    }

    fn missing(&self, key: &str) -> Problem {
        let numbers = || vec![format!("columns 0 to {}", self.width.saturating_sub(1))];
        Problem::KeyMissing { key: key.to_owned(), keys: self.header.clone().unwrap_or_else(numbers) }
    }

    fn column(&self, column: usize) -> Result<Array, Problem> {
        let values: Vec<f64> = self.values.iter().skip(column).step_by(self.width).copied().collect();
        array(&[values.len()], &values)
    }

    fn columns(&self, range: Range<usize>) -> Result<Array, Problem> {
        let rows = self.values.chunks_exact(self.width.max(1));
        let values: Vec<f64> = rows.flat_map(|row| &row[range.clone()]).copied().collect();
        array(&[self.rows(), range.len()], &values)
    }
}

fn array(shape: &[usize], values: &[f64]) -> Result<Array, Problem> {
    Array::from_f64(shape, values).ok_or_else(|| Problem::malformed("CSV", "its rows differ in length"))
}

/// What separates the fields of the first line: a comma, a semicolon, a tab, or else (as `numpy.savetxt` does) a space.
fn delimiter(start: &[u8]) -> u8 {
    let line = start.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii();
    [b',', b';', b'\t', b' '].into_iter().find(|separator| line.contains(separator)).unwrap_or(b',')
}

fn problem(error: csv::Error) -> Problem {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => read_error("CSV", error),
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.map_or(0, |pos| pos.line());
            Problem::malformed("CSV", format!("line {line} has {len} fields, the lines before {expected_len}"))
        }
        csv::ErrorKind::Utf8 { pos, .. } => {
            Problem::malformed("CSV", format!("line {} is not UTF-8 text", pos.map_or(0, |pos| pos.line())))
        }
        other => Problem::malformed("CSV", format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(read_without(text.as_bytes(), "label").unwrap().to_f64(), [10.0, 20.0, 30.0, 40.0]);
        for odd in ["p2", "3", "2..1", "0..4", "-1"] {
            assert!(read(text.as_bytes(), Some(odd)).is_err(), "{odd}");
        }
    }

    #[test]
    fn errors_name_the_line() {
        for (text, place) in [
            ("1,2\n3,x\n", "line 2, column 1"),
            ("1,2\n3\n", "line 2 has 1"),
            ("a,\n2,3\n4,\n", "line 3"),
            ("1,\n2,3\n", "line 1, column 1"),
        ] {
            let error = read(text.as_bytes(), None).unwrap_err().to_string();
            assert!(error.contains(place), "{error}");
        }
    }
}
