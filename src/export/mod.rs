//! Trained models as files: what `train` saves, `--init` reads and `export` writes.
//!
//! A saved model is a `.safetensors` file that any reader of that format opens: the tensors are called
//! `layers.N.weight` and `layers.N.bias` and lie as PyTorch has them. Its metadata holds all that is needed to use it:
//! the recipe, and the scaling fitted to the training data.

mod error;
mod onnx;
mod parameters;
mod saved;
mod tensors;

pub use error::ExportError;
pub use parameters::{load_initial, load_parameters, save_parameters};
pub use saved::{SavedModel, TrainedOn};

use std::path::Path;

use crate::data::{Array, write_arrays};
use crate::file::write_whole;

/// A file format that models are exported to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// The weights, with the model's definition in the metadata.
    Safetensors,
    /// NumPy: the weights alone.
    Npz,
    /// The network, ready to run: scaling, layers and output.
    Onnx,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 3] = [Format::Safetensors, Format::Npz, Format::Onnx];

    /// The format's name, which is also its files' extension.
    pub fn name(self) -> &'static str {
        match self {
            Format::Safetensors => "safetensors",
            Format::Npz => "npz",
            Format::Onnx => "onnx",
        }
    }

    /// The format that a file's name tells.
    pub fn of(path: &Path) -> Option<Format> {
        let extension = path.extension()?.to_str()?;
        Format::ALL.into_iter().find(|format| extension.eq_ignore_ascii_case(format.name()))
    }
}

/// Writes a model to a file whose name must end as the format's files do.
pub fn write(model: &SavedModel, format: Format, path: &Path) -> Result<(), ExportError> {
    if Format::of(path) != Some(format) {
        return Err(ExportError::Extension { path: path.into(), extension: format.name() });
    }
    match format {
        Format::Safetensors => model.save(path),
        Format::Npz => write_npz(model, path),
        Format::Onnx => write_onnx(model, path),
    }
}

fn write_onnx(model: &SavedModel, path: &Path) -> Result<(), ExportError> {
    model.check(path)?;
    let bytes = onnx::encode(model);
    if bytes.len() > onnx::MOST_BYTES {
        return Err(ExportError::TooLarge { path: path.into(), bytes: bytes.len(), limit: onnx::MOST_BYTES });
    }
    Ok(write_whole(path, &bytes)?)
}

fn write_npz(model: &SavedModel, path: &Path) -> Result<(), ExportError> {
    model.check(path)?;
    let arrays: Vec<(&str, Array)> = model
        .model
        .parameters
        .iter()
        .zip(&model.parameters)
        // None is left out: check has compared the numbers of values.
        .filter_map(|(parameter, values)| Some((&*parameter.name, Array::from_f32(&parameter.shape, values)?)))
        .collect();
    let arrays: Vec<(&str, &Array)> = arrays.iter().map(|(name, array)| (*name, array)).collect();
    Ok(write_arrays(path, &arrays)?)
}

/// The BLAKE3 hash of all parameters, in hexadecimal: of their little-endian bytes in the model's order. Two runs with
/// the same hash have the same weights, bit for bit.
pub fn parameter_hash(parameters: &[Vec<f32>]) -> String {
    let mut hasher = blake3::Hasher::new();
    for values in parameters {
        hasher.update(&tensors::little_endian(values));
    }
    hasher.finalize().to_hex().to_string()
}
