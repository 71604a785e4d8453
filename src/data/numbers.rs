//! Values in memory, or in a file that is mapped into it: a data set need not fit the memory of the host.
//!
//! A file of less than [`MAPPED_FROM`] bytes is read. A larger one is mapped where its values lie as memory has them: the
//! system then loads the pages that are looked at, and drops them where others need the room. What is made of mapped values
//! (the part of a split, images with their channels first) goes to a file of its own in the user's cache directory, which has
//! no name and is gone with the process. So does what a large packed file (.gz, .npz) unpacks to, and what a large table is read to.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::marker::PhantomData;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

use bytemuck::Pod;
use memmap2::{Mmap, MmapOptions};

/// Smaller files are read: that is soon done, and nothing that becomes of the file can then touch the run.
const MAPPED_FROM: u64 = 64 << 20;

/// Whether so many bytes lie in a file rather than in memory.
pub(crate) fn is_large(bytes: u64) -> bool {
    bytes >= large_from()
}

#[cfg(not(test))]
fn large_from() -> u64 {
    MAPPED_FROM
}

#[cfg(test)]
thread_local! {
    static LARGE_FROM: std::cell::Cell<u64> = const { std::cell::Cell::new(MAPPED_FROM) };
}

#[cfg(test)]
fn large_from() -> u64 {
    LARGE_FROM.get()
}

/// What `run` gives where so many bytes are large, in this thread.
#[cfg(test)]
pub(crate) fn with_large_from<T>(bytes: u64, run: impl FnOnce() -> T) -> T {
    let before = LARGE_FROM.replace(bytes);
    let given = run();
    LARGE_FROM.set(before);
    given
}

/// Numbers of one type, to be read as a slice. Those of a large file may be a view of it: see [`crate::data`].
#[derive(Clone)]
pub struct Numbers<T>(Place<T>);

#[derive(Clone)]
enum Place<T> {
    Memory(Vec<T>),
    File(Mapped<T>),
}

/// A part of a mapped file.
#[derive(Clone)]
struct Mapped<T> {
    map: Arc<Mmap>,
    /// Bytes before it.
    start: usize,
    /// Its bytes.
    length: usize,
    values: PhantomData<T>,
}

/// How mapped values are about to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access {
    /// One after the other: the system reads ahead, on some machines by megabytes.
    InOrder,
    /// Here and there: what were read ahead would be thrown away unseen.
    Scattered,
    /// At once: the system begins to fetch them, many places at a time.
    Soon,
}

impl<T: Pod> Numbers<T> {
    /// The values in `count` numbers of a file, from byte `start` on; none where they do not lie there as memory has them: the
    /// file is shorter, or the first value lies aslant.
    ///
    /// Who changes the file while it is mapped changes what is trained on. Who shortens it ends the process by a signal when a
    /// value is read that is not there any more (SIGBUS, an exception on Windows, where the file cannot be shortened as long
    /// as it is mapped).
    pub(crate) fn map(file: &File, start: u64, count: usize) -> io::Result<Option<Numbers<T>>> {
        let Some(length) = count.checked_mul(size_of::<T>()) else { return Ok(None) };
        let Ok(start) = usize::try_from(start) else { return Ok(None) };
        let Some(end) = start.checked_add(length) else { return Ok(None) };
        if file.metadata()?.len() < end as u64 {
            return Ok(None);
        }
        // SAFETY: the pages are private and only read, the mapping reaches no further than the file did just now, and `T` is
        // plain old data, of which every pattern of bits is a value. What is left is another process that changes the file:
        // it is documented above that nobody may, as for every memory-mapped file; a shortened one ends the process by a
        // signal, and no memory of another owner is read.
        #[allow(unsafe_code, reason = "a file can be mapped in no other way")]
        let map = unsafe { MmapOptions::new().len(end).map_copy_read_only(file)? };
        let mapped = Mapped { map: Arc::new(map), start, length, values: PhantomData };
        Ok(bytemuck::try_cast_slice::<u8, T>(mapped.bytes()).is_ok().then_some(Numbers(Place::File(mapped))))
    }

