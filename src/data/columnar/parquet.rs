//! Parquet, through the `parquet` crate. What its decoders take for granted of offsets, pages and lengths is checked here, so that none
//! allocates by a header or runs for ever, and pages are unpacked here. What is left are values that no writer makes, at which some
//! of its decoders panic ([`guarded`]).

use std::collections::HashSet;
use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::{Arc, Mutex, Once, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use half::f16;
use parquet::basic::{CompressionCodec, ConvertedType, Encoding, LogicalType, Repetition, Type as Physical};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length, SerializedPageReader};
use parquet::schema::types::{ColumnDescriptor, Type};
use rayon::prelude::*;

use super::codec::{self, Codec};
use super::{Budget, DIGITS, Pieces, arrow, big_endian, decimal_text, most_cells, thrift};
use crate::data::column::{Cell, Column, Kind, Sink, Unusable};
use crate::data::error::Problem;

const PARQUET: &str = "Parquet";
/// Values that are decoded at once.
const BATCH: usize = 8192;
/// Of pictures fewer: the pages of each are in memory.
const PICTURE_BATCH: usize = 64;

/// An open file.
pub(super) struct ParquetFile {
    source: Arc<Source>,
    metadata: ParquetMetaData,
    rows: usize,
    columns: Vec<(Column, Option<Leaf>)>,
}

/// Where the values of a column lie, and what they are.
#[derive(Debug, Clone, Copy)]
struct Leaf {
    /// The place among all leaves of the schema.
    place: usize,
    how: How,
    /// Whether its numbers are categories.
    is_category: bool,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    Nothing,
    Boolean,
    Integer,
    Unsigned,
    Half,
    Float,
    Decimal { scale: i32 },
    Text,
    Bytes,
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

    pub(super) fn read<S: Sink>(&self, sinks: &mut [Option<S>]) -> Result<usize, Problem> {
        let read = |(sink, (column, leaf)): (&mut Option<S>, &(Column, Option<Leaf>))| match (sink, leaf) {
            (Some(sink), Some(leaf)) => self.cells(column, *leaf, sink),
            _ => Ok(()),
        };
        sinks.par_iter_mut().zip(&self.columns).try_for_each(read)?;
        Ok(self.rows)
    }

