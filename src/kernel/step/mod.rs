//! What surrounds a step: the batch out of the data set, the step state, and its bookkeeping.

pub mod augment;
pub mod begin_epoch;
pub mod finish_step;
pub mod gather;
pub mod scheduled_rate;
pub mod state;
