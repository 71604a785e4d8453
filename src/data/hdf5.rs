//! HDF5, read through the `hdf5-reader` crate: pure Rust, so that no C library is needed.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use hdf5_reader::error::{ByteOrder, Error};
use hdf5_reader::group::Group;
use hdf5_reader::{Datatype, FileStorage, FilterRegistry, Hdf5File, OpenOptions};

use super::array::{Array, Dtype, byte_count};
use super::error::Problem;
use super::lzf;
use super::source::{Named, most_unpacked};

/// Reads the array `key` (`name` or `group/name`), or the only one there is.
pub(crate) fn read(path: &Path, key: Option<&str>) -> Result<Array, Problem> {
    let (file, most) = open(path)?;
    let keys = keys(&file)?;
    let key = match key.map(|key| key.trim_start_matches('/')) {
        Some(key) if keys.iter().any(|known| known == key) => key.to_owned(),
        Some(key) => return Err(Problem::KeyMissing { key: key.to_owned(), keys }),
        None => match keys.as_slice() {
            [only] => only.clone(),
            _ => return Err(Problem::KeyNeeded { keys }),
        },
    };
    read_dataset(&file, &key, most)
}

/// Reads every array with its key.
pub(crate) fn read_all(path: &Path) -> Result<Vec<Named>, Problem> {
    let (file, most) = open(path)?;
    let named = |key: String| {
        let array = read_dataset(&file, &key, most);
        (key, array)
    };
    Ok(keys(&file)?.into_iter().map(named).collect())
}

/// Opens the file; also the most bytes that an array in it can come to.
fn open(path: &Path) -> Result<(Hdf5File, u64), Problem> {
    let file = File::open(path)?;
    let most = most_unpacked(file.metadata()?.len());
    let mut filters = FilterRegistry::new();
    filters.register(lzf::FILTER, Box::new(lzf::filter));
    let options = OpenOptions::default()
        .with_filter_registry(filters)
        // Every chunk is read once.
        .with_chunk_cache_bytes(0)
        .with_max_read_bytes(usize::try_from(most).unwrap_or(usize::MAX));
    // Not mapped into memory: a file cut short by someone else while it is read must be an error, not a signal.
    let storage = Arc::new(FileStorage::from_file(file).map_err(problem)?);
    Ok((Hdf5File::from_storage_with_options(storage, options).map_err(problem)?, most))
}

/// The paths of all arrays in the file.
fn keys(file: &Hdf5File) -> Result<Vec<String>, Problem> {
    let mut keys = Vec::new();
    collect_keys(&file.root_group().map_err(problem)?, "", &mut Vec::new(), &mut keys)?;
    Ok(keys)
}

/// `above` are the addresses of the groups that this one lies in: links may lead back to them.
fn collect_keys(group: &Group, prefix: &str, above: &mut Vec<u64>, keys: &mut Vec<String>) -> Result<(), Problem> {
    /// A file with more arrays than this (or groups linked in every which way) is not a data set.
    const MOST_KEYS: usize = 10_000;
    /// Nor is one whose groups lie deeper than this.
    const DEEPEST: usize = 16;
    if above.contains(&group.address()) {
        return Ok(());
    }
    let (groups, datasets) = group.member_names().map_err(problem)?;
    keys.extend(datasets.into_iter().map(|name| format!("{prefix}{name}")));
    above.push(group.address());
    for name in groups {
        if above.len() > DEEPEST || keys.len() > MOST_KEYS {
            return Err(Problem::malformed("HDF5", "it has too many groups or arrays"));
        }
        let inner = group.group(&name).map_err(problem)?;
        collect_keys(&inner, &format!("{prefix}{name}/"), above, keys)?;
    }
    above.pop();
    Ok(())
}

fn read_dataset(file: &Hdf5File, key: &str, most: u64) -> Result<Array, Problem> {
    let dataset = file.dataset(key).map_err(problem)?;
    let (dtype, big_endian) = element(dataset.dtype())?;
    let shape: Option<Vec<usize>> = dataset.shape().iter().map(|&length| usize::try_from(length).ok()).collect();
    let shape = shape.unwrap_or_else(|| vec![usize::MAX]);
    // An array whose pages were never written takes no room in the file, but there is nothing to learn from one.
    if byte_count(dtype, &shape).is_none_or(|bytes| bytes > most) {
        return Err(Problem::TooLarge { shape });
    }
    let bytes = dataset.read_raw_bytes().map_err(problem)?;
    let found = bytes.len() as u64;
    let expected = byte_count(dtype, &shape).unwrap_or(u64::MAX);
    let mut array = Array::new(dtype, shape, bytes).ok_or(Problem::Truncated { expected, found })?;
    if big_endian {
        array.swap_bytes();
    }
    Ok(array)
}

fn element(datatype: &Datatype) -> Result<(Dtype, bool), Problem> {
    let unsupported = || {
        // What it is, without what it consists of.
        let name: String = format!("{datatype:?}").chars().take_while(|c| c.is_alphanumeric()).collect();
        Problem::UnsupportedType { type_name: name }
    };
    let (dtype, order) = match datatype {
        Datatype::FixedPoint { size, signed, byte_order } => {
            let dtype = match (size, signed) {
                (1, false) => Dtype::U8,
                (2, false) => Dtype::U16,
                (4, false) => Dtype::U32,
                (8, false) => Dtype::U64,
                (1, true) => Dtype::I8,
                (2, true) => Dtype::I16,
                (4, true) => Dtype::I32,
                (8, true) => Dtype::I64,
                _ => return Err(unsupported()),
            };
            (dtype, *byte_order)
        }
        Datatype::FloatingPoint { size: 2, byte_order } => (Dtype::F16, *byte_order),
        Datatype::FloatingPoint { size: 4, byte_order } => (Dtype::F32, *byte_order),
        Datatype::FloatingPoint { size: 8, byte_order } => (Dtype::F64, *byte_order),
        // How h5py stores booleans: an enumeration FALSE = 0, TRUE = 1.
        Datatype::Enum { base, members } if members.len() == 2 && members.iter().any(|m| m.name == "TRUE") => {
            match base.as_ref() {
                Datatype::FixedPoint { size: 1, .. } => (Dtype::Bool, ByteOrder::LittleEndian),
                _ => return Err(unsupported()),
            }
        }
        _ => return Err(unsupported()),
    };
    Ok((dtype, order == ByteOrder::BigEndian))
}

fn problem(error: Error) -> Problem {
    match error {
        Error::Io(error) => Problem::Io(error),
        other => Problem::malformed("HDF5", other),
    }
}
