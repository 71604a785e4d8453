//! The variants of launches that were measured to be the fastest on a device: shared by all that plan for it, and kept in a file.

use crate::file::write_whole_with;
use crate::ir::{Dispatch, Plan};
use crate::kernel::{Launch, LaunchPlan, shader_source};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The variants that were fastest on one device.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuning {
    /// By [`key`].
    choices: BTreeMap<String, Choice>,
}

/// The variant to use in the place of the planner's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    /// The kernel.
    kernel: String,
    /// The constants of its shader.
    constants: BTreeMap<String, u32>,
}

impl Choice {
    fn new(dispatch: &Dispatch) -> Choice {
        let constants = dispatch.constants.iter().map(|(name, value)| (name.to_string(), *value)).collect();
        Choice { kernel: dispatch.kernel.name.into(), constants }
    }
}

/// Why a file of tuned variants could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{path}, which keeps tuned variants: {problem}; delete it, or make it readable and writable")]
pub struct TuningFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: String,
}

impl Tuning {
    /// Number of launches that another variant than the planner's is known for.
    pub fn len(&self) -> usize {
        self.choices.len()
    }

    /// Whether no launch has been exchanged.
    pub fn is_empty(&self) -> bool {
        self.choices.is_empty()
    }

    /// A launch in the variant that is known to be the fastest, or else as it is.
    pub fn tuned(&self, launch: &dyn Launch) -> Dispatch {
        let planned = launch.lower();
        if self.is_empty() {
            return planned;
        }
        let variants = lowered(launch);
        let Some(choice) = key(&variants).and_then(|key| self.choices.get(&key)) else { return planned };
        variants.into_iter().find(|variant| Choice::new(variant) == *choice).unwrap_or(planned)
    }

    /// Keeps a variant of a launch as the one to use; a launch without variants has none.
    pub fn keep(&mut self, launch: &dyn Launch, fastest: &Dispatch) {
        if let Some(key) = key(&lowered(launch)) {
            self.choices.insert(key, Choice::new(fastest));
        }
    }

    /// Reads a file; one that is not there is an empty tuning.
    pub fn load(path: &Path) -> Result<Tuning, TuningFileError> {
        let wrong = |problem: String| TuningFileError { path: path.into(), problem };
        match crate::file::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Tuning::default()),
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    /// Writes the file, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<(), TuningFileError> {
        let written = write_whole_with(path, |out| Ok(serde_json::to_writer_pretty(out, self)?));
        written.map_err(|error: std::io::Error| TuningFileError { path: path.into(), problem: error.to_string() })
    }
}

/// The [`Tuning`] of an opened device.
#[derive(Debug, Default)]
pub struct TuningStore {
    tuning: Mutex<Tuning>,
    file: Option<PathBuf>,
}

impl TuningStore {
    /// With what is in the file, if it is there; what is learned goes there too. Without a file it lives as long as this.
    pub fn open(file: Option<PathBuf>) -> Result<TuningStore, TuningFileError> {
        let tuning = file.as_deref().map(Tuning::load).transpose()?.unwrap_or_default();
        Ok(TuningStore { tuning: Mutex::new(tuning), file })
    }

    /// A launch in the variant that is known to be the fastest, or else as it is.
    pub fn tuned(&self, launch: &dyn Launch) -> Dispatch {
        self.lock().tuned(launch)
    }

    /// A plan with the variants that are known to be the fastest.
    pub fn applied(&self, plan: &LaunchPlan) -> Plan {
        let tuning = self.lock();
        plan.lower_with(|launch| tuning.tuned(&**launch))
    }

    /// Keeps the fastest variants of these launches, and writes the file.
    pub fn keep<'a>(
        &self,
        fastest: impl IntoIterator<Item = (&'a dyn Launch, &'a Dispatch)>,
    ) -> Result<(), TuningFileError> {
        let mut tuning = self.lock();
        fastest.into_iter().for_each(|(launch, variant)| tuning.keep(launch, variant));
        self.file.as_deref().map_or(Ok(()), |file| tuning.save(file))
    }

    fn lock(&self) -> MutexGuard<'_, Tuning> {
        self.tuning.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All variants of a launch.
fn lowered(launch: &dyn Launch) -> Vec<Dispatch> {
    launch.variants().iter().map(|variant| variant.lower()).collect()
}

/// Names a launch by its shape and by the text of all its variants: after a change to a shader it is another one, and
/// whichever variant the plan has, it is the same. `None` for a launch without variants.
fn key(variants: &[Dispatch]) -> Option<String> {
    let first = variants.first()?;
    let mut hash = blake3::Hasher::new();
    hash.update(bytemuck::cast_slice(&first.params));
    hash.update(&first.grid[2].to_le_bytes());
    for variant in variants {
        hash.update(shader_source(variant.kernel, &variant.constants).as_bytes());
    }
    Some(format!("{} {}", first.kernel.name, &hash.finalize().to_hex()[..16]))
}
