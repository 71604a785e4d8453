//! Tensors of a file as those of a model.

use std::path::Path;

use super::ExportError;
use crate::data::Array;
use crate::model::{Model, Parameter};

/// The values of every tensor of the model, if the file has exactly those, and they are finite. What PyTorch counts beside running statistics
/// (`num_batches_tracked`) is of no use here and may be there.
pub(super) fn matching(
    path: &Path,
    model: &Model,
    tensors: Vec<(String, Array)>,
) -> Result<Vec<Vec<f32>>, ExportError> {
    let expected = || model.tensors().map(|p| format!("{} {}", p.name, tuple(&p.shape))).collect();
    let find = |parameter: &Parameter| tensors.iter().find(|(name, _)| *name == parameter.name);
    let missing = model.tensors().filter(|p| find(p).is_none());
    let missing: Vec<String> = missing.map(|p| p.name.clone()).collect();
    if !missing.is_empty() {
        return Err(ExportError::Missing { path: path.into(), missing, expected: expected() });
    }
    let known = |name: &str| model.tensors().any(|p| p.name == name) || is_count(model, name);
    let unknown = tensors.iter().filter(|(name, _)| !known(name));
    let unknown: Vec<String> = unknown.map(|(name, array)| format!("{name} {}", tuple(array.shape()))).collect();
    if !unknown.is_empty() {
        return Err(ExportError::Unknown { path: path.into(), unknown, expected: expected() });
    }
    let found = model.tensors().filter_map(|parameter| Some((parameter, &find(parameter)?.1)));
    found.map(|(parameter, array)| checked(path, parameter, array)).collect()
}

/// Whether a name is what PyTorch counts beside running statistics that the model has.
pub(super) fn is_count(model: &Model, name: &str) -> bool {
    let layer = name.strip_suffix(".num_batches_tracked");
    layer.is_some_and(|layer| model.statistics.iter().any(|p| p.name.strip_suffix(".running_mean") == Some(layer)))
}

/// The values of a tensor, if the array can be it.
pub(super) fn checked(path: &Path, parameter: &Parameter, array: &Array) -> Result<Vec<f32>, ExportError> {
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
    let values = array.to_f32();
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        let tensor = parameter.name.clone();
        return Err(ExportError::NotFinite { path: path.into(), tensor, index, value: values[index] });
    }
    match values.iter().position(|value| parameter.is_variance() && *value < 0.0) {
        Some(index) => {
            let tensor = parameter.name.clone();
            Err(ExportError::NegativeVariance { path: path.into(), tensor, index, value: values[index] })
        }
        None => Ok(values),
    }
}

/// A shape as Python writes it.
pub(super) fn tuple(shape: &[usize]) -> String {
    match shape {
        [one] => format!("({one},)"),
        _ => format!("({})", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}
