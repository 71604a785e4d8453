//! The bytes of a file, unpacked, and the values that lie in them.

use std::io::{BufRead, BufReader, Cursor, ErrorKind, Read, Seek};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::array::{Array, Dtype, byte_count};
use super::error::Problem;
use crate::place;

/// Deflate never packs tighter than this: what bounds the size of anything that a compressed file can hold.
const MAX_DEFLATE: u64 = 1032;

/// What a file is read through.
pub(crate) trait Reader: BufRead + Seek {}

impl<T: BufRead + Seek> Reader for T {}

/// A file on the disk, or one that comes with the program.
pub(crate) struct Opened {
    pub(crate) reader: Box<dyn Reader>,
    /// Its bytes.
    pub(crate) length: u64,
}

pub(crate) fn open_file(path: &Path) -> Result<Opened, Problem> {
    if let Some(bytes) = place::bundled(path) {
        return Ok(Opened { reader: Box::new(Cursor::new(bytes)), length: bytes.len() as u64 });
    }
    if place::is_bundled(path) {
        return Err(Problem::NotBundled { names: place::bundled_names() });
    }
    let file = crate::file::open(path)?;
    let length = file.metadata()?.len();
    Ok(Opened { reader: Box::new(BufReader::with_capacity(1 << 16, file)), length })
}

/// The file's content, and the most bytes it can come to. Whether it is gzipped is told from its first bytes, not from its
/// name: no file of these formats begins with them otherwise.
pub(crate) fn unpacked(Opened { mut reader, length }: Opened) -> Result<(Box<dyn Read>, u64), Problem> {
    Ok(match reader.fill_buf()?.starts_with(b"\x1f\x8b") {
        true => (Box::new(MultiGzDecoder::new(reader)), most_unpacked(length)),
        false => (Box::new(reader), length),
    })
}

/// The most bytes that `packed` deflated bytes can unpack to.
pub(crate) fn most_unpacked(packed: u64) -> u64 {
    packed.saturating_mul(MAX_DEFLATE)
}

/// The bytes of an array's values, which must be all that is left to read.
///
/// Nothing is allocated for more than `most` bytes, so an absurd header costs nothing.
pub(crate) fn read_values(
    reader: &mut dyn Read,
    format: &'static str,
    dtype: Dtype,
    shape: Vec<usize>,
    most: u64,
) -> Result<Array, Problem> {
    /// Beyond this the buffer grows as data really comes.
    const AT_ONCE: u64 = 64 << 20;
    let expected = match byte_count(dtype, &shape) {
        Some(bytes) if bytes <= most => bytes,
        Some(bytes) if most < u64::MAX && bytes / MAX_DEFLATE <= most => {
            // Plausible for a file of this kind, so say how much is missing instead.
            let found = std::io::copy(reader, &mut std::io::sink()).map_err(|e| read_error(format, e))?;
            return Err(Problem::Truncated { expected: bytes, found });
        }
        _ => return Err(Problem::TooLarge { shape }),
    };
    let mut bytes = Vec::with_capacity(expected.min(AT_ONCE) as usize);
    let result = reader.take(expected).read_to_end(&mut bytes);
    let found = bytes.len() as u64;
    match result {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Err(Problem::Truncated { expected, found }),
        Err(error) => return Err(read_error(format, error)),
        Ok(_) if found < expected => return Err(Problem::Truncated { expected, found }),
        Ok(_) => {}
    }
    // Reading on to the end also makes the unzipper compare its checksum.
    match reader.read(&mut [0]) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(Problem::Truncated { expected, found }),
        Err(error) => Err(read_error(format, error)),
        Ok(0) => Array::new(dtype, shape, bytes).ok_or(Problem::Truncated { expected, found })?.checked(format),
        Ok(_) => Err(Problem::Trailing { expected }),
    }
}

/// What an error while reading says about the file: broken packing, an early end, or trouble with the disk.
pub(crate) fn read_error(format: &'static str, error: std::io::Error) -> Problem {
    match error.kind() {
        ErrorKind::UnexpectedEof => Problem::malformed(format, "it ends within its header"),
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::Other => Problem::malformed(format, error),
        _ => Problem::Io(error),
    }
}

/// The text of a CSV file, unzipped.
pub(crate) fn open_csv(path: &Path) -> Result<Box<dyn Read>, Problem> {
    Ok(unpacked(open_file(path)?)?.0)
}
