//! Packed pictures in the user's cache directory: decoded once, read by every later start.
//!
//! A file holds the pictures' values, then an index (JSON), its hash, its length and a mark. It is named after all that
//! decides its content: the folder, the pictures' names, lengths and times, and the form they were asked in. What nobody
//! used for a month is removed. Best effort: a cache that cannot be written or read costs time, never an error.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::scan::Found;
use crate::data::Numbers;
use crate::data::numbers::is_large;
use crate::file::write_whole_with;
use crate::lock::remove_unfinished;

/// Changes when pictures are decoded or fitted differently, or lie differently in the file.
const MARK: &[u8; 16] = b"gputrain-packed1";
const HASH: usize = blake3::OUT_LEN;
/// Bytes behind the index: its hash and length, and the mark.
const TAIL: usize = HASH + 8 + MARK.len();
/// Endings of the files: packed pictures, and the form that was found for some.
pub(super) const PACKED: &str = "packed";
pub(super) const FORM: &str = "form";
/// Files that nobody used for so long are removed.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What is known of packed pictures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Index {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    /// Pictures that are packed.
    pub count: usize,
    /// Those that are not, by their place in the folder, and why.
    pub broken: Vec<(usize, String)>,
    /// Pictures with transparent parts.
    pub transparent: usize,
    /// Pictures of 16 bits.
    pub deep: usize,
    /// Hash of the values.
    pub hash: String,
}

impl Index {
    /// Whether this tells of so many pictures, each packed or broken.
    pub(super) fn is_of(&self, pictures: usize) -> bool {
        let rising = self.broken.windows(2).all(|two| two[0].0 < two[1].0);
        rising
            && self.broken.last().is_none_or(|(last, _)| *last < pictures)
            && self.count.checked_add(self.broken.len()) == Some(pictures)
    }

    /// Bytes of the values; none where they are too many.
    fn bytes(&self) -> Option<u64> {
        let sizes = [self.height, self.width, self.channels, self.count];
        sizes.iter().try_fold(1u64, |bytes, &size| bytes.checked_mul(size as u64))
    }
}

/// The file for what is made of these pictures, of so a kind: `made` is all that decides it beside the pictures.
pub(super) fn file(directory: &Path, folder: &Path, pictures: &[Found], kind: &str, made: &str) -> PathBuf {
    let mut hasher = blake3::Hasher::new();
    let mut add = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    };
    add(MARK);
    add(made.as_bytes());
    add(fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf()).as_os_str().as_encoded_bytes());
    for found in pictures {
        add(found.path.strip_prefix(folder).unwrap_or(&found.path).as_os_str().as_encoded_bytes());
        add(bytemuck::cast_slice(&found.stamp));
    }
    directory.join("pictures").join(format!("{}.{kind}", &hasher.finalize().to_hex()[..32]))
}

/// Keeps a text, behind a line with its hash, if it can be kept.
pub(super) fn store_text(path: &Path, text: &str) {
    let _ = crate::file::write_whole(path, format!("{}\n{text}", blake3::hash(text.as_bytes()).to_hex()).as_bytes());
}

/// A text as it was kept.
pub(super) fn load_text(path: &Path) -> Option<String> {
    let kept = crate::file::read_text(path).ok()?;
    let (hash, text) = kept.split_once('\n')?;
    (blake3::hash(text.as_bytes()).to_hex().as_str() == hash).then(|| text.to_string())
}

/// Writes a file, whole or not at all: `pack` writes the values and gives the index, in which their hash is still empty.
pub(super) fn store<E: From<io::Error>>(
    path: &Path,
    pack: impl FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<Index, E>,
) -> Result<Index, E> {
    if let Some(folder) = path.parent() {
        clear(folder);
    }
    let mut stored = None;
    write_whole_with(path, |out: &mut BufWriter<&mut File>| {
        let mut hasher = blake3::Hasher::new();
        let index = pack(&mut |values| {
            hasher.update(values);
            out.write_all(values)
        })?;
        let index = Index { hash: hasher.finalize().to_hex().to_string(), ..index };
        let text = serde_json::to_vec(&index).map_err(io::Error::from)?;
        out.write_all(&text)?;
        out.write_all(blake3::hash(&text).as_bytes())?;
        out.write_all(&(text.len() as u64).to_le_bytes())?;
        out.write_all(MARK)?;
        stored = Some(index);
        Ok::<(), E>(())
    })?;
    stored.ok_or_else(|| io::Error::other("nothing was packed").into())
}