    /// Gives the cells of a column to its sink.
    fn cells(&self, column: &Column, leaf: Leaf, sink: &mut impl Sink) -> Result<(), Problem> {
        let is_category = leaf.is_category;
        let mut add = |cell: Cell<'_>| match cell {
            Cell::Missing => sink.add(cell),
            cell if is_category => sink.add(Cell::Text(&cell.text())),
            cell => sink.add(cell),
        };
        let mut budget = Budget::new(self.source.length);
        let mut text = String::new();
        let mut decimal = |digits: String, scale: i32, add: &mut dyn FnMut(Cell<'_>)| {
            decimal_text(&digits, scale, &mut text);
            add(Cell::Decimal(&text));
        };
        let not_text = || Problem::malformed(PARQUET, format!("a text of its column {:?} is not UTF-8", column.name));
        let odd =
            || Problem::malformed(PARQUET, format!("a value of its column {:?} is of another length", column.name));
        self.each_chunk(leaf, |reader, part| match (reader, leaf.how) {
            (_, How::Nothing) => {
                (0..part.rows).for_each(|_| add(Cell::Missing));
                Ok(())
            }
            (ColumnReader::BoolColumnReader(reader), _) => each(reader, part, |value| {
                add(value.map_or(Cell::Missing, |value| Cell::boolean(*value)));
                Ok(())
            }),
            (ColumnReader::Int32ColumnReader(reader), how) => each(reader, part, |value| {
                match (value, how) {
                    (None, _) => add(Cell::Missing),
                    (Some(value), How::Decimal { scale }) => decimal(value.to_string(), scale, &mut add),
                    (Some(value), How::Unsigned) => add(Cell::Unsigned(u64::from(*value as u32))),
                    (Some(value), _) => add(Cell::Integer(i64::from(*value))),
                }
                Ok(())
            }),
            (ColumnReader::Int64ColumnReader(reader), how) => each(reader, part, |value| {
                match (value, how) {
                    (None, _) => add(Cell::Missing),
                    (Some(value), How::Decimal { scale }) => decimal(value.to_string(), scale, &mut add),
                    (Some(value), How::Unsigned) => add(Cell::Unsigned(*value as u64)),
                    (Some(value), _) => add(Cell::Integer(*value)),
                }
                Ok(())
            }),
            (ColumnReader::FloatColumnReader(reader), _) => each(reader, part, |value| {
                add(value.map_or(Cell::Missing, |value| Cell::Single(*value)));
                Ok(())
            }),
            (ColumnReader::DoubleColumnReader(reader), _) => each(reader, part, |value| {
                add(value.map_or(Cell::Missing, |value| Cell::Double(*value)));
                Ok(())
            }),
            (ColumnReader::ByteArrayColumnReader(reader), How::Decimal { scale }) => each(reader, part, |value| {
                match value {
                    None => add(Cell::Missing),
                    Some(value) => decimal(big_endian(value.data()).ok_or_else(odd)?.to_string(), scale, &mut add),
                }
                Ok(())
            }),
            (ColumnReader::ByteArrayColumnReader(reader), _) => each(reader, part, |value| {
                match value {
                    None => add(Cell::Missing),
                    Some(value) => {
                        budget.spend(value.data())?;
                        add(Cell::Text(std::str::from_utf8(value.data()).map_err(|_| not_text())?));
                    }
                }
                Ok(())
            }),
            (ColumnReader::FixedLenByteArrayColumnReader(reader), how) => each(reader, part, |value| {
                match (value.map(|value| value.data()), how) {
                    (None, _) => add(Cell::Missing),
                    (Some(value), How::Decimal { scale }) => {
                        decimal(big_endian(value).ok_or_else(odd)?.to_string(), scale, &mut add);
                    }
                    (Some(value), _) => {
                        let half = f16::from_le_bytes(value.try_into().map_err(|_| odd())?);
                        add(Cell::Single(half.to_f32()));
                    }
                }
                Ok(())
            }),
            (ColumnReader::Int96ColumnReader(_), _) => Ok(()),
        })
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
            let missing = || Problem::malformed(PARQUET, "a part of it lacks columns");
            let chunk = group.columns().get(leaf.place).ok_or_else(missing)?;
            let part = Part { rows: group.num_rows() as usize, highest: chunk.column_descr().max_def_level() };
            let pages = Pages::new(&self.source, chunk, part.rows)?;
            visit(get_column_reader(chunk.column_descr_ptr(), Box::new(pages)), part)?;
        }
        Ok(())
    }
}

/// A part of a column.
#[derive(Debug, Clone, Copy)]
struct Part {
    rows: usize,
    /// The level of a value that is there, 0 where each is; a level below it says that one is missing.
    highest: i16,
}

/// A file that is read by several threads.
struct Source {
    file: Mutex<File>,
    length: u64,
}

impl Source {
    fn open(path: &Path) -> Result<Source, Problem> {
        let file = crate::file::open(path)?;
        let length = file.metadata()?.len();
        Ok(Source { file: Mutex::new(file), length })
    }

