//! Files of arrays with names, whatever their format.

use std::io::BufRead;
use std::path::Path;

use super::array::Array;
use super::bytes::{most_unpacked, open_file};
use super::cifar::Cifar;
use super::error::Problem;
use super::hdf5::Hdf5;
use super::mat5::{self, Mat5};
use super::npz::Npz;
use crate::place::Format;

/// An array, and what its file tells of it.
pub(crate) struct Told {
    pub array: Array,
    /// The names of the classes that its labels number; none where the file does not tell.
    pub classes: Vec<String>,
    /// What a person should know of how it was read.
    pub notes: Vec<String>,
}

/// An open file of named arrays.
pub(crate) enum Named {
    Npz(Npz),
    /// HDF5, and whether MATLAB wrote it.
    Hdf5(Hdf5, bool),
    Mat5(Mat5),
    Cifar(Cifar),
}

/// What is said of arrays of MATLAB's in HDF5.
const REVERSED: &str = "MATLAB's axes are reversed here: what it shows as D x N is read as (N, D)";

impl Named {
    /// Opens a file of named arrays; none where it is of another kind.
    pub(crate) fn open(path: &Path) -> Result<Option<Named>, Problem> {
        let format = Format::from_path(path).map(|(format, _)| format);
        Ok(Some(match format {
            Some(Format::Npz) => Named::Npz(Npz::open(open_file(path)?)?),
            Some(Format::Hdf5) => {
                open_file(path)?;
                Named::Hdf5(Hdf5::open(path)?, false)
            }
            Some(Format::Matlab) => {
                let mut file = open_file(path)?;
                let start = file.reader.fill_buf()?;
                match start.first_chunk::<4>() {
                    _ if mat5::begins(start) => Named::Mat5(Mat5::open(file)?),
                    // Version 4 begins with a number, the later ones with text.
                    Some(start) if start.contains(&0) => return Err(Problem::OldMatlab),
                    _ => Named::Hdf5(Hdf5::open(path)?, true),
                }
            }
            Some(Format::Cifar) => Named::Cifar(Cifar::open(path)?),
            _ => return Ok(None),
        }))
    }

    /// Bytes of the file.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Named::Npz(file) => file.length,
            Named::Hdf5(file, _) => file.length,
            Named::Mat5(file) => file.length,
            Named::Cifar(file) => file.length,
        }
    }

    /// The arrays' names.
    pub(crate) fn keys(&self) -> Result<Vec<String>, Problem> {
        match self {
            Named::Npz(file) => file.keys(),
            Named::Hdf5(file, _) => file.keys(),
            Named::Mat5(file) => Ok(file.keys()),
            Named::Cifar(file) => Ok(file.keys()),
        }
    }

    /// Reads an array of at most so many bytes, by its place among the names and its name.
    pub(crate) fn read(&mut self, index: usize, key: &str, most: u64) -> Result<Array, Problem> {
        match self {
            Named::Npz(file) => file.read(index, most),
            Named::Hdf5(file, _) => file.read(key, most),
            Named::Mat5(file) => file.read(index, most),
            Named::Cifar(file) => file.read(index),
        }
    }

    /// What a person should know of how an array is read.
    pub(crate) fn note(&self, index: usize) -> Option<String> {
        match self {
            Named::Npz(_) | Named::Hdf5(_, false) => None,
            Named::Hdf5(_, true) => Some(REVERSED.into()),
            Named::Mat5(file) => Some(file.note(index)),
            Named::Cifar(file) => Some(file.note(index)),
        }
    }

    /// The names of the classes that an array of labels numbers; none where the file does not tell.
    pub(crate) fn classes(&self, index: usize) -> Result<Vec<String>, Problem> {
        match self {
            Named::Cifar(file) => file.classes(index),
            _ => Ok(Vec::new()),
        }
    }

    /// Reads the array `key`, or the only one there is, with what the file tells of it.
    pub(crate) fn told(&mut self, key: Option<&str>) -> Result<Told, Problem> {
        let keys = self.keys()?;
        let most = most_unpacked(self.length());
        let plain = |key: &str| match self {
            Named::Hdf5(..) => key.trim_start_matches('/').to_owned(),
            _ => key.to_owned(),
        };
        let index = match key.map(plain) {
            None if keys.len() == 1 => 0,
            None => return Err(Problem::KeyNeeded { keys }),
            Some(key) => match (keys.iter().position(|known| *known == key), &*self) {
                (Some(index), _) => index,
                // Another link to an array is not among the keys, but it is one.
                (None, Named::Hdf5(file, _)) if file.has(&key) => {
                    return Ok(Told {
                        array: file.read(&key, most)?,
                        classes: Vec::new(),
                        notes: self.note(0).into_iter().collect(),
                    });
                }
                (None, _) => return Err(Problem::KeyMissing { key, keys }),
            },
        };
        let array = self.read(index, &keys[index], most)?;
        let classes = self.classes(index)?;
        Ok(Told { array, classes, notes: self.note(index).into_iter().collect() })
    }
}

/// Whether a file's arrays have their axes in the reverse of MATLAB's order.
pub(super) fn is_reversed(path: &Path) -> bool {
    let is_matlab = matches!(Format::from_path(path), Some((Format::Matlab, _)));
    let is_old = || open_file(path).is_ok_and(|mut file| file.reader.fill_buf().is_ok_and(mat5::begins));
    is_matlab && !is_old()
}
