//! A table for a model, which knows its columns.

use super::check::check_column;
use super::raw::RawTable;
use super::words::missing_note;
use crate::data::error::Problem;
use crate::data::frame::{Frame, Reading};
use crate::data::remarks;
use crate::data::table_columns::TableColumns;
use crate::place::Place;
use crate::recipe::DataSpec;

/// Reads a table by the columns that a model knows.
pub(super) fn read(place: &Place, data: &DataSpec, columns: &TableColumns) -> Result<RawTable, Problem> {
    let target_names: Vec<String> = columns.targets.iter().map(|target| target.name.clone()).collect();
    let names: Vec<String> = columns.features.iter().map(|column| column.name.clone()).collect();
    let frame = frame(place, data, columns, &[&names[..], &target_names].concat())?;
    let mut notes = vec![format!("{} rows, {}", frame.rows, frame.dialect)];
    let features = features(&frame, names)?;
    let targets = target_names.iter().map(|name| find(&frame, name)).collect::<Result<Vec<_>, Problem>>()?;
    let targets: Option<Vec<usize>> = targets.into_iter().collect();
    let used = |column: &usize| features.contains(column) || targets.iter().flatten().any(|target| target == column);
    let others: Vec<String> =
        (0..frame.width()).filter(|column| !used(column)).map(|column| frame.name(column)).collect();
    if !others.is_empty() {
        notes.push(format!("columns that the model does not take: {}", remarks::columns(&others)));
    }
    for (column, known) in features.iter().zip(&columns.features) {
        check_column(&frame, *column, known.levels.is_some(), data.missing, false)?;
    }
    notes.extend(missing_note(&frame, &features, data.missing));
    let raw = RawTable {
        source: String::new(),
        frame,
        columns: columns.clone(),
        features,
        targets,
        class_names: Vec::new(),
        weights: None,
        notes,
        is_new: false,
    };
    raw.check_size()?;
    Ok(raw)
}

/// The cells, those of categories as texts; `names` are those of all columns that the model knows.
fn frame(place: &Place, data: &DataSpec, columns: &TableColumns, names: &[String]) -> Result<Frame, Problem> {
    let is_target = |name: &str| columns.targets.iter().any(|target| target.name == name);
    let is_text = |name: &str| columns.features.iter().any(|column| column.name == name && column.levels.is_some());
    let reading = |_: usize, name: &str| match name {
        _ if is_target(name) => Reading::Both,
        _ if is_text(name) => Reading::Texts,
        _ => Reading::Told,
    };
    let frame = Frame::read(place, data.header, names, reading)?;
    if frame.rows == 0 { Err(Problem::Empty { shape: vec![0, frame.width()] }) } else { Ok(frame) }
}

/// Where the features of these names lie.
fn features(frame: &Frame, names: Vec<String>) -> Result<Vec<usize>, Problem> {
    let by_number = |name: &String| name.starts_with('#');
    if !frame.is_named() && !names.iter().all(by_number) {
        return Err(Problem::ColumnsMissing { missing: names, columns: frame.names() });
    }
    let found = names.iter().map(|name| find(frame, name)).collect::<Result<Vec<_>, Problem>>()?;
    let missing: Vec<String> =
        names.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(name, _)| name.clone()).collect();
    if missing.is_empty() {
        Ok(found.into_iter().flatten().collect())
    } else {
        Err(Problem::ColumnsMissing { missing, columns: frame.names() })
    }
}

/// The column of exactly this name: a number finds a column only where columns have no names.
fn find(frame: &Frame, name: &str) -> Result<Option<usize>, Problem> {
    Ok(frame.find(name)?.filter(|column| frame.name(*column) == *name))
}
