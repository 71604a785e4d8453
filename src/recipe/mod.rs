//! The recipe: everything a training run needs, written as TOML.

mod schema;

pub use schema::*;
