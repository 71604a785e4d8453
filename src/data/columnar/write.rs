//! Writing Parquet.

use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};

use crate::data::column::WrittenColumn;
use crate::data::error::Problem;
use crate::file::write_whole_with;

/// Rows that lie together in the file.
const GROUP: usize = 1 << 20;

/// What went wrong while a file is written.
struct Failed(Problem);

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Failed {
        Failed(error.into())
    }
}

impl From<ParquetError> for Failed {
    fn from(error: ParquetError) -> Failed {
        Failed(Problem::Io(std::io::Error::other(error)))
    }
}

/// Writes columns of one length.
pub(in crate::data) fn write(path: &Path, columns: &[(String, WrittenColumn)]) -> Result<(), Problem> {
    let fields =
        columns.iter().map(|(name, column)| field(name, column)).collect::<Result<Vec<TypePtr>, ParquetError>>();
    let schema = fields.and_then(|fields| Type::group_type_builder("schema").with_fields(fields).build());
    let schema = schema.map_err(|error| Failed::from(error).0)?;
    write_whole_with(path, |out| {
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let mut file = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?;
        let rows = columns.first().map_or(0, |(_, column)| column.len());
        for start in (0..rows).step_by(GROUP) {
            let range = start..(start + GROUP).min(rows);
            let mut group = file.next_row_group()?;
            for (_, column) in columns {
                let Some(mut out) = group.next_column()? else { break };
                match column {
                    WrittenColumn::Integers(values) => {
                        out.typed::<Int64Type>().write_batch(&values[range.clone()], None, None)?;
                    }
                    WrittenColumn::Floats(values) => {
                        out.typed::<FloatType>().write_batch(&values[range.clone()], None, None)?;
                    }
                    WrittenColumn::Texts(values) => {
                        let values: Vec<ByteArray> =
                            values[range.clone()].iter().map(|text| text.as_str().into()).collect();
                        out.typed::<ByteArrayType>().write_batch(&values, None, None)?;
                    }
                }
                out.close()?;
            }
            group.close()?;
        }
        file.close()?;
        Ok::<(), Failed>(())
    })
    .map_err(|Failed(problem)| problem)
}

fn field(name: &str, column: &WrittenColumn) -> Result<TypePtr, ParquetError> {
    let (physical, logical) = match column {
        WrittenColumn::Integers(_) => (Physical::INT64, None),
        WrittenColumn::Floats(_) => (Physical::FLOAT, None),
        WrittenColumn::Texts(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let field = Type::primitive_type_builder(name, physical).with_repetition(Repetition::REQUIRED);
    field.with_logical_type(logical).build().map(Arc::new)
}
