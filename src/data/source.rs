//! From a path to the arrays behind it.

use std::path::Path;

use super::array::Array;
use super::bytes::{most_unpacked, open_file, unpacked};
use super::columnar::ColumnFile;
use super::error::{DataError, Problem};
use super::named::{Named, Told, is_reversed};
use super::{csv, idx, npy};
use crate::place::{Format, Place};

/// Reads the one array that `path` or `path#key` stands for.
pub fn read_array(source: &str) -> Result<Array, DataError> {
    read_told(source).map(|told| told.array)
}

/// Reads the one array that `path` or `path#key` stands for, with what its file tells of it.
pub(crate) fn read_told(source: &str) -> Result<Told, DataError> {
    let place = Place::parse(source);
    let told = read_place(&place).map(|mut told| {
        told.notes.iter_mut().for_each(|note| *note = format!("{}: {note}", place.path.display()));
        told
    });
    told.map_err(|problem| problem.at(source))
}

/// The same of labels. MATLAB has no array of one axis: there they may lie in a row.
pub(crate) fn read_labels(source: &str) -> Result<Told, DataError> {
    let mut told = read_told(source)?;
    if let [1, count] = *told.array.shape()
        && count > 1
        && matches!(Format::from_path(&Place::parse(source).path), Some((Format::Matlab, _)))
    {
        told.notes.push(format!("{source}: 1 x {count} is read as {count} labels"));
        told.array = told.array.reshaped(vec![count]);
    }
    Ok(told)
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
    let named = if place.key.is_none() { Named::open(&place.path).map_err(at_source)? } else { None };
    if let Some(mut file) = named {
        let keys = file.keys().map_err(at_source)?;
        return visit_each(source, &mut file, keys, visit);
    }
    let stem = place.path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = place.key.clone().or(stem).unwrap_or_default();
    visit(name, Ok(read_place(&place).map_err(at_source)?.array));
    Ok(())
}

/// Reads the arrays of a file. What they come to is bounded together: many names can stand for the same packed bytes.
fn visit_each(source: &str, file: &mut Named, keys: Vec<String>, visit: Visit<'_>) -> Result<(), DataError> {
    let mut left = most_unpacked(file.length());
    for (index, key) in keys.into_iter().enumerate() {
        let array = file.read(index, &key, left);
        match &array {
            Ok(array) => left = left.saturating_sub(array.bytes().len() as u64),
            Err(Problem::UnsupportedType { .. } | Problem::MatlabType { .. }) => {}
            Err(_) => return array.map(|_| ()).map_err(|problem| problem.at(format!("{source}#{key}"))),
        }
        visit(key, array);
    }
    Ok(())
}

/// What a person should know of how the arrays of a file are read.
pub(crate) fn notes(place: &Place) -> Result<Vec<String>, Problem> {
    let Some(file) = Named::open(&place.path)? else { return Ok(Vec::new()) };
    let keys = file.keys()?;
    let mut notes: Vec<String> = Vec::new();
    for index in (0..keys.len()).filter(|index| place.key.as_ref().is_none_or(|key| *key == keys[*index])) {
        let classes = file.classes(index)?;
        let classes = match &classes[..] {
            [] => None,
            [first, .., last] if classes.len() > 20 => Some(format!("{} classes, {first} to {last}", classes.len())),
            few => Some(format!("classes: {}", few.join(", "))),
        };
        notes.extend(file.note(index).into_iter().chain(classes));
    }
    let mut said = std::collections::HashSet::new();
    notes.retain(|note| said.insert(note.clone()));
    Ok(notes.into_iter().map(|note| format!("{}: {note}", place.path.display())).collect())
}

fn read_place(place: &Place) -> Result<Told, Problem> {
    let key = place.key.as_deref();
    if let Some(mut file) = Named::open(&place.path)? {
        return file.told(key);
    }
    let plain = |array: Array| Told { array, classes: Vec::new(), notes: Vec::new() };
    let file = open_file(&place.path)?;
    if let Some(columns) = ColumnFile::open(&place.path)? {
        let table = csv::Table::of_columns(columns)?;
        return table.keyed(key).and_then(|columns| table.array(&columns)).map(plain);
    }
    read_single(&place.path, file, key).map(plain)
}

/// Reads a file of one array.
fn read_single(path: &Path, mut file: super::bytes::Opened, key: Option<&str>) -> Result<Array, Problem> {
    let (format, _) = Format::from_path(path).ok_or(Problem::UnknownFormat)?;
    let no_key = |format| match key {
        Some(key) => Err(Problem::KeyUseless { format, key: key.to_owned() }),
        None => Ok(()),
    };
    match format {
        Format::Npy => {
            no_key(".npy")?;
            let map = file.mappable(path)?;
            let (mut reader, most) = unpacked(file)?;
            npy::read(&mut reader, most, map)
        }
        Format::Idx => {
            no_key("IDX")?;
            let map = file.mappable(path)?;
            let (mut reader, most) = unpacked(file)?;
            idx::read(&mut reader, most, map)
        }
        Format::Csv => csv::read(unpacked(file)?.0, key),
        // They are files of columns by their bytes, or of named arrays, or were refused.
        _ => Err(Problem::UnknownFormat),
    }
}

impl Problem {
    /// With a word on reversed axes, where the shape of an array that MATLAB wrote is wrong.
    pub(crate) fn for_matlab(self, source: &str) -> Problem {
        match self {
            Problem::Shape { .. } | Problem::CountsDiffer { .. } if is_reversed(&Place::parse(source).path) => {
                Problem::Reversed(Box::new(self))
            }
            other => other,
        }
    }
}
