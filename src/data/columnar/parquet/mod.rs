//! Parquet, through the `parquet` crate. What its decoders take for granted of offsets, pages and lengths is checked here, so that none
//! allocates by a header or runs for ever, and pages are unpacked here. What is left are values that no writer makes, at which some
//! of its decoders panic ([`problem::guarded`]).

mod cells;
mod pages;
mod problem;
mod schema;
mod source;
mod values;

use std::path::Path;
use std::sync::Arc;

use parquet::column::reader::{ColumnReader, get_column_reader};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use super::{Budget, Pause, Pieces, each_column, most_cells};
use crate::data::column::{Column, Sink};
use crate::data::error::Problem;
use cells::Cells;
use pages::{Pages, packing};
use problem::PARQUET;
use schema::{Leaf, columns, key_value};
use source::Source;
use values::{Part, each_while};

/// Of pictures fewer: the pages of each are in memory.
const PICTURE_BATCH: usize = 64;

/// An open file.
pub(super) struct ParquetFile {
    source: Arc<Source>,
    metadata: ParquetMetaData,
    rows: usize,
    columns: Vec<(Column, Option<Leaf>)>,
}

impl ParquetFile {
    pub(super) fn open(path: &Path) -> Result<ParquetFile, Problem> {
        let source = Arc::new(Source::open(path)?);
        let metadata = source.metadata()?;
        let rows = metadata
            .row_groups()
            .iter()
            .try_fold(0u64, |rows, group| rows.checked_add(u64::try_from(group.num_rows()).ok()?));
        let rows = rows.ok_or_else(|| Problem::malformed(PARQUET, "its parts have negative numbers of rows"))?;
        let columns = columns(&metadata);
        let cells = rows.saturating_mul(columns.len().max(1) as u64);
        if cells > most_cells(source.length) {
            return Err(Problem::TooLarge { shape: vec![rows as usize, columns.len()] });
        }
        Ok(ParquetFile { source, metadata, rows: rows as usize, columns })
    }

    /// Bytes of the file.
    pub(super) fn length(&self) -> u64 {
        self.source.length
    }

    pub(super) fn columns(&self) -> Vec<Column> {
        self.columns.iter().map(|(column, _)| column.clone()).collect()
    }

    pub(super) fn in_words(&self) -> String {
        let chunks = self.metadata.row_groups().iter().flat_map(|group| group.columns());
        let mut packings: Vec<&str> = chunks.map(|chunk| packing(chunk.compression_codec())).collect();
        packings.sort_unstable();
        packings.dedup();
        if packings.is_empty() { "a Parquet file".into() } else { format!("a Parquet file ({})", packings.join(", ")) }
    }

    pub(super) fn metadata(&self, key: &str) -> Option<&str> {
        key_value(&self.metadata, key)
    }

    pub(super) fn read<S: Sink>(&self, sinks: &mut [Option<S>], pause: Pause<'_, S>) -> Result<usize, Problem> {
        let mut columns: Vec<(&(Column, Option<Leaf>), Budget)> =
            self.columns.iter().map(|column| (column, Budget::new(self.source.length))).collect();
        for group in self.metadata.row_groups() {
            each_column(group.num_rows() as usize, sinks, &mut columns, pause, |sink, (column, budget)| {
                let (column, Some(leaf)) = column else { return Ok(()) };
                let (reader, part) = self.chunk(group, *leaf)?;
                Cells::new(column, *leaf, budget, sink).read(reader, part)
            })?;
        }
        Ok(self.rows)
    }

    /// Gives the pictures in a column.
    pub(super) fn pictures(&self, column: usize, pieces: &mut Pieces<'_>) -> Result<(), Problem> {
        let Some((_, Some(leaf))) = self.columns.get(column) else { return Ok(()) };
        let mut more = true;
        self.each_chunk(*leaf, |reader, part| {
            let ColumnReader::ByteArrayColumnReader(reader) = reader else { return Ok(()) };
            if !more {
                return Ok(());
            }
            each_while(reader, part, PICTURE_BATCH, |value| {
                more = pieces.add(value.map(|value| value.data()))?;
                Ok(more)
            })
        })
    }

    /// Calls `visit` with a reader for each part of a column and the rows that it must have.
    fn each_chunk(
        &self,
        leaf: Leaf,
        mut visit: impl FnMut(ColumnReader, Part) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        for group in self.metadata.row_groups() {
            let (reader, part) = self.chunk(group, leaf)?;
            visit(reader, part)?;
        }
        Ok(())
    }

    /// A reader for a part of a column, and the rows that it must have.
    fn chunk(&self, group: &RowGroupMetaData, leaf: Leaf) -> Result<(ColumnReader, Part), Problem> {
        let missing = || Problem::malformed(PARQUET, "a part of it lacks columns");
        let chunk = group.columns().get(leaf.place).ok_or_else(missing)?;
        let part = Part { rows: group.num_rows() as usize, highest: chunk.column_descr().max_def_level() };
        let pages = Pages::new(&self.source, chunk, part.rows)?;
        Ok((get_column_reader(chunk.column_descr_ptr(), Box::new(pages)), part))
    }
}
