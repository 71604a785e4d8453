//! Training on every backend, and the program as a user runs it.

mod binary;
mod cases;
mod cli_models;
#[path = "../common/mod.rs"]
mod common;
mod fused;
mod golden;
mod gpu;
mod gpu_noop;
mod gpu_support;
mod members;
mod runs;
mod story;
mod sweep;
