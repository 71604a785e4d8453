//! NumPy's .npz: a zip archive of .npy files, stored or deflated.

use zip::ZipArchive;
use zip::result::ZipError;

use super::array::Array;
use super::error::Problem;
use super::npy;
use super::source::{Named, Opened, Reader, most_unpacked, read_error};

type Archive = ZipArchive<Box<dyn Reader>>;

/// Reads the array `key`, or the only one there is.
pub(crate) fn read(Opened { reader, length }: Opened, key: Option<&str>) -> Result<Array, Problem> {
    let mut archive = ZipArchive::new(reader).map_err(problem)?;
    let keys = keys(&mut archive)?;
    let index = match key {
        Some(key) => keys.iter().position(|known| known == key),
        None if keys.len() == 1 => Some(0),
        None => return Err(Problem::KeyNeeded { keys }),
    };
    match (index, key) {
        (Some(index), _) => read_entry(&mut archive, index, length),
        (None, key) => Err(Problem::KeyMissing { key: key.unwrap_or_default().to_owned(), keys }),
    }
}

/// Reads every array with its key.
pub(crate) fn read_all(Opened { reader, length }: Opened) -> Result<Vec<Named>, Problem> {
    let mut archive = ZipArchive::new(reader).map_err(problem)?;
    let keys = keys(&mut archive)?;
    Ok(keys.into_iter().enumerate().map(|(index, key)| (key, read_entry(&mut archive, index, length))).collect())
}

/// The arrays' names: the entries' without `.npy`.
fn keys(archive: &mut Archive) -> Result<Vec<String>, Problem> {
    archive
        .file_names()
        .map(|name| {
            let name = name.map_err(problem)?;
            Ok(name.strip_suffix(".npy").unwrap_or(&name).to_owned())
        })
        .collect()
}

fn read_entry(archive: &mut Archive, index: usize, file_length: u64) -> Result<Array, Problem> {
    let mut entry = archive.by_index(index).map_err(problem)?;
    // The archive's own directory may lie about sizes, but no entry can be packed into more than the whole file.
    let most = most_unpacked(file_length).min(entry.size());
    npy::read(&mut entry, most)
}

fn problem(error: ZipError) -> Problem {
    match error {
        ZipError::Io(error) => read_error(".npz", error),
        other => Problem::malformed(".npz", other),
    }
}
