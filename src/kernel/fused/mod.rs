//! A training step of a network of dense layers in two launches.

pub mod forward_backward;
pub mod layers;
pub mod update;
pub mod update_adam;
pub mod update_sgd;
