//! `[schedule]`: how the learning rate changes.

use super::Metric;

/// The learning rate over the run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Schedule {
    /// How the rate changes from epoch to epoch.
    pub kind: ScheduleKind,
    /// Over so many steps at the start the rate grows linearly to its full value; 0 = none.
    pub warmup_steps: u64,
}

/// How the learning rate changes from epoch to epoch; epochs count from 0.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum ScheduleKind {
    /// It does not.
    #[default]
    Constant,
    /// Multiplied by `factor` every `every` epochs.
    Step {
        /// Epochs between two changes.
        every: u32,
        /// What the rate is multiplied by.
        factor: f32,
    },
    /// Multiplied by `factor` after each of these numbers of epochs.
    MultiStep {
        /// Ascending.
        epochs: Vec<u32>,
        /// What the rate is multiplied by.
        factor: f32,
    },
    /// Half a cosine from the base rate down to `min` over all epochs.
    Cosine {
        /// The rate at the end.
        min: f32,
    },
    /// Multiplied by `factor` when `metric` has not improved for more than `patience` epochs, as PyTorch's
    /// `ReduceLROnPlateau` does it, whose relative threshold is 1e-4 where none is given; here it is 0.
    Plateau {
        /// What is watched.
        metric: Metric,
        /// What the rate is multiplied by.
        factor: f32,
        /// Epochs without improvement that are tolerated.
        patience: u32,
        /// A loss improves where it is below the best times 1 minus this, an accuracy above the best times 1 plus this.
        threshold: f32,
        /// Epochs after a change of the rate that do not count as epochs without improvement.
        cooldown: u32,
        /// The rate is not lowered below this.
        min_lr: f32,
    },
    /// Rates of their own for stretches of epochs; the last one stays on.
    Phases(Vec<Phase>),
}

/// A stretch of epochs with a learning rate of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Phase {
    /// How many epochs.
    pub epochs: u32,
    /// Their learning rate.
    pub learning_rate: f32,
}

impl Schedule {
    /// The learning rate of an epoch whose plateaus so far have multiplied it by `scale`.
    pub fn scaled(&self, base: f32, epoch: u32, epochs: u32, scale: f32) -> f32 {
        let rate = self.learning_rate(base, epoch, epochs);
        match self.kind {
            // A base rate below the least one stays as it is.
            ScheduleKind::Plateau { min_lr, .. } => (rate * scale).max(min_lr.min(rate)),
            _ => rate * scale,
        }
    }

    /// The learning rate of `epoch` (from 0) in a run of `epochs`, as PyTorch's schedulers have it. A plateau depends
    /// on what training measures, so the trainer applies it; here it is the base rate.
    pub fn learning_rate(&self, base: f32, epoch: u32, epochs: u32) -> f32 {
        let times = |factor: f32, n: u32| (f64::from(base) * libm::pow(f64::from(factor), f64::from(n))) as f32;
        match &self.kind {
            ScheduleKind::Constant | ScheduleKind::Plateau { .. } => base,
            ScheduleKind::Step { every, factor } => times(*factor, epoch / (*every).max(1)),
            ScheduleKind::MultiStep { epochs: after, factor } => {
                times(*factor, after.iter().filter(|&&e| epoch >= e).count() as u32)
            }
            ScheduleKind::Cosine { min } => {
                let turn = std::f64::consts::PI * f64::from(epoch) / f64::from(epochs.max(1));
                let (base, min) = (f64::from(base), f64::from(*min));
                (min + (base - min) * (1.0 + libm::cos(turn)) / 2.0) as f32
            }
            ScheduleKind::Phases(phases) => phase_rate(phases, epoch).unwrap_or(base),
        }
    }
}

fn phase_rate(phases: &[Phase], epoch: u32) -> Option<f32> {
    let mut end = 0u64;
    for phase in phases {
        end += u64::from(phase.epochs);
        if u64::from(epoch) < end {
            return Some(phase.learning_rate);
        }
    }
    phases.last().map(|phase| phase.learning_rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(kind: ScheduleKind, base: f32, epochs: u32) -> Vec<f32> {
        let schedule = Schedule { kind, warmup_steps: 0 };
        (0..epochs).map(|e| schedule.learning_rate(base, e, epochs)).collect()
    }

    #[test]
    fn rates_equal_pytorchs() {
        assert_eq!(rates(ScheduleKind::Constant, 0.1, 2), [0.1, 0.1]);
        assert_eq!(rates(ScheduleKind::Step { every: 2, factor: 0.5 }, 1.0, 5), [1.0, 1.0, 0.5, 0.5, 0.25]);
        let kind = ScheduleKind::MultiStep { epochs: vec![1, 3], factor: 0.5 };
        assert_eq!(rates(kind, 0.5, 5), [0.5, 0.25, 0.25, 0.125, 0.125]);
        // torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=4, eta_min=0.2) at lr=1
        let expected = [1.0, 0.882_842_7, 0.6, 0.317_157_3];
        for (rate, expected) in rates(ScheduleKind::Cosine { min: 0.2 }, 1.0, 4).iter().zip(expected) {
            assert!((rate - expected).abs() < 1e-6, "{rate} {expected}");
        }
        let phases = vec![Phase { epochs: 2, learning_rate: 0.1 }, Phase { epochs: 1, learning_rate: 0.01 }];
        assert_eq!(rates(ScheduleKind::Phases(phases), 9.0, 5), [0.1, 0.1, 0.01, 0.01, 0.01]);
    }
}
