//! From a path to the bytes and arrays behind it.

use std::io::{BufRead, BufReader, Cursor, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::array::{Array, Dtype, byte_count};
use super::bundled::{self, bundled};
use super::error::{DataError, Problem};
use super::{csv, hdf5, idx, npy, npz};

/// Deflate never packs tighter than this: what bounds the size of anything that a compressed file can hold.
const DEFLATE_MOST: u64 = 1032;

/// A format that arrays are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Npy,
    Npz,
    Idx,
    Csv,
    Hdf5,
}

impl Format {
    /// The format that a file's name tells, and whether it is gzipped.
    pub(crate) fn of(path: &Path) -> Option<(Format, bool)> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let (stem, zipped) = match name.strip_suffix(".gz") {
            Some(stem) => (stem, true),
            None => (name.as_str(), false),
        };
        let format = match Path::new(stem).extension().and_then(|e| e.to_str()) {
            Some("npy") => Format::Npy,
            Some("csv" | "tsv" | "txt") => Format::Csv,
            Some("npz") if !zipped => Format::Npz,
            Some("h5" | "hdf5" | "hdf" | "mat") if !zipped => Format::Hdf5,
            // train-images-idx3-ubyte, train-images.idx3-ubyte, labels.idx
            _ if stem.split(['-', '.']).skip(1).any(|part| part.starts_with("idx") && part.len() <= 4) => Format::Idx,
            _ => return None,
        };
        Some((format, zipped))
    }
}

/// A file, and the key of an array inside it if one was given: `path` or `path#key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) key: Option<String>,
}

impl Place {
    /// Takes the text apart as [`split_key`] does.
    pub(crate) fn parse(text: &str) -> Place {
        let (path, key) = split_key(text, |path| bundled::is_file(Path::new(path)));
        Place { path: PathBuf::from(path), key: key.map(str::to_owned) }
    }

    /// Whether the file is a table of text.
    pub(crate) fn is_table(&self) -> bool {
        matches!(Format::of(&self.path), Some((Format::Csv, _)))
    }

    /// A word on the axes of arrays that MATLAB wrote.
    pub(crate) fn matlab_note(&self) -> Vec<String> {
        let note = || {
            format!(
                "{}: MATLAB's axes are reversed here: what it shows as D x N is read as (N, D)",
                self.path.display()
            )
        };
        is_matlab(&self.path).then(note).into_iter().collect()
    }
}

/// Takes `path#key` apart. Both names may hold a `#` themselves: the key begins after the first `#` that follows the name
/// of a file that is there, or, where none is there, after the first that follows an ending such as `.npz`.
pub(crate) fn split_key(text: &str, is_file: impl Fn(&str) -> bool) -> (&str, Option<&str>) {
    if is_file(text) {
        return (text, None);
    }
    let splits = || text.match_indices('#').map(|(at, _)| (&text[..at], Some(&text[at + 1..])));
    let there = splits().find(|(path, _)| is_file(path));
    let known = || splits().find(|(path, _)| Format::of(Path::new(path)).is_some());
    there.or_else(known).or_else(|| splits().next_back()).unwrap_or((text, None))
}

/// Reads the one array that `path` or `path#key` stands for.
pub fn read_array(source: &str) -> Result<Array, DataError> {
    read_place(&Place::parse(source)).map_err(|problem| problem.at(source))
}

/// Arrays with their names.
pub type NamedArrays = Vec<(String, Array)>;

/// What takes the arrays of a file one by one: the name, and the array or why values of its type cannot be used.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(String, Result<Array, Problem>);

/// Reads every array of a file with its name (for a format without names, the file's own). With `#key`, that one only.
/// Arrays of text and records are passed over, unless there is nothing else.
pub fn read_arrays(source: &str) -> Result<NamedArrays, DataError> {
    usable(source).map(|(arrays, _)| arrays)
}

