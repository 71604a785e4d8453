//! Convolutions: the forward pass and the two gradients, each in f32 in one of several ways, and as a product of factors rounded
//! to f16, in registers or on matrix units.

pub mod backward_input;
pub mod backward_weight;
pub mod forward;
mod mixed;
pub mod shape;
