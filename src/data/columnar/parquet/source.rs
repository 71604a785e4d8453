//! The bytes of a Parquet file, for several threads.

use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};

use super::super::thrift;
use super::problem::{PARQUET, external, guarded, problem};
use crate::data::error::Problem;

/// A file that is read by several threads.
pub(super) struct Source {
    file: Mutex<File>,
    pub(super) length: u64,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Source, Problem> {
        let file = crate::file::open(path)?;
        let length = file.metadata()?.len();
        Ok(Source { file: Mutex::new(file), length })
    }

    /// The footer.
    pub(super) fn metadata(&self) -> Result<ParquetMetaData, Problem> {
        /// The footer's length and the mark behind it.
        const TAIL: u64 = 8;
        let cut = || Problem::malformed(PARQUET, "its footer is longer than the file");
        let before_tail = self.length.checked_sub(TAIL).ok_or_else(cut)?;
        let tail = self.get_bytes(before_tail, 4).map_err(problem)?;
        let length = tail.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let start = before_tail.checked_sub(u64::from(length)).ok_or_else(cut)?;
        let footer = self.get_bytes(start, length as usize).map_err(problem)?;
        if thrift::end_of_struct(&footer).is_none() {
            return Err(Problem::malformed(PARQUET, "its footer is broken"));
        }
        if !thrift::is_shallow(&footer) {
            return Err(Problem::malformed(PARQUET, "its schema is nested too deep"));
        }
        guarded(|| ParquetMetaDataReader::decode_metadata(&footer))
    }
}

impl Length for Source {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Source {
    type T = Cursor<Bytes>;

    /// The head of the page that begins there, and no more.
    fn get_read(&self, start: u64) -> Result<Cursor<Bytes>, ParquetError> {
        // Most are short; some hold the least and the largest value, which may be long.
        for most in [1 << 9, 1 << 14, 1 << 19, 1 << 24] {
            let length = self.length.saturating_sub(start).min(most);
            let bytes = self.get_bytes(start, length as usize)?;
            if let Some(end) = thrift::end_of_struct(&bytes) {
                return Ok(Cursor::new(bytes.slice(..end)));
            }
            if length < most {
                break;
            }
        }
        Err(ParquetError::General("the head of a page is broken".into()))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.length) {
            return Err(ParquetError::EOF("a part of it lies behind its end".into()));
        }
        let mut bytes = vec![0; length];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut bytes)).map_err(external)?;
        Ok(bytes.into())
    }
}
