//! In the place of `columnar` where the feature `parquet` is off.

use std::convert::Infallible;
use std::path::Path;

use super::column::{Column, FileFormat, Sink};
use super::error::Problem;
use super::write::WrittenColumn;

fn left_out(format: FileFormat) -> Problem {
    let convert = "write the table as text, in pandas with to_csv";
    Problem::LeftOut { format: format.name(), feature: "parquet", convert }
}

/// A file of columns: there is none.
pub(super) struct ColumnFile {
    none: Infallible,
}

impl ColumnFile {
    pub(super) fn open(path: &Path) -> Result<Option<ColumnFile>, Problem> {
        FileFormat::of(path)?.map_or(Ok(None), |format| Err(left_out(format)))
    }

    pub(super) fn columns(&self) -> &[Column] {
        match self.none {}
    }

    pub(super) fn in_words(&self) -> String {
        match self.none {}
    }

    pub(super) fn read<S: Sink>(&mut self, _: &mut [Option<S>]) -> Result<usize, Problem> {
        match self.none {}
    }

    pub(super) fn pictures(
        &self,
        _: usize,
        _: &mut dyn FnMut(Vec<Option<Vec<u8>>>) -> Result<bool, Problem>,
    ) -> Result<(), Problem> {
        match self.none {}
    }

    pub(super) fn class_names(&self, _: &str) -> Option<Vec<String>> {
        match self.none {}
    }
}

pub(super) fn write(_: &Path, _: &[(String, WrittenColumn)]) -> Result<(), Problem> {
    Err(left_out(FileFormat::Parquet))
}
