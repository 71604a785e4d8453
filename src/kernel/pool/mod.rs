//! Pooling over windows.

pub mod average_backward;
pub mod average_forward;
pub mod max_backward;
pub mod max_forward;
pub mod shape;
