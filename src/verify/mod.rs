//! Checks that a device computes what the specification says: every kernel against its CPU reference in f64, and each launch of
//! a training step against the CPU.

mod layout;
pub mod parity;
mod report;
mod shadow;

pub use parity::{Prepared, check_matrix_units, verify, verify_kernel};
pub use report::{KernelRow, VerifyReport};
pub use shadow::Shadow;
