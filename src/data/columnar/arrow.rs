//! Arrow on the disk and as a stream: messages of a head, which is a flatbuffer, and a body of buffers.
//!
//! A file on the disk has a footer that says where they lie, a stream has them one behind the other; both are read one batch of rows at
//! a time. The crates of Arrow are not used: for columns of plain values they would check as much here, and take minutes to compile.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::f16;
use rayon::prelude::*;

use super::codec::{Codec, unknown};
use super::flat::{Broken, List, Table};
use super::{Budget, DIGITS, Pieces, decimal_text, most_cells};
use crate::data::bytes::read_error;
use crate::data::column::{Cell, Column, Kind, Sink, Unusable};
use crate::data::error::Problem;

const ARROW: &str = "Arrow";
/// The deepest type that is followed.
const DEEPEST: usize = 64;
const UNIONS: &str = "unions";
/// What a message begins with.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// An open file.
pub(super) struct ArrowFile {
    path: PathBuf,
    /// Bytes of the file.
    pub(super) length: u64,
    schema: Schema,
}

struct Schema {
    fields: Vec<Field>,
    metadata: HashMap<String, String>,
}

/// A column, or a part of one.
struct Field {
    name: String,
    /// The type of its values; of a dictionary, that of its levels.
    values: Type,
    /// The dictionary of its values, and what the numbers of levels are.
    dictionary: Option<(i64, Integer)>,
    children: Vec<Field>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Integer {
    bytes: usize,
    is_signed: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Type {
    Null,
    Boolean,
    Integer(Integer),
    /// Of so many bytes.
    Float(usize),
    Decimal {
        bytes: usize,
        scale: i32,
    },
    /// Texts, or bytes, with offsets of so many bytes.
    Bytes {
        is_text: bool,
        offset: usize,
    },
    Views {
        is_text: bool,
    },
    Struct,
    Dates,
    /// Of this name, with so many buffers of its own.
    Other(&'static str, usize),
}

impl From<Broken> for Problem {
    fn from(_: Broken) -> Problem {
        Problem::malformed(ARROW, "a message of it is no flatbuffer")
    }
}

fn broken(cause: impl std::fmt::Display) -> Problem {
    Problem::malformed(ARROW, cause)
}

impl ArrowFile {
    pub(super) fn open(path: &Path) -> Result<ArrowFile, Problem> {
        let (messages, schema) = Messages::open(path)?;
        Ok(ArrowFile { path: path.to_path_buf(), length: messages.length, schema })
    }

    pub(super) fn columns(&self) -> Vec<Column> {
        let column = |field: &Field| Column { name: field.name.clone(), kind: field.kind() };
        self.schema.fields.iter().map(column).collect()
    }

    pub(super) fn metadata(&self, key: &str) -> Option<&str> {
        self.schema.metadata.get(key).map(String::as_str)
    }

    pub(super) fn read<S: Sink>(&self, sinks: &mut [Option<S>]) -> Result<usize, Problem> {
        let mut rows = 0;
        let mut columns: Vec<(&mut Option<S>, Budget)> =
            sinks.iter_mut().map(|sink| (sink, Budget::new(self.length))).collect();
        self.each_batch(|batch, dictionaries| {
            rows += batch.rows;
            let read = |(((sink, budget), field), place): ((&mut (&mut Option<S>, Budget), &Field), &Place)| match sink
            {
                Some(sink) => batch.cells(field, *place, dictionaries, &mut |cell| {
                    budget.spend(if let Cell::Text(text) = cell { text.as_bytes() } else { &[] })?;
                    sink.add(cell);
                    Ok(())
                }),
                None => Ok(()),
            };
            let places = batch.places(&self.schema.fields)?;
            columns.par_iter_mut().zip(&self.schema.fields).zip(&places).try_for_each(read)?;
            Ok(true)
        })?;
        Ok(rows)
    }

    pub(super) fn pictures(&self, column: usize, pieces: &mut Pieces<'_>) -> Result<(), Problem> {
        self.each_batch(|batch, _| {
            let places = batch.places(&self.schema.fields)?;
            let (field, place) = (&self.schema.fields[column], places[column]);
            batch.pictures(field, place, pieces)
        })
    }

    /// Calls `visit` with each batch of rows and the levels of the dictionaries so far, until it gives false.
    fn each_batch(
        &self,
        mut visit: impl FnMut(&Batch<'_>, &Dictionaries) -> Result<bool, Problem>,
    ) -> Result<(), Problem> {
        let (mut messages, _) = Messages::open(&self.path)?;
        let most = most_cells(messages.length);
        let width = self.schema.fields.len().max(1) as u64;
        let (mut cells, mut dictionaries) = (0u64, Dictionaries::new());
        while let Some((head, body)) = messages.next()? {
            let message = Table::root(&head)?;
            let header = message.table(2)?.ok_or(Broken)?;
            let mut count = |batch: &Batch<'_>, width: u64| {
                cells = cells.saturating_add((batch.rows as u64).saturating_mul(width));
                match cells > most {
                    true => Err(Problem::TooLarge { shape: vec![batch.rows, width as usize] }),
                    false => Ok(()),
                }
            };
            match message.byte(1)? {
                DICTIONARY => {
                    let batch = Batch::new(header.table(1)?.ok_or(Broken)?, &body)?;
                    count(&batch, 1)?;
                    self.dictionary(header.i64(0)?, header.byte(2)? != 0, &batch, &mut dictionaries)?;
                }
                BATCH => {
                    let batch = Batch::new(header, &body)?;
                    count(&batch, width)?;
                    if !visit(&batch, &dictionaries)? {
                        return Ok(());
                    }
                }
                other => return Err(broken(format!("it has a message of kind {other} where rows were expected"))),
            }
        }
        Ok(())
    }

    /// Takes the levels of a dictionary, if a column has it.
    fn dictionary(
        &self,
        id: i64,
        is_more: bool,
        batch: &Batch<'_>,
        dictionaries: &mut Dictionaries,
    ) -> Result<(), Problem> {
        let has = |field: &&Field| field.dictionary.is_some_and(|(known, _)| known == id);
        let Some(field) = self.schema.fields.iter().find(has) else { return Ok(()) };
        let levels =
            Field { name: field.name.clone(), values: field.values.clone(), dictionary: None, children: Vec::new() };
        if levels.kind() != Kind::Cells {
            return Ok(());
        }
        let known = dictionaries.entry(id).or_default();
        if !is_more {
            known.clear();
        }
        let places = batch.places(std::slice::from_ref(&levels))?;
        let mut budget = Budget::new(self.length);
        batch.cells(&levels, places[0], &Dictionaries::new(), &mut |cell| {
            budget.spend(cell.text().as_bytes())?;
            known.push((cell != Cell::Missing).then(|| cell.text().into_owned()));
            Ok(())
        })
    }
}

/// The levels of each dictionary; none where one is missing.
type Dictionaries = HashMap<i64, Vec<Option<String>>>;

/// Kinds of messages.
const SCHEMA: u8 = 1;
const DICTIONARY: u8 = 2;
const BATCH: u8 = 3;

/// The head and the body of a message.
type Message = (Vec<u8>, Vec<u8>);

/// The messages of a file, one after the other.
struct Messages {
    reader: BufReader<File>,
    /// Bytes of the whole file.
    length: u64,
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
    fn open(path: &Path) -> Result<(Messages, Schema), Problem> {
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

    /// The head and the body of the next message; none at the end.
    fn next(&mut self) -> Result<Option<Message>, Problem> {
        let odd = || broken("a message of it does not begin as one; write it anew by a later version");
        if let Next::Blocks(blocks) = &mut self.next {
            let Some(block) = blocks.next() else { return Ok(None) };
            self.reader.seek(SeekFrom::Start(block.start))?;
            let whole = self.take(block.head)?;
            let head = whole.strip_prefix(&CONTINUATION).and_then(|rest| rest.get(4..)).ok_or_else(odd)?;
            return Ok(Some((head.to_vec(), self.take(block.body)?)));
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
        let body = self.take(u64::try_from(length).map_err(|_| Broken)?)?;
        Ok(Some((head, body)))
    }
}

/// A block of a footer: its start, the length of its head, four bytes of nothing, and the length of its body.
fn block(bytes: &[u8; 24]) -> Block {
    let number = |at: usize| bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    Block { start: number(0), head: number(8) & 0xffff_ffff, body: number(16) }
}

/// A schema, in a message of this version of the metadata.
fn schema(schema: Table<'_>, version: i16) -> Result<Schema, Problem> {
    if schema.i16(0)? != 0 {
        return Err(broken("its numbers are big-endian; write it on a machine of today"));
    }
    let mut metadata = HashMap::new();
    for entry in schema.list(2)?.map(|list| list.tables()).transpose()?.into_iter().flatten() {
        let entry = entry?;
        if let (Some(key), Some(value)) = (entry.text(0)?, entry.text(1)?) {
            metadata.insert(key.to_owned(), value.to_owned());
        }
    }
    let fields = fields(schema.list(1)?, 0)?;
    // Before version 5 of the metadata, which counts from 0, unions had a buffer more.
    if version < 4 && fields.iter().any(Field::has_union) {
        return Err(broken("it has unions of an earlier version; write it anew by a later one"));
    }
    Ok(Schema { fields, metadata })
}

fn fields(list: Option<List<'_>>, depth: usize) -> Result<Vec<Field>, Problem> {
    if depth > DEEPEST {
        return Err(broken("its schema is nested too deep"));
    }
    let tables = list.map(|list| list.tables()).transpose()?;
    tables.into_iter().flatten().map(|table| Field::read(table?, depth)).collect()
}

/// The columns of a message with a schema that have dictionaries.
pub(super) fn dictionaries(message: &[u8]) -> HashSet<String> {
    let read = |head: &[u8]| {
        let message = Table::root(head)?;
        schema(message.table(2)?.ok_or(Broken)?, message.i16(0)?)
    };
    let head = message.strip_prefix(&CONTINUATION).and_then(|rest| rest.get(4..));
    let schema = head.and_then(|head| read(head).ok());
    let fields = schema.into_iter().flat_map(|schema| schema.fields);
    fields.filter(|field| field.dictionary.is_some()).map(|field| field.name).collect()
}

impl Field {
    fn read(table: Table<'_>, depth: usize) -> Result<Field, Problem> {
        let values = Type::read(table.byte(2)?, table.table(3)?)?;
        let dictionary = match table.table(4)? {
            None => None,
            Some(dictionary) => {
                let index = dictionary.table(1)?.map_or(Ok(Integer { bytes: 4, is_signed: true }), Integer::read)?;
                Some((dictionary.i64(0)?, index))
            }
        };
        let name = table.text(0)?.unwrap_or_default().to_owned();
        Ok(Field { name, values, dictionary, children: fields(table.list(5)?, depth + 1)? })
    }

    fn has_union(&self) -> bool {
        matches!(self.values, Type::Other(UNIONS, _)) || self.children.iter().any(Field::has_union)
    }

    fn kind(&self) -> Kind {
        let other = |name: &str| Kind::Unusable(Unusable::Type(name.into()));
        match &self.values {
            Type::Null | Type::Boolean | Type::Integer(_) | Type::Float(_) => Kind::Cells,
            Type::Bytes { is_text: true, .. } | Type::Views { is_text: true } => Kind::Cells,
            Type::Decimal { bytes: ..=16, scale } if (-DIGITS..=DIGITS).contains(scale) => Kind::Cells,
            Type::Decimal { .. } => other("decimal numbers of more than 38 digits"),
            Type::Dates => Kind::Unusable(Unusable::Dates),
            Type::Bytes { .. } | Type::Views { .. } if self.dictionary.is_none() => Kind::Unusable(Unusable::Pictures),
            Type::Bytes { .. } | Type::Views { .. } => other("bytes"),
            Type::Struct if self.picture_bytes().is_some() => Kind::Unusable(Unusable::Pictures),
            Type::Struct => other("structs"),
            Type::Other(name, _) => other(name),
        }
    }

    /// Of a picture, as the library `datasets` keeps it, which child has its bytes; the other one is a path.
    fn picture_bytes(&self) -> Option<usize> {
        let is_bytes = |field: &Field| {
            let are_bytes = matches!(field.values, Type::Bytes { is_text: false, .. } | Type::Views { is_text: false });
            field.name == "bytes" && are_bytes && field.dictionary.is_none()
        };
        let others = self.children.iter().filter(|field| !is_bytes(field)).all(|field| field.name == "path");
        self.children.iter().position(is_bytes).filter(|_| others && self.dictionary.is_none())
    }
}

impl Integer {
    fn read(table: Table<'_>) -> Result<Integer, Problem> {
        let bytes = match table.i32(0)? {
            8 => 1,
            16 => 2,
            32 => 4,
            64 => 8,
            bits => return Err(broken(format!("it has integers of {bits} bits"))),
        };
        Ok(Integer { bytes, is_signed: table.byte(1)? != 0 })
    }

    fn cell(self, value: &[u8]) -> Cell<'static> {
        let mut bytes = [if self.is_signed && value.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 }; 8];
        bytes[..self.bytes].copy_from_slice(value);
        if self.is_signed {
            Cell::Integer(i64::from_le_bytes(bytes))
        } else {
            Cell::Unsigned(u64::from_le_bytes(bytes))
        }
    }
}

impl Type {
    fn read(kind: u8, table: Option<Table<'_>>) -> Result<Type, Problem> {
        let table = table.ok_or(Broken)?;
        Ok(match kind {
            1 => Type::Null,
            2 => Type::Integer(Integer::read(table)?),
            3 => Type::Float(match table.i16(0)? {
                0 => 2,
                1 => 4,
                2 => 8,
                odd => return Err(broken(format!("it has floats of precision {odd}"))),
            }),
            4 => Type::Bytes { is_text: false, offset: 4 },
            5 => Type::Bytes { is_text: true, offset: 4 },
            6 => Type::Boolean,
            7 => {
                let bytes = match table.i32(2)? {
                    32 => 4,
                    64 => 8,
                    // What it is where nothing is said.
                    0 | 128 => 16,
                    256 => 32,
                    bits => return Err(broken(format!("it has decimal numbers of {bits} bits"))),
                };
                Type::Decimal { bytes, scale: table.i32(1)? }
            }
            8..=10 => Type::Dates,
            11 => Type::Other("spans of time", 2),
            12 | 17 | 21 => Type::Other(if kind == 17 { "maps" } else { "lists" }, 2),
            13 => Type::Struct,
            // The numbers of the types and, where each value has a place of its own, that.
            14 => Type::Other(UNIONS, if table.i16(0)? == 0 { 1 } else { 2 }),
            15 => Type::Other("bytes", 2),
            16 => Type::Other("lists", 1),
            18 => Type::Other("spans of time", 2),
            19 => Type::Bytes { is_text: false, offset: 8 },
            20 => Type::Bytes { is_text: true, offset: 8 },
            22 => Type::Other("runs", 0),
            23 => Type::Views { is_text: false },
            24 => Type::Views { is_text: true },
            25 | 26 => Type::Other("lists", 3),
            other => return Err(broken(format!("it has a column of type {other}, which is not known"))),
        })
    }

    /// Buffers of a column of this type, without those that hold the bytes of views.
    fn buffers(&self) -> usize {
        match self {
            Type::Null => 0,
            Type::Boolean | Type::Integer(_) | Type::Float(_) | Type::Decimal { .. } | Type::Dates => 2,
            Type::Bytes { .. } => 3,
            Type::Views { .. } => 2,
            Type::Struct => 1,
            Type::Other(_, buffers) => *buffers,
        }
    }
}

/// What makes a cell of its bytes.
type OfBytes<'a> = &'a mut dyn FnMut(&[u8], Add<'_>) -> Result<(), Problem>;

/// What takes the cells of a column.
type Add<'a> = &'a mut dyn FnMut(Cell<'_>) -> Result<(), Problem>;

/// Where the parts of a column lie in a batch.
#[derive(Debug, Clone, Copy)]
struct Place {
    node: usize,
    buffer: usize,
    /// The place among the numbers of buffers of views.
    view: usize,
    /// Buffers that hold the bytes of its views.
    views: usize,
}

/// Rows of all columns.
struct Batch<'a> {
    rows: usize,
    /// Of each part of a column its length, and how many values are missing.
    nodes: &'a [[u8; 16]],
    /// Of each buffer where it begins, and its bytes.
    buffers: &'a [[u8; 16]],
    /// Of each column of views, how many buffers hold bytes.
    views: &'a [[u8; 8]],
    codec: Codec,
    body: &'a [u8],
}

/// Two numbers.
fn pair(bytes: &[u8; 16]) -> (i64, i64) {
    let (first, second) = bytes.split_at(8);
    let number = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes));
    (number(first), number(second))
}

impl<'a> Batch<'a> {
    fn new(table: Table<'a>, body: &'a [u8]) -> Result<Batch<'a>, Problem> {
        let codec = match table.table(3)? {
            None => Codec::None,
            Some(packing) => match packing.byte(0)? {
                0 => Codec::Lz4Frame,
                1 => Codec::Zstd,
                other => return Err(unknown(ARROW, &format!("packing {other}"))),
            },
        };
        Ok(Batch {
            rows: usize::try_from(table.i64(0)?).map_err(|_| Broken)?,
            nodes: table.list(1)?.map_or(Ok(&[][..]), |list| list.items())?,
            buffers: table.list(2)?.map_or(Ok(&[][..]), |list| list.items())?,
            views: table.list(4)?.map_or(Ok(&[][..]), |list| list.items())?,
            codec,
            body,
        })
    }

    /// Where the columns lie.
    fn places(&self, fields: &[Field]) -> Result<Vec<Place>, Problem> {
        let mut next = Place { node: 0, buffer: 0, view: 0, views: 0 };
        fields.iter().map(|field| self.place(field, &mut next)).collect()
    }

    /// The next place, behind which a field leaves `next`.
    fn place(&self, field: &Field, next: &mut Place) -> Result<Place, Problem> {
        let mut place = *next;
        next.node += 1;
        if field.dictionary.is_some() {
            next.buffer += 2;
            return Ok(place);
        }
        if let Type::Views { .. } = field.values {
            let count = self.views.get(next.view).map(|count| i64::from_le_bytes(*count)).ok_or(Broken)?;
            place.views = usize::try_from(count).ok().filter(|count| *count <= self.buffers.len()).ok_or(Broken)?;
            next.view += 1;
        }
        next.buffer += field.values.buffers() + place.views;
        for child in &field.children {
            self.place(child, next)?;
        }
        Ok(place)
    }

    fn buffer(&self, number: usize) -> Result<Cow<'a, [u8]>, Problem> {
        let outside = || broken("a buffer of it lies outside of its message");
        let (start, length) = pair(self.buffers.get(number).ok_or_else(outside)?);
        let (start, length) = (usize::try_from(start), usize::try_from(length));
        let (Ok(start), Ok(length)) = (start, length) else { return Err(outside()) };
        let bytes = start.checked_add(length).and_then(|end| self.body.get(start..end)).ok_or_else(outside)?;
        if self.codec == Codec::None || bytes.is_empty() {
            return Ok(bytes.into());
        }
        // Its length comes first, or -1 where it is not packed.
        let (announced, packed) = bytes.split_first_chunk().ok_or_else(outside)?;
        let announced = i64::from_le_bytes(*announced);
        if announced == -1 {
            return Ok(packed.into());
        }
        if announced == 0 {
            return Ok([][..].into());
        }
        let unpacked = self.codec.unpack(packed).map_err(broken)?;
        match unpacked.len() as i64 == announced {
            true => Ok(unpacked.into()),
            false => Err(broken("a buffer of it unpacks to another length than it announces")),
        }
    }

