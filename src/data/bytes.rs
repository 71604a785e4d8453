//! The bytes of a file, unpacked, and the values that lie in them.

use std::io::{BufRead, BufReader, Cursor, ErrorKind, Read, Seek};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::Numbers;
use super::array::{Array, Dtype, byte_count};
use super::error::Problem;
use super::numbers::{Gathered, is_large};
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

impl Opened {
    /// The file itself, if its values may be mapped: neither packed nor small nor a part of the program.
    pub(crate) fn mappable<'a>(&mut self, path: &'a Path) -> Result<Option<&'a Path>, Problem> {
        let is_plain = !place::is_bundled(path) && !self.reader.fill_buf()?.starts_with(b"\x1f\x8b");
        Ok((is_plain && is_large(self.length)).then_some(path))
    }
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
    let expected = match byte_count(dtype, &shape) {
        Some(bytes) if bytes <= most => bytes,
        Some(bytes) if most < u64::MAX && bytes / MAX_DEFLATE <= most => {
            // Plausible for a file of this kind, so say how much is missing instead.
            let found = std::io::copy(reader, &mut std::io::sink()).map_err(|e| read_error(format, e))?;
            return Err(Problem::Truncated { expected: bytes, found });
        }
        _ => return Err(Problem::TooLarge { shape }),
    };
    let mut bytes = Gathered::of(expected);
    let result = std::io::copy(&mut reader.take(expected), &mut bytes);
    let found = bytes.len();
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
        Ok(0) => {
            let array = Array::over(dtype, shape, bytes.numbers()?);
            array.ok_or(Problem::Truncated { expected, found })?.checked(format)
        }
        Ok(_) => Err(Problem::Trailing { expected }),
    }
}

/// The array whose values are all that a file holds from byte `start` on, mapped; none where that is not so, or where the file is
/// small.
pub(crate) fn map_values(
    path: &Path,
    format: &'static str,
    start: u64,
    dtype: Dtype,
    shape: &[usize],
) -> Result<Option<Array>, Problem> {
    let Some(count) = byte_count(dtype, shape) else { return Ok(None) };
    let array = Numbers::of_file(path, start, count)?.and_then(|bytes| Array::over(dtype, shape.to_vec(), bytes));
    array.map(|array| array.checked(format)).transpose()
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

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::data::{Array, read_array, write_array};

    /// Makes a file as long as those that are mapped: what lies behind is zeros, and takes no place on the disk.
    fn stretched(path: &Path, header: &[u8], values: &[u8], length: u64) {
        use std::io::Write;
        let mut file = File::create(path).unwrap();
        file.write_all(header).unwrap();
        file.write_all(values).unwrap();
        file.set_len(header.len() as u64 + length).unwrap();
    }

    #[test]
    fn large_files_are_mapped_and_hold_what_small_ones_do() {
        let folder = tempfile::tempdir().unwrap();
        let (width, rows) = (1 << 20, 64);
        let values: Vec<u8> = (0..1000).map(|index| (index * 7 % 251) as u8).collect();
        let npy = folder.path().join("large.npy");
        let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({rows}, {width}), }}");
        let text = format!("{text:<117}\n");
        let header = [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes()].concat();
        stretched(&npy, &header, &values, rows * width);
        let idx = folder.path().join("large-idx2-ubyte");
        let lengths = [rows as u32, width as u32].map(u32::to_be_bytes).concat();
        stretched(&idx, &[&[0, 0, 8, 2], &lengths[..]].concat(), &values, rows * width);
        for path in [&npy, &idx] {
            let array = read_array(path.to_str().unwrap()).unwrap();
            assert_eq!(
                (array.shape(), array.bytes()[..1000] == values[..]),
                (&[rows as usize, width as usize][..], true)
            );
            let storage = array.into_storage();
            assert!(storage.is_mapped(), "{}", path.display());
            // A part of it is a file again, with the same values.
            let features = crate::data::Features {
                storage,
                count: rows as usize,
                shape: crate::model::Shape::Features(width as usize),
            };
            let part = features.select(&[1, 0]);
            assert!(part.storage.is_mapped());
            assert_eq!(part.storage.get(width as usize + 5), f32::from(values[5]));
            // Shorter than its header says: told, not mapped.
            let length = std::fs::metadata(path).unwrap().len();
            File::options().write(true).open(path).unwrap().set_len(length - 1).unwrap();
            drop((features, part));
            let error = read_array(path.to_str().unwrap()).unwrap_err().to_string();
            assert!(error.contains("expected") || error.contains("cut short") || error.contains("bytes"), "{error}");
        }
        // Packed, it is unpacked to a file.
        let packed = folder.path().join("large.npy.gz");
        let zeros = vec![0; (rows * width) as usize - values.len()];
        let mut zip = flate2::write::GzEncoder::new(File::create(&packed).unwrap(), flate2::Compression::fast());
        [&header, &values, &zeros].iter().for_each(|part| std::io::Write::write_all(&mut zip, part).unwrap());
        zip.finish().unwrap();
        let storage = read_array(packed.to_str().unwrap()).unwrap().into_storage();
        assert_eq!((storage.is_mapped(), storage.get(5)), (true, f32::from(values[5])));
        // Small files are read.
        let small = folder.path().join("small.npy");
        write_array(&small, &Array::from_u8(&[2, 2], vec![1, 2, 3, 4]).unwrap()).unwrap();
        assert!(!read_array(small.to_str().unwrap()).unwrap().into_storage().is_mapped());
    }
}
