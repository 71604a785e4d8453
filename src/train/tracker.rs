//! Watches a metric: early stopping and the plateau schedule.

use crate::recipe::{EarlyStop, Metric};
use serde::{Deserialize, Serialize};

/// Follows one metric over the epochs.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Tracker {
    /// Best value so far.
    pub best: Option<f32>,
    /// Epoch of the best value, from 1.
    pub best_epoch: u32,
    /// Epochs without improvement since the best, or since the last reduction.
    pub waited: u32,
}

impl Tracker {
    /// Takes an epoch's value; true when it is the best so far by more than `min_delta`. NaN never is.
    pub fn improves(&mut self, metric: Metric, value: f32, epoch: u32, min_delta: f32) -> bool {
        let gain = self.best.map(|best| if metric.larger_is_better() { value - best } else { best - value });
        let better = !value.is_nan() && gain.is_none_or(|gain| gain > min_delta);
        if better {
            *self = Tracker { best: Some(value), best_epoch: epoch, waited: 0 };
        } else {
            self.waited = self.waited.saturating_add(1);
        }
        better
    }

    /// Whether a run that this rule watches is over. Patience 0 is no less patient than 1: an epoch that is the best so far
    /// stops nothing.
    pub fn has_waited(&self, rule: &EarlyStop) -> bool {
        self.waited >= rule.patience.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_while_nothing_improves() {
        let mut tracker = Tracker::default();
        let losses = [1.0, 0.5, 0.6, f32::NAN, 0.45, 0.44];
        let better: Vec<bool> = (1..)
            .zip(losses)
            .map(|(epoch, loss)| tracker.improves(Metric::ValidationLoss, loss, epoch, 0.02))
            .collect();
        assert_eq!(better, [true, true, false, false, true, false]);
        assert_eq!(tracker, Tracker { best: Some(0.45), best_epoch: 5, waited: 1 });
    }

    #[test]
    fn accuracies_improve_upwards() {
        let mut tracker = Tracker::default();
        assert!(tracker.improves(Metric::TestAccuracy, 0.5, 1, 0.0));
        assert!(!tracker.improves(Metric::TestAccuracy, 0.5, 2, 0.0));
        assert!(tracker.improves(Metric::TestAccuracy, 0.6, 3, 0.0));
    }
}