    /// Whether they are a view of a file.
    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self.0, Place::File(_))
    }

    /// Tells the system how some of the values are about to be read, where they are mapped.
    pub(crate) fn expect(&self, values: Range<usize>, access: Access) {
        if let Place::File(Mapped { map, start, .. }) = &self.0 {
            let [first, end] = [values.start, values.end].map(|value| start + value * size_of::<T>());
            advise(map, first..end, access);
        }
    }

    /// The values in memory, to be changed: mapped ones are copied.
    pub(crate) fn to_mut(&mut self) -> &mut Vec<T> {
        if let Place::File(mapped) = &self.0 {
            self.0 = Place::Memory(mapped.values().to_vec());
        }
        match &mut self.0 {
            Place::Memory(values) => values,
            Place::File(_) => unreachable!("they were copied"),
        }
    }

    /// The same bytes as values of another type; none where they are no whole number of them, or are not aligned so.
    pub(crate) fn cast<U: Pod>(&self) -> Option<Numbers<U>> {
        match &self.0 {
            Place::Memory(values) => Some(Numbers(Place::Memory(bytemuck::try_cast_slice(values).ok()?.to_vec()))),
            Place::File(mapped) => mapped.view(0..mapped.length),
        }
    }

    /// Changes the values, whole rows of `width` at a time: where they lie, or those of a file on their way to another one.
    pub(crate) fn change(&mut self, width: usize, change: impl Fn(&mut [T])) {
        /// Values of a file that are in memory at a time.
        const PIECE: usize = 1 << 16;
        if !self.is_mapped() {
            return change(self.to_mut());
        }
        *self = Numbers::made(true, self.len(), |write| {
            self.chunks((PIECE / width).max(1) * width).try_for_each(|piece| {
                let mut piece = piece.to_vec();
                change(&mut piece);
                write(&piece)
            })
        });
    }

    /// `count` numbers that `make` gives piece by piece: in memory or, where they are large or made of mapped ones, in a file without a
    /// name. Where no such file can be written they are in memory, too.
    pub(crate) fn made(
        in_file: bool,
        count: usize,
        make: impl Fn(&mut dyn FnMut(&[T]) -> io::Result<()>) -> io::Result<()>,
    ) -> Numbers<T> {
        if in_file && let Ok(Some(numbers)) = Numbers::in_file(count, &make) {
            return numbers;
        }
        let mut values = Vec::with_capacity(count);
        let done = make(&mut |piece| {
            values.extend_from_slice(piece);
            Ok(())
        });
        assert!(done.is_ok(), "only what writes a file can fail");
        values.into()
    }

    /// The same in a file, or nothing.
    pub(crate) fn in_file(
        count: usize,
        make: impl Fn(&mut dyn FnMut(&[T]) -> io::Result<()>) -> io::Result<()>,
    ) -> io::Result<Option<Numbers<T>>> {
        let file = nameless()?;
        let mut out = BufWriter::with_capacity(1 << 20, &file);
        make(&mut |piece| out.write_all(bytemuck::cast_slice(piece)))?;
        out.flush()?;
        drop(out);
        Numbers::map(&file, 0, count)
    }
}

impl Numbers<u8> {
    /// The numbers that some of the bytes of a file are; none where they are in memory, or no numbers.
    pub(crate) fn view<U: Pod>(&self, bytes: Range<usize>) -> Option<Numbers<U>> {
        match &self.0 {
            Place::Memory(_) => None,
            Place::File(mapped) => mapped.view(bytes),
        }
    }

    /// The bytes of a file from `start` to its end, which must be `count`; none where the file is another one, is small, or is
    /// none.
    pub(crate) fn of_file(path: &Path, start: u64, count: u64) -> io::Result<Option<Numbers<u8>>> {
        let file = crate::file::open(path)?;
        let length = file.metadata()?.len();
        match usize::try_from(count) {
            Ok(count) if is_large(length) && start.checked_add(count as u64) == Some(length) => {
                Numbers::map(&file, start, count)
            }
            _ => Ok(None),
        }
    }
}

/// A file without a name in the user's cache directory, which is gone with the process.
fn nameless() -> io::Result<File> {
    match crate::file::cache_directory() {
        Some(directory) => std::fs::create_dir_all(&directory).and_then(|()| tempfile::tempfile_in(directory)),
        None => tempfile::tempfile(),
    }
}

/// Tells the system how bytes of a mapping are about to be read. Where it does not listen, reading takes longer.
#[cfg(unix)]
fn advise(map: &Mmap, bytes: Range<usize>, access: Access) {
    use memmap2::Advice;
    let advice = match access {
        Access::InOrder => Advice::Normal,
        Access::Scattered => Advice::Random,
        Access::Soon => Advice::WillNeed,
    };
    let _ = map.advise_range(advice, bytes.start, bytes.len());
}

#[cfg(not(unix))]
fn advise(_: &Mmap, _: Range<usize>, _: Access) {}

/// Bytes as a reader gives them: in memory or, where they will be many, in a file without a name. Where that cannot be written,
/// they are in memory all the same.
#[derive(Default)]
pub(crate) struct Gathered {
    memory: Vec<u8>,
    /// All that came so far, if it is not in memory.
    file: Option<File>,
    length: u64,
}

impl Gathered {
    /// For so many bytes, or fewer.
    pub(crate) fn of(expected: u64) -> Gathered {
        /// Beyond this the memory grows as data really comes.
        const AT_ONCE: u64 = MAPPED_FROM;
        let file = if is_large(expected) { nameless().ok() } else { None };
        let room = if file.is_some() { 0 } else { expected.min(AT_ONCE) };
        Gathered { memory: Vec::with_capacity(room as usize), file, length: 0 }
    }

    /// How many came.
    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    /// What came.
    pub(crate) fn numbers(self) -> io::Result<Numbers<u8>> {
        match (self.file, usize::try_from(self.length)) {
            (Some(file), Ok(length)) => {
                Numbers::map(&file, 0, length)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
            }
            (Some(_), Err(_)) => Err(io::ErrorKind::OutOfMemory.into()),
            (None, _) => Ok(self.memory.into()),
        }
    }

