//! What a run that is over leaves in its folder.

use super::{RunError, RunFolder, Summary, Unwritten, write_report};
use crate::backend::Backend;
use crate::data::Dataset;
use crate::export::SavedModel;
use crate::file::FileError;
use crate::report::write_run_report;

impl RunFolder {
    /// Writes the model, the page and the summary of a run that is over; one that diverged has no model. The summary comes
    /// last: its presence says that all is there.
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
        let unwritten = Unwritten { summary: Some(&text), ..Unwritten::default() };
        match model {
            Some(model) => write_report(self.path(), model, dataset, backend, unwritten)?,
            None => write_run_report(self.path(), unwritten.summary, &[])?,
        }
        self.write("summary.json", text.as_bytes())
    }
}