/// The index and the values of a file; none where it is not there, or is not as it was written.
pub(super) fn load(path: &Path) -> Option<(Index, Numbers<u8>)> {
    let mut file = crate::file::open(path).ok()?;
    let index = index(&mut file)?;
    let length = usize::try_from(index.bytes()?).ok()?;
    let values = values(&file, length)?;
    // By many threads, where it takes long.
    let hash = blake3::hash(&values).to_hex().to_string();
    (hash == index.hash).then_some(())?;
    // It is used: the time of its last change tells so.
    let _ = file.set_modified(SystemTime::now());
    Some((index, values))
}

/// The values of a file: mapped where they are many.
fn values(mut file: &File, length: usize) -> Option<Numbers<u8>> {
    if is_large(length as u64) {
        return Numbers::map(file, 0, length).ok()?;
    }
    let mut values = Vec::new();
    values.try_reserve_exact(length).ok()?;
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(length as u64).read_to_end(&mut values).ok()?;
    Some(values.into())
}

/// The index of a file whose length is the one that it announces.
fn index(file: &mut File) -> Option<Index> {
    let length = file.metadata().ok()?.len();
    let before_tail = length.checked_sub(TAIL as u64)?;
    let mut tail = [0; TAIL];
    file.seek(SeekFrom::Start(before_tail)).ok()?;
    file.read_exact(&mut tail).ok()?;
    let (hash, rest) = tail.split_first_chunk::<HASH>()?;
    let (size, mark) = rest.split_first_chunk::<8>()?;
    let size = u64::from_le_bytes(*size);
    let values = before_tail.checked_sub(size).filter(|_| mark == MARK)?;
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(values)).ok()?;
    (&*file).take(size).read_to_end(&mut text).ok()?;
    let index: Index = serde_json::from_slice(&text).ok().filter(|_| blake3::hash(&text).as_bytes() == hash)?;
    (index.bytes()? == values).then_some(index)
}

/// Removes what killed processes left, and what nobody used for long.
fn clear(folder: &Path) {
    remove_unfinished(folder);
    let is_old = |path: &Path| {
        let changed = fs::metadata(path).and_then(|found| found.modified());
        path.extension().is_some_and(|ending| ending == PACKED || ending == FORM)
            && changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > KEPT))
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if is_old(&entry.path()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index_of(count: usize) -> Index {
        let hash = String::new();
        Index { height: 2, width: 3, channels: 1, count, broken: Vec::new(), transparent: 0, deep: 0, hash }
    }

    fn stored(path: &Path, values: &[u8]) -> Index {
        let pack = |write: &mut dyn FnMut(&[u8]) -> io::Result<()>| {
            let (first, second) = values.split_at(values.len() / 2);
            write(first)?;
            write(second)?;
            Ok::<_, io::Error>(index_of(values.len() / 6))
        };
        store(path, pack).unwrap()
    }

    #[test]
    fn what_was_stored_is_loaded_and_what_was_changed_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pictures").join("x.packed");
        let values: Vec<u8> = (0..60).collect();
        let index = stored(&path, &values);
        assert_eq!(load(&path), Some((index, values.into())));
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert_eq!(load(&path), None, "byte {at}");
            fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(load(&path), None, "{at} bytes");
        }
        assert_eq!(load(&folder.path().join("none")), None);
    }

    #[test]
    fn what_fails_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.packed");
        assert!(store(&path, |_| Err::<Index, _>(io::Error::other("broken"))).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn old_files_are_removed_when_one_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let [old, used, foreign] = ["old.packed", "used.packed", "old.txt"].map(|name| folder.path().join(name));
        for path in [&old, &used, &foreign] {
            stored(path, &[0; 6]);
        }
        for path in [&old, &used, &foreign] {
            let file = File::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::now() - KEPT - Duration::from_secs(60)).unwrap();
        }
        assert!(load(&used).is_some());
        stored(&folder.path().join("new.packed"), &[0; 6]);
        assert_eq!([&old, &used, &foreign].map(|path| path.exists()), [false, true, true]);
    }
}
