//! Files, and what is said of one that cannot be read or written.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// A file or folder that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}{}", path.display(), remedy(source.kind()))]
pub struct FileError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

impl FileError {
    /// Turns what the system says into an error about `path`.
    pub fn at(path: &Path) -> impl Fn(io::Error) -> FileError + '_ {
        move |source| FileError { path: path.into(), source }
    }
}

/// The bytes of numbers as files have them, least significant first, in a vector that is no longer than they are.
pub(crate) fn little_endian<const SIZE: usize>(values: impl ExactSizeIterator<Item = [u8; SIZE]>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(values.len() * SIZE);
    values.for_each(|value| bytes.extend_from_slice(&value));
    bytes
}

/// Where what can be made again is kept: the user's cache directory, and in it a folder of our own.
pub(crate) fn cache_directory() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    etcetera::base_strategy::choose_native_strategy().ok().map(|s| s.cache_dir().join("gputrain"))
}

/// What may help, to follow what the system says.
fn remedy(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound => "; check the path",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; choose a place that you may read and write, or change its permissions"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room there, then run it again",
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory | io::ErrorKind::AlreadyExists => {
            "; choose another path"
        }
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            "; the file is damaged or was written by another program"
        }
        _ => "",
    }
}

/// Opens a file to read it. Whatever a user may name goes through here: a FIFO would make the program wait for ever, and
/// a device such as /dev/zero would be read until no memory is left.
pub fn open(path: &Path) -> io::Result<fs::File> {
    // Looked at first, because opening a FIFO waits for its writer.
    refuse_irregular(&fs::metadata(path)?)?;
    #[allow(clippy::disallowed_methods, reason = "this is what takes their place")]
    fs::File::open(path)
}

/// Opens a file to write at its end, and makes it where there is none.
pub(crate) fn append(path: &Path) -> io::Result<fs::File> {
    refuse_irregular_there(path)?;
    fs::OpenOptions::new().create(true).append(true).open(path)
}

/// Opens a file to lock it, and makes it where there is none.
pub(crate) fn open_lock(path: &Path) -> io::Result<fs::File> {
    refuse_irregular_there(path)?;
    fs::OpenOptions::new().create(true).truncate(false).write(true).open(path)
}

/// All bytes of a file; see [`open`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// All of a file, which must be UTF-8; see [`open`].
pub fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// The same of a file that need not be there.
fn refuse_irregular_there(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) => refuse_irregular(&found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn refuse_irregular(found: &fs::Metadata) -> io::Result<()> {
    let problem = if found.is_file() {
        return Ok(());
    } else if found.is_dir() {
        "is a folder; name a file in it"
    } else {
        "is a pipe, a device or a socket, not a file; write what it gives to a file, and name that"
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, problem))
}

/// Writes a file so that a reader sees the old content or the new, never a part. Makes its folder if need be.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_whole_with(path, |out| out.write_all(bytes)).map_err(FileError::at(path))
}

/// What the names of files begin with that are not finished yet.
const UNFINISHED: &str = ".gputrain-";
/// Letters and digits after that.
const RANDOM: usize = 6;

/// Whether a file is one that was being written when its process was killed, unless it is being written now: its writer
/// holds its lock.
pub(crate) fn is_unfinished(name: &OsStr) -> bool {
    let random = name.to_str().and_then(|name| name.strip_prefix(UNFINISHED));
    random.is_some_and(|random| random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// As [`write_whole`], with what `write` writes. What must outlive a power cut, `write` flushes and syncs.
pub(crate) fn write_whole_with<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut fs::File>) -> Result<(), E>,
) -> Result<(), E> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED).rand_bytes(RANDOM);
    #[cfg(unix)]
    {
        // As any other file: what the user's umask allows, not private as temporary files are.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    // Tells those who clear away what killed processes left that this one lives; where there are no locks, nobody clears.
    let _ = file.as_file().try_lock();
    let mut out = BufWriter::with_capacity(1 << 16, file.as_file_mut());
    write(&mut out)?;
    out.flush()?;
    drop(out);
    file.persist(path).map_err(|failed| failed.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deeper").join("file");
        write_whole(&path, b"old").unwrap();
        let fails = |out: &mut BufWriter<&mut fs::File>| {
            out.write_all(b"ne")?;
            out.flush()?;
            Err(io::Error::other("the disk is full"))
        };
        assert_eq!(write_whole_with(&path, fails).unwrap_err().to_string(), "the disk is full");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        write_whole(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        // Nothing else is left behind.
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_is_no_file_to_read() {
        let folder = tempfile::tempdir().unwrap();
        for result in [read(folder.path()).map(|_| ()), append(folder.path()).map(|_| ())] {
            assert!(result.unwrap_err().to_string().contains("folder"));
        }
        assert_eq!(read(&folder.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_devices_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, zero) = (folder.path().join("pipe"), folder.path().join("zero"));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::os::unix::fs::symlink("/dev/zero", &zero).unwrap();
        for path in [&pipe, &zero] {
            let opened = [append(path).map(|_| ()), open_lock(path).map(|_| ())];
            for result in [read(path).map(|_| ()), read_text(path).map(|_| ())].into_iter().chain(opened) {
                assert!(result.unwrap_err().to_string().contains("not a file"), "{}", path.display());
            }
        }
    }

    #[test]
    fn an_error_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), b"").unwrap();
        let path = folder.path().join("file").join("inside");
        let text = write_whole(&path, b"").unwrap_err().to_string();
        assert!(text.starts_with(&path.display().to_string()), "{text}");
        assert!(text.ends_with("choose another path"), "{text}");
    }
}
