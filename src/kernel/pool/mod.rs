//! Pooling over windows, and upsampling.

pub mod average_backward;
pub mod average_forward;
pub mod max_backward;
pub mod max_forward;
pub mod shape;
pub mod upsample_backward;
pub mod upsample_forward;
