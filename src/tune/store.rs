//! A device's tuning, shared by all that plan for it, and kept in a file.

use super::{Measured, Tuning, TuningFileError};
use crate::ir::Dispatch;
use crate::kernel::Launch;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

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

    /// Takes measurements into account, and writes the file.
    pub fn learn(&self, measured: &[Measured]) -> Result<(), TuningFileError> {
        let mut tuning = self.lock();
        measured.iter().for_each(|m| tuning.learn(m));
        self.file.as_deref().map_or(Ok(()), |file| tuning.save(file))
    }

    fn lock(&self) -> MutexGuard<'_, Tuning> {
        self.tuning.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
