//! Converts data files from one format to another.

use std::path::Path;

use super::array::{Array, Dtype};
use super::error::{DataError, Problem};
use super::source::usable;
use super::write::write_arrays;
use crate::place::Format;

/// Reads `from` (`path` or `path#key`) and writes it in the format that the name `to` tells. Types are kept, unless
/// the format does not know them and another one of its types holds every value exactly. Gives what was left out: arrays
/// of text and records, unless there is nothing else.
pub fn convert(from: &str, to: &Path) -> Result<Vec<DataError>, DataError> {
    let (mut arrays, left_out) = usable(from)?;
    let format = Format::from_path(to).map(|(format, _)| format);
    if format != Some(Format::Npz) && arrays.len() != 1 {
        return Err(Problem::KeyNeeded { keys: arrays.into_iter().map(|(name, _)| name).collect() }.at(from));
    }
    if format == Some(Format::Idx) {
        arrays = arrays.into_iter().map(|(name, array)| (name, for_idx(array))).collect();
    }
    let named: Vec<(&str, &Array)> = arrays.iter().map(|(name, array)| (name_in_npz(name), array)).collect();
    write_arrays(to, &named)?;
    Ok(left_out)
}

/// A file's name is no key: without its ending it can be.
fn name_in_npz(name: &str) -> &str {
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    [".npy", ".csv"].iter().find_map(|ending| plain.strip_suffix(ending)).unwrap_or(plain)
}

/// The array in a type that IDX knows, if there is one that loses nothing; otherwise as it is, for the writer to
/// refuse by name.
fn for_idx(array: Array) -> Array {
    let retyped = match array.dtype() {
        Dtype::Bool => Array::from_u8(array.shape(), array.bytes().to_vec()),
        Dtype::F16 => Array::from_f32(array.shape(), &array.to_f32()),
        Dtype::U16 | Dtype::U32 | Dtype::U64 | Dtype::I64 => smaller_integers(&array),
        _ => None,
    };
    retyped.unwrap_or(array)
}

fn smaller_integers(array: &Array) -> Option<Array> {
    let bytes: Option<Vec<u8>> = array.integers().map(|value| u8::try_from(value.ok()?).ok()).collect();
    if let Some(bytes) = bytes {
        return Array::from_u8(array.shape(), bytes);
    }
    let words: Option<Vec<[u8; 4]>> =
        array.integers().map(|value| i32::try_from(value.ok()?).ok().map(i32::to_le_bytes)).collect();
    Array::new(Dtype::I32, array.shape().to_vec(), words?.concat())
}