    /// The footer.
    fn metadata(&self) -> Result<ParquetMetaData, Problem> {
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

/// The pages of a part of a column, unpacked, and such that they can be decoded.
struct Pages {
    /// Gives the pages as they are packed: it was told that they are not.
    inner: SerializedPageReader<Source>,
    codec: Codec,
    /// The fewest bytes of a value in a dictionary.
    least: u64,
    /// The rows of the part, and the most values of a dictionary.
    rows: u64,
    most: u64,
    /// Bits of a level, 0 where there are none.
    level_bits: u32,
    has_dictionary: bool,
}

impl Pages {
    fn new(source: &Arc<Source>, chunk: &ColumnChunkMetaData, rows: usize) -> Result<Pages, Problem> {
        let codec = codec_of(chunk.compression_codec())?;
        let starts = [Some(chunk.data_page_offset()), chunk.dictionary_page_offset(), Some(chunk.compressed_size())];
        if starts.into_iter().flatten().any(|start| start < 0) {
            return Err(Problem::malformed(PARQUET, "a part of it has a negative place"));
        }
        let plain = chunk.clone().into_builder().set_compression_codec(CompressionCodec::UNCOMPRESSED);
        let plain = plain.build().map_err(problem)?;
        let inner = SerializedPageReader::new(Arc::clone(source), &plain, rows, None).map_err(problem)?;
        let descr = chunk.column_descr();
        let least = match descr.physical_type() {
            // Eight of them in a byte.
            Physical::BOOLEAN => 0,
            Physical::INT32 | Physical::FLOAT | Physical::BYTE_ARRAY => 4,
            Physical::INT64 | Physical::DOUBLE => 8,
            Physical::INT96 => 12,
            Physical::FIXED_LEN_BYTE_ARRAY => u64::try_from(descr.type_length()).unwrap_or(0).max(1),
        };
        // Of categories, some may be in no row.
        let most = (rows as u64).max(1 << 20);
        let level_bits = u16::BITS - descr.max_def_level().unsigned_abs().leading_zeros();
        Ok(Pages { inner, codec, least, rows: rows as u64, most, level_bits, has_dictionary: false })
    }

    fn checked(&mut self, page: Page) -> Result<Page, ParquetError> {
        let broken = |cause: &str| Err(ParquetError::General(cause.to_owned()));
        let of_dictionary = |encoding| matches!(encoding, Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY);
        match page {
            Page::DictionaryPage { buf, num_values, encoding, is_sorted } => {
                let buf = self.unpack(buf)?;
                if u64::from(num_values) * self.least.max(1) > buf.len() as u64 || u64::from(num_values) > self.most {
                    return broken("a dictionary announces more values than it holds");
                }
                self.has_dictionary = true;
                Ok(Page::DictionaryPage { buf, num_values, encoding, is_sorted })
            }
            Page::DataPage { num_values, .. } | Page::DataPageV2 { num_values, .. }
                if u64::from(num_values) > self.rows =>
            {
                broken("a page announces more values than there are rows")
            }
            Page::DataPage { encoding, .. } | Page::DataPageV2 { encoding, .. }
                if of_dictionary(encoding) && !self.has_dictionary =>
            {
                broken("values of a dictionary come before it")
            }
            #[expect(deprecated, reason = "old files have it")]
            Page::DataPage { def_level_encoding, .. }
                if self.level_bits > 0 && !matches!(def_level_encoding, Encoding::RLE | Encoding::BIT_PACKED) =>
            {
                broken("its levels are encoded in no way that levels are")
            }
            Page::DataPage { buf, num_values, encoding, def_level_encoding, rep_level_encoding, statistics } => {
                let buf = self.unpack(buf)?;
                #[expect(deprecated, reason = "old files have it")]
                let levels = match (self.level_bits, def_level_encoding) {
                    (0, _) => 0,
                    (bits, Encoding::BIT_PACKED) => (u64::from(num_values) * u64::from(bits)).div_ceil(8),
                    _ => 4 + buf.first_chunk().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes))),
                };
                let values = usize::try_from(levels).ok().and_then(|levels| buf.get(levels..));
                if !values.is_some_and(|values| is_sound(encoding, values, num_values)) {
                    return broken("the values of a page are not as long as they announce");
                }
                Ok(Page::DataPage { buf, num_values, encoding, def_level_encoding, rep_level_encoding, statistics })
            }
            Page::DataPageV2 {
                buf,
                num_values,
                encoding,
                num_nulls,
                num_rows,
                def_levels_byte_len,
                rep_levels_byte_len,
                is_compressed,
                statistics,
            } => {
                // The levels before the values are never packed.
                let levels = u64::from(def_levels_byte_len) + u64::from(rep_levels_byte_len);
                let Some(at) = usize::try_from(levels).ok().filter(|at| *at <= buf.len()) else {
                    return broken("a page is shorter than its levels");
                };
                let (levels, values) = buf.split_at(at);
                let buf: Bytes = match is_compressed && self.codec != Codec::None && !values.is_empty() {
                    true => [levels, &self.codec.unpack(values).map_err(ParquetError::General)?].concat().into(),
                    false => buf,
                };
                if !is_sound(encoding, &buf[at..], num_values) {
                    return broken("the values of a page are not as long as they announce");
                }
                let is_compressed = false;
                Ok(Page::DataPageV2 {
                    buf,
                    num_values,
                    encoding,
                    num_nulls,
                    num_rows,
                    def_levels_byte_len,
                    rep_levels_byte_len,
                    is_compressed,
                    statistics,
                })
            }
        }
    }

    fn unpack(&self, packed: Bytes) -> Result<Bytes, ParquetError> {
        if self.codec == Codec::None || packed.is_empty() {
            return Ok(packed);
        }
        self.codec.unpack(&packed).map(Bytes::from).map_err(ParquetError::General)
    }
}

