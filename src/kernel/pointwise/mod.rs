//! What works on each element, or on each row, by itself: activations, sums, copies, softmax, dropout.

pub mod activation_backward;
pub mod activation_forward;
pub mod add;
pub mod add_gradients;
pub mod copy_columns;
pub mod dropout;
pub mod softmax_backward;
pub mod softmax_forward;
