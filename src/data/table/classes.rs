//! The classes in a column.

use super::raw::RawTable;
use crate::data::cells;
use crate::data::error::Problem;
use crate::data::frame::MAX_LEVELS;

impl RawTable {
    /// The classes in a column, sorted, and the class of each row.
    pub(super) fn classes(&self, column: usize) -> Result<(Vec<String>, Vec<u32>), Problem> {
        let values = &self.frame.columns[column];
        if let Some(numbers) = &values.numbers {
            if let Some((row, value)) = numbers.iter().enumerate().find(|(_, value)| value.fract() != 0.0) {
                return Err(Problem::NoClass { name: self.frame.name(column), row, value });
            }
            let found = distinct(numbers.iter(), MAX_LEVELS + 1);
            self.check_classes(column, found.len())?;
            let labels = numbers.iter().map(|value| found.partition_point(|class| *class < value) as u32).collect();
            return Ok((found.iter().map(|class| format!("{}", class + 0.0)).collect(), labels));
        }
        let Some(codes) = &values.codes else {
            self.check_classes(column, MAX_LEVELS + 1)?;
            return Ok(Default::default());
        };
        self.check_classes(column, values.levels.len())?;
        let (names, places) = sorted(&values.levels);
        Ok((names, codes.iter().map(|code| places[code as usize]).collect()))
    }

    fn check_classes(&self, column: usize, found: usize) -> Result<(), Problem> {
        match found {
            // What a model knows already needs no second class here.
            0 | 1 if self.class_names.is_empty() => Err(Problem::OneClass { name: self.frame.name(column) }),
            found if found > MAX_LEVELS => {
                Err(Problem::ManyClasses { name: self.frame.name(column), most: MAX_LEVELS, rows: self.frame.rows })
            }
            _ => Ok(()),
        }
    }

    /// The classes that a model tells apart, and the class of each row. Where only the first classes are kept, the others are
    /// numbered above them.
    pub(super) fn known_classes(&self, column: usize, kept: Option<usize>) -> Result<(Vec<String>, Vec<u32>), Problem> {
        let (found, labels) = self.classes(column)?;
        if self.class_names.is_empty() {
            return Ok((found, labels));
        }
        let known = &self.class_names;
        let places = cells::places(known, &found);
        let strange = || found.iter().zip(&places).filter(|(_, place)| place.is_none()).map(|(name, _)| name.clone());
        if kept.is_none() && strange().next().is_some() {
            return Err(Problem::StrangeClasses { found: strange().collect(), known: known.clone() });
        }
        let place = |label: &u32| places[*label as usize].unwrap_or(known.len()) as u32;
        Ok((known.clone(), labels.iter().map(place).collect()))
    }
}

/// Different numbers in their order, of more than so many only as many.
fn distinct(numbers: impl Iterator<Item = f64>, most: usize) -> Vec<f64> {
    let mut found: Vec<f64> = Vec::new();
    for number in numbers {
        let place = found.partition_point(|known| *known < number);
        if found.get(place) != Some(&number) {
            found.insert(place, number);
            if found.len() == most {
                break;
            }
        }
    }
    found
}

/// Levels in their order (numbers by value, else texts), and the place of each in it.
pub(super) fn sorted(levels: &[String]) -> (Vec<String>, Vec<u32>) {
    let numbers: Option<Vec<f64>> =
        levels.iter().map(|level| cells::number(level, false).map(|(value, _)| value)).collect();
    let mut order: Vec<usize> = (0..levels.len()).collect();
    match numbers {
        Some(numbers) => order.sort_by(|a, b| numbers[*a].total_cmp(&numbers[*b]).then(levels[*a].cmp(&levels[*b]))),
        None => order.sort_by(|a, b| levels[*a].cmp(&levels[*b])),
    }
    let mut places = vec![0; levels.len()];
    order.iter().enumerate().for_each(|(place, level)| places[*level] = place as u32);
    (order.into_iter().map(|level| levels[level].clone()).collect(), places)
}
