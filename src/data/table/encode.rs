//! The features of a table as numbers.

use rayon::prelude::*;

use super::raw::RawTable;
use super::words::strange_levels;
use crate::data::cells;
use crate::data::error::Problem;
use crate::data::frame::{Frame, NO_LEVEL, Parts};
use crate::data::numbers::{Access, Numbers, is_large};
use crate::data::table_columns::{FeatureColumn, TableColumns};
use crate::data::{Features, Storage};
use crate::model::Shape;
use std::io;
use std::ops::Range;

/// Numbers that a thread makes at once, and how often so many are made before they are handed on.
const NUMBERS: usize = 1 << 16;
const AT_ONCE: usize = 64;
/// More are in a file or nowhere.
const MOST_IN_MEMORY: usize = 1 << 31;

impl RawTable {
    /// The features as numbers, missing ones as what they become or, where that is not known yet, NaN. Many lie in a file.
    pub(super) fn encode(&mut self, input: Shape) -> Result<Features, Problem> {
        let (rows, width) = (self.frame.rows, self.columns.width());
        if input.len() != width {
            let expected =
                format!("(N, {}) for the model's input; leave model.input out, or change the columns", input.len());
            return Err(Problem::Shape { found: vec![rows, width], expected });
        }
        let parts = parts(&self.frame, &self.features, &self.columns, &mut self.notes);
        let count = rows * width;
        let bytes = (count as u64).saturating_mul(size_of::<f32>() as u64);
        let block = (NUMBERS / width.max(1)).max(1);
        let expect = |rows: Range<usize>, access| parts.iter().for_each(|part| part.expect(rows.clone(), access));
        // What were read ahead of each of many columns would be more than there is room for.
        expect(0..rows, Access::Scattered);
        let make = |write: &mut dyn FnMut(&[f32]) -> io::Result<()>| {
            let mut out = Vec::new();
            (0..rows).step_by(AT_ONCE * block).try_for_each(|from| {
                let end = rows.min(from + AT_ONCE * block);
                expect(from..end, Access::Soon);
                out.clear();
                out.resize((end - from) * width, 0f32);
                out.par_chunks_mut((block * width).max(1)).enumerate().for_each(|(number, out)| {
                    let from = from + number * block;
                    let rows = from..from + out.len() / width;
                    parts.iter().for_each(|part| part.write(rows.clone(), out, width));
                });
                write(&out)
            })
        };
        let numbers = match count > MOST_IN_MEMORY {
            true => Numbers::in_file(count, make)
                .and_then(|numbers| numbers.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()))
                .map_err(|cause| Problem::NoRoom { bytes, cause })?,
            false => Numbers::made(is_large(bytes), count, make),
        };
        expect(0..rows, Access::InOrder);
        Ok(Features { storage: Storage::F32(numbers), count: rows, shape: input })
    }
}

/// What the columns of the features, which lie at these places, add to each row.
fn parts<'a>(frame: &'a Frame, places: &[usize], columns: &TableColumns, notes: &mut Vec<String>) -> Vec<Part<'a>> {
    let mut at = 0;
    let part = |(place, column): (&usize, &FeatureColumn)| {
        let values = &frame.columns[*place];
        let (first, end) = (at, at + column.width());
        at = end;
        let indicator = column.indicator.then_some(end - 1);
        let fill = column.fill.map_or(f32::NAN, |fill| fill as f32);
        match (&column.levels, &values.numbers, &values.codes) {
            (None, Some(numbers), _) => Part::Numbers { at: first, numbers, fill, indicator },
            (Some(levels), _, Some(codes)) => {
                let start = column.first_level.unwrap_or(first);
                let places = cells::places(levels, &values.levels).into_iter();
                let places: Vec<Option<usize>> = places.map(|place| Some(start + place?)).collect();
                notes.extend(strange_levels(&column.name, &values.levels, &places, codes));
                match column.first_level {
                    Some(_) => Part::Numbered { at: first, places, codes },
                    None => Part::Levels { places, codes, indicator },
                }
            }
            // Without a value the column may be of either kind.
            (Some(_), ..) if column.first_level.is_some() => {
                Part::Same { at: Some(first), value: -1.0, indicator: None }
            }
            _ => Part::Same { at: column.levels.is_none().then_some(first), value: fill, indicator },
        }
    };
    places.iter().zip(&columns.features).map(part).collect()
}

/// What a column adds to each row of features.
enum Part<'a> {
    Numbers {
        at: usize,
        numbers: &'a Parts<f64>,
        /// What a missing one becomes.
        fill: f32,
        indicator: Option<usize>,
    },
    Levels {
        places: Vec<Option<usize>>,
        codes: &'a Parts<u32>,
        indicator: Option<usize>,
    },
    /// The number of the level, or -1 for none.
    Numbered {
        at: usize,
        places: Vec<Option<usize>>,
        codes: &'a Parts<u32>,
    },
    /// The same in each row, where all are missing.
    Same {
        at: Option<usize>,
        value: f32,
        indicator: Option<usize>,
    },
}

impl Part<'_> {
    /// Tells the system how some rows are about to be read.
    fn expect(&self, rows: Range<usize>, access: Access) {
        match self {
            Part::Numbers { numbers, .. } => numbers.expect(rows, access),
            Part::Levels { codes, .. } | Part::Numbered { codes, .. } => codes.expect(rows, access),
            Part::Same { .. } => {}
        }
    }

    /// Writes its features of some rows into those of all columns, which are 0 before.
    fn write(&self, rows: Range<usize>, out: &mut [f32], width: usize) {
        let out = out.chunks_exact_mut(width);
        match self {
            Part::Numbers { at, numbers, fill, indicator } => {
                for (row, number) in out.zip(numbers.rows(rows).iter()) {
                    row[*at] = if number.is_nan() { *fill } else { *number as f32 };
                    mark(row, *indicator, number.is_nan());
                }
            }
            Part::Levels { places, codes, indicator } => {
                for (row, code) in out.zip(codes.rows(rows).iter()) {
                    if *code != NO_LEVEL
                        && let Some(place) = places[*code as usize]
                    {
                        row[place] = 1.0;
                    }
                    mark(row, *indicator, *code == NO_LEVEL);
                }
            }
            Part::Numbered { at, places, codes } => {
                for (row, code) in out.zip(codes.rows(rows).iter()) {
                    let level = places.get(*code as usize).copied().flatten();
                    row[*at] = level.map_or(-1.0, |level| level as f32);
                }
            }
            Part::Same { at, value, indicator } => {
                for row in out {
                    at.iter().for_each(|at| row[*at] = *value);
                    mark(row, *indicator, true);
                }
            }
        }
    }
}

/// Says in a row where a value is missing, if a feature is to say so.
fn mark(row: &mut [f32], indicator: Option<usize>, is_missing: bool) {
    if let (true, Some(indicator)) = (is_missing, indicator) {
        row[indicator] = 1.0;
    }
}
