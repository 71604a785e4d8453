//! What is made of a public data set's files: archives and MATLAB's files become arrays that recipes name.

use std::io::Read;
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::PublicSet;
use super::array::{Array, Dtype};
use super::bytes::{most_unpacked, open_file};
use super::error::{DataError, Problem};
use super::source::{read_array, read_arrays};
use super::write::write_arrays;
use crate::file::write_whole_with;

/// What is made of the files of a [`PublicSet`] once they are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpacking {
    /// Nothing: they are read as they are.
    Nothing,
    /// CIFAR-10 or CIFAR-100.
    Cifar,
    /// The cropped digits of SVHN (its format 2). Its label 10 stands for the digit 0.
    Svhn,
    /// The files of EMNIST's six splits, each as it is in the archive.
    Emnist,
}

/// Makes arrays of the files of `set`, which [`fetch`](super::fetch()) gave, in `folder`, and gives back the paths of what it wrote:
/// `NAME.npz` with `x_train`, `y_train`, `x_test` and `y_test`, the pictures (N, 32, 32, 3), or EMNIST's files; nothing where the files
/// are read as they are.
pub fn unpack(set: &PublicSet, files: &[PathBuf], folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let arrays = match (set.unpacking, files) {
        (Unpacking::Emnist, [archive]) => return extract(archive, folder),
        (Unpacking::Cifar, [archive]) => read_arrays(&archive.to_string_lossy())?,
        (Unpacking::Svhn, [train, test]) => {
            let parts = [("train", train), ("test", test)].map(|(set, file)| digits(set, file));
            parts.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect()
        }
        _ => return Ok(Vec::new()),
    };
    let path = folder.join(format!("{}.npz", set.name));
    let arrays: Vec<(&str, &Array)> = arrays.iter().map(|(name, array)| (name.as_str(), array)).collect();
    write_arrays(&path, &arrays)?;
    Ok(vec![path])
}

fn at(path: &Path) -> impl Fn(Problem) -> DataError + '_ {
    move |problem| problem.at(path.display())
}

/// SVHN's cropped digits: `X`, pictures of 32 x 32 x 3, and `y`, in which 10 stands for the digit 0, which reading makes of it.
fn digits(set: &str, path: &Path) -> Result<[(String, Array); 2], DataError> {
    let [pictures, labels] = ["X", "y"].map(|key| read_array(&format!("{}#{key}", path.display())));
    let (pictures, labels) = (pictures?, labels?);
    if !matches!(*pictures.shape(), [count, 32, 32, 3] if count == labels.len()) {
        let expected = format!("({}, 32, 32, 3), a picture for each label", labels.len());
        return Err(at(path)(Problem::Shape { found: pictures.shape().to_vec(), expected }));
    }
    if labels.dtype() != Dtype::U8 || labels.shape().len() != 1 {
        return Err(at(path)(Problem::malformed("SVHN", "its labels are others than 1 to 10")));
    }
    Ok([(format!("x_{set}"), pictures), (format!("y_{set}"), labels)])
}

/// Writes the packed files of EMNIST's archive to a folder, by their names there.
fn extract(archive: &Path, folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let bad = |error: zip::result::ZipError| Problem::malformed("zip", error);
    let opened = open_file(archive).map_err(at(archive))?;
    let most = most_unpacked(opened.length);
    let mut zip = ZipArchive::new(opened.reader).map_err(bad).map_err(at(archive))?;
    let mut written = Vec::new();
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).map_err(bad).map_err(at(archive))?;
        let name = entry.name().unwrap_or_default().rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        if !(plain && name.starts_with("emnist-") && name.ends_with("-ubyte.gz")) {
            continue;
        }
        let path = folder.join(name);
        let copied = write_whole_with(&path, |out| std::io::copy(&mut entry.by_ref().take(most), out).map(|_| ()));
        copied.map_err(|error| Problem::from(error).at(path.display()))?;
        written.push(path);
    }
    match written.is_empty() {
        true => Err(at(archive)(Problem::malformed("EMNIST", "it has no files emnist-…-ubyte.gz"))),
        false => Ok(written),
    }
}
