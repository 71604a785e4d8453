//! What works on each element, or on each row, by itself: activations, softmax, dropout.

pub mod activation_backward;
pub mod activation_forward;
pub mod dropout;
pub mod softmax_backward;
pub mod softmax_forward;
