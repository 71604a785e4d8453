//! One process alone writes a folder.

use crate::file::{self, FileError};
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// The file in a folder that is locked while the folder is written. It stays there: who removed it would let two others
/// lock two files of that name.
pub(crate) const LOCK: &str = ".gputrain.lock";

/// A folder that this process alone writes, as long as the value lives. The system gives the lock up when the process ends,
/// however it ends.
#[derive(Debug)]
pub struct FolderLock {
    folder: PathBuf,
    file: File,
    /// Why the system cannot lock files there.
    problem: Option<io::Error>,
}

/// Why a folder was not locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process writes there.
    #[error(
        "{} is in use: another gputrain writes there; wait until it has ended, or choose another folder", .0.display()
    )]
    InUse(PathBuf),
    /// The lock's file cannot be made.
    #[error(transparent)]
    File(#[from] FileError),
}

impl FolderLock {
    /// Locks a folder that is there, and removes what killed processes left half-written in it.
    pub fn take(folder: &Path) -> Result<FolderLock, LockError> {
        let path = folder.join(LOCK);
        let file = file::open_lock(&path).map_err(FileError::at(&path))?;
        let problem = match file.try_lock() {
            Ok(()) => None,
            Err(TryLockError::WouldBlock) => return Err(LockError::InUse(folder.into())),
            // A network's folder may know no locks.
            Err(TryLockError::Error(problem)) => Some(problem),
        };
        remove_unfinished(folder);
        Ok(FolderLock { folder: folder.into(), file, problem })
    }

    /// What is to be said where the system cannot lock files.
    pub fn warning(&self) -> Option<String> {
        let (folder, problem) = (self.folder.display(), self.problem.as_ref()?);
        Some(format!(
            "note: {folder} cannot be locked ({problem}): nothing keeps a second gputrain from writing there too"
        ))
    }

    /// Whether the folder is still the one that was locked: someone may have removed or replaced it.
    pub fn is_there(&self) -> bool {
        match (self.file.metadata(), fs::metadata(self.folder.join(LOCK))) {
            (Ok(ours), Ok(found)) => is_same(&ours, &found),
            _ => false,
        }
    }
}

#[cfg(unix)]
fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Elsewhere a file that is open cannot be replaced.
#[cfg(not(unix))]
fn is_same(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    true
}

/// Folders inside a run's or a sweep's that this program makes; other folders are searched where they hold a lock's file.
const OURS: [&str; 4] = ["checkpoint", "weights", "runs", "best"];

/// Removes files that were never finished, from this folder and those of ours inside: nothing else, and none that is being
/// written now. What cannot be removed stays.
pub(crate) fn remove_unfinished(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        // Of the entry itself, not of what a link leads to.
        let Ok(kind) = entry.file_type() else { continue };
        let (name, path) = (entry.file_name(), entry.path());
        if kind.is_dir() && (OURS.iter().any(|ours| name == OsStr::new(ours)) || path.join(LOCK).is_file()) {
            remove_unfinished(&path);
        } else if kind.is_file() && file::is_unfinished(&name) && is_free(&path) {
            let _ = fs::remove_file(&path);
        }
    }
}

/// Whether nobody writes a file: who does holds its lock.
fn is_free(path: &Path) -> bool {
    OpenOptions::new().write(true).open(path).is_ok_and(|file| file.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_writer_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(folder.path()).unwrap();
        let text = FolderLock::take(folder.path()).unwrap_err().to_string();
        assert!(text.contains(&folder.path().display().to_string()) && text.contains("is in use"), "{text}");
        assert!(lock.is_there() && lock.warning().is_none());
        drop(lock);
        let lock = FolderLock::take(folder.path()).unwrap();
        let moved = folder.path().with_extension("moved");
        fs::rename(folder.path(), &moved).unwrap();
        assert!(!lock.is_there());
        // Another folder of that name is not the one that was locked.
        fs::create_dir(folder.path()).unwrap();
        let _other = FolderLock::take(folder.path()).unwrap();
        assert_eq!(lock.is_there(), cfg!(not(unix)));
        drop(lock);
        fs::remove_dir_all(moved).unwrap();
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for inside in ["checkpoint", "runs/000/weights", "digits", "other"] {
            fs::create_dir_all(at(inside)).unwrap();
        }
        fs::write(at("digits").join(LOCK), "").unwrap();
        let left = [".gputrain-aB3xYz", "checkpoint/.gputrain-000000", "digits/.gputrain-zzzzzz"];
        let under_way = at("checkpoint/.gputrain-writer");
        let kept = [
            ".gputrain-notes.txt",
            "other/.gputrain-aB3xYz",
            "gputrain-aB3xYz",
            ".gputrain-aB3xY",
            ".gputrain-ab_xyz",
            "checkpoint/.gputrain-writer",
        ];
        left.iter().chain(&kept).for_each(|name| fs::write(at(name), "half").unwrap());
        let writer = OpenOptions::new().write(true).open(&under_way).unwrap();
        writer.try_lock().unwrap();
        drop(FolderLock::take(folder.path()).unwrap());
        for (names, stays) in [(&left[..], false), (&kept, true)] {
            names.iter().for_each(|name| assert_eq!(at(name).exists(), stays, "{name}"));
        }
    }
}
