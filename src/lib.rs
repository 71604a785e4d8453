//! gputrain trains neural networks on any GPU with WGSL compute shaders, and on the CPU with the same plan.

pub mod backend;
pub mod cli;
pub mod data;
pub mod export;
pub mod graph;
pub mod job;
pub mod kernel;
pub mod model;
pub mod plan;
pub mod recipe;
pub mod report;
pub mod run;
pub mod sweep;
pub mod train;
pub mod verify;
