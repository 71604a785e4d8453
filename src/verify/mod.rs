//! Checks that a device computes what the specification says: every kernel against its CPU reference in f64, and
//! gradients against finite differences.

mod double;
pub mod gradient;
mod layout;
pub mod parity;
mod report;
pub mod rounding;
mod shadow;

pub use double::DoublePrecision;
pub use gradient::{Options, TensorCheck};
pub use parity::{Prepared, check_matrix_units, verify, verify_kernel};
pub use report::{KernelRow, VerifyReport};
pub use shadow::Shadow;
