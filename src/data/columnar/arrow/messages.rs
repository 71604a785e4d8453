//! The messages of an Arrow file: one behind the other, or where its footer says.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::super::flat::{Broken, Table};
use super::problem::{ARROW, broken};
use super::schema::{Schema, schema};
use crate::data::bytes::read_error;
use crate::data::error::Problem;
use crate::data::numbers::{Numbers, is_large};

/// What a message begins with.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// Kinds of messages.
const SCHEMA: u8 = 1;
pub(super) const DICTIONARY: u8 = 2;
pub(super) const BATCH: u8 = 3;

/// The head and the body of a message.
pub(super) type Message = (Vec<u8>, Numbers<u8>);

/// The messages of a file, one after the other.
pub(super) struct Messages {
    reader: BufReader<File>,
    /// Bytes of the whole file.
    pub(super) length: u64,
    next: Next,
}

/// Where the next message lies.
enum Next {
    /// Behind the last one; so many bytes are not yet read.
    Stream(u64),
    /// Where the footer says, dictionaries first.
    Blocks(std::vec::IntoIter<Block>),
}

/// A message: where it begins, and the bytes of its head and of its body.
#[derive(Debug, Clone, Copy)]
struct Block {
    start: u64,
    head: u64,
    body: u64,
}

impl Messages {
    /// The messages behind the schema, and it.
    pub(super) fn open(path: &Path) -> Result<(Messages, Schema), Problem> {
        /// The mark, which is aligned to eight bytes where it begins the file.
        const MARK: &[u8; 6] = b"ARROW1";
        let mut file = crate::file::open(path)?;
        let length = file.metadata()?.len();
        let mut start = [0; 8];
        file.read_exact(&mut start).map_err(|error| read_error(ARROW, error))?;
        if !start.starts_with(MARK) {
            file.seek(SeekFrom::Start(0))?;
            let reader = BufReader::with_capacity(1 << 16, file);
            let mut messages = Messages { reader, length, next: Next::Stream(length) };
            let (head, _) = messages.next()?.ok_or_else(|| broken("it has no schema"))?;
            let message = Table::root(&head)?;
            if message.byte(1)? != SCHEMA {
                return Err(broken("it does not begin with a schema"));
            }
            let schema = schema(message.table(2)?.ok_or(Broken)?, message.i16(0)?)?;
            return Ok((messages, schema));
        }
        let cut = || broken("it is cut short: it begins with ARROW1, but does not end with it");
        let before_tail = length.checked_sub(10).filter(|at| *at >= 8).ok_or_else(cut)?;
        file.seek(SeekFrom::Start(before_tail))?;
        let mut tail = [0; 10];
        file.read_exact(&mut tail)?;
        let size = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
        let start = before_tail.checked_sub(size).filter(|at| *at >= 8 && tail.ends_with(MARK)).ok_or_else(cut)?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = vec![0; size as usize];
        file.read_exact(&mut bytes)?;
        let footer = Table::root(&bytes)?;
        let mut blocks = Vec::new();
        for list in [footer.list(2)?, footer.list(3)?].into_iter().flatten() {
            blocks.extend(list.items::<24>()?.iter().map(block));
        }
        // Messages that lie in each other would be read over and over.
        let bytes_of = |block: &Block| block.head.checked_add(block.body).filter(|bytes| *bytes <= length);
        let all = blocks.iter().try_fold(0u64, |all, block| all.checked_add(bytes_of(block)?));
        if all.is_none_or(|all| all > length) {
            return Err(broken("its footer announces more than the file holds"));
        }
        let schema = schema(footer.table(1)?.ok_or(Broken)?, footer.i16(0)?)?;
        let reader = BufReader::with_capacity(1 << 16, file);
        Ok((Messages { reader, length, next: Next::Blocks(blocks.into_iter()) }, schema))
    }

    /// Reads so many bytes.
    fn take(&mut self, bytes: u64) -> Result<Vec<u8>, Problem> {
        let cut = || broken("it is cut short: it ends within a message");
        if let Next::Stream(left) = &mut self.next {
            *left = left.checked_sub(bytes).ok_or_else(cut)?;
        }
        if bytes > self.length {
            return Err(cut());
        }
        let mut taken = vec![0; bytes as usize];
        self.reader.read_exact(&mut taken).map_err(|error| read_error(ARROW, error))?;
        Ok(taken)
    }

    /// A body of so many bytes; a large one is mapped.
    fn body(&mut self, bytes: u64) -> Result<Numbers<u8>, Problem> {
        if is_large(bytes)
            && let Ok(count) = usize::try_from(bytes)
        {
            let start = self.reader.stream_position()?;
            if let Some(mapped) = Numbers::map(self.reader.get_ref(), start, count)? {
                if let Next::Stream(left) = &mut self.next {
                    *left = left.saturating_sub(bytes);
                }
                self.reader.seek(SeekFrom::Start(start + bytes))?;
                return Ok(mapped);
            }
        }
        self.take(bytes).map(Numbers::from)
    }

    /// The head and the body of the next message; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Message>, Problem> {
        let odd = || broken("a message of it does not begin as one; write it anew by a later version");
        if let Next::Blocks(blocks) = &mut self.next {
            let Some(block) = blocks.next() else { return Ok(None) };
            self.reader.seek(SeekFrom::Start(block.start))?;
            let whole = self.take(block.head)?;
            let head = whole.strip_prefix(&CONTINUATION).and_then(|rest| rest.get(4..)).ok_or_else(odd)?;
            return Ok(Some((head.to_vec(), self.body(block.body)?)));
        }
        if matches!(self.next, Next::Stream(0)) {
            return Ok(None);
        }
        if self.take(4)? != CONTINUATION {
            return Err(odd());
        }
        let size = self.take(4)?;
        let size = size.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        if size == 0 {
            return Ok(None);
        }
        let head = self.take(u64::from(size))?;
        let length = Table::root(&head)?.i64(3)?;
        let body = self.body(u64::try_from(length).map_err(|_| Broken)?)?;
        Ok(Some((head, body)))
    }
}

/// A block of a footer: its start, the length of its head, four bytes of nothing, and the length of its body.
fn block(bytes: &[u8; 24]) -> Block {
    let number = |at: usize| bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    Block { start: number(0), head: number(8) & 0xffff_ffff, body: number(16) }
}

/// The columns of a message with a schema that have dictionaries.
pub(in super::super) fn dictionaries(message: &[u8]) -> HashSet<String> {
    let read = |head: &[u8]| {
        let message = Table::root(head)?;
        schema(message.table(2)?.ok_or(Broken)?, message.i16(0)?)
    };
    let head = message.strip_prefix(&CONTINUATION).and_then(|rest| rest.get(4..));
    let schema = head.and_then(|head| read(head).ok());
    let fields = schema.into_iter().flat_map(|schema| schema.fields);
    fields.filter(|field| field.dictionary.is_some()).map(|field| field.name).collect()
}
