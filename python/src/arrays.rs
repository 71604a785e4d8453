//! NumPy's arrays as examples.

use crate::errors::Failure;
use gputrain::data::{DataError, Examples, Problem, Storage, TargetKind, Targets};
use gputrain::model::Model as Network;
use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Examples as NumPy has them: (N, features), (N, height, width) or (N, height, width, channels), one after the other in
/// memory. They are copied once, into memory that the trainer owns.
#[derive(FromPyObject)]
pub(crate) enum Values<'py> {
    #[pyo3(transparent, annotation = "float32 array")]
    Floats(PyReadonlyArrayDyn<'py, f32>),
    #[pyo3(transparent, annotation = "uint8 array")]
    Bytes(PyReadonlyArrayDyn<'py, u8>),
}

impl Values<'_> {
    /// The numbers and their shape.
    pub(crate) fn read(&self) -> PyResult<(Storage, Vec<usize>)> {
        Ok(match self {
            Values::Floats(array) => (array.as_slice()?.to_vec().into(), array.shape().to_vec()),
            Values::Bytes(array) => (array.as_slice()?.to_vec().into(), array.shape().to_vec()),
        })
    }
}

/// What the examples should give: classes, or so many values each.
#[derive(FromPyObject)]
pub(crate) enum Truth<'py> {
    #[pyo3(transparent, annotation = "uint32 array of N classes")]
    Classes(PyReadonlyArray1<'py, u32>),
    #[pyo3(transparent, annotation = "float32 array of (N, outputs)")]
    Numbers(PyReadonlyArray2<'py, f32>),
}

impl Truth<'_> {
    /// What they say.
    pub(crate) fn read(&self) -> PyResult<Targets> {
        Ok(match self {
            Truth::Classes(labels) => labels.as_slice()?.to_vec().into(),
            Truth::Numbers(values) => (values.as_slice()?.to_vec(), values.shape()[1]).into(),
        })
    }
}

/// Whether rows of such numbers can be no pixels: what the program warns of where it takes them for such.
#[pyfunction]
pub(crate) fn are_no_pixels(x: PyReadonlyArrayDyn<'_, f32>) -> PyResult<bool> {
    Ok(gputrain::data::are_no_pixels(x.as_slice()?))
}

/// Examples as they are; errors call them `X`.
pub(crate) fn read_examples(storage: Storage, shape: &[usize], targets: Targets) -> Result<Examples, Failure> {
    Examples::new(storage, shape, targets).map_err(of_x)
}

/// Examples as a network takes them.
pub(crate) fn examples(
    storage: Storage,
    shape: &[usize],
    targets: Targets,
    network: &Network,
) -> Result<Examples, Failure> {
    let mut examples = read_examples(storage, shape, targets)?;
    examples.fit(network.input, TargetKind::for_model(network)).map_err(of_x)?;
    Ok(examples)
}

fn of_x(problem: Problem) -> Failure {
    Failure::Data(DataError { place: "X".into(), problem })
}

/// Weights and statistics of a network by PyTorch's names, in its layouts.
pub(crate) fn state_dict<'py>(
    py: Python<'py>,
    network: &Network,
    parameters: &[Vec<f32>],
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (tensor, values) in network.tensors().zip(parameters) {
        dict.set_item(&tensor.name, PyArray1::from_slice(py, values).reshape(tensor.shape.clone())?)?;
    }
    Ok(dict)
}