/// Whether encoded differences, for whose announced number room is made, are no more than the values of their page. Other encodings
/// announce none.
fn is_sound(encoding: Encoding, values: &[u8], count: u32) -> bool {
    let end = |values: &[u8]| differences(values).filter(|(total, _)| *total <= u64::from(count)).map(|(_, end)| end);
    match encoding {
        _ if values.is_empty() => true,
        Encoding::DELTA_BINARY_PACKED | Encoding::DELTA_LENGTH_BYTE_ARRAY => end(values).is_some(),
        // Lengths of beginnings, then of ends.
        Encoding::DELTA_BYTE_ARRAY => end(values).and_then(|first| end(&values[first..])).is_some(),
        _ => true,
    }
}

/// How many values differences announce, and where they end; none where that is behind the bytes.
fn differences(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut at = 0;
    let number = |at: &mut usize| {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *bytes.get(*at)?;
            *at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    };
    let (block, parts, total, _first) = (number(&mut at)?, number(&mut at)?, number(&mut at)?, number(&mut at)?);
    let size = block.checked_div(parts).filter(|size| *size > 0 && size.is_multiple_of(8))?;
    let mut left = total.saturating_sub(1);
    while left > 0 {
        number(&mut at)?;
        let widths = bytes.get(at..at.checked_add(usize::try_from(parts).ok()?)?)?;
        at += widths.len();
        for width in widths {
            if left == 0 {
                break;
            }
            let length = (size / 8).checked_mul(u64::from(*width))?;
            at = at.checked_add(usize::try_from(length).ok()?).filter(|at| *at <= bytes.len())?;
            left = left.saturating_sub(size);
        }
    }
    Some((total, at))
}

thread_local! {
    /// Whether a panic of this thread is one of a decoder.
    static DECODES: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs decoders of the `parquet` crate. Some panic where a length or a number among the values is one that no writer makes (in
/// version 60 those of differences, of runs, and of texts): what they would have to be given for that not to happen is known only
/// once the values are decoded. What they worked on is given up then, and nothing is printed.
fn guarded<T>(decode: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, Problem> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !DECODES.get() {
                before(panic);
            }
        }));
    });
    DECODES.set(true);
    let decoded = panic::catch_unwind(AssertUnwindSafe(decode));
    DECODES.set(false);
    decoded
        .map_or_else(|_| Err(Problem::malformed(PARQUET, "its values are damaged")), |decoded| decoded.map_err(problem))
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>, ParquetError> {
        let page = self.inner.get_next_page()?;
        page.map(|page| self.checked(page)).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>, ParquetError> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<(), ParquetError> {
        self.inner.skip_next_page()
    }
}

