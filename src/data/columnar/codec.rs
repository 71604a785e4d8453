//! Packed pages and buffers, unpacked within bounds and without a C compiler.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;

use super::most_unpacked;
use crate::data::error::Problem;

/// How bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    None,
    Snappy,
    Gzip,
    Zstd,
    /// A block of LZ4, whose length nothing tells.
    Lz4Block,
    /// A frame of LZ4.
    Lz4Frame,
}

/// Why bytes cannot be unpacked.
pub(super) type Cause = String;

impl Codec {
    /// The unpacked bytes: no more than so many packed ones can come to.
    pub(super) fn unpack(self, packed: &[u8]) -> Result<Vec<u8>, Cause> {
        let most = most_unpacked(packed.len());
        match self {
            Codec::None => Ok(packed.to_vec()),
            Codec::Snappy => {
                let length = snap::raw::decompress_len(packed).map_err(|error| error.to_string())?;
                check_length(length, most)?;
                snap::raw::Decoder::new().decompress_vec(packed).map_err(|error| error.to_string())
            }
            Codec::Gzip => read_all(MultiGzDecoder::new(packed), most),
            Codec::Zstd => {
                let decoder = ruzstd::decoding::StreamingDecoder::new(packed).map_err(|error| error.to_string())?;
                read_all(decoder, most)
            }
            Codec::Lz4Block => lz4_block(packed, most),
            Codec::Lz4Frame => read_all(lz4_flex::frame::FrameDecoder::new(packed), most),
        }
    }
}

fn check_length(length: usize, most: usize) -> Result<(), Cause> {
    match length > most {
        true => Err(format!("it announces {length} bytes in a piece that cannot hold so many")),
        false => Ok(()),
    }
}

fn read_all(reader: impl Read, most: usize) -> Result<Vec<u8>, Cause> {
    let mut bytes = Vec::new();
    reader.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    check_length(bytes.len(), most).map(|()| bytes)
}

fn lz4_block(packed: &[u8], most: usize) -> Result<Vec<u8>, Cause> {
    // A byte stands for 255 at most.
    let most = most.min(packed.len().saturating_mul(255).saturating_add(64));
    let mut room = packed.len().saturating_mul(4).clamp(1 << 12, most.max(1 << 12));
    loop {
        let mut bytes = vec![0; room];
        match lz4_flex::block::decompress_into(packed, &mut bytes) {
            Ok(length) => {
                bytes.truncate(length);
                return Ok(bytes);
            }
            Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) if room < most => {
                room = room.saturating_mul(2).min(most);
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// What is to be said of a packing that is not read.
pub(super) fn unknown(format: &'static str, packing: &str) -> Problem {
    Problem::Packing { format, packing: packing.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_unpacked_and_bombs_are_not() {
        let text = b"the same, the same, the same".repeat(3000);
        let snappy = snap::raw::Encoder::new().compress_vec(&text).unwrap();
        assert_eq!(Codec::Snappy.unpack(&snappy).unwrap(), text);
        // A length that snappy could never come to.
        assert!(Codec::Snappy.unpack(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0]).unwrap_err().contains("cannot hold so many"));
        // "aaa…": a literal of one byte, then a match of many.
        let long = [&[0x1f, b'a', 1, 0][..], &[255; 4000], &[0, 0x50], b"bbbbb"].concat();
        assert_eq!(Codec::Lz4Block.unpack(&long).unwrap().len(), 1 + 4 + 15 + 4000 * 255 + 5);
        for codec in [Codec::Snappy, Codec::Gzip, Codec::Zstd, Codec::Lz4Block, Codec::Lz4Frame] {
            assert!(codec.unpack(b"\xff\xff\xff\xff\xff\xff no").is_err(), "{codec:?}");
        }
    }
}