/// The arrays that can be used, and why the others cannot.
pub(crate) fn usable(source: &str) -> Result<(NamedArrays, Vec<DataError>), DataError> {
    let (mut arrays, mut others) = (Vec::new(), Vec::new());
    read_each(source, &mut |key, array| match array {
        Ok(array) => arrays.push((key, array)),
        Err(problem) => others.push(problem.at(format!("{source}#{key}"))),
    })?;
    if arrays.is_empty()
        && let Some(first) = others.pop()
    {
        Err(first)
    } else {
        Ok((arrays, others))
    }
}

/// Calls `visit` with every array of a file: one at a time is in memory.
pub(crate) fn read_each(source: &str, visit: Visit<'_>) -> Result<(), DataError> {
    let place = Place::parse(source);
    let at_source = |problem: Problem| problem.at(source);
    match (Format::of(&place.path), &place.key) {
        (Some((Format::Npz, _)), None) => {
            let mut file = npz::Npz::open(open_file(&place.path).map_err(at_source)?).map_err(at_source)?;
            let keys = file.keys().map_err(at_source)?;
            visit_each(source, file.length, keys, |index, _, most| file.read(index, most), visit)
        }
        (Some((Format::Hdf5, _)), None) => {
            check_matlab(&place.path, &mut open_file(&place.path).map_err(at_source)?).map_err(at_source)?;
            let file = hdf5::Hdf5::open(&place.path).map_err(at_source)?;
            let keys = file.keys().map_err(at_source)?;
            visit_each(source, file.length, keys, |_, key, most| file.read(key, most), visit)
        }
        _ => {
            let stem = place.path.file_name().map(|name| name.to_string_lossy().into_owned());
            let name = place.key.clone().or(stem).unwrap_or_default();
            visit(name, Ok(read_place(&place).map_err(at_source)?));
            Ok(())
        }
    }
}

/// Reads the arrays of a file of `length` bytes. What they come to is bounded together: many names can stand for the same
/// packed bytes.
fn visit_each(
    source: &str,
    length: u64,
    keys: Vec<String>,
    mut read: impl FnMut(usize, &str, u64) -> Result<Array, Problem>,
    visit: Visit<'_>,
) -> Result<(), DataError> {
    let mut left = most_unpacked(length);
    for (index, key) in keys.into_iter().enumerate() {
        let array = read(index, &key, left);
        match &array {
            Ok(array) => left = left.saturating_sub(array.bytes().len() as u64),
            Err(Problem::UnsupportedType { .. }) => {}
            Err(_) => return array.map(|_| ()).map_err(|problem| problem.at(format!("{source}#{key}"))),
        }
        visit(key, array);
    }
    Ok(())
}

fn read_place(place: &Place) -> Result<Array, Problem> {
    // A missing file is worth saying before an odd name is.
    let mut file = open_file(&place.path)?;
    let (format, _) = Format::of(&place.path).ok_or(Problem::UnknownFormat)?;
    check_matlab(&place.path, &mut file)?;
    let key = place.key.as_deref();
    let no_key = |format| match key {
        Some(key) => Err(Problem::KeyUseless { format, key: key.to_owned() }),
        None => Ok(()),
    };
    match format {
        Format::Npz => npz::read(file, key),
        Format::Hdf5 => hdf5::read(&place.path, key),
        Format::Npy => {
            no_key(".npy")?;
            let (mut reader, most) = unpacked(file)?;
            npy::read(&mut reader, most)
        }
        Format::Idx => {
            no_key("IDX")?;
            let (mut reader, most) = unpacked(file)?;
            idx::read(&mut reader, most)
        }
        Format::Csv => csv::read(unpacked(file)?.0, key),
    }
}

/// The text of a CSV file, unzipped.
pub(crate) fn open_csv(path: &Path) -> Result<Box<dyn Read>, Problem> {
    Ok(unpacked(open_file(path)?)?.0)
}

/// Whether a file is one of MATLAB's.
fn is_matlab(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("mat"))
}

/// Refuses a MAT-file from before version 7.3, since when they are HDF5.
fn check_matlab(path: &Path, file: &mut Opened) -> Result<(), Problem> {
    let old = is_matlab(path) && file.reader.fill_buf()?.starts_with(b"MATLAB 5.0");
    if old { Err(Problem::OldMatlab) } else { Ok(()) }
}