    /// The rows of a column: so many, and which of them are there.
    fn there(&self, place: Place, is_null: bool) -> Result<There<'a>, Problem> {
        let odd = || broken("a column has not as many values as there are rows");
        let (length, missing) = pair(self.nodes.get(place.node).ok_or_else(odd)?);
        if length != self.rows as i64 {
            return Err(odd());
        }
        if is_null || missing == 0 {
            return Ok(There { bits: None });
        }
        let bits = self.buffer(place.buffer)?;
        if bits.len() < self.rows.div_ceil(8) {
            return Err(odd());
        }
        Ok(There { bits: Some(bits) })
    }

    /// Gives the cells of a column.
    fn cells(&self, field: &Field, place: Place, dictionaries: &Dictionaries, add: Add<'_>) -> Result<(), Problem> {
        let short = || broken(format!("its column {:?} has fewer values than there are rows", field.name));
        let there = self.there(place, field.values == Type::Null && field.dictionary.is_none())?;
        let mut fixed = |size: usize, cell: OfBytes<'_>| {
            let values = self.buffer(place.buffer + 1)?;
            let values = self.rows.checked_mul(size).and_then(|bytes| values.get(..bytes)).ok_or_else(short)?;
            for (row, value) in values.chunks_exact(size).enumerate() {
                if there.has(row) { cell(value, add)? } else { add(Cell::Missing)? }
            }
            Ok(())
        };
        if let Some((id, index)) = field.dictionary {
            let none = Vec::new();
            let levels = dictionaries.get(&id).unwrap_or(&none);
            return fixed(index.bytes, &mut |value, add| {
                let level = match index.cell(value) {
                    Cell::Integer(level) => usize::try_from(level).ok(),
                    Cell::Unsigned(level) => usize::try_from(level).ok(),
                    _ => None,
                };
                let level = level.and_then(|level| levels.get(level));
                let level =
                    level.ok_or_else(|| broken(format!("its column {:?} has a level that is none", field.name)))?;
                add(level.as_ref().map_or(Cell::Missing, |level| Cell::Text(level)))
            });
        }
        match &field.values {
            Type::Null => (0..self.rows).try_for_each(|_| add(Cell::Missing))?,
            Type::Boolean => {
                let values = self.buffer(place.buffer + 1)?;
                if values.len() < self.rows.div_ceil(8) {
                    return Err(short());
                }
                for row in 0..self.rows {
                    add(if there.has(row) { Cell::boolean(bit(&values, row)) } else { Cell::Missing })?;
                }
            }
            Type::Integer(integer) => fixed(integer.bytes, &mut |value, add| add(integer.cell(value)))?,
            Type::Float(size) => fixed(*size, &mut |value, add| add(float(value)))?,
            Type::Decimal { bytes, scale } => {
                let mut text = String::new();
                fixed(*bytes, &mut |value, add| {
                    let mut all = [if value.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 }; 16];
                    all.get_mut(..value.len()).ok_or_else(short)?.copy_from_slice(value);
                    decimal_text(&i128::from_le_bytes(all).to_string(), *scale, &mut text);
                    add(Cell::Decimal(&text))
                })?;
            }
            Type::Bytes { .. } | Type::Views { .. } => {
                let not_text = || broken(format!("a text of its column {:?} is not UTF-8", field.name));
                let values = self.values(field, place)?;
                for row in 0..self.rows {
                    if !there.has(row) {
                        add(Cell::Missing)?;
                        continue;
                    }
                    let text = values.get(row).ok_or_else(short)?;
                    add(Cell::Text(std::str::from_utf8(text).map_err(|_| not_text())?))?;
                }
            }
            Type::Struct | Type::Dates | Type::Other(..) => {}
        }
        Ok(())
    }

    /// Gives the pictures of a column; false once no more are wanted.
    fn pictures(&self, field: &Field, place: Place, pieces: &mut Pieces<'_>) -> Result<bool, Problem> {
        let there = self.there(place, false)?;
        let (mut inner, mut inner_place) = (field, place);
        if let Some(child) = field.picture_bytes() {
            let mut next = Place { node: place.node + 1, buffer: place.buffer + 1, ..place };
            for at in 0..=child {
                inner_place = self.place(&field.children[at], &mut next)?;
            }
            inner = &field.children[child];
        }
        let inner_there = self.there(inner_place, false)?;
        let values = self.values(inner, inner_place)?;
        for row in 0..self.rows {
            let picture = match there.has(row) && inner_there.has(row) {
                true => Some(values.get(row).ok_or_else(|| broken("a picture of it lies outside of its buffer"))?),
                false => None,
            };
            if !pieces.add(picture)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The values of a column of texts or bytes.
    fn values(&self, field: &Field, place: Place) -> Result<Values<'a>, Problem> {
        let first = self.buffer(place.buffer + 1)?;
        Ok(match field.values {
            Type::Bytes { offset, .. } => {
                Values::Offsets { offsets: first, size: offset, bytes: self.buffer(place.buffer + 2)? }
            }
            _ => {
                let buffers = (0..place.views).map(|number| self.buffer(place.buffer + 2 + number));
                Values::Views { views: first, buffers: buffers.collect::<Result<_, Problem>>()? }
            }
        })
    }
}

