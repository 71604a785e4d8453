//! `inspect` of a trained model: its layers, and what it knows of its data.

use super::table::table;
use gputrain::data::{FeatureColumn, TableColumns, TargetColumn, TrainedOn};
use gputrain::export::SavedModel;
use gputrain::recipe::Missing;
use serde_json::{Value, json};

/// Names, levels or columns that are shown; of more only so many.
const SHOWN: usize = 20;
/// Levels that are shown in a line of a table.
const SHOWN_LEVELS: usize = 6;
/// Characters of a name that are shown.
const LENGTH: usize = 40;

/// What the model answers to what, in words.
pub(super) fn in_words(saved: &SavedModel) -> Vec<String> {
    let TrainedOn { features, classes, class_names, table: columns } = &saved.trained_on;
    let mut lines = match columns {
        Some(columns) => vec!["features:".into(), columns_in_words(columns, saved.recipe.data.missing)],
        None if features.is_empty() => Vec::new(),
        None => vec![format!("features: {}", listed(features, SHOWN))],
    };
    let outputs = saved.model.outputs();
    let targets = columns.iter().flat_map(|columns| &columns.targets).map(target_in_words).collect::<Vec<String>>();
    lines.extend(match (&class_names[..], classes) {
        _ if saved.recipe.data.targets.is_some() => Some("answers: its inputs".to_string()),
        ([], Some(true)) => Some(format!("classes: {}, called by their numbers from 0", outputs.max(2))),
        ([], _) => None,
        (names, _) => Some(format!("{} classes: {}", names.len(), listed(names, SHOWN))),
    });
    if !targets.is_empty() {
        lines.push(format!("target: {}", first(targets.into_iter(), SHOWN, "; ")));
    }
    lines
}

/// The same for programs, whole.
pub(super) fn in_json(trained_on: &TrainedOn) -> Value {
    let TrainedOn { features, class_names, table: columns, .. } = trained_on;
    let names = |names: &Vec<String>| (!names.is_empty()).then(|| json!(names));
    let column = |column: &FeatureColumn| {
        json!({
            "column": column.name,
            "holds": kind(column),
            "levels": column.levels,
            "missing": column.fill,
            "indicator": column.indicator,
        })
    };
    let target = |TargetColumn { name, mean, deviation }: &TargetColumn| json!({ "column": name, "mean": mean, "deviation": deviation });
    json!({
        "classes": names(class_names),
        "features": names(features),
        "columns": columns.as_ref().map(|columns| columns.features.iter().map(column).collect::<Vec<_>>()),
        "targets": columns.as_ref().map(|columns| columns.targets.iter().map(target).collect::<Vec<_>>()),
    })
}

fn kind(column: &FeatureColumn) -> &'static str {
    if column.levels.is_some() { "category" } else { "number" }
}

fn columns_in_words(columns: &TableColumns, missing: Missing) -> String {
    let row = |column: &FeatureColumn| {
        let levels = column.levels.as_deref().unwrap_or_default();
        let holds = match &column.levels {
            Some(levels) => format!("{}, {} levels", kind(column), levels.len()),
            None => kind(column).into(),
        };
        let indicator = if column.indicator { ", and a feature says so" } else { "" };
        let missing = match column.fill {
            Some(fill) => format!("{}{indicator}", fill as f32),
            None if missing == Missing::Error => "refused".into(),
            None => format!("no level{indicator}"),
        };
        vec![shortened(&column.name), holds, listed(levels, SHOWN_LEVELS), missing]
    };
    let rows: Vec<Vec<String>> = columns.features.iter().take(SHOWN).map(row).collect();
    let text = table(&["column", "holds", "levels", "where missing"], &rows);
    let more = columns.features.len() - rows.len();
    if more > 0 { format!("{text}\n… and {more} more columns (--json lists all)") } else { text }
}

fn target_in_words(TargetColumn { name, mean, deviation }: &TargetColumn) -> String {
    let name = shortened(name);
    match (*mean, *deviation) {
        (0.0, 1.0) => name,
        (mean, deviation) => format!("{name}, learned less {}, divided by {}", mean as f32, deviation as f32),
    }
}

/// The first names.
fn listed(names: &[String], shown: usize) -> String {
    first(names.iter().map(|name| shortened(name)), shown, ", ")
}

/// The first texts, and how many more there are.
fn first(mut texts: impl ExactSizeIterator<Item = String>, shown: usize, separator: &str) -> String {
    let first: Vec<String> = texts.by_ref().take(shown).collect();
    let more = if texts.len() > 0 { format!(" and {} more", texts.len()) } else { String::new() };
    first.join(separator) + &more
}

/// A name on one line, of a long one the beginning.
fn shortened(name: &str) -> String {
    let visible = name.chars().take(LENGTH).flat_map(|c| {
        let escaped = c.is_control().then(|| c.escape_default().to_string());
        escaped.unwrap_or_else(|| c.to_string()).chars().collect::<Vec<char>>()
    });
    let more = if name.chars().count() > LENGTH { "…" } else { "" };
    visible.collect::<String>() + more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shortened_and_stay_on_their_line() {
        let names = ["a\nb\u{1b}[31m".to_string(), "x".repeat(50), String::new()];
        assert_eq!(listed(&names, 2), format!(r"a\nb\u{{1b}}[31m, {}… and 1 more", "x".repeat(40)));
        assert_eq!(listed(&names[2..], 2), "");
    }
}
