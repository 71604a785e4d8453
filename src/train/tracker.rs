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
    /// How often early stopping has lowered the learning rate.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub slowed: u32,
    /// The epoch after which early stopping ended the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<u32>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Tracker {
    /// Takes what an epoch that trained at this rate came to; true when its weights are the ones to keep. Once a model has waited long
    /// enough its best is fixed, though others may train on beside it. NaN never is an improvement.
    pub fn follow(&mut self, rule: &EarlyStop, value: f32, epoch: u32, rate: f32) -> bool {
        if self.has_waited(rule) {
            return false;
        }
        let gain = self.best.map(|best| if rule.metric.larger_is_better() { value - best } else { best - value });
        let least = if rule.cumulative { rule.min_delta } else { 0.0 };
        let is_best = !value.is_nan() && gain.is_none_or(|gain| gain > least);
        // scikit-learn asks for no more than the least change.
        let is_enough = !value.is_nan() && gain.is_none_or(|gain| gain >= rule.min_delta);
        let gains = if rule.cumulative { is_best } else { is_enough };
        if is_best {
            (self.best, self.best_epoch) = (Some(value), epoch);
        }
        self.waited = if gains { 0 } else { self.waited.saturating_add(1) };
        if self.has_waited(rule) && rule.slow_down.is_some() && rate > rule.min_lr {
            (self.waited, self.slowed) = (0, self.slowed.saturating_add(1));
        }
        self.stopped = self.has_waited(rule).then_some(epoch);
        if rule.restore_best { is_best } else { self.stopped.is_some() }
    }

    /// What a rate has become by this rule.
    pub fn slows(&self, rule: &EarlyStop, rate: f32) -> f32 {
        match rule.slow_down {
            Some(factor) if self.slowed > 0 => {
                (f64::from(rate) * libm::pow(f64::from(factor), f64::from(self.slowed))) as f32
            }
            _ => rate,
        }
    }

    fn take(&mut self, value: f32, epoch: u32) {
        (self.best, self.best_epoch, self.waited) = (Some(value), epoch, 0);
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

    fn rule(metric: Metric, patience: u32, min_delta: f32) -> EarlyStop {
        let (slow_down, min_lr) = (None, 1e-6);
        EarlyStop { metric, patience, min_delta, cumulative: true, restore_best: true, slow_down, min_lr }
    }

    fn follow(tracker: &mut Tracker, rule: &EarlyStop, values: &[f32]) -> Vec<bool> {
        (1..).zip(values).map(|(epoch, value)| tracker.follow(rule, *value, epoch, 1.0)).collect()
    }

    #[test]
    fn waits_while_nothing_improves() {
        let (mut tracker, rule) = (Tracker::default(), rule(Metric::VALIDATION_LOSS, 9, 0.02));
        let better = follow(&mut tracker, &rule, &[1.0, 0.5, 0.6, f32::NAN, 0.45, 0.44]);
        assert_eq!(better, [true, true, false, false, true, false]);
        assert_eq!(tracker, Tracker { best: Some(0.45), best_epoch: 5, waited: 1, ..Tracker::default() });
    }

    #[test]
    fn small_gains_add_up_unless_each_epoch_must_gain() {
        let losses = [1.0, 0.95, 0.9, 0.85, 0.8, 0.75];
        let [adds, mut each] = [rule(Metric::VALIDATION_LOSS, 2, 0.07); 2];
        each.cumulative = false;
        let (mut first, mut second) = (Tracker::default(), Tracker::default());
        assert_eq!(follow(&mut first, &adds, &losses), [true, false, true, false, true, false]);
        // What is best is kept, though it gains too little.
        assert_eq!(follow(&mut second, &each, &losses), [true, true, true, false, false, false]);
        assert_eq!((first.stopped, second.stopped, second.best_epoch), (None, Some(3), 3));
        each.restore_best = false;
        assert_eq!(follow(&mut Tracker::default(), &each, &losses), [false, false, true, false, false, false]);
    }

    #[test]
    fn a_rate_is_lowered_before_training_stops() {
        let mut rule = EarlyStop { slow_down: Some(0.5), min_lr: 0.3, ..rule(Metric::VALIDATION_LOSS, 2, 0.0) };
        let (mut tracker, mut rates) = (Tracker::default(), Vec::new());
        for epoch in 1..8 {
            let rate = tracker.slows(&rule, 1.0);
            rates.push(rate);
            tracker.follow(&rule, 1.0, epoch, rate);
        }
        assert_eq!(rates, [1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]);
        assert_eq!((tracker.slowed, tracker.stopped), (2, Some(7)));
        rule.slow_down = None;
        assert_eq!(tracker.slows(&rule, 1.0), 1.0);
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
        let rule = rule(Metric::of(Set::Test, Measure::Accuracy), 9, 0.0);
        assert_eq!(follow(&mut Tracker::default(), &rule, &[0.5, 0.5, 0.6]), [true, false, true]);
    }
}
