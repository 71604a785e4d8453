//! Named tensors in a .safetensors file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::Dtype as StoredType;

use super::ExportError;
use crate::data::{Array, Dtype};
use crate::file::little_endian;
use crate::sealed;

/// A tensor's name, shape and values.
pub(super) type Tensor<'a> = (&'a str, &'a [usize], &'a [f32]);

/// The bytes of a file with these tensors, one after the other, and this metadata.
pub(super) fn encode(metadata: BTreeMap<&str, String>, tensors: &[Tensor<'_>]) -> Vec<u8> {
    let values: Vec<Vec<u8>> =
        tensors.iter().map(|(_, _, values)| little_endian(values.iter().map(|value| value.to_le_bytes()))).collect();
    let tensors = tensors.iter().zip(&values);
    let tensors =
        tensors.map(|((name, shape, _), bytes)| sealed::Tensor { name, dtype: StoredType::F32, shape, bytes });
    sealed::encode(metadata, &tensors.collect::<Vec<_>>())
}

/// What a file holds.
pub(super) struct Contents {
    /// Texts by key.
    pub metadata: BTreeMap<String, String>,
    /// Arrays with their names, in the order in which they lie in the file.
    pub tensors: Vec<(String, Array)>,
}

/// Reads a file. One that this program wrote must be as it was written.
pub(super) fn read(path: &Path) -> Result<Contents, ExportError> {
    let bytes = crate::file::read(path).map_err(|source| ExportError::Read { path: path.into(), source })?;
    let malformed = |problem: String| ExportError::Malformed { path: path.into(), problem };
    let file = sealed::open(&bytes).map_err(|e| malformed(e.to_string()))?;
    file.check().map_err(|sealed::Changed { expected, found }| ExportError::Damaged {
        path: path.into(),
        expected,
        found,
    })?;
    let mut tensors = Vec::new();
    for name in file.header.offset_keys() {
        let view = file.tensors.tensor(&name).map_err(|e| malformed(e.to_string()))?;
        let wrong_type =
            || ExportError::Type { path: path.into(), tensor: name.clone(), found: format!("{:?}", view.dtype()) };
        let dtype = number_type(view.dtype()).ok_or_else(wrong_type)?;
        let array = Array::new(dtype, view.shape().to_vec(), view.data().to_vec());
        let array = array.ok_or_else(|| malformed(format!("{name} has more or fewer values than its shape")))?;
        tensors.push((name, array));
    }
    let metadata = file.header.metadata().iter().flatten().map(|(key, text)| (key.clone(), text.clone())).collect();
    Ok(Contents { metadata, tensors })
}

/// The array type of a stored one; none for types that no weights are kept in here.
fn number_type(stored: StoredType) -> Option<Dtype> {
    match stored {
        StoredType::F16 => Some(Dtype::F16),
        StoredType::F32 => Some(Dtype::F32),
        StoredType::F64 => Some(Dtype::F64),
        // PyTorch's counts; no model has weights of them.
        StoredType::I64 => Some(Dtype::I64),
        _ => None,
    }
}

/// The BLAKE3 hash of all parameters, in hexadecimal: of their little-endian bytes in the model's order. Two runs with
/// the same hash have the same weights, bit for bit.
pub fn parameter_hash(parameters: &[Vec<f32>]) -> String {
    let mut hasher = blake3::Hasher::new();
    for values in parameters {
        hasher.update(&little_endian(values.iter().map(|value| value.to_le_bytes())));
    }
    hasher.finalize().to_hex().to_string()
}

/// The file of the model that a path stands for: itself, or the one in a run folder.
pub(super) fn model_file(path: &Path) -> Result<PathBuf, ExportError> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let file = path.join("model.safetensors");
    if file.is_file() { Ok(file) } else { Err(ExportError::NoModel { path: path.to_path_buf() }) }
}
