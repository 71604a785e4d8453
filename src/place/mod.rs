//! Where data lies: a file on the disk or one that comes with the program, and an array in it, written `path` or `path#key`.

mod bundled;
mod cifar;
mod same_file;

pub use bundled::{bundled, bundled_names, is_bundled, is_file};
pub use cifar::{CIFAR, CifarLabels, CifarLayout, is_cifar};
pub use same_file::same_file;

use std::path::{Path, PathBuf};

/// A format that arrays are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One array of NumPy.
    Npy,
    /// Arrays of NumPy in a zip archive.
    Npz,
    /// The format of MNIST.
    Idx,
    /// A table of text.
    Csv,
    /// HDF5.
    Hdf5,
    /// MATLAB's: HDF5 since its version 7.3.
    Matlab,
    /// The files of CIFAR-10 or CIFAR-100 in a folder or a tar archive.
    Cifar,
    /// A table of columns.
    Parquet,
    /// A table of columns as it lies in memory, which Feather is too.
    Arrow,
}

impl Format {
    /// The format that a file's name tells, or the files in a folder, and whether it is gzipped.
    pub fn from_path(path: &Path) -> Option<(Format, bool)> {
        if is_cifar(path) {
            return Some((Format::Cifar, false));
        }
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let (stem, zipped) = match name.strip_suffix(".gz") {
            Some(stem) => (stem, true),
            None => (name.as_str(), false),
        };
        let format = match Path::new(stem).extension().and_then(|e| e.to_str()) {
            Some("npy") => Format::Npy,
            Some("csv" | "tsv" | "txt") => Format::Csv,
            Some("npz") if !zipped => Format::Npz,
            Some("parquet" | "pq") if !zipped => Format::Parquet,
            Some("arrow" | "arrows" | "feather" | "ipc") if !zipped => Format::Arrow,
            Some("h5" | "hdf5" | "hdf") if !zipped => Format::Hdf5,
            Some("mat") if !zipped => Format::Matlab,
            Some("tar") => Format::Cifar,
            Some("tgz") if !zipped => return Some((Format::Cifar, true)),
            // train-images-idx3-ubyte, train-images.idx3-ubyte, labels.idx
            _ if stem.split(['-', '.']).skip(1).any(|part| part.starts_with("idx") && part.len() <= 4) => Format::Idx,
            _ => return None,
        };
        Some((format, zipped))
    }
}

/// A file, and the key of an array inside it if one was given: `path` or `path#key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The array in it.
    pub key: Option<String>,
}

impl Place {
    /// Takes the text apart as [`split_key`] does.
    pub fn parse(text: &str) -> Place {
        let (path, key) = split_key(text, |path| is_there(Path::new(path)));
        Place { path: PathBuf::from(path), key: key.map(str::to_owned) }
    }

    /// Whether the file is a table, by its name.
    pub fn is_table(&self) -> bool {
        matches!(Format::from_path(&self.path), Some((Format::Csv | Format::Parquet | Format::Arrow, _)))
    }
}

/// Whether there is such a file, or a folder whose files are read as one.
pub fn is_there(path: &Path) -> bool {
    is_file(path) || is_cifar(path)
}

/// Takes `path#key` apart. Both names may hold a `#` themselves: the key begins after the first `#` that follows the name
/// of a file that is there, or, where none is there, after the first that follows an ending such as `.npz`.
pub fn split_key(text: &str, is_file: impl Fn(&str) -> bool) -> (&str, Option<&str>) {
    if is_file(text) {
        return (text, None);
    }
    let splits = || text.match_indices('#').map(|(at, _)| (&text[..at], Some(&text[at + 1..])));
    let there = splits().find(|(path, _)| is_file(path));
    let known = || splits().find(|(path, _)| Format::from_path(Path::new(path)).is_some());
    there.or_else(known).or_else(|| splits().next_back()).unwrap_or((text, None))
}

/// Whether two texts, `path` or `path#key`, stand for the same array of one file.
pub fn same_source(one: &str, other: &str) -> bool {
    let [one, other] = [one, other].map(Place::parse);
    one.key == other.key && same_file(&one.path, &other.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_formats() {
        let of = |name: &str| Format::from_path(Path::new(name));
        assert_eq!(of("a/x.npy"), Some((Format::Npy, false)));
        assert_eq!(of("X.NPZ"), Some((Format::Npz, false)));
        assert_eq!(of("x.csv.gz"), Some((Format::Csv, true)));
        assert_eq!(of("x.h5"), Some((Format::Hdf5, false)));
        assert_eq!([of("x.parquet"), of("x.feather")], [Some((Format::Parquet, false)), Some((Format::Arrow, false))]);
        assert_eq!(of("x.mat"), Some((Format::Matlab, false)));
        assert_eq!([of("x.tar.gz"), of("x.tgz")], [Some((Format::Cifar, true)); 2]);
        assert_eq!(of("train-images-idx3-ubyte"), Some((Format::Idx, false)));
        assert_eq!(of("t10k-labels.idx1-ubyte.gz"), Some((Format::Idx, true)));
        assert_eq!(of("labels.idx"), Some((Format::Idx, false)));
        for odd in ["x", "x.png", "idx", "x.npz.gz", "x.parquet.gz", "my-idxes.bin"] {
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