    /// Takes what came out of the file, which takes no more.
    fn leave(&mut self, mut file: File) -> io::Result<()> {
        file.rewind()?;
        let read = file.take(self.length).read_to_end(&mut self.memory)?;
        if read as u64 == self.length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl Write for Gathered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.file.take() {
            Some(mut file) => match file.write_all(bytes) {
                Ok(()) => self.file = Some(file),
                // The disk is full, say.
                Err(_) => self.leave(file).map(|()| self.memory.extend_from_slice(bytes))?,
            },
            None => self.memory.extend_from_slice(bytes),
        }
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<T: Pod> Mapped<T> {
    /// Some of its bytes as values of another type; none where they are no whole number of them, or are not aligned so.
    fn view<U: Pod>(&self, bytes: Range<usize>) -> Option<Numbers<U>> {
        let of = self.bytes().get(bytes.clone())?;
        bytemuck::try_cast_slice::<u8, U>(of).ok()?;
        let start = self.start + bytes.start;
        let mapped = Mapped { map: Arc::clone(&self.map), start, length: bytes.len(), values: PhantomData };
        Some(Numbers(Place::File(mapped)))
    }

    fn bytes(&self) -> &[u8] {
        &self.map[self.start..self.start + self.length]
    }

    fn values(&self) -> &[T] {
        bytemuck::cast_slice(self.bytes())
    }
}

impl<T: Pod> Deref for Numbers<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            Place::Memory(values) => values,
            Place::File(mapped) => mapped.values(),
        }
    }
}

impl<T> From<Vec<T>> for Numbers<T> {
    fn from(values: Vec<T>) -> Numbers<T> {
        Numbers(Place::Memory(values))
    }
}

impl<T> FromIterator<T> for Numbers<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Numbers<T> {
        Numbers(Place::Memory(values.into_iter().collect()))
    }
}

impl<T: Pod + PartialEq> PartialEq for Numbers<T> {
    fn eq(&self, other: &Numbers<T>) -> bool {
        **self == **other
    }
}

impl<T: Pod + std::fmt::Debug> std::fmt::Debug for Numbers<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn mapped_numbers_are_those_of_the_file() {
        let bytes: Vec<u8> = (0..64).collect();
        let file = file(&bytes);
        let mapped = Numbers::<u8>::map(&file, 3, 61).unwrap().unwrap();
        assert!(mapped.is_mapped());
        assert_eq!(mapped[..], bytes[3..]);
        let words = Numbers::<u8>::map(&file, 8, 56).unwrap().unwrap().cast::<f32>().unwrap();
        assert_eq!((words.is_mapped(), words[0].to_le_bytes()), (true, [8, 9, 10, 11]));
        // Aslant, and behind the end.
        assert!(mapped.cast::<f32>().is_none());
        assert!(Numbers::<f32>::map(&file, 3, 2).unwrap().is_none());
        assert!(Numbers::<u8>::map(&file, 3, 62).unwrap().is_none());
        assert!(Numbers::<u8>::map(&file, u64::MAX, 2).unwrap().is_none());
        assert!(Numbers::<f32>::map(&file, 0, usize::MAX).unwrap().is_none());
    }

    #[test]
    fn what_is_made_of_mapped_numbers_lies_in_a_file_too() {
        let made = |of_mapped| {
            Numbers::<u32>::made(of_mapped, 3000, |write| (0..3).try_for_each(|piece| write(&[piece; 1000])))
        };
        let (here, there) = (made(false), made(true));
        assert_eq!((here.is_mapped(), there.is_mapped()), (false, true));
        assert_eq!(here, there);
        let mut changed = there.clone();
        changed.to_mut()[0] = 7;
        assert_eq!((changed[0], there[0], changed.is_mapped()), (7, 0, false));
    }

    #[test]
    fn bytes_that_come_are_gathered_whether_a_file_takes_them_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("written");
        std::fs::write(&path, [1, 2, 3]).unwrap();
        let gathered = |file: Option<File>, length: u64| {
            let mut gathered = Gathered { file, length, ..Gathered::default() };
            gathered.write_all(&[4, 5]).unwrap();
            gathered.write_all(&[6]).unwrap();
            assert_eq!(gathered.len(), length + 3);
            gathered.numbers().unwrap()
        };
        let (here, there) = (gathered(None, 0), gathered(Some(tempfile::tempfile().unwrap()), 0));
        assert_eq!(
            (&here[..], here.is_mapped(), &there[..], there.is_mapped()),
            (&[4, 5, 6][..], false, &[4, 5, 6][..], true)
        );
        // A file that takes no more: what it has is not lost.
        let full = gathered(Some(crate::file::open(&path).unwrap()), 3);
        assert_eq!((&full[..], full.is_mapped()), (&[1, 2, 3, 4, 5, 6][..], false));
        assert!(Gathered::of(MAPPED_FROM - 1).file.is_none() && Gathered::of(MAPPED_FROM).file.is_some());
    }
}
