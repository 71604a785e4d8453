//! Hands what happens in a group to the folders of its runs.

use super::Watcher;
use crate::recipe::Recipe;
use crate::run::{Recorder, RunError};
use crate::train::{EpochMetrics, Observer, StepMetrics, Tracker};

/// One run of a group while it trains.
pub(super) struct Track {
    recorder: Recorder,
    early_stop: Option<crate::recipe::EarlyStop>,
    tracker: Tracker,
    /// The epoch after which the run is over, though others of its group go on: it stopped early or diverged.
    over: Option<u32>,
    /// The last epoch of the run.
    pub last: Option<EpochMetrics>,
    /// The epoch in which the loss was no longer finite.
    pub diverged: Option<u32>,
}

impl Track {
    pub(super) fn new(recipe: &Recipe, recorder: Recorder) -> Track {
        let early_stop = recipe.train.early_stop;
        Track { recorder, early_stop, tracker: Tracker::default(), over: None, last: None, diverged: None }
    }

    /// By itself the run would have ended with the epoch in which it diverged, or has waited long enough: from there on
    /// nothing is recorded, so that what is recorded does not depend on the others of the group.
    fn epoch(&mut self, metrics: &EpochMetrics) {
        if self.over.is_some() {
            return;
        }
        self.recorder.epoch(0, metrics);
        self.last = Some(metrics.clone());
        if !metrics.train_loss.is_finite() {
            (self.diverged, self.over) = (Some(metrics.epoch), Some(metrics.epoch));
        } else if let Some(rule) = self.early_stop {
            let value = metrics.get(rule.metric).unwrap_or(f32::NAN);
            self.tracker.follow(&rule, value, metrics.epoch, metrics.learning_rate);
            self.over = self.tracker.stopped;
        }
    }

    pub(super) fn finish(self) -> Result<(), RunError> {
        self.recorder.finish()
    }
}

/// Observes a group.
pub(super) struct GroupObserver<'a> {
    pub tracks: Vec<Track>,
    pub watcher: &'a mut dyn Watcher,
    /// Epochs of each run.
    pub epochs: u64,
    /// Epochs of the groups before, all runs together.
    pub before: u64,
    /// Epochs of the whole sweep, all runs together.
    pub total: u64,
}

impl Observer for GroupObserver<'_> {
    fn epoch(&mut self, member: usize, metrics: &EpochMetrics) {
        self.tracks[member].epoch(metrics);
    }

    fn step(&mut self, member: usize, metrics: &StepMetrics) {
        let track = &mut self.tracks[member];
        if track.over.is_none() {
            track.recorder.step(0, metrics);
        }
    }

    fn weights(&mut self, member: usize, epoch: u32, parameters: Vec<Vec<f32>>) {
        let track = &mut self.tracks[member];
        if track.over.is_none_or(|last| epoch <= last) {
            track.recorder.weights(0, epoch, parameters);
        }
    }

    fn progress(&mut self, done: u64, total: u64) {
        let epochs = self.tracks.len() as u64 * self.epochs * done / total.max(1);
        self.watcher.progress(self.before + epochs, self.total);
    }

    fn interrupted(&mut self) -> bool {
        self.watcher.interrupted() || self.tracks.iter_mut().any(|track| track.recorder.interrupted())
    }
}