/// Which rows have a value; all where there are no bits.
struct There<'a> {
    bits: Option<Cow<'a, [u8]>>,
}

impl There<'_> {
    fn has(&self, row: usize) -> bool {
        self.bits.as_ref().is_none_or(|bits| bit(bits, row))
    }
}

fn bit(bits: &[u8], row: usize) -> bool {
    bits.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1)
}

/// Values of different lengths.
enum Values<'a> {
    /// Each from its offset to the next one.
    Offsets { offsets: Cow<'a, [u8]>, size: usize, bytes: Cow<'a, [u8]> },
    /// Each its length and, if it is short, itself, else where it lies in which buffer.
    Views { views: Cow<'a, [u8]>, buffers: Vec<Cow<'a, [u8]>> },
}

impl Values<'_> {
    /// A value; none where it lies outside of its buffer.
    fn get(&self, row: usize) -> Option<&[u8]> {
        match self {
            Values::Offsets { offsets, size, bytes } => {
                let offset = |row: usize| {
                    let found = offsets.get(row.checked_mul(*size)?..)?;
                    match size {
                        4 => usize::try_from(i32::from_le_bytes(*found.first_chunk()?)).ok(),
                        _ => usize::try_from(i64::from_le_bytes(*found.first_chunk()?)).ok(),
                    }
                };
                bytes.get(offset(row)?..offset(row + 1)?)
            }
            Values::Views { views, buffers } => {
                let view: &[u8; 16] = views.get(row.checked_mul(16)?..)?.first_chunk()?;
                let word =
                    |at: usize| u32::from_le_bytes([view[at], view[at + 1], view[at + 2], view[at + 3]]) as usize;
                let length = word(0);
                if length <= 12 {
                    return views.get(row * 16 + 4..row * 16 + 4 + length);
                }
                let start = word(12);
                buffers.get(word(8))?.get(start..start.checked_add(length)?)
            }
        }
    }
}

fn float(value: &[u8]) -> Cell<'static> {
    match *value {
        [a, b] => Cell::Single(f16::from_le_bytes([a, b]).to_f32()),
        [a, b, c, d] => Cell::Single(f32::from_le_bytes([a, b, c, d])),
        _ => value.first_chunk().map_or(Cell::Missing, |bytes| Cell::Double(f64::from_le_bytes(*bytes))),
    }
}
