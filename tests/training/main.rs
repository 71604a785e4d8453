//! Training on every backend, and the program as a user runs it.

mod anywhere;
mod batch_norm;
mod bench;
mod binary;
mod cases;
mod cli_models;
mod cli_pictures;
mod cli_tables;
mod cli_values;
#[path = "../common/mod.rs"]
mod common;
mod driver;
mod folders;
mod fused;
mod gallery;
mod going_on;
mod golden;
mod gpu;
mod gpu_noop;
mod gpu_support;
mod kills;
mod landscape;
mod large;
mod members;
mod metrics;
mod mixed;
mod plans;
mod resume;
mod run_report;
mod runs;
mod shadow;
mod story;
mod streamed;
mod sweep;
mod sweep_outcomes;
mod tune;
