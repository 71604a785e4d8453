//! A column in memory: numbers, or codes of texts.

use std::borrow::Cow;
use std::collections::{HashMap, TryReserveError};

use super::parts::Parts;
use crate::data::cells;
use crate::data::column::{Cell, Kind, Sink, Unusable};

/// The most levels of a column that are told apart.
pub(in crate::data) const MAX_LEVELS: usize = 10_000;
/// The code of a cell without a value.
pub(in crate::data) const NO_LEVEL: u32 = u32::MAX;

/// How a column is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::data) enum Reading {
    /// As numbers, unless its first value is a text.
    Told,
    /// As texts.
    Texts,
    /// As both, where it is numbers: they may be classes.
    Both,
}

/// A column.
#[derive(Debug, Clone, Default)]
pub(in crate::data) struct Values {
    /// A number for each row, NaN where it is missing; none where a cell is a text.
    pub(in crate::data) numbers: Option<Parts<f64>>,
    /// The level of each row; none where the column was read as numbers alone, or has too many levels.
    pub(in crate::data) codes: Option<Parts<u32>>,
    /// The levels, in the order in which they were met.
    pub(in crate::data) levels: Vec<String>,
    /// Whether there are more levels than are told apart.
    pub(in crate::data) overflows: bool,
    /// Cells without a value, and the line of the first.
    pub(in crate::data) missing: (usize, u64),
    /// The first cell that is a number, with its line.
    pub(in crate::data) number: Option<(u64, String)>,
    /// The first cell that is a text, with its line.
    pub(in crate::data) text: Option<(u64, String)>,
    /// The first number written with a comma, with its line.
    pub(super) comma: Option<(u64, String)>,
    /// The first number written with a point, with its line.
    pub(super) point: Option<(u64, String)>,
    /// The first number that is not finite, as it is trained on, with its line.
    pub(in crate::data) not_finite: Option<(u64, f64)>,
    /// Why there are no cells, where the file's type for the column tells so.
    pub(in crate::data) unusable: Option<Unusable>,
}

/// A column while it is read.
pub(super) struct Draft {
    reading: Reading,
    pub(super) values: Values,
    known: HashMap<String, u32>,
    /// Cells so far.
    rows: usize,
}

impl Draft {
    pub(super) fn new(reading: Reading) -> Draft {
        let values = Values {
            numbers: (reading != Reading::Texts).then(Parts::default),
            codes: (reading != Reading::Told).then(Parts::default),
            ..Values::default()
        };
        Draft { reading, values, known: HashMap::new(), rows: 0 }
    }

    /// The same for a column whose type tells what it is; none where it has no cells.
    pub(super) fn of_kind(kind: &Kind, reading: Reading) -> Option<Draft> {
        (*kind == Kind::Cells).then(|| Draft::new(reading))
    }

    /// Adds a cell of a text. Whether it is a number is told from it.
    pub(super) fn add_text(&mut self, cell: &str, line: u64, commas: bool) {
        if cells::is_missing(cell) {
            return self.missing(line);
        }
        // Once a column is known to be texts, only levels that are new are looked at.
        let is_new = self.values.numbers.is_some() || !self.known.contains_key(cell);
        let number = if is_new { cells::number(cell, commas) } else { None };
        let Some((number, comma)) = number else { return self.text(cell, line, is_new) };
        let values = &mut self.values;
        let found = || Some((line, shortened(cell)));
        if comma {
            values.comma = values.comma.take().or_else(found);
        } else if values.point.is_none() && cell.contains('.') {
            values.point = found();
        }
        self.number(number, line, || cell.into());
    }

    fn missing(&mut self, line: u64) {
        let values = &mut self.values;
        if values.missing.0 == 0 {
            values.missing.1 = line;
        }
        values.missing.0 += 1;
        values.numbers.iter_mut().for_each(|numbers| numbers.push(f64::NAN));
        values.codes.iter_mut().for_each(|codes| codes.push(NO_LEVEL));
        self.rows += 1;
    }

    fn number<'a>(&mut self, number: f64, line: u64, cell: impl Fn() -> Cow<'a, str>) {
        let values = &mut self.values;
        values.number = values.number.take().or_else(|| Some((line, shortened(&cell()))));
        if !(number as f32).is_finite() {
            values.not_finite.get_or_insert((line, number));
        }
        values.numbers.iter_mut().for_each(|numbers| numbers.push(number));
        if values.codes.is_some() {
            self.level(&cell());
        }
        self.rows += 1;
    }

    fn text(&mut self, cell: &str, line: u64, is_new: bool) {
        let values = &mut self.values;
        if is_new {
            values.text = values.text.take().or_else(|| Some((line, shortened(cell))));
            // Texts after nothing but missing cells.
            let only_missing = values.missing.0 == self.rows && values.codes.is_none();
            values.numbers = None;
            if self.reading == Reading::Told && only_missing {
                values.codes = Some(Parts::of(NO_LEVEL, self.rows));
            }
        }
        self.level(cell);
        self.rows += 1;
    }

    /// Codes the level of a cell, where levels are told apart.
    fn level(&mut self, cell: &str) {
        let values = &mut self.values;
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

/// A column whose type tells what its cells are. Texts are taken as those of a table of text are: without the spaces around them,
/// and the same ones for missing values.
impl Sink for Draft {
    fn add(&mut self, cell: Cell<'_>) {
        let row = self.rows as u64;
        match cell {
            Cell::Text(text) if cells::is_missing(text.trim()) => self.missing(row),
            Cell::Text(text) => {
                let text = text.trim();
                let is_new = self.values.numbers.is_some() || !self.known.contains_key(text);
                self.text(text, row, is_new);
            }
            cell => match cell.number().filter(|number| !number.is_nan()) {
                Some(number) => self.number(number, row, || cell.text()),
                None => self.missing(row),
            },
        }
    }
}

/// The beginning of a cell, for people.
fn shortened(cell: &str) -> String {
    cell.chars().take(40).collect()
}

impl Values {
    /// Adds `more` rows below the first `rows`.
    pub(super) fn append(&mut self, more: Values, rows: usize, count: usize) -> Result<(), TryReserveError> {
        if rows == 0 {
            *self = more;
            return Ok(());
        }
        let only_missing = |values: &Values, rows: usize| values.missing.0 == rows;
        let (here, there) = (only_missing(self, rows), only_missing(&more, count));
        let fill = |values: &mut Values, rows: usize, like: &Values| {
            values.numbers = like.numbers.as_ref().map(|_| Parts::of(f64::NAN, rows));
            values.codes = like.codes.as_ref().map(|_| Parts::of(NO_LEVEL, rows));
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
                numbers.append(more, |number| number)?;
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
                codes.append(more_codes, moved)?;
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
    pub(in crate::data) fn is_empty(&self) -> bool {
        self.number.is_none() && self.text.is_none() && self.unusable.is_none()
    }
}
