//! Checks whole models: gradients against finite differences in f64, and training in the shadow of the CPU. Single kernels are
//! held against their references by [`parity`](crate::parity).

mod double;
pub mod gradient;
pub mod rounding;
mod shadow;

pub use double::DoublePrecision;
pub use gradient::{Options, TensorCheck};
pub use shadow::Shadow;
