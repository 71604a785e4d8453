//! Keys and values of TOML that know where they come from, so that an error about one names the line or the override.

mod error;
mod keyword;
mod table;
mod tree;

pub use error::{KeyError, Place};
pub use keyword::Keyword;

pub(crate) use error::{did_you_mean, nearest};
pub(crate) use keyword::keywords;
pub(crate) use table::{Item, Table};
pub(crate) use tree::{MAX_BYTES, Node, Value, split_key};
