//! A table with a target: what its columns are taken for, and the examples that they make.

mod check;
mod classes;
mod encode;
mod infer;
mod known;
mod raw;
mod target;
mod weights;
mod words;

use super::column::FileFormat;
use super::error::{DataError, Problem};
use super::frame::{Frame, Reading};
use super::{Examples, Features, TargetKind, TrainedOn};
use crate::model::Shape;
use crate::place::Place;
use crate::recipe::DataSpec;
pub use raw::RawTable;

/// Refuses files that are no tables, and keys.
fn check_place(place: &Place) -> Result<(), Problem> {
    if !place.is_table() {
        // A missing file is worth saying before an odd name is.
        super::bytes::open_file(&place.path)?;
    }
    if !place.is_table() && FileFormat::of(&place.path)?.is_none() {
        return Err(Problem::NoTable);
    }
    place.key.as_ref().map_or(Ok(()), |key| Err(Problem::TableKey { key: key.clone() }))
}

/// The texts of a table's column, one for each row.
pub fn column_texts(table: &str, header: Option<bool>, column: &str) -> Result<Vec<String>, DataError> {
    let place = Place::parse(table);
    let texts = Frame::read(&place, header, &[column.to_string()], |_, _| Reading::Told).and_then(|frame| {
        let number = frame.require(column)?;
        frame.texts(&place, number)
    });
    texts.map_err(|problem| problem.at(table))
}

impl RawTable {
    /// Reads the file: by the columns that are known, else by what the recipe says of them.
    pub fn read(table: &str, target: &[String], data: &DataSpec, known: &TrainedOn) -> Result<RawTable, DataError> {
        RawTable::read_for(table, target, data, known, false)
    }

    /// The same, a new table's levels numbered where an embedding looks them up.
    pub(crate) fn read_for(
        table: &str,
        target: &[String],
        data: &DataSpec,
        known: &TrainedOn,
        looks_up: bool,
    ) -> Result<RawTable, DataError> {
        let place = Place::parse(table);
        let read = check_place(&place).and_then(|()| match &known.table {
            Some(columns) => known::read(&place, data, columns),
            None => infer::read(&place, target, data, looks_up),
        });
        let mut raw = read.map_err(|problem| problem.at(table))?;
        raw.source = table.into();
        raw.order(&known.features);
        raw.class_names.clone_from(&known.class_names);
        Ok(raw)
    }

    /// Features alone, as for a prediction, missing numbers filled in.
    pub fn features(mut self, input: Shape) -> Result<(Features, Vec<String>), DataError> {
        let features = self.encode(input).map_err(|problem| problem.at(&self.source))?;
        Ok((features, self.notes))
    }

    /// Examples for a model with this input and these targets: all of them, or those of the first so many classes. Also what
    /// other tables are read by. Missing numbers are not yet filled in, and values not yet scaled, unless the columns were
    /// known.
    pub fn fit(
        mut self,
        input: Shape,
        kind: TargetKind,
        classes: Option<usize>,
    ) -> Result<(Examples, TrainedOn, Vec<String>), DataError> {
        let source = self.source.clone();
        let at_source = |problem: Problem| problem.at(&source);
        let features = self.encode(input).map_err(at_source)?;
        self.check_target().map_err(at_source)?;
        let (targets, mut names) = self.learned(kind, classes).map_err(at_source)?;
        let mut examples = Examples { weights: self.weights.take(), ..Examples::unweighted(features, targets) };
        if let Some(wanted) = classes {
            examples.keep_first_classes(wanted);
            names.truncate(wanted.max(2));
        }
        self.columns.scale_targets(&mut examples.targets);
        let trained_on = TrainedOn {
            features: self.columns.feature_names(),
            classes: None,
            class_names: names,
            table: Some(self.columns),
        };
        Ok((examples, trained_on, self.notes))
    }
}
