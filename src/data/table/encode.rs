//! The features of a table as numbers.

use rayon::prelude::*;

use super::raw::RawTable;
use super::words::strange_levels;
use crate::data::error::Problem;
use crate::data::frame::{Frame, NO_LEVEL};
use crate::data::table_columns::{FeatureColumn, TableColumns};
use crate::data::{Features, Storage};
use crate::model::Shape;
use std::collections::HashMap;

/// Rows that a thread takes at once.
const ROWS: usize = 4096;

impl RawTable {
    /// The features as numbers, missing ones as NaN.
    pub(super) fn encode(&mut self, input: Shape) -> Result<Features, Problem> {
        let (rows, width) = (self.frame.rows, self.columns.width());
        if input.len() != width {
            let expected =
                format!("(N, {}) for the model's input; leave model.input out, or change the columns", input.len());
            return Err(Problem::Shape { found: vec![rows, width], expected });
        }
        let parts = parts(&self.frame, &self.features, &self.columns, &mut self.notes);
        let mut all = vec![0f32; rows * width];
        all.par_chunks_mut(width * ROWS).enumerate().for_each(|(block, out)| {
            for (index, row) in out.chunks_exact_mut(width).enumerate() {
                parts.iter().for_each(|part| part.write(block * ROWS + index, row));
            }
        });
        Ok(Features { storage: Storage::F32(all.into()), count: rows, shape: input })
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
        match (&column.levels, &values.numbers, &values.codes) {
            (None, Some(numbers), _) => Part::Numbers { at: first, numbers, indicator },
            (Some(levels), _, Some(codes)) => {
                let known: HashMap<&String, usize> = levels.iter().zip(column.first_level.unwrap_or(first)..).collect();
                let places: Vec<Option<usize>> = values.levels.iter().map(|level| known.get(level).copied()).collect();
                notes.extend(strange_levels(&column.name, &values.levels, &places, codes));
                match column.first_level {
                    Some(_) => Part::Numbered { at: first, places, codes },
                    None => Part::Levels { places, codes, indicator },
                }
            }
            // Without a value the column may be of either kind.
            (Some(_), ..) if column.first_level.is_some() => {
                Part::Numbered { at: first, places: Vec::new(), codes: &[] }
            }
            _ => Part::Nothing { at: column.levels.is_none().then_some(first), indicator },
        }
    };
    places.iter().zip(&columns.features).map(part).collect()
}

/// What a column adds to each row of features.
enum Part<'a> {
    Numbers {
        at: usize,
        numbers: &'a [f64],
        indicator: Option<usize>,
    },
    Levels {
        places: Vec<Option<usize>>,
        codes: &'a [u32],
        indicator: Option<usize>,
    },
    /// The number of the level, or -1 for none.
    Numbered {
        at: usize,
        places: Vec<Option<usize>>,
        codes: &'a [u32],
    },
    Nothing {
        at: Option<usize>,
        indicator: Option<usize>,
    },
}

impl Part<'_> {
    fn write(&self, index: usize, row: &mut [f32]) {
        let (missing, indicator) = match self {
            Part::Numbers { at, numbers, indicator } => {
                row[*at] = numbers[index] as f32;
                (numbers[index].is_nan(), indicator)
            }
            Part::Levels { places, codes, indicator } => {
                let code = codes[index];
                if code != NO_LEVEL
                    && let Some(place) = places[code as usize]
                {
                    row[place] = 1.0;
                }
                (code == NO_LEVEL, indicator)
            }
            Part::Numbered { at, places, codes } => {
                let level = codes.get(index).and_then(|code| places.get(*code as usize).copied().flatten());
                row[*at] = level.map_or(-1.0, |level| level as f32);
                (level.is_none(), &None)
            }
            Part::Nothing { at, indicator } => {
                at.iter().for_each(|at| row[*at] = f32::NAN);
                (true, indicator)
            }
        };
        if let (true, Some(indicator)) = (missing, indicator) {
            row[*indicator] = 1.0;
        }
    }
}
