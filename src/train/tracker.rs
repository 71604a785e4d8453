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
    /// Epochs to come that are not counted in `waited`, after a reduction.
    #[serde(default)]
    pub cooldown: u32,
}

impl Tracker {
    /// Takes an epoch's value; true when it is the best so far by more than `min_delta`. NaN never is.
    pub fn improves(&mut self, metric: Metric, value: f32, epoch: u32, min_delta: f32) -> bool {
        let gain = self.best.map(|best| if metric.larger_is_better() { value - best } else { best - value });
        let better = !value.is_nan() && gain.is_none_or(|gain| gain > min_delta);
        if better {
            self.take(value, epoch);
        } else {
            self.waited = self.waited.saturating_add(1);
        }
        better
    }

    fn take(&mut self, value: f32, epoch: u32) {
        *self = Tracker { best: Some(value), best_epoch: epoch, waited: 0, cooldown: self.cooldown };
    }

    /// Takes an epoch's value; true when none of the last `patience` and one more was better than the best before by the
    /// relative `threshold`, and the count begins anew. As `step` of PyTorch's ReduceLROnPlateau.
    pub fn is_at_plateau(&mut self, metric: Metric, value: f32, epoch: u32, threshold: f32, patience: u32) -> bool {
        let [value64, threshold] = [value, threshold].map(f64::from);
        let better = self.best.map(f64::from).is_none_or(|best| match metric.larger_is_better() {
            true => value64 > best * (1.0 + threshold),
            false => value64 < best * (1.0 - threshold),
        });
        if better && !value.is_nan() {
            self.take(value, epoch);
        } else {
            self.waited += 1;
        }
        if self.cooldown > 0 {
            (self.cooldown, self.waited) = (self.cooldown - 1, 0);
        }
        let reached = self.waited > patience;
        if reached {
            self.waited = 0;
        }
        reached
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
    use crate::recipe::{Measure, Schedule, ScheduleKind, Set};

    #[test]
    fn waits_while_nothing_improves() {
        let mut tracker = Tracker::default();
        let losses = [1.0, 0.5, 0.6, f32::NAN, 0.45, 0.44];
        let better: Vec<bool> = (1..)
            .zip(losses)
            .map(|(epoch, loss)| tracker.improves(Metric::VALIDATION_LOSS, loss, epoch, 0.02))
            .collect();
        assert_eq!(better, [true, true, false, false, true, false]);
        assert_eq!(tracker, Tracker { best: Some(0.45), best_epoch: 5, waited: 1, cooldown: 0 });
    }

    /// Rates after each epoch as torch.optim.lr_scheduler.ReduceLROnPlateau of PyTorch's main branch (commit 008f727) gives
    /// them for these values, a rate of 1 and a factor of 1/2; they count the halvings but where `min_lr` is reached.
    #[test]
    fn rates_at_plateaus_are_pytorchs() {
        const NAN: f32 = f32::NAN;
        let losses = [
            1.0, 0.8, 0.79996, 0.79993, 0.9, 0.78, 0.77999, 0.77998, 0.77997, 0.77996, 0.77995, 0.5, NAN, 0.51, 0.52,
            0.53, 0.54, 0.55, 0.56, 0.57,
        ];
        let accuracies = [
            0.1, 0.5, 0.50004, 0.50001, 0.4, 0.6, 0.60001, 0.60002, 0.60003, 0.60004, 0.60005, 0.9, NAN, 0.9, 0.9, 0.9,
            0.9, 0.9, 0.9, 0.9,
        ];
        let (loss, accuracy) = (Metric::VALIDATION_LOSS, Metric::of(Set::Validation, Measure::Accuracy));
        let halvings = |counts: [i32; 20]| counts.map(|n| 0.5f32.powi(n));
        let least = |rates: [f32; 20], least: f32| rates.map(|rate| rate.max(least));
        for (values, metric, patience, threshold, cooldown, min_lr, rates) in [
            (losses, loss, 1, 0.0, 0, 0.0, halvings([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4])),
            (losses, loss, 1, 1e-4, 0, 0.0, halvings([0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7])),
            (losses, loss, 1, 1e-4, 3, 0.0, halvings([0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 4, 4])),
            (
                losses,
                loss,
                0,
                1e-4,
                1,
                0.1,
                least(halvings([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4]), 0.1),
            ),
            (
                accuracies,
                accuracy,
                1,
                1e-4,
                2,
                0.2,
                least(halvings([0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3]), 0.2),
            ),
        ] {
            let kind = ScheduleKind::Plateau { metric, factor: 0.5, patience, threshold, cooldown, min_lr };
            let schedule = Schedule { kind, ..Schedule::default() };
            let (mut tracker, mut scale) = (Tracker::default(), 1.0);
            let after = |(epoch, value): (u32, &f32)| {
                if tracker.is_at_plateau(metric, *value, epoch, threshold, patience) {
                    (scale, tracker.cooldown) = (0.5 * scale, cooldown);
                }
                schedule.scaled(1.0, epoch, 20, scale)
            };
            let found: Vec<f32> = (1..).zip(&values).map(after).collect();
            assert_eq!(found, rates, "{:?}", schedule.kind);
            // A rate that is lower than the least one from the start is not raised.
            assert_eq!(schedule.scaled(0.05, 0, 20, 1.0), 0.05);
        }
    }

    #[test]
    fn accuracies_improve_upwards() {
        let (mut tracker, accuracy) = (Tracker::default(), Metric::of(Set::Test, Measure::Accuracy));
        assert!(tracker.improves(accuracy, 0.5, 1, 0.0));
        assert!(!tracker.improves(accuracy, 0.5, 2, 0.0));
        assert!(tracker.improves(accuracy, 0.6, 3, 0.0));
    }
}
