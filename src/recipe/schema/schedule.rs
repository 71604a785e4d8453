//! `[schedule]`: how the learning rate changes.

use super::{Metric, keywords};
use crate::keys::{
    Flat, Form, Inline, Item, KeyError, Keyed, List, Number, Section, Table, Value, Whole, keyed, kinds,
};

keyed! {
    /// The learning rate over the run.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Schedule {
        /// How the rate changes from epoch to epoch.
        pub kind: ScheduleKind [Flat],
        /// Over so many steps at the start the rate grows linearly to its full value; 0 = none.
        pub warmup_steps: u64 [Whole(0)] = 0,
        /// The same in epochs, or parts of one, in the place of `warmup_steps`; 0 = as many steps as that says.
        pub warmup_epochs: f32 [Number("a number of epochs, 0 or more", |x| x >= 0.0)] = 0.0,
    }
    check one_warmup
}

fn one_warmup(schedule: &Schedule, table: &Table<'_>) -> Result<(), KeyError> {
    match table.get("warmup_epochs") {
        Some(item) if schedule.warmup_epochs != 0.0 && schedule.warmup_steps != 0 => {
            Err(item.conflict("stands beside warmup_steps; keep one of them"))
        }
        _ => Ok(()),
    }
}

keywords! {
    /// How often a schedule changes the rate.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum By {
        /// From epoch to epoch.
        "epoch" => Epoch,
        /// From step to step.
        "step" => Step,
    }
}

keywords! {
    /// The shape of a way from one rate to another.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Anneal {
        /// Half a cosine.
        "cos" => Cos,
        /// A straight line.
        "linear" => Linear,
    }
}

impl Anneal {
    /// The value at a part of the way, 0 to 1.
    fn between(self, start: f64, end: f64, part: f64) -> f64 {
        match self {
            Anneal::Cos => end + (start - end) / 2.0 * (1.0 + libm::cos(std::f64::consts::PI * part)),
            Anneal::Linear => start + (end - start) * part,
        }
    }
}

kinds! {
    /// How the learning rate changes from epoch to epoch; epochs count from 0.
    #[derive(Debug, Clone, PartialEq)]
    pub enum ScheduleKind by kind = "constant" {
        /// It does not.
        "constant" => Constant,
        /// Multiplied by `factor` every `every` epochs.
        "step" => Step {
            /// Epochs between two changes.
            every: u32 [Whole(1); "20"],
            /// What the rate is multiplied by.
            factor: f32 [Number("a number above 0, such as 0.1", |x| x > 0.0); "0.1"],
        },
        /// Multiplied by `factor` after each of these numbers of epochs.
        "multi_step" => MultiStep {
            /// Ascending.
            epochs: Vec<u32> [EPOCHS; "[20, 40]"],
            /// What the rate is multiplied by.
            factor: f32 [Number("a number above 0, such as 0.5", |x| x > 0.0); "0.5"],
        },
        /// Half a cosine from the base rate down to `min` over the run.
        "cosine" => Cosine {
            /// The rate at the end.
            min: f32 [LEAST_RATE] = 0.0,
            /// When it changes.
            by: By = By::Epoch,
        },
        /// Up to the base rate and down again, as PyTorch's `OneCycleLR` with `cycle_momentum=False`; the base rate is its `max_lr`.
        "one_cycle" => OneCycle {
            /// The share of the run that the rate grows in.
            pct_start: f32 [Number("a share, 0 or more and at most 1", |x| (0.0..=1.0).contains(&x))] = 0.3,
            /// What the base rate is divided by at the start.
            div_factor: f32 [Number("a number above 0", |x| x > 0.0)] = 25.0,
            /// What the rate at the start is divided by at the end.
            final_div_factor: f32 [Number("a number above 0", |x| x > 0.0)] = 1e4,
            /// The shape of both ways.
            anneal: Anneal = Anneal::Cos,
            /// When it changes.
            by: By = By::Step,
        },
        /// Multiplied by `factor` when `metric` has not improved for more than `patience` epochs, as PyTorch's
        /// `ReduceLROnPlateau` does it, whose relative threshold is 1e-4 where none is given; here it is 0.
        "plateau" => Plateau {
            /// What is watched.
            metric: Metric = Metric::VALIDATION_LOSS,
            /// What the rate is multiplied by.
            factor: f32 [Number("a number between 0 and 1", |x| x > 0.0 && x < 1.0)] = 0.1,
            /// Epochs without improvement that are tolerated.
            patience: u32 [Whole(0)] = 10,
            /// A loss improves where it is below the best times 1 minus this, an accuracy above the best times 1 plus this.
            threshold: f32 [SHARE] = 0.0,
            /// Epochs after a change of the rate that do not count as epochs without improvement.
            cooldown: u32 [Whole(0)] = 0,
            /// The rate is not lowered below this.
            min_lr: f32 [LEAST_RATE] = 0.0,
        },
        /// Rates of their own for stretches of epochs; the last one stays on.
        "phases" => Phases(
            /// The stretches, in their order.
            phases: Vec<Phase> [Phases; "[{ epochs = 24, learning_rate = 0.1 }, { epochs = 6, learning_rate = 0.01 }]"]
        ),
    }
}

