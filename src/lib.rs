//! gputrain trains neural networks on any GPU with WGSL compute shaders, and on the CPU with the same plan.

pub mod data;
pub mod model;
