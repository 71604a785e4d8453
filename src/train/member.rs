//! One of the models that train side by side.

use crate::kernel::formula::hash;
use crate::kernel::optimizer::adjust_loss_scale;
use crate::kernel::step::state;
use crate::recipe::{OptimizerSpec, Precision, Recipe, Schedule};

/// What is a model's own among models of one shape that train together: its seed and its optimizer's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Seeds the batch order and dropout.
    pub seed: u64,
    /// The optimizer. All members share its kind and which terms it has; the numbers are the member's own.
    pub optimizer: OptimizerSpec,
    /// The learning rate over the epochs.
    pub schedule: Schedule,
    /// The precision of matrix products. All members share it.
    pub precision: Precision,
}

impl Member {
    /// The one member of a recipe.
    pub fn of(recipe: &Recipe) -> Member {
        let (seed, optimizer, schedule) = (recipe.seed, recipe.optimizer, recipe.schedule.clone());
        Member { seed, optimizer, schedule, precision: recipe.precision }
    }

    /// The step state before the first epoch: (counters, scalars).
    pub(crate) fn initial_state(&self) -> ([u32; state::COUNTERS], [f32; state::SCALARS]) {
        let mut counters = [0; state::COUNTERS];
        // Beginning an epoch adds one: the first is 0.
        counters[state::EPOCH] = u32::MAX;
        counters[state::SEED] = hash::combine((self.seed >> 32) as u32, self.seed as u32);
        if self.precision == Precision::Mixed {
            counters[state::LOSS_SCALE] = adjust_loss_scale::FIRST_SCALE.to_bits();
        }
        let hyper = crate::planner::hyper_words(&self.optimizer, 0.0, 0);
        let mut scalars = [0.0; state::SCALARS];
        scalars[state::BETA1_CORRECTION] = hyper[state::ONE_MINUS_BETA1];
        scalars[state::BETA2_CORRECTION] = hyper[state::ONE_MINUS_BETA2];
        (counters, scalars)
    }
}
