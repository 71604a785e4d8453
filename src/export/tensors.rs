//! Named tensors in a .safetensors file.
//!
//! Reading is left to the `safetensors` crate, which checks every offset. It cannot write what is needed here: it puts
//! the metadata in a random order, and a file with the same weights must have the same bytes.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::{Dtype as StoredType, SafeTensors};
use serde_json::{Value, json};

use super::ExportError;
use crate::data::{Array, Dtype};

/// A tensor's name, shape and values.
pub(super) type Tensor<'a> = (&'a str, &'a [usize], &'a [f32]);

/// The bytes of a file with these tensors, one after the other, and this metadata.
pub(super) fn encode(metadata: BTreeMap<&str, String>, tensors: &[Tensor<'_>]) -> Vec<u8> {
    let mut header = BTreeMap::<&str, Value>::from([("__metadata__", json!(metadata))]);
    let mut end = 0;
    for (name, shape, values) in tensors {
        let start = end;
        end += values.len() * 4;
        header.insert(name, json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] }));
    }
    let mut text = json!(header).to_string();
    // The values begin at a multiple of 8, so that a reader may map them.
    text.push_str(&" ".repeat(text.len().next_multiple_of(8) - text.len()));
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    for (_, _, values) in tensors {
        bytes.extend_from_slice(&little_endian(values));
    }
    bytes
}

/// The values' bytes, least significant first.
pub(super) fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// What a file holds.
pub(super) struct Contents {
    /// Texts by key.
    pub metadata: BTreeMap<String, String>,
    /// Arrays with their names, in the order in which they lie in the file.
    pub tensors: Vec<(String, Array)>,
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Contents, ExportError> {
    let bytes = crate::file::read(path).map_err(|source| ExportError::Read { path: path.into(), source })?;
    let malformed = |problem: String| ExportError::Malformed { path: path.into(), problem };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| malformed(e.to_string()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| malformed(e.to_string()))?;
    let mut tensors = Vec::new();
    for name in header.offset_keys() {
        let view = file.tensor(&name).map_err(|e| malformed(e.to_string()))?;
        let wrong_type =
            || ExportError::Type { path: path.into(), tensor: name.clone(), found: format!("{:?}", view.dtype()) };
        let dtype = number_type(view.dtype()).ok_or_else(wrong_type)?;
        let array = Array::new(dtype, view.shape().to_vec(), view.data().to_vec());
        let array = array.ok_or_else(|| malformed(format!("{name} has more or fewer values than its shape")))?;
        tensors.push((name, array));
    }
    let metadata = header.metadata().iter().flatten().map(|(key, text)| (key.clone(), text.clone())).collect();
    Ok(Contents { metadata, tensors })
}

/// The array type of a stored one; none for types that no weights are kept in here.
fn number_type(stored: StoredType) -> Option<Dtype> {
    match stored {
        StoredType::F16 => Some(Dtype::F16),
        StoredType::F32 => Some(Dtype::F32),
        StoredType::F64 => Some(Dtype::F64),
        _ => None,
    }
}
