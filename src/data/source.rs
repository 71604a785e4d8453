//! From a path to the arrays behind it.

use std::io::BufRead;
use std::path::Path;

use super::array::Array;
use super::bytes::{Opened, most_unpacked, open_file, unpacked};
use super::columnar::ColumnFile;
use super::error::{DataError, Problem};
use super::{csv, hdf5, idx, npy, npz};
use crate::place::{Format, Place, is_matlab};

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
    match (Format::from_path(&place.path), &place.key) {
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
    if let Some(columns) = ColumnFile::open(&place.path)? {
        let table = csv::Table::of_columns(columns)?;
        return table.keyed(place.key.as_deref()).and_then(|columns| table.array(&columns));
    }
    let (format, _) = Format::from_path(&place.path).ok_or(Problem::UnknownFormat)?;
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
            let map = file.mappable(&place.path)?;
            let (mut reader, most) = unpacked(file)?;
            npy::read(&mut reader, most, map)
        }
        Format::Idx => {
            no_key("IDX")?;
            let map = file.mappable(&place.path)?;
            let (mut reader, most) = unpacked(file)?;
            idx::read(&mut reader, most, map)
        }
        Format::Csv => csv::read(unpacked(file)?.0, key),
        // They are files of columns by their bytes, or were refused.
        Format::Parquet | Format::Arrow => Err(Problem::UnknownFormat),
    }
}

/// Refuses a MAT-file from before version 7.3, since when they are HDF5.
fn check_matlab(path: &Path, file: &mut Opened) -> Result<(), Problem> {
    let old = is_matlab(path) && file.reader.fill_buf()?.starts_with(b"MATLAB 5.0");
    if old { Err(Problem::OldMatlab) } else { Ok(()) }
}

impl Problem {
    /// With a word on reversed axes, where the shape of an array that MATLAB wrote is wrong.
    pub(crate) fn for_matlab(self, source: &str) -> Problem {
        match self {
            Problem::Shape { .. } | Problem::CountsDiffer { .. } if is_matlab(&Place::parse(source).path) => {
                Problem::Reversed(Box::new(self))
            }
            other => other,
        }
    }
}
