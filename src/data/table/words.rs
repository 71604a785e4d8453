//! What a table's columns are taken for, in words.

use crate::data::frame::{Frame, NO_LEVEL, Parts};
use crate::data::remarks;
use crate::data::table_columns::{FeatureColumn, TableColumns};
use crate::recipe::Missing;

/// The features, in words.
pub(super) fn in_words(columns: &TableColumns) -> String {
    /// Levels of a category that are listed.
    const SHOWN: usize = 6;
    let numbers: Vec<String> =
        columns.features.iter().filter(|column| column.levels.is_none()).map(|column| column.name.clone()).collect();
    let category = |column: &FeatureColumn| {
        let levels = column.levels.as_ref()?;
        let more = if levels.len() > SHOWN { ", …" } else { "" };
        let listed = levels[..levels.len().min(SHOWN)].join(", ");
        Some(format!("{} ({} levels: {listed}{more})", column.name, levels.len()))
    };
    let categories: Vec<String> = columns.features.iter().filter_map(category).collect();
    let plural =
        |count: usize, one: &str, many: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {many}") };
    let mut parts = Vec::new();
    if !numbers.is_empty() {
        parts.push(format!("{}: {}", plural(numbers.len(), "number", "numbers"), remarks::columns(&numbers)));
    }
    if !categories.is_empty() {
        parts.push(format!(
            "{}: {}",
            plural(categories.len(), "category", "categories"),
            remarks::columns(&categories)
        ));
    }
    parts.join("; ")
}

/// What becomes of missing values, and where there are any.
pub(super) fn missing_note(frame: &Frame, features: &[usize], missing: Missing) -> Option<String> {
    let count = |column: &usize| frame.columns[*column].missing.0;
    let found = features.iter().filter(|column| count(column) > 0);
    let found: Vec<String> = found.map(|column| format!("{} {}", frame.name(*column), count(column))).collect();
    let becomes = match missing {
        Missing::Error => return None,
        Missing::Mean => "a number becomes the mean of the training examples, a category none of its levels",
        Missing::Median => "a number becomes the median of the training examples, a category none of its levels",
        Missing::Indicator => {
            "a number becomes the mean of the training examples, a category none of its levels, and a feature says so"
        }
    };
    (!found.is_empty()).then(|| format!("missing values: {}; {becomes}", remarks::columns(&found)))
}

/// A warning for levels that the training table had not.
pub(super) fn strange_levels(
    name: &str,
    levels: &[String],
    places: &[Option<usize>],
    codes: &Parts<u32>,
) -> Option<String> {
    let strange: Vec<String> =
        levels.iter().zip(places).filter(|(_, place)| place.is_none()).map(|(level, _)| format!("{level:?}")).collect();
    let is_strange = |code: &u32| *code != NO_LEVEL && places[*code as usize].is_none();
    let rows = codes.iter().filter(is_strange).count();
    (rows > 0).then(|| {
        format!(
            "warning: {name} has levels that the training table had not, in {rows} rows: {}; they are taken for none of its \
             levels",
            remarks::columns(&strange)
        )
    })
}
