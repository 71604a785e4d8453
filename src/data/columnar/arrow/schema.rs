//! The columns of an Arrow file, and their types.

use std::collections::HashMap;

use super::super::DIGITS;
use super::super::flat::{Broken, List, Table};
use super::problem::broken;
use crate::data::column::{Cell, Kind, Unusable};
use crate::data::error::Problem;

/// The deepest type that is followed.
const DEEPEST: usize = 64;
const UNIONS: &str = "unions";

pub(super) struct Schema {
    pub(super) fields: Vec<Field>,
    pub(super) metadata: HashMap<String, String>,
}

/// A column, or a part of one.
pub(super) struct Field {
    pub(super) name: String,
    /// The type of its values; of a dictionary, that of its levels.
    pub(super) values: Type,
    /// The dictionary of its values, and what the numbers of levels are.
    pub(super) dictionary: Option<(i64, Integer)>,
    pub(super) children: Vec<Field>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Integer {
    pub(super) bytes: usize,
    pub(super) is_signed: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Type {
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

/// A schema, in a message of this version of the metadata.
pub(super) fn schema(schema: Table<'_>, version: i16) -> Result<Schema, Problem> {
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

    pub(super) fn kind(&self) -> Kind {
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
    pub(super) fn picture_bytes(&self) -> Option<usize> {
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

    pub(super) fn cell(self, value: &[u8]) -> Cell<'static> {
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
    pub(super) fn buffers(&self) -> usize {
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
