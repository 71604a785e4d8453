//! Formulas in f64 that several kernels share: each has a twin in `shaders/lib`.

pub mod activation;
pub mod hash;
pub mod rows;
