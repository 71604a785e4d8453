//! What went wrong, as an exit code and a message.

use crate::backend::BackendError;
use crate::data::{DataError, FetchError};
use crate::export::ExportError;
use crate::file::FileError;
use crate::job::JobError;
use crate::landscape::LandscapeError;
use crate::model::ModelError;
use crate::recipe::RecipeError;
use crate::report::ReportError;
use crate::run::RunError;
use crate::train::{CheckpointError, TrainError};

/// An error that ends the process.
#[derive(Debug)]
pub enum CliError {
    /// The job ran and failed: exit code 1.
    Failed(String),
    /// Bad usage or bad input: exit code 2.
    Usage(String),
    /// The backend or device is not there or was lost: exit code 3.
    Backend(String),
    /// Interrupted, with a checkpoint saved: exit code 130.
    Interrupted(String),
}

impl CliError {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            CliError::Failed(_) => 1,
            CliError::Usage(_) => 2,
            CliError::Backend(_) => 3,
            CliError::Interrupted(_) => 130,
        }
    }

    /// What to print, unless everything was said.
    pub fn message(&self) -> Option<&str> {
        let (CliError::Failed(text) | CliError::Usage(text) | CliError::Backend(text) | CliError::Interrupted(text)) =
            self;
        (!text.is_empty()).then_some(text)
    }
}

impl From<BackendError> for CliError {
    fn from(error: BackendError) -> CliError {
        match error {
            BackendError::NotFound(_) | BackendError::Lost { .. } => CliError::Backend(error.to_string()),
            BackendError::Plan(_) | BackendError::OutOfMemory { .. } | BackendError::Tuning(_) => {
                CliError::Usage(error.to_string())
            }
            BackendError::Invalid { .. } => CliError::Failed(error.to_string()),
        }
    }
}

impl From<TrainError> for CliError {
    fn from(error: TrainError) -> CliError {
        match error {
            TrainError::Backend(error) => error.into(),
            TrainError::NotFinite { .. } => CliError::Failed(error.to_string()),
            other => CliError::Usage(other.to_string()),
        }
    }
}

impl From<RunError> for CliError {
    fn from(error: RunError) -> CliError {
        match error {
            RunError::Evaluation(error) => error.into(),
            RunError::Landscape(error) => error.into(),
            other => CliError::Usage(other.to_string()),
        }
    }
}

impl From<LandscapeError> for CliError {
    fn from(error: LandscapeError) -> CliError {
        match error {
            LandscapeError::Train(error) => error.into(),
            other => CliError::Usage(other.to_string()),
        }
    }
}

impl From<FetchError> for CliError {
    fn from(error: FetchError) -> CliError {
        match error {
            FetchError::Disk { .. } => CliError::Usage(error.to_string()),
            // The server or the network failed, not the request.
            _ => CliError::Failed(error.to_string()),
        }
    }
}

/// Errors that are always the input's.
macro_rules! usage_errors {
    ($($error:ty),+ $(,)?) => {
        $(impl From<$error> for CliError {
            fn from(error: $error) -> CliError {
                CliError::Usage(error.to_string())
            }
        })+
    };
}

usage_errors!(FileError, RecipeError, JobError, ModelError, DataError, CheckpointError, ReportError, ExportError);
