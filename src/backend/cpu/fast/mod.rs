//! Faster ways to compute kernels in f32 on the CPU, held to the tolerance of their specifications.

pub mod conv;
pub mod correlate;
pub mod math;
pub mod simd;
