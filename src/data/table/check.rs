//! What is refused of a table's columns.

use crate::data::cells;
use crate::data::error::Problem;
use crate::data::frame::{Frame, MAX_LEVELS, Values};
use crate::data::header;
use crate::recipe::Missing;

/// A text with more levels is a category only where the recipe says so.
const MANY_LEVELS: usize = 100;
/// So many levels are never too many; more are, where half of the rows have one of their own.
const FEW_LEVELS: usize = 10;

/// Refuses columns that are named in a list where another list, or the same one before, has them already.
pub(super) fn check_named(
    frame: &Frame,
    lists: &[(&'static str, &Vec<usize>, &Vec<usize>, &'static str)],
) -> Result<(), Problem> {
    for (key, columns, others, other) in lists {
        let is_same = std::ptr::eq(*columns, *others);
        let mut named = columns.iter().enumerate().map(|(place, column)| {
            let others = if is_same { &others[..place] } else { &others[..] };
            (column, others.contains(column))
        });
        if let Some((column, _)) = named.find(|(_, twice)| *twice) {
            return Err(Problem::NamedTwice { key, name: frame.name(*column), other });
        }
    }
    Ok(())
}

/// Refuses dates, and texts with so many levels that they tell examples apart.
pub(super) fn check_levels(frame: &Frame, features: &[usize], forced: &[usize]) -> Result<(), Problem> {
    check_usable(frame, features)?;
    let texts = || {
        let is_text = |column: &&usize| frame.columns[**column].text.is_some() && !forced.contains(column);
        features.iter().filter(is_text).map(|column| (*column, &frame.columns[*column]))
    };
    let dates = |values: &Values| values.number.is_none() && values.levels.iter().all(|level| cells::is_date(level));
    let columns: Vec<String> =
        texts().filter(|(_, values)| dates(values)).map(|(column, _)| frame.name(column)).collect();
    if !columns.is_empty() {
        return Err(Problem::Dates { columns });
    }
    let is_many = |values: &Values| {
        let levels = values.levels.len();
        values.number.is_none()
            && (values.overflows || levels > MANY_LEVELS || levels > FEW_LEVELS && 2 * levels > frame.rows)
    };
    let many: Vec<(String, usize)> = texts()
        .filter(|(_, values)| is_many(values))
        .map(|(column, values)| (frame.name(column), values.levels.len()))
        .collect();
    if !many.is_empty() {
        return Err(Problem::ManyLevels { columns: many });
    }
    let endless = features.iter().find(|column| frame.columns[**column].overflows);
    endless.map_or(Ok(()), |column| Err(Problem::ManyLevels { columns: vec![(frame.name(*column), MAX_LEVELS)] }))
}

/// Refuses columns of numbers that differ by less than single precision tells apart at their size: rounded to it, more than a
/// hundredth of their spread is lost. Looks at their first rows.
pub(super) fn check_precision(frame: &Frame, columns: &[usize], what: &'static str) -> Result<(), Problem> {
    const ROWS: usize = 1 << 16;
    const LOST: f64 = 0.01;
    for column in columns {
        let Some(numbers) = &frame.columns[*column].numbers else { continue };
        let rows = numbers.rows(0..numbers.len().min(ROWS));
        let there = || rows.iter().copied().filter(|number| (*number as f32).is_finite());
        let count = there().count().max(1) as f64;
        let mean = there().sum::<f64>() / count;
        let root_mean_square =
            |of: &dyn Fn(f64) -> f64| (there().map(|number| of(number).powi(2)).sum::<f64>() / count).sqrt();
        let spread = root_mean_square(&|number| number - mean);
        let lost = root_mean_square(&|number| number - f64::from(number as f32));
        let is_constant = there().all(|number| Some(number) == there().next());
        if !is_constant && lost > LOST * spread {
            return Err(Problem::TooFine { what, name: frame.name(*column), mean: mean as f32 });
        }
    }
    Ok(())
}

/// Refuses columns that a table of text could not hold, all of the first kind.
fn check_usable(frame: &Frame, columns: &[usize]) -> Result<(), Problem> {
    let unusable = |column: &usize| frame.columns[*column].unusable.as_ref();
    let Some(why) = columns.iter().find_map(unusable) else { return Ok(()) };
    let alike = columns.iter().filter(|column| unusable(column) == Some(why));
    Err(why.problem(alike.map(|column| frame.name(*column)).collect()))
}

/// Refuses a column whose cells are not all of its kind, or missing where that is an error. A model that is there already
/// leaves no choice but to repair them.
pub(super) fn check_column(
    frame: &Frame,
    column: usize,
    is_category: bool,
    missing: Missing,
    is_new: bool,
) -> Result<(), Problem> {
    let values = &frame.columns[column];
    check_usable(frame, &[column])?;
    match is_category {
        true if values.overflows => {
            return Err(Problem::ManyLevels { columns: vec![(frame.name(column), MAX_LEVELS)] });
        }
        true => {}
        false => check_numbers(frame, column, is_new)?,
    }
    check_missing(frame, column, missing, is_new)
}

/// Refuses cells that are no numbers, or not finite.
fn check_numbers(frame: &Frame, column: usize, is_new: bool) -> Result<(), Problem> {
    let values = &frame.columns[column];
    if let Some((line, text)) = &values.text {
        let beside = values
            .number
            .as_ref()
            .map_or(String::new(), |(line, number)| format!(" ({number:?} in line {line} is one)"));
        let name = frame.name(column);
        let cause = if header::has_comma(text) {
            format!("{text:?} is written with a comma; write a point, and no comma between thousands")
        } else if !is_new {
            format!("{text:?} is text, but the model was trained on numbers here; repair the cell")
        } else {
            format!(
                "{text:?} is text, but the column holds numbers{beside}; repair the cell, leave the column out with data.drop = \
                 [{name:?}], or make it a category with data.categorical = [{name:?}]"
            )
        };
        return Err(frame.cell(*line, column, cause));
    }
    if let Some((line, value)) = values.not_finite {
        let cause = format!("the value is {value}; every value must be finite: repair the cell or remove the row");
        return Err(frame.cell(line, column, cause));
    }
    Ok(())
}

/// Refuses cells without a value, where that is an error.
fn check_missing(frame: &Frame, column: usize, missing: Missing, is_new: bool) -> Result<(), Problem> {
    let (count, line) = frame.columns[column].missing;
    if count > 0 && missing == Missing::Error {
        let rows = if count == 1 { "in 1 row".to_string() } else { format!("in {count} rows") };
        let remedy = if is_new {
            format!(
                "choose with data.missing: \"mean\", \"median\" or \"indicator\" (--set data.missing=mean), or leave the column \
                 out with data.drop = [{:?}]",
                frame.name(column)
            )
        } else {
            "train with data.missing = \"mean\", \"median\" or \"indicator\", which this model was not".into()
        };
        let cause =
            format!("the value is missing ({rows}; missing is {}); fill it in, or {remedy}", cells::missing_words());
        return Err(frame.cell(line, column, cause));
    }
    Ok(())
}
