//! The weights that a run recorded: the initial ones, and those after each epoch.

use super::LandscapeError;
use crate::export::load_parameters;
use crate::file::FileError;
use crate::model::Model;
use std::path::{Path, PathBuf};

/// The path of a run's weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory {
    /// The epochs, rising: 0 for the initial weights, which runs of earlier versions did not record.
    pub epochs: Vec<u32>,
    /// All weights after each of them: the parameters one after the other, in the model's order. The running statistics of layers
    /// that normalise over the batch are no weights, and play no part.
    pub points: Vec<Vec<f32>>,
}

/// Fewer points than this span no plane.
const MIN_POINTS: usize = 3;

impl Trajectory {
    /// Reads `weights/` of a run's folder.
    pub fn load(run: &Path, model: &Model) -> Result<Trajectory, LandscapeError> {
        let files = snapshots(run)?;
        match files.len() {
            0 => return Err(LandscapeError::NotRecorded(run.into())),
            found if found < MIN_POINTS => return Err(LandscapeError::TooFew { run: run.into(), found }),
            _ => {}
        }
        let read = |(_, file): &(u32, PathBuf)| match load_parameters(file, model) {
            Ok(tensors) => Ok(tensors[..model.parameters.len()].concat()),
            Err(problem) => Err(LandscapeError::Weights(Box::new(problem))),
        };
        let points = files.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Trajectory { epochs: files.iter().map(|(epoch, _)| *epoch).collect(), points })
    }
}

/// The file of a run's weights after an epoch; 0 is before the first.
pub(crate) fn snapshot(run: &Path, epoch: u32) -> PathBuf {
    run.join(format!("weights/epoch-{epoch:05}.safetensors"))
}

/// The files of the weights that a run recorded, with their epochs, rising.
pub(crate) fn snapshots(run: &Path) -> Result<Vec<(u32, PathBuf)>, FileError> {
    let folder = run.join("weights");
    let io = FileError::at(&folder);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry.map_err(&io)?.file_name();
        let epoch = name.to_str().and_then(|name| name.strip_prefix("epoch-")?.strip_suffix(".safetensors"));
        if let Some(epoch) = epoch.and_then(|epoch| epoch.parse::<u32>().ok()) {
            files.push((epoch, folder.join(name)));
        }
    }
    files.sort();
    Ok(files)
}
