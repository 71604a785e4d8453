//! The folder of a run: recipe, metrics, checkpoint, model, summary, report.

mod answers;
mod checkpoints;
mod conclude;
mod events;
mod measured;
mod recorder;
mod report;
mod resume;
mod summary;

pub use crate::lock::LockError;
pub use answers::{Answers, MIN_PIXELS, in_words, picture_shape};
pub use recorder::Recorder;
pub use report::{answer_sections, write_report};
pub use resume::{check_resume, rate_notes};
pub use summary::{Shared, Summary};

use crate::export::ExportError;
use crate::file::{FileError, write_whole};
use crate::landscape::LandscapeError;
use crate::lock::{FolderLock, LOCK};
use crate::recipe::Recipe;
use crate::report::ReportError;
use crate::tensorboard::{EventFile, PREFIX};
use crate::train::{CheckpointError, TrainError};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a run folder could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A new run would overwrite an old one.
    #[error("{0} already holds a run; choose another --out, or go on with it by --resume {0}")]
    Occupied(PathBuf),
    /// A new run would overwrite a sweep's report.
    #[error("{0} holds a sweep; choose another --out")]
    Sweep(PathBuf),
    /// A new run would overwrite what is not a run's.
    #[error(
        "{} is not a run's folder, but holds {name}, which a run would overwrite; choose another --out, or move {name} away",
        folder.display()
    )]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// What it holds.
        name: String,
    },
    /// What should be a folder of the run's own leads elsewhere.
    #[error(
        "{} is a link: a run writes and removes files there, which would be those of another folder; put a folder in its \
         place", .0.display()
    )]
    Link(PathBuf),
    /// Another process writes there.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The folder went away while it was written.
    #[error("{} was removed or replaced while the run wrote there; what was trained since the last checkpoint is lost", .0.display())]
    Gone(PathBuf),
    /// There is nothing to resume.
    #[error(
        "{0} holds no checkpoint; a run writes one after its first epoch (train.checkpoint_every), or every train.checkpoint_steps"
    )]
    NoCheckpoint(PathBuf),
    /// The run would go on as another one.
    #[error(
        "{} was begun with {key} = {had}, and {asked} was asked for; leave {key} as it was, or begin another run with \
         --out",
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
        "{} has already trained {done} epochs, and train.epochs = {epochs} was asked for; ask for more than {done}",
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

/// A run's folder. This process alone writes there as long as the value or a clone of it lives.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
    lock: Arc<FolderLock>,
}

/// What a run writes, beside drawings. Its recipe comes first, so that a folder without it holds none of a run's files.
const FILES: [&str; 8] = [
    "metrics.jsonl",
    "steps.jsonl",
    "summary.json",
    "model.safetensors",
    "landscape.json",
    "report.html",
    "checkpoint",
    "weights",
];
/// Folders inside a run's.
const FOLDERS: [&str; 2] = ["checkpoint", "weights"];
const RECIPE: &str = "recipe.toml";
/// The recipe of a sweep, in its folder.
pub(crate) const SWEEP_FILE: &str = "sweep.toml";

impl RunFolder {
    /// Makes the folder of a new run and writes its recipe as it was resolved. Refuses a folder with files that the run
    /// would overwrite.
    pub fn create(path: &Path, recipe: &Recipe) -> Result<RunFolder, RunError> {
        if !path.join(RECIPE).exists() {
            refuse_foreign(path, &FILES)?;
        }
        fs::create_dir_all(path).map_err(FileError::at(path))?;
        let folder = RunFolder::enter(path)?;
        if path.join(RECIPE).exists() {
            return Err(RunError::Occupied(path.into()));
        }
        if path.join(SWEEP_FILE).exists() {
            return Err(RunError::Sweep(path.into()));
        }
        folder.write(RECIPE, recipe.to_toml().as_bytes())?;
        Ok(folder)
    }

    /// The folder of a run that is to go on.
    pub fn open(path: &Path) -> Result<RunFolder, RunError> {
        if !RunFolder::checkpoint_in(path).exists() {
            return Err(RunError::NoCheckpoint(path.into()));
        }
        RunFolder::enter(path)
    }

    /// The folder of a run that something is to be added to.
    pub fn enter(path: &Path) -> Result<RunFolder, RunError> {
        if let Some(link) = FOLDERS.iter().map(|name| path.join(name)).find(|folder| folder.is_symlink()) {
            return Err(RunError::Link(link));
        }
        Ok(RunFolder { path: path.into(), lock: Arc::new(FolderLock::take(path)?) })
    }

    /// Removes what an interrupted run left that nothing can go on from, so that it can begin anew.
    pub fn clear(path: &Path) -> Result<(), RunError> {
        if !path.join(RECIPE).exists() {
            return refuse_foreign(path, &FILES);
        }
        let folder = RunFolder::enter(path)?;
        let io = FileError::at(path);
        for entry in fs::read_dir(path).map_err(&io)? {
            let (name, path) = entry.map(|entry| (entry.file_name(), entry.path())).map_err(&io)?;
            if name == LOCK || name == RECIPE {
                continue;
            }
            let removed =
                if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(FileError::at(&path))?;
        }
        // Last, because its presence says that the rest is a run's.
        let recipe = folder.file(RECIPE);
        Ok(fs::remove_file(&recipe).map_err(FileError::at(&recipe))?)
    }

    /// Goes on with the run by this recipe: the folder is that of a run under way, with the recipe as it is now.
    pub(crate) fn go_on(&self, recipe: &str) -> Result<(), RunError> {
        // Those of other weights than the run will end with.
        for file in ["summary.json", "landscape.json"].map(|name| self.file(name)) {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(FileError::at(&file)(error).into());
                }
                _ => {}
            }
        }
        self.write(RECIPE, recipe.as_bytes())
    }

    /// What is to be said where nothing keeps another process from writing there too.
    pub fn warning(&self) -> Option<String> {
        self.lock.warning()
    }

    /// Refuses to go on where the folder was removed or replaced.
    pub fn check_there(&self) -> Result<(), RunError> {
        if self.lock.is_there() { Ok(()) } else { Err(RunError::Gone(self.path.clone())) }
    }

    /// Whether the run told TensorBoard of itself.
    pub fn has_events(&self) -> Result<bool, RunError> {
        Ok(EventFile::last(&self.path)?.is_some())
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
        RunFolder::checkpoint_in(&self.path)
    }

    /// The checkpoint's file of the run in a folder that another process may write to.
    pub fn checkpoint_in(path: &Path) -> PathBuf {
        path.join("checkpoint").join("state.safetensors")
    }

    /// Writes a file of the folder, whole or not at all.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RunError> {
        self.check_there()?;
        Ok(write_whole(&self.file(name), bytes)?)
    }
}

/// Refuses a folder that holds some of these files, drawings or TensorBoard's events, unless this program has locked it before.
pub fn refuse_foreign(folder: &Path, files: &[&str]) -> Result<(), RunError> {
    if folder.join(LOCK).exists() {
        return Ok(());
    }
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(FileError::at(folder)(error).into()),
    };
    let mut found: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    found.sort();
    let is_drawn = |name: &str| name.ends_with(".svg") || name.ends_with(".png") || name.starts_with(PREFIX);
    match found.into_iter().find(|name| files.contains(&name.as_str()) || is_drawn(name)) {
        Some(name) => Err(RunError::Foreign { folder: folder.into(), name }),
        None => Ok(()),
    }
}
