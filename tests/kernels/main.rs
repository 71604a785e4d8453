//! Every kernel: its declaration, its shader and its reference.

mod augment;
mod barriers;
mod canary;
#[path = "../common/mod.rs"]
mod common;
mod conv_gradients;
mod grids;
mod lint;
mod mutants;
mod mutation;
mod norms;
mod reflection;
mod verify;