impl Iterator for Pages {
    type Item = Result<Page, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

/// Calls `visit` with each value of a part of a column, none where it is missing. There must be so many.
fn each<T: DataType>(
    reader: ColumnReaderImpl<T>,
    part: Part,
    mut visit: impl FnMut(Option<&T::T>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    each_while(reader, part, BATCH, |value| visit(value).map(|()| true))
}

/// The same until `visit` gives false, decoding so many values at once.
fn each_while<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    part: Part,
    batch: usize,
    mut visit: impl FnMut(Option<&T::T>) -> Result<bool, Problem>,
) -> Result<(), Problem> {
    let differ = || Problem::malformed(PARQUET, "a column has not as many values as there are rows");
    let (mut levels, mut values, mut left) = (Vec::new(), Vec::new(), part.rows);
    loop {
        levels.clear();
        values.clear();
        // One more than there are rows would be one too many.
        let (records, ..) = guarded(|| reader.read_records(batch.min(left + 1), Some(&mut levels), None, &mut values))?;
        if records == 0 {
            return if left == 0 { Ok(()) } else { Err(differ()) };
        }
        left = left.checked_sub(records).ok_or_else(differ)?;
        let mut present = values.iter();
        for record in 0..records {
            let is_there = part.highest == 0 || levels.get(record).is_some_and(|level| *level == part.highest);
            if !visit(if is_there { present.next() } else { None })? {
                return Ok(());
            }
        }
    }
}

/// The columns of a file, and where those that can be read lie.
fn columns(metadata: &ParquetMetaData) -> Vec<(Column, Option<Leaf>)> {
    let schema = metadata.file_metadata().schema_descr();
    let categories = categories(metadata);
    let mut first_leaf = vec![None; schema.root_schema().get_fields().len()];
    for leaf in (0..schema.num_columns()).rev() {
        first_leaf[schema.get_column_root_idx(leaf)] = Some(leaf);
    }
    let column = |(field, first): (&Arc<Type>, Option<usize>)| {
        let name = field.name().to_owned();
        let is_category = categories.contains(&name);
        let found = first.map_or(Err(Unusable::Type("nothing".into())), |first| {
            let place = first + bytes_of_pictures(field)?;
            let how = how(&schema.column(place))?;
            // Below a column there are the bytes of pictures alone.
            Ok((place, if field.is_primitive() { how } else { How::Bytes }))
        });
        match found {
            Ok((place, how)) => {
                let kind = if how == How::Bytes { Kind::Unusable(Unusable::Pictures) } else { Kind::Cells };
                (Column { name, kind }, Some(Leaf { place, how, is_category }))
            }
            Err(why) => (Column { name, kind: Kind::Unusable(why) }, None),
        }
    };
    schema.root_schema().get_fields().iter().zip(first_leaf).map(column).collect()
}

/// Which leaf of a column has its values: the only one or, of a picture as the library `datasets` keeps it, the bytes beside a path.
fn bytes_of_pictures(field: &Type) -> Result<usize, Unusable> {
    let is_repeated = |field: &Type| {
        let info = field.get_basic_info();
        info.has_repetition() && info.repetition() == Repetition::REPEATED
    };
    let nested = |name: &str| Err(Unusable::Type(name.into()));
    if is_repeated(field) {
        return nested("lists");
    }
    if field.is_primitive() {
        return Ok(0);
    }
    let info = field.get_basic_info();
    match (info.logical_type_ref(), info.converted_type()) {
        (Some(LogicalType::List), _) | (_, ConvertedType::LIST) => return nested("lists"),
        (Some(LogicalType::Map), _) | (_, ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE) => return nested("maps"),
        _ => {}
    }
    let is_bytes = |field: &Arc<Type>| {
        field.name() == "bytes"
            && field.is_primitive()
            && !is_repeated(field)
            && field.get_physical_type() == Physical::BYTE_ARRAY
    };
    let fields = field.get_fields();
    let others =
        fields.iter().filter(|field| !is_bytes(field)).all(|field| field.name() == "path" && field.is_primitive());
    match fields.iter().position(is_bytes).filter(|_| others) {
        Some(place) => Ok(place),
        None => nested("structs"),
    }
}

/// What the values of a leaf are.
fn how(leaf: &ColumnDescriptor) -> Result<How, Unusable> {
    let (logical, converted) = (leaf.logical_type_ref(), leaf.converted_type());
    let scale = match logical {
        Some(LogicalType::Decimal(decimal)) => Some(decimal.scale),
        None if converted == ConvertedType::DECIMAL => Some(leaf.type_scale()),
        _ => None,
    };
    if let Some(scale) = scale {
        let is_long = leaf.physical_type() == Physical::FIXED_LEN_BYTE_ARRAY && leaf.type_length() > 16;
        return match (-DIGITS..=DIGITS).contains(&scale) && !is_long {
            true => Ok(How::Decimal { scale }),
            false => Err(Unusable::Type("decimal numbers of more than 38 digits".into())),
        };
    }
    let is_unsigned = match logical {
        Some(LogicalType::Integer(integer)) => !integer.is_signed,
        _ => matches!(
            converted,
            ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64
        ),
    };
    let is_date = matches!(logical, Some(LogicalType::Date | LogicalType::Time(_) | LogicalType::Timestamp(_)))
        || matches!(
            converted,
            ConvertedType::DATE
                | ConvertedType::TIME_MILLIS
                | ConvertedType::TIME_MICROS
                | ConvertedType::TIMESTAMP_MILLIS
                | ConvertedType::TIMESTAMP_MICROS
        );
    let other = |name: &str| Err(Unusable::Type(name.into()));
    match (leaf.physical_type(), logical) {
        (_, Some(LogicalType::Unknown)) => Ok(How::Nothing),
        (Physical::BOOLEAN, _) => Ok(How::Boolean),
        (Physical::INT96, _) => Err(Unusable::Dates),
        (Physical::INT32 | Physical::INT64, _) if is_date => Err(Unusable::Dates),
        (Physical::INT32 | Physical::INT64, _) => Ok(if is_unsigned { How::Unsigned } else { How::Integer }),
        (Physical::FLOAT | Physical::DOUBLE, _) => Ok(How::Float),
        (Physical::BYTE_ARRAY, Some(LogicalType::String | LogicalType::Enum | LogicalType::Json)) => Ok(How::Text),
        (Physical::BYTE_ARRAY, None) => match converted {
            ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON => Ok(How::Text),
            ConvertedType::NONE => Ok(How::Bytes),
            _ => other("bytes"),
        },
        (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Float16)) if leaf.type_length() == 2 => Ok(How::Half),
        (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Uuid)) => other("UUIDs"),
        (Physical::FIXED_LEN_BYTE_ARRAY, _) if converted == ConvertedType::INTERVAL => other("spans of time"),
        (Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY, _) => other("bytes"),
    }
}

