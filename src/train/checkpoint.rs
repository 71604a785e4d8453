//! Everything needed to go on from a moment in training, and its file.

use super::{Tracker, TrainerSpec};
use crate::data::{Scaling, Storage, Targets, quoted};
use crate::file::{FileError, write_whole_with};
use crate::sealed;
use safetensors::tensor::Dtype;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
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
    /// The learning rate of each member at which the epoch under way began. Earlier versions did not keep it.
    #[serde(default)]
    pub began_at: Vec<f32>,
    /// The metrics that early stopping and the plateau schedule watch: their trackers tell nothing of another one.
    pub watched: [Option<String>; 2],
    /// What the run is trained on. Earlier versions did not keep it.
    #[serde(default)]
    pub data: Option<DataSeen>,
}

/// What tells the training examples of a run from others.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DataSeen {
    /// The names of the features, in the model's order; none where the training file had no names.
    pub features: Vec<String>,
    /// The names of the classes, by their numbers; none where they have no names. Earlier versions did not keep them, nor what follows.
    #[serde(default)]
    pub classes: Vec<String>,
    /// How many training examples there are.
    #[serde(default)]
    pub examples: Option<usize>,
    /// The hash of the examples, their targets and their scaling.
    pub hash: String,
}

/// What data has otherwise than other data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataChanges {
    /// Whether names of features or classes differ: a network learns nothing new in their places.
    pub of_names: bool,
    /// What it is, in words.
    pub words: Vec<String>,
}

impl DataSeen {
    /// What a trainer of these is trained on.
    pub(super) fn of(spec: &TrainerSpec) -> DataSeen {
        let mut hasher = blake3::Hasher::new();
        let mut add = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        };
        let train = &spec.dataset.train;
        match &train.features.storage {
            Storage::U8(values) => add(values),
            Storage::F32(values) => add(bytemuck::cast_slice(values)),
        }
        match &train.targets {
            Targets::Classes { labels, .. } => add(bytemuck::cast_slice(labels)),
            Targets::Values { values, .. } => add(bytemuck::cast_slice(values)),
        }
        train.weights.iter().for_each(|weights| add(bytemuck::cast_slice(weights)));
        let Scaling { subtract, divide, add: last } = &spec.scaling;
        [subtract, divide, &vec![*last]].iter().for_each(|numbers| add(bytemuck::cast_slice(numbers)));
        spec.trained_on.class_names.iter().for_each(|name| add(name.as_bytes()));
        DataSeen {
            features: spec.trained_on.features.clone(),
            classes: spec.trained_on.class_names.clone(),
            examples: Some(train.count()),
            hash: hasher.finalize().to_hex().to_string(),
        }
    }

    /// In what else than values this data is not that of `before`, in words; nothing where that is not known, or in nothing.
    pub fn changes(&self, before: &DataSeen) -> DataChanges {
        let names = |before: &[String], now: &[String], what: &str| {
            let lacking = |these: &[String], those: &[String]| {
                let those: BTreeSet<&String> = those.iter().collect();
                these.iter().filter(|name| !those.contains(name)).cloned().collect::<Vec<String>>()
            };
            let known = !before.is_empty() && !now.is_empty();
            let found = [("new", lacking(now, before)), ("gone", lacking(before, now))];
            let found = found.into_iter().filter(|(_, names)| known && !names.is_empty());
            found.map(|(how, names)| format!("{what} that are {how}: {}", quoted(&names))).collect::<Vec<String>>()
        };
        let mut words = names(&before.features, &self.features, "features");
        words.extend(names(&before.classes, &self.classes, "classes"));
        let of_names = !words.is_empty();
        let count = before.examples.zip(self.examples).filter(|(before, now)| before != now);
        words.extend(count.map(|(before, now)| format!("{before} training examples before, {now} now")));
        DataChanges { of_names, words }
    }
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
    /// The file is not as it was written.
    #[error(
        "{path} is damaged: its hash is {found}, and {expected} was written; copy it again, or train the run's recipe.toml anew \
         into another --out"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The hash in the file.
        expected: String,
        /// The hash of what it holds.
        found: String,
    },
    /// It was written by a run that had diverged, which earlier versions did.
    #[error(
        "the checkpoint holds weights that are not finite, since step {step}: nothing can go on from it; train the run's \
         recipe.toml anew into another --out"
    )]
    NotFinite {
        /// The step, from 1.
        step: u32,
    },
    /// The checkpoint's buffers, or its place in the epoch, are those of another model, batch or optimizer.
    #[error("the checkpoint does not fit this run: {0}; resume with the recipe and the data it was made with")]
    Mismatch(String),
}

impl Progress {
    /// The number of the epoch under way, or of the last one where the next has not begun; from 1.
    pub(super) fn epoch_under_way(&self) -> u32 {
        (self.epoch + u32::from(self.step_in_epoch > 0)).max(1)
    }
}

/// The key of the metadata that holds the [`Progress`].
const PROGRESS: &str = "gputrain.progress";

