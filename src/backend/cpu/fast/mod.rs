//! Faster ways to compute kernels in f32 on the CPU, held to the tolerance of their specifications.

pub mod add;
pub mod conv;
pub mod copy_columns;
pub mod correlate;
pub mod math;
pub mod norm;
pub mod simd;
pub mod upsample;
