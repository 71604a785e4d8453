//! A trained model.

use crate::arrays::{Values, examples, state_dict};
use crate::device;
use crate::errors::Failure;
use gputrain::backend::Backend;
use gputrain::data::{DataError, Examples, RawTable};
use gputrain::export::{self, Format, SavedModel, parameter_hash};
use gputrain::job::blank_targets;
use gputrain::recipe::DataSpec;
use gputrain::run::Answers;
use gputrain::train::Predictions;
use numpy::{PyArray1, PyArrayDyn, PyArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::path::PathBuf;

/// A trained model with all that is needed to use it.
#[pyclass(frozen, module = "gputrain._native")]
pub(crate) struct Model {
    pub(crate) saved: SavedModel,
}

#[pymethods]
impl Model {
    /// Reads a .safetensors file that `save` or the program wrote, or the folder of a run that holds one.
    #[staticmethod]
    fn load(path: PathBuf) -> PyResult<Model> {
        Ok(Model { saved: SavedModel::load(&path).map_err(Failure::from)? })
    }

    /// Writes a file that `load` and the program read: weights by PyTorch's names in .safetensors.
    fn save(&self, path: PathBuf) -> PyResult<()> {
        Ok(self.saved.save(&path).map_err(Failure::from)?)
    }

    /// Writes another format by the file's name: .onnx, .npz or .safetensors.
    fn export(&self, path: PathBuf) -> PyResult<()> {
        let format = Format::from_path(&path)
            .ok_or_else(|| PyValueError::new_err(format!("{}: name it .onnx, .npz or .safetensors", path.display())))?;
        Ok(export::write(&self.saved, format, &path).map_err(Failure::from)?)
    }

    /// The bytes of the file that `save` writes.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("model.safetensors");
        self.saved.save(&path).map_err(Failure::from)?;
        Ok(PyBytes::new(py, &gputrain::file::read(&path)?))
    }

    /// The model of such bytes.
    #[staticmethod]
    fn from_bytes(bytes: &[u8]) -> PyResult<Model> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("model.safetensors");
        std::fs::write(&path, bytes)?;
        Ok(Model { saved: SavedModel::load(&path).map_err(Failure::from)? })
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let py = slf.py();
        Ok((py.get_type::<Model>().getattr("from_bytes")?, (slf.get().to_bytes(py)?,)))
    }

    /// Weights and statistics by PyTorch's names, in its layouts.
    fn state_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        state_dict(py, &self.saved.model, &self.saved.parameters)
    }

    /// (N, outputs): probabilities of the cross entropies' outputs, else the outputs themselves.
    fn outputs<'py>(&self, py: Python<'py>, x: Values<'py>, device: &str) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        let backend = device::open(device)?;
        let (storage, shape) = x.read()?;
        let count = shape.first().copied().unwrap_or(0);
        let saved = &self.saved;
        let examples = examples(storage, &shape, blank_targets(count, &saved.model), &saved.model)?;
        let Predictions { outputs, width, .. } = py.detach(|| answer(saved, &examples, &*backend))?;
        Ok(PyArray1::from_vec(py, outputs).reshape([count, width])?.to_dyn().clone())
    }

    /// The same of the rows of a CSV file that names its columns, for a model that was trained on a table: values in the unit of the
    /// table. Errors call the file `X`.
    fn table_outputs<'py>(&self, py: Python<'py>, table: &str, device: &str) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        let backend = device::open(device)?;
        let saved = &self.saved;
        let result = py.detach(|| {
            let data = DataSpec { header: Some(true), ..saved.recipe.data.clone() };
            let read = RawTable::read(table, &[], &data, &saved.trained_on);
            let features = read.and_then(|raw| raw.features(saved.model.input));
            let (features, _) = features.map_err(|error| DataError { place: "X".into(), ..error })?;
            let targets = blank_targets(features.count, &saved.model);
            let examples = Examples::unweighted(features, targets);
            let result = answer(saved, &examples, &*backend)?;
            Ok::<_, Failure>(Answers::new(saved, &examples, result, false).result)
        });
        let Predictions { outputs, width, .. } = result?;
        let count = outputs.len() / width;
        Ok(PyArray1::from_vec(py, outputs).reshape([count, width])?.to_dyn().clone())
    }

    /// Whether it was trained on a table, whose columns it knows.
    #[getter]
    fn reads_tables(&self) -> bool {
        self.saved.trained_on.table.is_some()
    }

    /// The recipe that it was trained with, as TOML.
    #[getter]
    fn recipe(&self) -> String {
        self.saved.recipe.to_toml()
    }

    /// The word for its loss.
    #[getter]
    fn loss(&self) -> String {
        self.saved.model.loss.to_string()
    }

    /// Numbers that it gives for each example.
    #[getter]
    fn outputs_count(&self) -> usize {
        self.saved.model.outputs()
    }

    /// The names of its classes; none where they are called by their numbers.
    #[getter]
    fn class_names(&self) -> Vec<String> {
        self.saved.trained_on.class_names.clone()
    }

    /// The names of its features; none where they have none.
    #[getter]
    fn feature_names(&self) -> Vec<String> {
        self.saved.trained_on.features.clone()
    }

    /// What tells its weights from others: blake3 of all of them.
    #[getter]
    fn parameter_hash(&self) -> String {
        parameter_hash(&self.saved.parameters)
    }

    /// The table of its layers.
    fn summary(&self) -> String {
        self.saved.model.summary().to_string()
    }
}

/// What a model gives for examples.
fn answer(saved: &SavedModel, examples: &Examples, backend: &dyn Backend) -> Result<Predictions, Failure> {
    let SavedModel { recipe, model, scaling, parameters, .. } = saved;
    Ok(Predictions::run(backend, model, parameters, scaling, &recipe.optimizer, examples)?)
}
