//! Measures, on the device at hand, the variants in which a plan's products could be launched, and keeps the fastest.
//!
//! The planner chooses a variant by a rule that suits most GPUs. Tuning replaces the rule by a measurement: [`measure()`]
//! times every variant of a launch at its own shape, leaves out those that do not compute what the CPU computes, and
//! [`Tuning`] remembers the winner. A plan is planned as ever; [`applied`] then exchanges its launches.

mod measure;
mod store;

pub use measure::{Measured, measure};
pub use store::TuningStore;

use crate::backend::Backend;
use crate::file::write_whole_with;
use crate::ir::{Dispatch, Plan};
use crate::kernel::{Launch, LaunchPlan, shader_source};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A launch must be so much faster than the planner's choice to replace it: less is noise.
const WORTH: f64 = 0.95;

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
    fn of(dispatch: &Dispatch) -> Choice {
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
        variants.into_iter().find(|variant| Choice::of(variant) == *choice).unwrap_or(planned)
    }

    /// Keeps the fastest of the measured variants of a launch, where it is worth it.
    pub fn learn(&mut self, measured: &Measured) {
        if let (Some(key), Some(best)) = (key(&lowered(&*measured.launch)), measured.best()) {
            self.choices.insert(key, Choice::of(best));
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

/// The plan with the variants that are known to be fastest on this device.
pub fn applied(backend: &dyn Backend, plan: &LaunchPlan) -> Plan {
    plan.lower_with(|launch| tuned(backend, launch))
}

/// A launch in the variant that is known to be the fastest on this device, or else as it is.
fn tuned(backend: &dyn Backend, launch: &Arc<dyn Launch>) -> Dispatch {
    backend.tuning().map_or_else(|| launch.lower(), |tuning| tuning.tuned(&**launch))
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

#[cfg(test)]
mod tests;
