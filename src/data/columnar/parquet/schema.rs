//! The columns of a Parquet file: where their values lie, and what they are.

use std::collections::HashSet;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::file::metadata::ParquetMetaData;
use parquet::schema::types::{ColumnDescriptor, Type};

use super::super::{DIGITS, arrow};
use crate::data::column::{Column, Kind, Unusable};

/// Where the values of a column lie, and what they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaf {
    /// The place among all leaves of the schema.
    pub(super) place: usize,
    pub(super) how: How,
    /// Whether its numbers are categories.
    pub(super) is_category: bool,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum How {
    Nothing,
    Boolean,
    Integer,
    Unsigned,
    Half,
    Float,
    Decimal { scale: i32 },
    Text,
    Bytes,
}

/// The columns of a file, and where those that can be read lie.
pub(super) fn columns(metadata: &ParquetMetaData) -> Vec<(Column, Option<Leaf>)> {
    let schema = metadata.file_metadata().schema_descr();
    let categories = categories(metadata);
    let mut first_leaf = vec![None; schema.root_schema().get_fields().len()];
    for leaf in (0..schema.num_columns()).rev() {
        first_leaf[schema.get_column_root_idx(leaf)] = Some(leaf);
    }
    let column = |(field, first): (&Arc<Type>, Option<usize>)| {
        let name = field.name().to_owned();
        let is_category = categories.contains(&name);
        let found = first.map_or(Err(Unusable::Type("nothing".into())), |first| {
            let place = first + bytes_of_pictures(field)?;
            let how = how(&schema.column(place))?;
            // Below a column there are the bytes of pictures alone.
            Ok((place, if field.is_primitive() { how } else { How::Bytes }))
        });
        match found {
            Ok((place, how)) => {
                let kind = if how == How::Bytes { Kind::Unusable(Unusable::Pictures) } else { Kind::Cells };
                (Column { name, kind }, Some(Leaf { place, how, is_category }))
            }
            Err(why) => (Column { name, kind: Kind::Unusable(why) }, None),
        }
    };
    schema.root_schema().get_fields().iter().zip(first_leaf).map(column).collect()
}

/// Which leaf of a column has its values: the only one or, of a picture as the library `datasets` keeps it, the bytes beside a path.
fn bytes_of_pictures(field: &Type) -> Result<usize, Unusable> {
    let is_repeated = |field: &Type| {
        let info = field.get_basic_info();
        info.has_repetition() && info.repetition() == Repetition::REPEATED
    };
    let nested = |name: &str| Err(Unusable::Type(name.into()));
    if is_repeated(field) {
        return nested("lists");
    }
    if field.is_primitive() {
        return Ok(0);
    }
    let info = field.get_basic_info();
    match (info.logical_type_ref(), info.converted_type()) {
        (Some(LogicalType::List), _) | (_, ConvertedType::LIST) => return nested("lists"),
        (Some(LogicalType::Map), _) | (_, ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE) => return nested("maps"),
        _ => {}
    }
    let is_bytes = |field: &Arc<Type>| {
        field.name() == "bytes"
            && field.is_primitive()
            && !is_repeated(field)
            && field.get_physical_type() == Physical::BYTE_ARRAY
    };
    let fields = field.get_fields();
    let others =
        fields.iter().filter(|field| !is_bytes(field)).all(|field| field.name() == "path" && field.is_primitive());
    match fields.iter().position(is_bytes).filter(|_| others) {
        Some(place) => Ok(place),
        None => nested("structs"),
    }
}

/// What the values of a leaf are.
fn how(leaf: &ColumnDescriptor) -> Result<How, Unusable> {
    let (logical, converted) = (leaf.logical_type_ref(), leaf.converted_type());
    let scale = match logical {
        Some(LogicalType::Decimal(decimal)) => Some(decimal.scale),
        None if converted == ConvertedType::DECIMAL => Some(leaf.type_scale()),
        _ => None,
    };
    if let Some(scale) = scale {
        let is_long = leaf.physical_type() == Physical::FIXED_LEN_BYTE_ARRAY && leaf.type_length() > 16;
        return match (-DIGITS..=DIGITS).contains(&scale) && !is_long {
            true => Ok(How::Decimal { scale }),
            false => Err(Unusable::Type("decimal numbers of more than 38 digits".into())),
        };
    }
    let is_unsigned = match logical {
        Some(LogicalType::Integer(integer)) => !integer.is_signed,
        _ => matches!(
            converted,
            ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64
        ),
    };
    let is_date = matches!(logical, Some(LogicalType::Date | LogicalType::Time(_) | LogicalType::Timestamp(_)))
        || matches!(
            converted,
            ConvertedType::DATE
                | ConvertedType::TIME_MILLIS
                | ConvertedType::TIME_MICROS
                | ConvertedType::TIMESTAMP_MILLIS
                | ConvertedType::TIMESTAMP_MICROS
        );
    let other = |name: &str| Err(Unusable::Type(name.into()));
    match (leaf.physical_type(), logical) {
        (_, Some(LogicalType::Unknown)) => Ok(How::Nothing),
        (Physical::BOOLEAN, _) => Ok(How::Boolean),
        (Physical::INT96, _) => Err(Unusable::Dates),
        (Physical::INT32 | Physical::INT64, _) if is_date => Err(Unusable::Dates),
        (Physical::INT32 | Physical::INT64, _) => Ok(if is_unsigned { How::Unsigned } else { How::Integer }),
        (Physical::FLOAT | Physical::DOUBLE, _) => Ok(How::Float),
        (Physical::BYTE_ARRAY, Some(LogicalType::String | LogicalType::Enum | LogicalType::Json)) => Ok(How::Text),
        (Physical::BYTE_ARRAY, None) => match converted {
            ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON => Ok(How::Text),
            ConvertedType::NONE => Ok(How::Bytes),
            _ => other("bytes"),
        },
        (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Float16)) if leaf.type_length() == 2 => Ok(How::Half),
        (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Uuid)) => other("UUIDs"),
        (Physical::FIXED_LEN_BYTE_ARRAY, _) if converted == ConvertedType::INTERVAL => other("spans of time"),
        (Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY, _) => other("bytes"),
    }
}

pub(super) fn key_value<'a>(metadata: &'a ParquetMetaData, key: &str) -> Option<&'a str> {
    let all = metadata.file_metadata().key_value_metadata()?;
    all.iter().find(|entry| entry.key == key)?.value.as_deref()
}

/// The columns that were categories where they were written, as Arrow's schema beside Parquet's tells.
fn categories(metadata: &ParquetMetaData) -> HashSet<String> {
    let schema = key_value(metadata, "ARROW:schema").and_then(|text| BASE64_STANDARD.decode(text).ok());
    schema.map_or_else(HashSet::new, |message| arrow::dictionaries(&message))
}
