//! The library's errors as Python's exceptions.

use gputrain::backend::BackendError;
use gputrain::data::{DataError, Problem};
use gputrain::export::ExportError;
use gputrain::job::JobError;
use gputrain::recipe::RecipeError;
use gputrain::report::ReportError;
use gputrain::train::TrainError;
use pyo3::exceptions::{PyFileNotFoundError, PyFloatingPointError, PyOSError, PyRuntimeError, PyValueError};
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
    Data(#[from] DataError),
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

impl Failure {
    /// Whether a file is nowhere.
    fn is_missing_file(&self) -> bool {
        let data = |error: &DataError| matches!(error.problem, Problem::NotFound);
        let model = |error: &ExportError| matches!(error, ExportError::NoStart { .. } | ExportError::NoModel { .. });
        match self {
            Failure::Recipe(error) => {
                matches!(error, RecipeError::NoSuchRecipe { .. } | RecipeError::DataNotFound { .. })
            }
            Failure::Data(error) | Failure::Job(JobError::Data(error)) => data(error),
            Failure::Export(error) => model(error),
            Failure::Job(JobError::Start(error)) => model(error),
            _ => false,
        }
    }
}

impl From<Failure> for PyErr {
    /// `OSError` and its kinds where a file is nowhere or the system refused it, `FloatingPointError` where a run diverged, `MemoryError` and
    /// `RuntimeError` of a device, and `ValueError` of all else: what was asked for.
    fn from(failure: Failure) -> PyErr {
        let text = in_python(&failure.to_string());
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
            _ if failure.is_missing_file() => PyFileNotFoundError::new_err((NO_SUCH_FILE, text)),
            Failure::Recipe(RecipeError::Read { .. }) => PyOSError::new_err(text),
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

/// `errno.ENOENT`, of every system.
const NO_SUCH_FILE: i32 = 2;

/// What remedies of the library say of the program's options, and what to say in Python. Those that begin with others come first.
const SAID: [(&str, &str); 19] = [
    ("try --checked or --backend cpu", "try device=\"cpu\""),
    ("go on with train --resume --backend cpu", "train with device=\"cpu\""),
    ("train --resume goes on from the last checkpoint", "train again"),
    ("or --resume", "or the program's train --resume"),
    ("--backend cpu", "device=\"cpu\""),
    ("another --device", "another device"),
    ("--device ", "device="),
    (", or --data-memory to stream the data set", ""),
    ("the folder of --data", "that of data="),
    ("--data DIR", "data=\"DIR\""),
    ("; --train ", "; the program's train --train "),
    ("--target COLUMN, or target = ", "target = "),
    (" (or by --train FILE --target COLUMN)", ""),
    (", or leave the layers out (--train makes a network that suits the data)", ""),
    (" (eval and predict: --header false)", ""),
    (" (eval and predict: --header true)", ""),
    (" (--train-images, --train-labels)", ""),
    (" (--loss mse)", ""),
    ("--precision f32", "the precision \"f32\""),
];

/// A message of the library, which speaks of the program's options, as a user of Python is told it.
pub(crate) fn in_python(text: &str) -> String {
    let text = SAID.iter().fold(text.to_string(), |text, (program, python)| text.replace(program, python));
    let mut parts = text.split("--set ");
    let mut told = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let (setting, rest) = match part.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'').unwrap_or((quoted, "")),
            None => part.split_at(part.find([' ', ';', ')', ',']).unwrap_or(part.len())),
        };
        let (key, value) = setting.split_once('=').unwrap_or((setting, "…"));
        let keys: String = key.split('.').map(|key| format!("[\"{key}\"]")).collect();
        // The command line takes a word without quotes.
        let is_word = value.starts_with(|first: char| first.is_ascii_alphabetic());
        let quote = if is_word { "\"" } else { "" };
        told += &format!("recipe{keys} = {quote}{value}{quote}{rest}");
    }
    told
}

/// Anything as JSON.
pub(crate) fn json(value: &impl Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(|error| PyRuntimeError::new_err(error.to_string()))
}