fn key_value<'a>(metadata: &'a ParquetMetaData, key: &str) -> Option<&'a str> {
    let all = metadata.file_metadata().key_value_metadata()?;
    all.iter().find(|entry| entry.key == key)?.value.as_deref()
}

/// The columns that were categories where they were written, as Arrow's schema beside Parquet's tells.
fn categories(metadata: &ParquetMetaData) -> HashSet<String> {
    let schema = key_value(metadata, "ARROW:schema").and_then(|text| BASE64_STANDARD.decode(text).ok());
    schema.map_or_else(HashSet::new, |message| arrow::dictionaries(&message))
}

fn codec_of(codec: CompressionCodec) -> Result<Codec, Problem> {
    match codec {
        CompressionCodec::UNCOMPRESSED => Ok(Codec::None),
        CompressionCodec::SNAPPY => Ok(Codec::Snappy),
        CompressionCodec::GZIP => Ok(Codec::Gzip),
        CompressionCodec::ZSTD => Ok(Codec::Zstd),
        CompressionCodec::LZ4_RAW => Ok(Codec::Lz4Block),
        other => Err(codec::unknown(PARQUET, packing(other))),
    }
}

/// What a packing is called.
fn packing(codec: CompressionCodec) -> &'static str {
    match codec {
        CompressionCodec::UNCOMPRESSED => "not packed",
        CompressionCodec::SNAPPY => "snappy",
        CompressionCodec::GZIP => "gzip",
        CompressionCodec::LZO => "LZO",
        CompressionCodec::BROTLI => "brotli",
        CompressionCodec::LZ4 => "LZ4 of the form that was given up",
        CompressionCodec::ZSTD => "zstd",
        CompressionCodec::LZ4_RAW => "LZ4",
    }
}

fn external(error: std::io::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

fn problem(error: ParquetError) -> Problem {
    match error {
        ParquetError::External(error) => match error.downcast::<std::io::Error>() {
            Ok(error) => super::super::bytes::read_error(PARQUET, *error),
            Err(error) => Problem::malformed(PARQUET, error),
        },
        ParquetError::General(cause) | ParquetError::NYI(cause) | ParquetError::EOF(cause) => {
            Problem::malformed(PARQUET, cause)
        }
        error => Problem::malformed(PARQUET, error),
    }
}
