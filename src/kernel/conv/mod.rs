//! Convolutions.

pub mod backward_input;
pub mod backward_weight;
pub mod forward;
pub mod shape;
