//! Who is told how a sweep gets on.

use super::entry::Entry;
use super::results::Row;
use crate::ir::SourceBuffers;
use crate::model::Model;

/// Is told how a sweep gets on. Every method has a default that ignores it.
pub trait Watcher {
    /// Data was loaded for the runs to come, of which a person should know this.
    fn data(&mut self, notes: &[String]) {
        let _ = notes;
    }

    /// Runs of this model begin to train side by side, on these sets of examples.
    fn group(&mut self, entries: &[&Entry], model: &Model, sources: &[SourceBuffers]) {
        let _ = (entries, model, sources);
    }

    /// Something about the sweep's folder that its owner should know.
    fn warn(&mut self, warning: &str) {
        let _ = warning;
    }

    /// Epochs done, all runs taken together, of all in the sweep.
    fn progress(&mut self, done: u64, total: u64) {
        let _ = (done, total);
    }

    /// A run has its result on disk.
    fn result(&mut self, row: &Row) {
        let _ = row;
    }

    /// Asked between launches: true stops the sweep; runs under way are lost.
    fn interrupted(&mut self) -> bool {
        false
    }
}
