//! What a run that is over leaves in its folder.

use super::{RunError, RunFolder, Summary, write_report};
use crate::backend::Backend;
use crate::data::Dataset;
use crate::export::SavedModel;
use crate::file::FileError;
use crate::report::write_run_report;

impl RunFolder {
    /// Writes the model, the summary and the page of a run that is over; one that diverged has no model.
    pub fn conclude(
        &self,
        summary: &Summary,
        model: Option<&SavedModel>,
        dataset: &Dataset,
        backend: &dyn Backend,
    ) -> Result<(), RunError> {
        if let Some(model) = model {
            model.save(&self.file("model.safetensors"))?;
        }
        let wrong = |error: serde_json::Error| FileError::at(&self.file("summary.json"))(error.into());
        let text = serde_json::to_string_pretty(summary).map_err(wrong)?;
        self.write("summary.json", text.as_bytes())?;
        match model {
            Some(model) => write_report(self.path(), model, dataset, backend),
            None => Ok(write_run_report(self.path(), &[])?),
        }
    }
}
