//! The folder of a run: recipe, metrics, checkpoint, model, summary, report.

mod answers;
mod checkpoints;
mod conclude;
mod recorder;
mod report;
mod resume;
mod summary;

pub use answers::{Answers, in_words, picture_shape};
pub use recorder::Recorder;
pub use report::{Unwritten, write_report};
pub use resume::check_resume;
pub use summary::Summary;

use crate::export::ExportError;
use crate::file::{FileError, write_whole};
use crate::landscape::LandscapeError;
use crate::recipe::Recipe;
use crate::report::ReportError;
use crate::train::{CheckpointError, TrainError};
use std::fs;
use std::path::{Path, PathBuf};

/// Why a run folder could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A new run would overwrite an old one.
    #[error("{0} already holds a run; choose another --out, or go on with it by --resume {0}")]
    Occupied(PathBuf),
    /// There is nothing to resume.
    #[error(
        "{0} holds no checkpoint; a run writes one after its first epoch (train.checkpoint_every), or every train.checkpoint_steps"
    )]
    NoCheckpoint(PathBuf),
    /// The run would go on as another one.
    #[error(
        "{} cannot go on with that: the run has {key} = {had}, and {asked} was asked for; leave {key} as it was, or begin a \
         run of its own with --out",
        folder.display()
    )]
    Changed {
        /// The run's folder.
        folder: PathBuf,
        /// The key of the recipe.
        key: String,
        /// Its value in the run.
        had: String,
        /// Its value now.
        asked: String,
    },
    /// The checkpoint is as far as the run is to go.
    #[error(
        "{} has {done} epochs behind it, and train.epochs = {epochs} was asked for; ask for more than {done}",
        folder.display()
    )]
    Behind {
        /// The run's folder.
        folder: PathBuf,
        /// Epochs done.
        done: u32,
        /// Epochs asked for.
        epochs: u32,
    },
    /// Early stopping ended the run.
    #[error(
        "{} stopped early after epoch {epoch}: {metric} had not improved for {waited} epochs, and train.early_stop.patience is \
         {patience}; to go on, ask for more patience with --set train.early_stop.patience={}, or watch another metric",
        folder.display(), waited + 1
    )]
    Stopped {
        /// The run's folder.
        folder: PathBuf,
        /// Epochs done.
        epoch: u32,
        /// What was watched.
        metric: String,
        /// Epochs without improvement.
        waited: u32,
        /// As many end the run.
        patience: u32,
    },
    /// The checkpoint could not be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The model could not be saved.
    #[error(transparent)]
    Export(Box<ExportError>),
    /// The report could not be made.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The landscape in the folder cannot be used.
    #[error(transparent)]
    Landscape(#[from] LandscapeError),
    /// The model could not be evaluated for the report.
    #[error(transparent)]
    Evaluation(#[from] TrainError),
}

impl From<ExportError> for RunError {
    fn from(error: ExportError) -> RunError {
        RunError::Export(Box::new(error))
    }
}

/// A run's folder.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the folder of a new run and writes its recipe as it was resolved.
    pub fn create(path: &Path, recipe: &Recipe) -> Result<RunFolder, RunError> {
        if path.join("recipe.toml").exists() {
            return Err(RunError::Occupied(path.into()));
        }
        fs::create_dir_all(path).map_err(FileError::at(path))?;
        let folder = RunFolder { path: path.into() };
        folder.write("recipe.toml", recipe.to_toml().as_bytes())?;
        Ok(folder)
    }

    /// The folder of a run that is to go on.
    pub fn open(path: &Path) -> Result<RunFolder, RunError> {
        let folder = RunFolder { path: path.into() };
        if folder.checkpoint().exists() { Ok(folder) } else { Err(RunError::NoCheckpoint(path.into())) }
    }

    /// Goes on with the run by this recipe: the folder is that of a run under way, with the recipe as it is now.
    pub fn resume(&self, recipe: &Recipe) -> Result<(), RunError> {
        // Those of other weights than the run will end with.
        for file in ["summary.json", "landscape.json"].map(|name| self.file(name)) {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(FileError::at(&file)(error).into());
                }
                _ => {}
            }
        }
        self.write("recipe.toml", recipe.to_toml().as_bytes())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The checkpoint's file.
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint").join("state.safetensors")
    }

    /// Writes a file of the folder, whole or not at all.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RunError> {
        Ok(write_whole(&self.file(name), bytes)?)
    }
}
