//! The pages of a column, unpacked and looked over.

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{CompressionCodec, Encoding, Type as Physical};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::SerializedPageReader;

use super::super::codec::{self, Codec};
use super::problem::{PARQUET, problem};
use super::source::Source;
use crate::data::error::Problem;

/// The pages of a part of a column, unpacked, and such that they can be decoded.
pub(super) struct Pages {
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
    pub(super) fn new(source: &Arc<Source>, chunk: &ColumnChunkMetaData, rows: usize) -> Result<Pages, Problem> {
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
pub(super) fn packing(codec: CompressionCodec) -> &'static str {
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
