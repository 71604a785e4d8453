//! NumPy's .npz: a zip archive of .npy files, stored or deflated.

use zip::ZipArchive;
use zip::result::ZipError;

use super::array::Array;
use super::bytes::{Opened, Reader, read_error};
use super::error::Problem;
use super::npy;

/// An open archive.
pub(crate) struct Npz {
    archive: ZipArchive<Box<dyn Reader>>,
    /// Bytes of the file.
    pub(crate) length: u64,
}

impl Npz {
    pub(crate) fn open(Opened { reader, length }: Opened) -> Result<Npz, Problem> {
        Ok(Npz { archive: ZipArchive::new(reader).map_err(problem)?, length })
    }

    /// The arrays' names: the entries' without `.npy`.
    pub(crate) fn keys(&self) -> Result<Vec<String>, Problem> {
        let names = self.archive.file_names().map(|name| {
            let name = name.map_err(problem)?;
            Ok(name.strip_suffix(".npy").unwrap_or(&name).to_owned())
        });
        names.collect()
    }

    /// Reads an entry of at most so many bytes.
    pub(crate) fn read(&mut self, index: usize, most: u64) -> Result<Array, Problem> {
        let mut entry = self.archive.by_index(index).map_err(problem)?;
        // The archive's own directory may lie about sizes, but the whole file can hold no more than so much.
        let size = entry.size();
        if size > most {
            return Err(Problem::malformed(".npz", "its entries come to more than a file of this size can hold"));
        }
        npy::read(&mut entry, size, None)
    }
}

fn problem(error: ZipError) -> Problem {
    match error {
        ZipError::Io(error) => read_error(".npz", error),
        other => Problem::malformed(".npz", other),
    }
}
