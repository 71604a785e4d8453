//! The end of a training, from which another one goes on.

use crate::errors::Failure;
use gputrain::train::{Checkpoint, TrainError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Where the training of a model ended: its weights, and what the optimizer keeps of its gradients.
#[pyclass(frozen, module = "gputrain._native")]
pub(crate) struct Moment {
    pub(crate) checkpoint: Checkpoint,
}

#[pymethods]
impl Moment {
    /// The moment of such bytes as pickling gives.
    #[staticmethod]
    fn from_bytes(bytes: &[u8]) -> PyResult<Moment> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("state.safetensors");
        std::fs::write(&path, bytes)?;
        let checkpoint = Checkpoint::load(&path).map_err(TrainError::from).map_err(Failure::from)?;
        Ok(Moment { checkpoint })
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let (py, folder) = (slf.py(), tempfile::tempdir()?);
        let path = folder.path().join("state.safetensors");
        slf.get().checkpoint.save(&path).map_err(TrainError::from).map_err(Failure::from)?;
        let bytes = PyBytes::new(py, &gputrain::file::read(&path)?);
        Ok((py.get_type::<Moment>().getattr("from_bytes")?, (bytes,)))
    }

    /// Epochs before it.
    #[getter]
    fn epochs(&self) -> u32 {
        self.checkpoint.progress.epoch
    }
}