keyed! {
    /// A stretch of epochs with a learning rate of its own.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Phase {
        /// How many epochs.
        pub epochs: u32 [Whole(1); "24"],
        /// Their learning rate.
        pub learning_rate: f32 [RATE; "0.1"],
    }
}

pub(super) const RATE: Number = Number("a learning rate above 0", |x| x > 0.0);

pub(super) const SHARE: Number = Number("a number, 0 or more, below 1", |x| (0.0..1.0).contains(&x));

const LEAST_RATE: Number = Number("a learning rate, 0 or more", |x| x >= 0.0);

const EPOCHS: List<Whole, u32> = List("ascending epochs, such as [20, 40]", Whole(1), |epochs| {
    !epochs.is_empty() && epochs.windows(2).all(|pair| pair[0] < pair[1])
});

/// Phases whose epochs can be counted.
struct Phases;

impl Form<Vec<Phase>> for Phases {
    fn expected(&self) -> String {
        "a list of phases, such as [{ epochs = 24, learning_rate = 0.1 }]".into()
    }

    fn read(&self, item: &Item<'_>) -> Result<Vec<Phase>, KeyError> {
        let expected = self.expected();
        let phase = Inline("{ epochs = 24, learning_rate = 0.1 }");
        let mut total = 0u32;
        let mut phases: Vec<Phase> = Vec::new();
        for item in item.list(&expected)? {
            let read: Phase = phase.read(&item)?;
            total = total.checked_add(read.epochs).ok_or_else(|| item.wrong("fewer epochs in all phases together"))?;
            phases.push(read);
        }
        if phases.is_empty() { Err(item.wrong(expected)) } else { Ok(phases) }
    }
}

/// `[schedule]`, or a list of phases in its place.
pub(super) struct InSection;

impl Form<Schedule> for InSection {
    fn expected(&self) -> String {
        "a table with a kind, or a list of phases".into()
    }

    fn read(&self, item: &Item<'_>) -> Result<Schedule, KeyError> {
        match item.node.value {
            Value::Array(_) => Ok(Schedule { kind: ScheduleKind::Phases(Phases.read(item)?), ..Schedule::default() }),
            _ => Schedule::of(item.table(&self.expected())?),
        }
    }

    fn get(&self, recipe: &Table<'_>, key: &str) -> Result<Schedule, KeyError> {
        recipe.get(key).map_or_else(|| Section.get(recipe, key), |item| self.read(&item))
    }
}

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule::with_defaults(&[])
    }
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
    /// on what training measures, so the trainer applies it; here it is the base rate. So it is where the rate changes from step to step:
    /// see [`Schedule::factor`].
    pub fn learning_rate(&self, base: f32, epoch: u32, epochs: u32) -> f32 {
        let times = |factor: f32, n: u32| (f64::from(base) * libm::pow(f64::from(factor), f64::from(n))) as f32;
        match &self.kind {
            ScheduleKind::Constant | ScheduleKind::Plateau { .. } => base,
            ScheduleKind::Step { every, factor } => times(*factor, epoch / (*every).max(1)),
            ScheduleKind::MultiStep { epochs: after, factor } => {
                times(*factor, after.iter().filter(|&&e| epoch >= e).count() as u32)
            }
            ScheduleKind::Cosine { .. } | ScheduleKind::OneCycle { .. } if self.is_by_step() => base,
            ScheduleKind::Cosine { .. } | ScheduleKind::OneCycle { .. } => {
                self.rate_at(f64::from(base), f64::from(epoch), f64::from(epochs)) as f32
            }
            ScheduleKind::Phases(phases) => phase_rate(phases, epoch).unwrap_or(base),
        }
    }
}

impl Schedule {
    /// Whether the rate changes from step to step, by [`Schedule::factor`].
    pub fn is_by_step(&self) -> bool {
        matches!(self.kind, ScheduleKind::Cosine { by: By::Step, .. } | ScheduleKind::OneCycle { by: By::Step, .. })
    }

    /// Steps over which the rate grows linearly at the start.
    pub fn warmup(&self, steps_per_epoch: usize) -> u64 {
        match self.warmup_epochs {
            0.0 => self.warmup_steps,
            epochs => (f64::from(epochs) * steps_per_epoch as f64).round() as u64,
        }
    }

