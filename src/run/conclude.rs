//! What a run that is over leaves in its folder.

use super::report::page_sections;
use super::{RunError, RunFolder, Summary, events};
use crate::backend::Backend;
use crate::data::Dataset;
use crate::export::SavedModel;
use crate::file::FileError;
use crate::report::{Section, write_run_report};
use crate::tensorboard::EventFile;

impl RunFolder {
    /// Writes the model, the page and the summary of a run that is over; one that diverged has no model. The summary comes
    /// last: its presence says that all is there. With the model comes the page's part in which it can be tried.
    pub fn conclude(
        &self,
        summary: &Summary,
        model: Option<(&SavedModel, Section)>,
        dataset: &Dataset,
        backend: &dyn Backend,
    ) -> Result<(), RunError> {
        if let Some((model, _)) = &model {
            model.save(&self.file("model.safetensors"))?;
        }
        let wrong = |error: serde_json::Error| FileError::at(&self.file("summary.json"))(error.into());
        let text = serde_json::to_string_pretty(summary).map_err(wrong)?;
        let sections = match model {
            Some(model) => page_sections(self.path(), model, dataset, backend, None)?,
            None => Vec::new(),
        };
        write_run_report(self.path(), Some(&text), &sections)?;
        if let Some(mut events) = EventFile::last(self.path())? {
            events::end(&mut events, summary, &sections)?;
            events.flush()?;
        }
        self.write("summary.json", text.as_bytes())
    }
}
