//! The library's errors as Python's exceptions.

use gputrain::backend::BackendError;
use gputrain::data::Problem;
use gputrain::export::ExportError;
use gputrain::job::JobError;
use gputrain::recipe::RecipeError;
use gputrain::report::ReportError;
use gputrain::train::TrainError;
use pyo3::exceptions::{PyFloatingPointError, PyOSError, PyRuntimeError, PyValueError};
use pyo3::{PyErr, PyResult};
use serde::Serialize;
use std::error::Error;
use std::io;

/// Anything that can go wrong below Python.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error(transparent)]
    Examples(#[from] Problem),
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Train(#[from] TrainError),
    /// More models side by side than pays.
    #[error("{members} models side by side take {bytes} bytes; train fewer at once")]
    Members { members: usize, bytes: u64 },
}

impl From<Failure> for PyErr {
    /// `OSError` and its kinds where the system refused a file, `FloatingPointError` where a run diverged, `MemoryError` and
    /// `RuntimeError` of a device, and `ValueError` of all else: what was asked for.
    fn from(failure: Failure) -> PyErr {
        let text = failure.to_string();
        let first: &(dyn Error + 'static) = &failure;
        let causes = std::iter::successors(Some(first), |error: &&(dyn Error + 'static)| (**error).source());
        if let Some(system) = causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).next() {
            return match system.raw_os_error() {
                // Python picks the kind of OSError by the number.
                Some(number) => PyOSError::new_err((number, text)),
                None => PyValueError::new_err(text),
            };
        }
        match failure {
            Failure::Members { .. } => pyo3::exceptions::PyMemoryError::new_err(text),
            Failure::Train(
                TrainError::NotFinite { .. } | TrainError::NotFiniteEnd { .. } | TrainError::NotFiniteOutput { .. },
            ) => PyFloatingPointError::new_err(text),
            Failure::Backend(error) | Failure::Train(TrainError::Backend(error)) => match error {
                BackendError::OutOfMemory { .. } => pyo3::exceptions::PyMemoryError::new_err(text),
                _ => PyRuntimeError::new_err(text),
            },
            _ => PyValueError::new_err(text),
        }
    }
}

/// Anything as JSON.
pub(crate) fn json(value: &impl Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(|error| PyRuntimeError::new_err(error.to_string()))
}