    /// What the base rate is multiplied by in a step (from 0) of a run of `epochs`, warm-up included, where the schedule is by
    /// step; behind the last step as in it. 1 where it is not.
    pub fn factor(&self, base: f32, step: u64, steps_per_epoch: usize, epochs: u32) -> f32 {
        if !self.is_by_step() {
            return 1.0;
        }
        let steps = (u64::from(epochs) * steps_per_epoch as u64).max(1);
        let (step, base) = (step.min(steps - 1) as f64, f64::from(base));
        let warmup = (step + 1.0) / (self.warmup(steps_per_epoch).max(1) as f64);
        (self.rate_at(base, step, steps as f64) / base * warmup.min(1.0)) as f32
    }

    /// [`Schedule::factor`] of every step of a run.
    pub fn factors(&self, base: f32, steps_per_epoch: usize, epochs: u32) -> impl Iterator<Item = f32> {
        let steps = u64::from(epochs) * steps_per_epoch as u64;
        (0..steps).map(move |step| self.factor(base, step, steps_per_epoch, epochs))
    }

    /// The rate of a cosine or of one cycle at a place (from 0) of `len`.
    fn rate_at(&self, base: f64, place: f64, len: f64) -> f64 {
        match self.kind {
            ScheduleKind::Cosine { min, .. } => {
                let turn = std::f64::consts::PI * place / len.max(1.0);
                let min = f64::from(min);
                min + (base - min) * (1.0 + libm::cos(turn)) / 2.0
            }
            ScheduleKind::OneCycle { pct_start, div_factor, final_div_factor, anneal, .. } => {
                let first = base / f64::from(div_factor);
                let last = first / f64::from(final_div_factor);
                // The places of the highest and of the last rate.
                let (top, end) = (f64::from(pct_start) * len - 1.0, len - 1.0);
                let part = |start: f64, end: f64| if end > start { (place - start) / (end - start) } else { 1.0 };
                if place <= top {
                    anneal.between(first, base, part(0.0, top))
                } else {
                    anneal.between(base, last, part(top, end))
                }
            }
            _ => base,
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
        let schedule = Schedule { kind, ..Schedule::default() };
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
        for (rate, expected) in rates(ScheduleKind::Cosine { min: 0.2, by: By::Epoch }, 1.0, 4).iter().zip(expected) {
            assert!((rate - expected).abs() < 1e-6, "{rate} {expected}");
        }
        let phases = vec![Phase { epochs: 2, learning_rate: 0.1 }, Phase { epochs: 1, learning_rate: 0.01 }];
        assert_eq!(rates(ScheduleKind::Phases(phases), 9.0, 5), [0.1, 0.1, 0.01, 0.01, 0.01]);
    }

    #[test]
    fn steps_follow_pytorchs_one_cycle() {
        let cycle = |pct_start, anneal| Schedule {
            kind: ScheduleKind::OneCycle { pct_start, div_factor: 25.0, final_div_factor: 1e4, anneal, by: By::Step },
            ..Schedule::default()
        };
        // torch.optim.lr_scheduler.OneCycleLR(opt, 1.0, total_steps=5, pct_start=0.4) and (..., anneal_strategy="linear")
        let cases = [
            (cycle(0.4, Anneal::Cos), [0.04, 1.0, 0.750_001, 0.250_003, 4e-6]),
            (cycle(0.4, Anneal::Linear), [0.04, 1.0, 0.666_668, 0.333_336, 4e-6]),
        ];
        for (schedule, expected) in cases {
            let found: Vec<f32> = schedule.factors(1.0, 5, 1).collect();
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            }
            assert_eq!(schedule.learning_rate(1.0, 0, 1), 1.0, "the table has the rest");
        }
        // Shares for which PyTorch divides by zero, and those at the ends.
        for share in [0.0, 0.2, 1.0] {
            let rates: Vec<f32> = cycle(share, Anneal::Cos).factors(0.5, 5, 1).collect();
            assert!(rates.iter().all(|rate| (0.0..=1.0).contains(rate)), "{share}: {rates:?}");
        }
    }

    #[test]
    fn a_warm_up_in_epochs_is_one_in_steps() {
        let cosine = ScheduleKind::Cosine { min: 0.0, by: By::Step };
        let schedule = Schedule { kind: cosine, warmup_epochs: 0.5, ..Schedule::default() };
        assert_eq!([schedule.warmup(8), schedule.warmup(5), schedule.warmup(0)], [4, 3, 0]);
        let factors: Vec<f32> = schedule.factors(0.1, 4, 2).collect();
        assert_eq!(factors.len(), 8);
        assert_eq!(factors[0], 0.5);
        assert!(factors[1] > 0.9 && factors[7] < 0.1);
        assert_eq!(schedule.factor(0.1, 99, 4, 2), factors[7], "behind the last step as in it");
    }
}
