//! What went wrong, as an exit code and a message.

use gputrain::backend::BackendError;
use gputrain::data::{DataError, FetchError, PUBLIC_SETS};
use gputrain::export::ExportError;
use gputrain::file::FileError;
use gputrain::job::JobError;
use gputrain::landscape::LandscapeError;
use gputrain::lock::LockError;
use gputrain::model::ModelError;
use gputrain::ranks::RankError;
use gputrain::recipe::RecipeError;
use gputrain::report::ReportError;
use gputrain::run::RunError;
use gputrain::suggest::SuggestError;
use gputrain::train::{CheckpointError, TrainError};
use gputrain::web::WebError;
use std::io::{self, ErrorKind};

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

impl CliError {
    /// An error of the input's; but where the disk filled up it was the job that failed.
    pub(super) fn from_error(error: &(dyn std::error::Error + 'static)) -> CliError {
        let text = error.to_string();
        let mut causes = std::iter::successors(Some(error), |error| error.source());
        let is_full = |error: &io::Error| matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
        if causes.any(|cause| cause.downcast_ref().is_some_and(is_full)) {
            CliError::Failed(text)
        } else {
            CliError::Usage(text)
        }
    }
}

impl From<BackendError> for CliError {
    fn from(error: BackendError) -> CliError {
        match error {
            BackendError::NotFound(_) | BackendError::CannotOpen { .. } | BackendError::Lost { .. } => {
                CliError::Backend(error.to_string())
            }
            BackendError::Plan(_) | BackendError::OutOfMemory { .. } | BackendError::Tuning(_) => {
                CliError::Usage(error.to_string())
            }
            BackendError::Invalid { .. } | BackendError::Differs { .. } => CliError::Failed(error.to_string()),
        }
    }
}

impl From<TrainError> for CliError {
    fn from(error: TrainError) -> CliError {
        match error {
            TrainError::Backend(error) => error.into(),
            TrainError::Ranks(error) => error.into(),
            TrainError::NotFinite { .. } | TrainError::NotFiniteEnd { .. } | TrainError::NotFiniteOutput { .. } => {
                CliError::Failed(error.to_string())
            }
            other => CliError::from_error(&other),
        }
    }
}

impl From<RankError> for CliError {
    fn from(error: RankError) -> CliError {
        match error {
            RankError::Gone | RankError::Differ { .. } => CliError::Failed(error.to_string()),
            other => CliError::Usage(other.to_string()),
        }
    }
}

impl From<RunError> for CliError {
    fn from(error: RunError) -> CliError {
        match error {
            RunError::Evaluation(error) => error.into(),
            RunError::Landscape(error) => error.into(),
            RunError::Gone(_) => CliError::Failed(error.to_string()),
            other => CliError::from_error(&other),
        }
    }
}

impl From<LandscapeError> for CliError {
    fn from(error: LandscapeError) -> CliError {
        match error {
            LandscapeError::Train(error) => error.into(),
            other => CliError::from_error(&other),
        }
    }
}

impl From<RecipeError> for CliError {
    fn from(error: RecipeError) -> CliError {
        let RecipeError::DataNotFound { path, .. } = &error else { return CliError::from_error(&error) };
        let mut folders = path.split('|').filter_map(|file| file.trim().split_once('/'));
        let public = folders.find_map(|(folder, _)| PUBLIC_SETS.iter().find(|set| set.name == folder));
        let remedy = public.map_or(String::new(), |set| format!(", or download it: gputrain data fetch {}", set.name));
        CliError::Usage(format!("{error}{remedy}"))
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

/// Errors that are the input's, unless the disk is full.
macro_rules! usage_errors {
    ($($error:ty),+ $(,)?) => {
        $(impl From<$error> for CliError {
            fn from(error: $error) -> CliError {
                CliError::from_error(&error)
            }
        })+
    };
}

usage_errors!(
    FileError,
    LockError,
    JobError,
    ModelError,
    DataError,
    CheckpointError,
    ReportError,
    SuggestError,
    ExportError,
    WebError
);
