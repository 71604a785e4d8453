//! The column that weighs the examples.

use super::raw::RawTable;
use crate::data::error::Problem;
use crate::data::frame::{Frame, Parts};
use crate::data::weights::check_weights;
use crate::place::{Place, same_file};

/// The column that weighs the examples, by its name alone or with the table's file; none where the name is that of another file.
pub(super) fn weighing(frame: &Frame, place: &Place, name: &str) -> Result<Option<usize>, Problem> {
    if let Some(column) = frame.find(name)? {
        return Ok(Some(column));
    }
    let file = Place::parse(name);
    match &file.key {
        Some(key) if same_file(&file.path, &place.path) => frame.require(key).map(Some),
        // The name of no file.
        None if !name.contains(['.', '/', '\\']) && !file.path.exists() => frame.require(name).map(Some),
        _ => Ok(None),
    }
}

impl RawTable {
    /// The weights in a column.
    pub(super) fn column_of_weights(&self, column: usize) -> Result<Vec<f32>, Problem> {
        let values = &self.frame.columns[column];
        if let Some(why) = &values.unusable {
            return Err(why.problem(vec![self.frame.name(column)]));
        }
        let cell = |line: u64, cause: String| Err(self.frame.cell(line, column, cause));
        if let Some((line, text)) = &values.text {
            return cell(*line, format!("{text:?} is text, and data.sample_weights are numbers; repair the cell"));
        }
        let (missing, line) = values.missing;
        if missing > 0 {
            return cell(line, "the weight is missing; fill it in, 0 for a row that is not to count".into());
        }
        if let Some((line, value)) = values.not_finite {
            return cell(line, format!("the weight is {value}; every weight must be finite"));
        }
        let weights: Vec<f32> = values.numbers.iter().flat_map(Parts::iter).map(|weight| weight as f32).collect();
        check_weights(&weights).map(|()| weights)
    }
}
