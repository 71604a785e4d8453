//! A table as its file holds it, with what its columns are taken for.

use crate::data::error::Problem;
use crate::data::frame::Frame;
use crate::data::table_columns::{FeatureColumn, TableColumns};
use crate::data::weights;
use crate::model::Shape;

/// The most numbers of all examples.
const MAX_NUMBERS: usize = 1 << 36;

/// A table as its file holds it, before a model is known.
#[derive(Debug)]
pub struct RawTable {
    pub(super) source: String,
    pub(super) frame: Frame,
    pub(super) columns: TableColumns,
    /// Where each feature column lies.
    pub(super) features: Vec<usize>,
    /// Where each target column lies; none where the table lacks them.
    pub(super) targets: Option<Vec<usize>>,
    /// The classes of the table that the model was trained on.
    pub(super) class_names: Vec<String>,
    /// The examples' weights, where they have any.
    pub(super) weights: Option<Vec<f32>>,
    pub(super) notes: Vec<String>,
    /// Whether it is to be trained on: no model knows its columns.
    pub(super) is_new: bool,
}

impl RawTable {
    /// Puts the columns into the order of a run that goes on, whose features have these names.
    pub(super) fn order(&mut self, known: &[String]) {
        if known.is_empty() || known == self.columns.feature_names() {
            return;
        }
        let place = |column: &FeatureColumn| known.iter().position(|name| *name == column.names()[0]);
        let mut columns: Vec<(FeatureColumn, usize)> =
            self.columns.features.drain(..).zip(self.features.drain(..)).collect();
        // What is new comes last: the model has no place for it, which is told when the run goes on.
        columns.sort_by_key(|(column, _)| place(column).unwrap_or(usize::MAX));
        (self.columns.features, self.features) = columns.into_iter().unzip();
        if self.columns.levels().is_some() {
            self.columns.number_levels();
        }
    }

    pub(super) fn check_size(&self) -> Result<(), Problem> {
        let width = self.columns.width();
        match self.frame.rows.checked_mul(width).is_some_and(|numbers| numbers <= MAX_NUMBERS) {
            true => Ok(()),
            false => Err(Problem::TableTooLarge { rows: self.frame.rows, features: width, most: MAX_NUMBERS }),
        }
    }

    /// Keeps the table for the one who reads the same file next, in the same way: it is not parsed again.
    pub fn keep(self) {
        self.frame.keep();
    }

    /// What its columns are taken for.
    pub(crate) fn columns(&self) -> &TableColumns {
        &self.columns
    }

    /// The input of a model for it.
    pub fn input(&self) -> Shape {
        Shape::Features(self.columns.width())
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.frame.rows
    }

    /// Whether it holds the target in every row.
    pub fn is_labelled(&self) -> bool {
        let is_whole = |column: &usize| self.frame.columns[*column].missing.0 == 0;
        self.targets.as_ref().is_some_and(|targets| targets.iter().all(is_whole))
    }

    /// Whether a column holds the examples' weights.
    pub(crate) fn is_weighed(&self) -> bool {
        self.weights.is_some()
    }

    /// The same with weights for its rows.
    pub(crate) fn weighed(self, weights: Vec<f32>) -> Result<RawTable, Problem> {
        weights::check_count(&weights, self.frame.rows)?;
        Ok(RawTable { weights: Some(weights), ..self })
    }

    /// What a person should know of how it was read.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}