impl Checkpoint {
    /// Writes the checkpoint to `path`, whole or not at all: a crash leaves the file before it.
    pub fn save(&self, path: &Path) -> Result<(), CheckpointError> {
        let named = self.buffers.iter().map(|(name, words)| (name.clone(), words));
        let best = self.best.iter().enumerate();
        let best = best.filter_map(|(i, words)| Some((format!("best.{i}"), words.as_ref()?)));
        let named: Vec<(String, [usize; 1], &Vec<u32>)> =
            named.chain(best).map(|(name, words)| (name, [words.len()], words)).collect();
        let tensors: Vec<sealed::Tensor<'_>> = named
            .iter()
            .map(|(name, shape, words)| sealed::Tensor {
                name,
                dtype: Dtype::U32,
                shape,
                bytes: bytemuck::cast_slice(words),
            })
            .collect();
        let progress = serde_json::to_string(&self.progress).map_err(|error| FileError::at(path)(error.into()))?;
        let bytes = sealed::encode(BTreeMap::from([(PROGRESS, progress)]), &tensors);
        let written = write_whole_with(path, |out| {
            out.write_all(&bytes)?;
            out.flush()?;
            out.get_ref().sync_all()
        });
        Ok(written.map_err(FileError::at(path))?)
    }

    /// Reads a checkpoint. One of an earlier version has no hash that could be checked.
    pub fn load(path: &Path) -> Result<Checkpoint, CheckpointError> {
        Checkpoint::open(path).map(|(checkpoint, _)| checkpoint)
    }

    /// The same, and whether its file has a hash of all that is in it.
    pub fn open(path: &Path) -> Result<(Checkpoint, bool), CheckpointError> {
        let bytes = crate::file::read(path).map_err(FileError::at(path))?;
        let malformed = |problem: String| CheckpointError::Malformed { path: path.into(), problem };
        let file = sealed::open(&bytes).map_err(|e| malformed(e.to_string()))?;
        file.check().map_err(|sealed::Changed { expected, found }| CheckpointError::Damaged {
            path: path.into(),
            expected,
            found,
        })?;
        let text = file.text(PROGRESS).ok_or_else(|| malformed(format!("its header has no {PROGRESS}")))?;
        let progress: Progress = serde_json::from_str(text).map_err(|e| malformed(e.to_string()))?;
        let trackers = progress.early_stop.iter().chain(progress.plateau.iter().map(|(tracker, _)| tracker));
        let numbers =
            trackers.filter_map(|tracker| tracker.best).chain(progress.plateau.iter().map(|plateau| plateau.1));
        if let Some(number) = numbers.into_iter().find(|number| !number.is_finite()) {
            return Err(malformed(format!("its gputrain.progress holds {number}, which no run writes")));
        }
        let mut checkpoint = Checkpoint { best: vec![None; progress.early_stop.len()], progress, buffers: Vec::new() };
        for (name, tensor) in file.tensors.tensors() {
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
        Ok((checkpoint, file.text(sealed::HASH).is_some()))
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
                early_stop: vec![
                    Tracker {
                        best: Some(0.25),
                        best_epoch: 2,
                        waited: 1,
                        cooldown: 2,
                        slowed: 1,
                        stopped: None
                    };
                    2
                ],
                plateau: vec![(Tracker::default(), 0.5); 2],
                began_at: vec![0.5; 2],
                watched: [Some("validation_loss".into()), None],
                data: Some(DataSeen { features: vec!["a".into()], hash: "00ff".into(), ..DataSeen::default() }),
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
        assert_eq!(Checkpoint::open(&path).unwrap(), (sample(), true));
        // Nothing but the file itself is left in the folder.
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn no_flipped_bit_changes_what_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.safetensors");
        sample().save(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let mut refused = 0;
        for bit in 0..8 * bytes.len() {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &damaged).unwrap();
            match Checkpoint::load(&path) {
                Ok(loaded) => assert_eq!(loaded, sample(), "bit {bit}"),
                Err(error) => {
                    assert!(error.to_string().contains("copy it again"), "bit {bit}: {error}");
                    refused += 1;
                }
            }
        }
        // All but the hash's own name, without which the file is one of an earlier version.
        assert!(8 * bytes.len() - refused <= 8 * sealed::HASH.len(), "{refused} of {} refused", 8 * bytes.len());
    }

    #[test]
    fn a_checkpoint_of_an_earlier_version_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.safetensors");
        sample().save(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let file = sealed::open(&bytes).unwrap();
        let mut metadata = file.header.metadata().clone().unwrap();
        assert!(metadata.remove(sealed::HASH).is_some());
        std::fs::write(&path, safetensors::serialize(file.tensors.tensors(), Some(metadata)).unwrap()).unwrap();
        assert_eq!(Checkpoint::load(&path).unwrap(), sample());
        assert_eq!(Checkpoint::open(&path).unwrap(), (sample(), false));
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
