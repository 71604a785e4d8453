//! Checks the gradients of a whole model: in f64 against finite differences, and those of a device against f64.

mod absolute;
mod differences;
mod double;
pub mod rounding;

pub use differences::{Options, Tensor, TensorCheck, check_gradients};
pub use double::DoublePrecision;
