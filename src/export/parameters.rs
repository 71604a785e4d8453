//! Weights for a model from a file.

use std::collections::BTreeMap;
use std::path::Path;

use super::{ExportError, Format, saved, tensors};
use crate::data::{Array, read_arrays};
use crate::file::{FileError, write_whole};
use crate::model::{Model, Parameter};

/// Reads a model's weights from a .safetensors file, a run folder or a .npz file: a vector per parameter, in the model's
/// order. The file must hold exactly the model's tensors, by their names (`layers.N.weight`, `layers.N.bias`) and in
/// PyTorch's shapes; doubles are rounded to single precision.
pub fn load_parameters(path: &Path, model: &Model) -> Result<Vec<Vec<f32>>, ExportError> {
    Ok(load_initial(path, model)?.0)
}

/// The same, and the names of the features that the weights were trained on, where the file tells them.
pub fn load_initial(path: &Path, model: &Model) -> Result<(Vec<Vec<f32>>, Vec<String>), ExportError> {
    let path = &saved::model_file(path)?;
    let (tensors, features) = match Format::of(path) {
        Some(Format::Safetensors) => {
            let contents = tensors::read(path)?;
            let features = saved::features(&contents.metadata);
            (contents.tensors, features)
        }
        Some(Format::Npz) => (read_arrays(&path.to_string_lossy())?, Vec::new()),
        Some(Format::Onnx) | None => return Err(ExportError::UnknownFormat { path: path.into() }),
    };
    let parameters = matching(path, model, tensors)?;
    for (parameter, values) in model.parameters.iter().zip(&parameters) {
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            let tensor = parameter.name.clone();
            return Err(ExportError::NotFinite { path: path.into(), tensor, index, value: values[index] });
        }
    }
    Ok((parameters, features))
}

/// Writes weights, a vector per parameter, to a .safetensors file that [`load_parameters`] reads: whole or not at all, and
/// without the definition of their model.
pub fn save_parameters(path: &Path, parameters: &[Parameter], values: &[Vec<f32>]) -> Result<(), FileError> {
    let named = parameters.iter().zip(values).map(|(p, values)| (&*p.name, &*p.shape, &**values));
    write_whole(path, &tensors::encode(BTreeMap::new(), &named.collect::<Vec<tensors::Tensor<'_>>>()))
}

/// The values of every parameter of the model, if the tensors are exactly those.
pub(super) fn matching(
    path: &Path,
    model: &Model,
    tensors: Vec<(String, Array)>,
) -> Result<Vec<Vec<f32>>, ExportError> {
    let expected = || model.parameters.iter().map(|p| format!("{} {}", p.name, tuple(&p.shape))).collect();
    let find = |parameter: &Parameter| tensors.iter().find(|(name, _)| *name == parameter.name);
    let missing = model.parameters.iter().filter(|p| find(p).is_none());
    let missing: Vec<String> = missing.map(|p| p.name.clone()).collect();
    if !missing.is_empty() {
        return Err(ExportError::Missing { path: path.into(), missing, expected: expected() });
    }
    let known = |name: &str| model.parameters.iter().any(|p| p.name == name);
    let unknown = tensors.iter().filter(|(name, _)| !known(name));
    let unknown: Vec<String> = unknown.map(|(name, array)| format!("{name} {}", tuple(array.shape()))).collect();
    if !unknown.is_empty() {
        return Err(ExportError::Unknown { path: path.into(), unknown, expected: expected() });
    }
    let found = model.parameters.iter().filter_map(|parameter| Some((parameter, &find(parameter)?.1)));
    found.map(|(parameter, array)| values(path, parameter, array)).collect()
}

fn values(path: &Path, parameter: &Parameter, array: &Array) -> Result<Vec<f32>, ExportError> {
    if array.shape() != parameter.shape {
        let reversed = array.shape().iter().rev().eq(&parameter.shape);
        return Err(ExportError::Shape {
            path: path.into(),
            tensor: parameter.name.clone(),
            expected: tuple(&parameter.shape),
            found: tuple(array.shape()),
            remedy: match reversed {
                true => "weights lie as PyTorch has them, outputs first: transpose it, in NumPy with w.T",
                false => "give the weights of this model, or the model of these weights",
            },
        });
    }
    if !array.dtype().is_float() {
        let found = array.dtype().name().to_string();
        return Err(ExportError::Type { path: path.into(), tensor: parameter.name.clone(), found });
    }
    Ok(array.to_f32())
}

/// A shape as Python writes it.
pub(super) fn tuple(shape: &[usize]) -> String {
    match shape {
        [one] => format!("({one},)"),
        _ => format!("({})", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}
