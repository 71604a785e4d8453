//! Arrow on the disk and as a stream: messages of a head, which is a flatbuffer, and a body of buffers.
//!
//! A file on the disk has a footer that says where they lie, a stream has them one behind the other; both are read one batch of rows at
//! a time. The crates of Arrow are not used: for columns of plain values they would check as much here, and take minutes to compile.

mod batch;
mod cells;
mod messages;
mod problem;
mod schema;
mod values;

use std::path::{Path, PathBuf};

use super::flat::{Broken, Table};
use super::{Budget, Pause, Pieces, each_column, most_cells};
use crate::data::column::{Cell, Column, Kind, Sink};
use crate::data::error::Problem;
use batch::{Batch, Place};
use cells::{Cells, Dictionaries};
pub(super) use messages::dictionaries;
use messages::{BATCH, DICTIONARY, Messages};
use problem::broken;
use schema::{Field, Schema};

/// An open file.
pub(super) struct ArrowFile {
    path: PathBuf,
    /// Bytes of the file.
    pub(super) length: u64,
    schema: Schema,
}

impl ArrowFile {
    pub(super) fn open(path: &Path) -> Result<ArrowFile, Problem> {
        let (messages, schema) = Messages::open(path)?;
        Ok(ArrowFile { path: path.to_path_buf(), length: messages.length, schema })
    }

    pub(super) fn columns(&self) -> Vec<Column> {
        let column = |field: &Field| Column { name: field.name.clone(), kind: field.kind() };
        self.schema.fields.iter().map(column).collect()
    }

    pub(super) fn metadata(&self, key: &str) -> Option<&str> {
        self.schema.metadata.get(key).map(String::as_str)
    }

    pub(super) fn read<S: Sink>(&self, sinks: &mut [Option<S>], pause: Pause<'_, S>) -> Result<usize, Problem> {
        let mut rows = 0;
        let fields = &self.schema.fields;
        let mut budgets: Vec<Budget> = fields.iter().map(|_| Budget::new(self.length)).collect();
        self.each_batch(|batch, dictionaries| {
            rows += batch.rows;
            let mut columns: Vec<(&Field, Place, &mut Budget)> = fields
                .iter()
                .zip(batch.places(fields)?)
                .zip(&mut budgets)
                .map(|((field, place), budget)| (field, place, budget))
                .collect();
            each_column(batch.rows, sinks, &mut columns, pause, |sink, (field, place, budget)| {
                Cells::new(batch, field, *place)?.give(dictionaries, &mut |cell| {
                    budget.spend(if let Cell::Text(text) = cell { text.as_bytes() } else { &[] })?;
                    sink.add(cell);
                    Ok(())
                })
            })?;
            Ok(true)
        })?;
        Ok(rows)
    }

    pub(super) fn pictures(&self, column: usize, pieces: &mut Pieces<'_>) -> Result<(), Problem> {
        self.each_batch(|batch, _| {
            let places = batch.places(&self.schema.fields)?;
            let (field, place) = (&self.schema.fields[column], places[column]);
            batch.pictures(field, place, pieces)
        })
    }

    /// Calls `visit` with each batch of rows and the levels of the dictionaries so far, until it gives false.
    fn each_batch(
        &self,
        mut visit: impl FnMut(&Batch<'_>, &Dictionaries) -> Result<bool, Problem>,
    ) -> Result<(), Problem> {
        let (mut messages, _) = Messages::open(&self.path)?;
        let most = most_cells(messages.length);
        let width = self.schema.fields.len().max(1) as u64;
        let (mut cells, mut dictionaries) = (0u64, Dictionaries::new());
        while let Some((head, body)) = messages.next()? {
            let message = Table::root(&head)?;
            let header = message.table(2)?.ok_or(Broken)?;
            let mut count = |batch: &Batch<'_>, width: u64| {
                cells = cells.saturating_add((batch.rows as u64).saturating_mul(width));
                match cells > most {
                    true => Err(Problem::TooLarge { shape: vec![batch.rows, width as usize] }),
                    false => Ok(()),
                }
            };
            match message.byte(1)? {
                DICTIONARY => {
                    let batch = Batch::new(header.table(1)?.ok_or(Broken)?, &body)?;
                    count(&batch, 1)?;
                    self.dictionary(header.i64(0)?, header.byte(2)? != 0, &batch, &mut dictionaries)?;
                }
                BATCH => {
                    let batch = Batch::new(header, &body)?;
                    count(&batch, width)?;
                    if !visit(&batch, &dictionaries)? {
                        return Ok(());
                    }
                }
                other => return Err(broken(format!("it has a message of kind {other} where rows were expected"))),
            }
        }
        Ok(())
    }

    /// Takes the levels of a dictionary, if a column has it.
    fn dictionary(
        &self,
        id: i64,
        is_more: bool,
        batch: &Batch<'_>,
        dictionaries: &mut Dictionaries,
    ) -> Result<(), Problem> {
        let has = |field: &&Field| field.dictionary.is_some_and(|(known, _)| known == id);
        let Some(field) = self.schema.fields.iter().find(has) else { return Ok(()) };
        let levels =
            Field { name: field.name.clone(), values: field.values.clone(), dictionary: None, children: Vec::new() };
        if levels.kind() != Kind::Cells {
            return Ok(());
        }
        let known = dictionaries.entry(id).or_default();
        if !is_more {
            known.clear();
        }
        let places = batch.places(std::slice::from_ref(&levels))?;
        let mut budget = Budget::new(self.length);
        Cells::new(batch, &levels, places[0])?.give(&Dictionaries::new(), &mut |cell| {
            budget.spend(cell.text().as_bytes())?;
            known.push((cell != Cell::Missing).then(|| cell.text().into_owned()));
            Ok(())
        })
    }
}
