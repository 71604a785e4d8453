//! Trained models as files: what `train` saves, `--init` reads and `export` writes.
//!
//! A saved model is a `.safetensors` file that any reader of that format opens: the tensors are called
//! `layers.N.weight`, `layers.N.bias`, and of a batch norm `layers.N.running_mean` and `layers.N.running_var`, and lie as
//! PyTorch has them. Its metadata holds all that is needed to use it:
//! the recipe, and the scaling fitted to the training data.

mod error;
mod format;
mod matching;
#[allow(unreachable_pub, reason = "not gone through yet")]
mod onnx;
mod parameters;
mod saved;
mod start;
mod tensors;

pub use crate::data::TrainedOn;
pub use error::ExportError;
pub use format::Format;
pub(crate) use onnx::graph as onnx_graph;
pub use parameters::{load_initial, load_parameters, save_parameters};
pub use saved::SavedModel;
pub use start::{Initial, Started};
pub use tensors::parameter_hash;

use std::path::Path;

use crate::data::{Array, write_arrays};
use crate::file::write_whole;

/// Writes a model to a file whose name must end as the format's files do.
pub fn write(model: &SavedModel, format: Format, path: &Path) -> Result<(), ExportError> {
    if Format::from_path(path).map(Format::name) != Some(format.name()) {
        return Err(ExportError::Extension { path: path.into(), extension: format.name() });
    }
    match format {
        Format::Safetensors => model.save(path),
        Format::Npz => write_npz(model, path),
        Format::Onnx { norms_folded } => write_onnx(model, norms_folded, path),
    }
}

fn write_onnx(model: &SavedModel, norms_folded: bool, path: &Path) -> Result<(), ExportError> {
    model.check(path)?;
    let bytes = onnx::encode(model, norms_folded);
    if bytes.len() > onnx::MOST_BYTES {
        return Err(ExportError::TooLarge { path: path.into(), bytes: bytes.len(), limit: onnx::MOST_BYTES });
    }
    Ok(write_whole(path, &bytes)?)
}

fn write_npz(model: &SavedModel, path: &Path) -> Result<(), ExportError> {
    model.check(path)?;
    let arrays: Vec<(&str, Array)> = model
        .model
        .tensors()
        .zip(&model.parameters)
        // None is left out: check has compared the numbers of values.
        .filter_map(|(parameter, values)| Some((&*parameter.name, Array::from_f32(&parameter.shape, values)?)))
        .collect();
    let arrays: Vec<(&str, &Array)> = arrays.iter().map(|(name, array)| (*name, array)).collect();
    Ok(write_arrays(path, &arrays)?)
}
