//! Everything needed to go on from a moment in training, and its file.

use super::Tracker;
use crate::file::{FileError, write_whole_with};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A moment in training. The device's buffers are kept word by word, so that a resumed run takes the very steps that the
/// interrupted one would have taken.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Checkpoint {
    /// Where the run stands.
    pub progress: Progress,
    /// Words of the parameters and of every state buffer, by the plan's names.
    pub buffers: Vec<(String, Vec<u32>)>,
    /// Best parameters of each member so far, where early stopping keeps them.
    pub best: Vec<Option<Vec<u32>>>,
}

/// The part of a [`Checkpoint`] that lives on the host.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs finished.
    pub epoch: u32,
    /// Steps taken in the epoch after those; 0: it has not begun.
    pub step_in_epoch: u32,
    /// Steps taken in all.
    pub step: u32,
    /// Seconds of training so far.
    pub seconds: f64,
    /// Early stopping of each member.
    pub early_stop: Vec<Tracker>,
    /// The plateau schedule of each member, and what it has multiplied the rate by.
    pub plateau: Vec<(Tracker, f32)>,
    /// The metrics that early stopping and the plateau schedule watch: their trackers tell nothing of another one.
    pub watched: [Option<String>; 2],
}

/// Why a checkpoint could not be written or used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not a checkpoint.
    #[error(
        "{path} is not a checkpoint of gputrain: {problem}; expected the checkpoint/state.safetensors that a run wrote: copy \
         it again, or train the run's recipe.toml anew into another --out"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The checkpoint's buffers, or its place in the epoch, are those of another model, batch or optimizer.
    #[error("the checkpoint does not fit this run: {0}; resume with the recipe it was made with")]
    Mismatch(String),
}

impl Checkpoint {
    /// Writes the checkpoint to `path`, whole or not at all: a crash leaves the file before it.
    pub fn save(&self, path: &Path) -> Result<(), CheckpointError> {
        let named = self.buffers.iter().map(|(name, words)| (name.clone(), words));
        let best = self.best.iter().enumerate();
        let best = best.filter_map(|(i, words)| Some((format!("best.{i}"), words.as_ref()?)));
        let mut views = Vec::new();
        for (name, words) in named.chain(best) {
            let view = TensorView::new(Dtype::U32, vec![words.len()], bytemuck::cast_slice(words))
                .map_err(|e| self.malformed(path, e))?;
            views.push((name, view));
        }
        let progress = serde_json::to_string(&self.progress).map_err(|e| self.malformed(path, e))?;
        let metadata = HashMap::from([("gputrain.progress".to_string(), progress)]);
        let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| self.malformed(path, e))?;
        let written = write_whole_with(path, |out| {
            out.write_all(&bytes)?;
            out.flush()?;
            out.get_ref().sync_all()
        });
        Ok(written.map_err(FileError::at(path))?)
    }

    fn malformed(&self, path: &Path, problem: impl std::fmt::Display) -> CheckpointError {
        CheckpointError::Malformed { path: path.into(), problem: problem.to_string() }
    }

    /// Reads a checkpoint.
    pub fn load(path: &Path) -> Result<Checkpoint, CheckpointError> {
        let bytes = crate::file::read(path).map_err(FileError::at(path))?;
        let malformed = |problem: String| CheckpointError::Malformed { path: path.into(), problem };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| malformed(e.to_string()))?;
        let text = header.metadata().as_ref().and_then(|m| m.get("gputrain.progress"));
        let text = text.ok_or_else(|| malformed("its header has no gputrain.progress".into()))?;
        let progress: Progress = serde_json::from_str(text).map_err(|e| malformed(e.to_string()))?;
        let trackers = progress.early_stop.iter().chain(progress.plateau.iter().map(|(tracker, _)| tracker));
        let numbers =
            trackers.filter_map(|tracker| tracker.best).chain(progress.plateau.iter().map(|plateau| plateau.1));
        if let Some(number) = numbers.into_iter().find(|number| !number.is_finite()) {
            return Err(malformed(format!("its gputrain.progress holds {number}, which no run writes")));
        }
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| malformed(e.to_string()))?;
        let mut checkpoint = Checkpoint { best: vec![None; progress.early_stop.len()], progress, buffers: Vec::new() };
        for (name, tensor) in tensors.tensors() {
            if tensor.dtype() != Dtype::U32 {
                return Err(malformed(format!("{name} holds {:?}, not U32", tensor.dtype())));
            }
            let words = bytemuck::pod_collect_to_vec(tensor.data());
            match name.strip_prefix("best.").map(|index| index.parse::<usize>()) {
                Some(Ok(index)) if index < checkpoint.best.len() => checkpoint.best[index] = Some(words),
                Some(_) => return Err(malformed(format!("{name} belongs to no model"))),
                None => checkpoint.buffers.push((name, words)),
            }
        }
        checkpoint.buffers.sort();
        Ok(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Checkpoint {
        Checkpoint {
            progress: Progress {
                epoch: 3,
                step_in_epoch: 7,
                step: 1000,
                seconds: 1.5,
                early_stop: vec![Tracker { best: Some(0.25), best_epoch: 2, waited: 1, cooldown: 2 }; 2],
                plateau: vec![(Tracker::default(), 0.5); 2],
                watched: [Some("validation_loss".into()), None],
            },
            buffers: vec![("mean".into(), vec![1, 2, u32::MAX]), ("parameters".into(), vec![0x7fc0_0001])],
            best: vec![None, Some(vec![9, 8])],
        }
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint/state.safetensors");
        sample().save(&path).unwrap();
        assert_eq!(Checkpoint::load(&path).unwrap(), sample());
        // Nothing but the file itself is left in the folder.
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.safetensors");
        sample().save(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for len in [0, 7, 8, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..len]).unwrap();
            let error = Checkpoint::load(&path).unwrap_err();
            assert!(matches!(error, CheckpointError::Malformed { .. }), "{len} bytes");
            let text = error.to_string();
            assert!(text.contains("state.safetensors is not") && text.contains("copy it again, or train"), "{text}");
        }
    }
}
