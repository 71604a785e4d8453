//! Weights for a model from a file.

use std::collections::BTreeMap;
use std::path::Path;

use super::format::Format;
use super::matching::matching;
use super::tensors::Contents;
use super::{ExportError, saved, tensors};
use crate::data::read_arrays;
use crate::file::{FileError, write_whole};
use crate::model::{Model, Parameter};

/// Reads a model's weights, and its running statistics if it has any, from a .safetensors file, a run folder or a .npz file: a
/// vector per tensor, in the model's order. The file must hold exactly the model's tensors, by their names (`layers.N.weight`, `layers.N.bias`) and in
/// PyTorch's shapes; doubles are rounded to single precision.
pub fn load_parameters(path: &Path, model: &Model) -> Result<Vec<Vec<f32>>, ExportError> {
    Ok(load_initial(path, model)?.0)
}

/// The same, and the names of the features that the weights were trained on, where the file tells them.
pub fn load_initial(path: &Path, model: &Model) -> Result<(Vec<Vec<f32>>, Vec<String>), ExportError> {
    let Contents { tensors, metadata } = stored(path)?;
    Ok((matching(path, model, tensors)?, saved::features(&metadata)))
}

/// What a .safetensors file, a run folder or a .npz file holds.
pub(super) fn stored(path: &Path) -> Result<Contents, ExportError> {
    let path = &tensors::model_file(path)?;
    match Format::from_path(path) {
        Some(Format::Safetensors) => tensors::read(path),
        Some(Format::Npz) => Ok(Contents { tensors: read_arrays(&path.to_string_lossy())?, metadata: BTreeMap::new() }),
        Some(Format::Onnx { .. }) | None => Err(ExportError::UnknownFormat { path: path.into() }),
    }
}

/// Writes weights, a vector per parameter, to a .safetensors file that [`load_parameters`] reads: whole or not at all, and
/// without the definition of their model.
pub fn save_parameters(path: &Path, parameters: &[Parameter], values: &[Vec<f32>]) -> Result<(), FileError> {
    let named = parameters.iter().zip(values).map(|(p, values)| (&*p.name, &*p.shape, &**values));
    write_whole(path, &tensors::encode(BTreeMap::new(), &named.collect::<Vec<tensors::Tensor<'_>>>()))
}