impl Problem {
    /// With a word on reversed axes, where the shape of an array that MATLAB wrote is wrong.
    pub(crate) fn of_matlab(self, source: &str) -> Problem {
        match self {
            Problem::Shape { .. } | Problem::CountsDiffer { .. } if is_matlab(&Place::parse(source).path) => {
                Problem::Reversed(Box::new(self))
            }
            other => other,
        }
    }
}

/// What a file is read through.
pub(crate) trait Reader: BufRead + Seek {}

impl<T: BufRead + Seek> Reader for T {}

/// A file on the disk, or one that comes with the program.
pub(crate) struct Opened {
    pub(crate) reader: Box<dyn Reader>,
    /// Its bytes.
    pub(crate) length: u64,
}

fn open_file(path: &Path) -> Result<Opened, Problem> {
    if let Some(bytes) = bundled(path) {
        return Ok(Opened { reader: Box::new(Cursor::new(bytes)), length: bytes.len() as u64 });
    }
    if bundled::is_bundled(path) {
        return Err(Problem::NotBundled { names: bundled::names() });
    }
    let file = crate::file::open(path)?;
    let length = file.metadata()?.len();
    Ok(Opened { reader: Box::new(BufReader::with_capacity(1 << 16, file)), length })
}

/// The file's content, and the most bytes it can come to. Whether it is gzipped is told from its first bytes, not from its
/// name: no file of these formats begins with them otherwise.
fn unpacked(Opened { mut reader, length }: Opened) -> Result<(Box<dyn Read>, u64), Problem> {
    Ok(match reader.fill_buf()?.starts_with(b"\x1f\x8b") {
        true => (Box::new(MultiGzDecoder::new(reader)), most_unpacked(length)),
        false => (Box::new(reader), length),
    })
}

/// The most bytes that `packed` deflated bytes can unpack to.
pub(crate) fn most_unpacked(packed: u64) -> u64 {
    packed.saturating_mul(DEFLATE_MOST)
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
        Some(bytes) if most < u64::MAX && bytes / DEFLATE_MOST <= most => {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_formats() {
        let of = |name: &str| Format::of(Path::new(name));
        assert_eq!(of("a/x.npy"), Some((Format::Npy, false)));
        assert_eq!(of("X.NPZ"), Some((Format::Npz, false)));
        assert_eq!(of("x.csv.gz"), Some((Format::Csv, true)));
        assert_eq!(of("x.h5"), Some((Format::Hdf5, false)));
        assert_eq!(of("x.mat"), Some((Format::Hdf5, false)));
        assert_eq!(of("train-images-idx3-ubyte"), Some((Format::Idx, false)));
        assert_eq!(of("t10k-labels.idx1-ubyte.gz"), Some((Format::Idx, true)));
        assert_eq!(of("labels.idx"), Some((Format::Idx, false)));
        for odd in ["x", "x.png", "idx", "x.npz.gz", "my-idxes.bin"] {
            assert_eq!(of(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_key_follows_the_files_name() {
        for (text, there, path, key) in [
            ("no/x.npy", &[][..], "no/x.npy", None),
            ("no/x.npz#a", &[], "no/x.npz", Some("a")),
            ("no/x.npz#a#b", &[], "no/x.npz", Some("a#b")),
            ("no/x.npz##", &[], "no/x.npz", Some("#")),
            ("a#b/x.npz#c.npz#d", &[], "a#b/x.npz", Some("c.npz#d")),
            // No name tells a format: the last is as good as any.
            ("a#b#c", &[], "a#b", Some("c")),
            // What is there counts more than what a name looks like.
            ("x.npz#1", &["x.npz#1"], "x.npz#1", None),
            ("x.npz#1.npz#k", &["x.npz#1.npz"], "x.npz#1.npz", Some("k")),
            ("x.npz#1.npz#k", &["x.npz", "x.npz#1.npz"], "x.npz", Some("1.npz#k")),
            ("odd#name#a#b", &["odd#name"], "odd#name", Some("a#b")),
        ] {
            assert_eq!(split_key(text, |path| there.contains(&path)), (path, key), "{text}");
        }
    }
}
