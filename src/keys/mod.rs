//! Keys and values of TOML that know where they come from, so that an error about one names the line or the override.

mod entries;
mod error;
mod form;
mod keyed;
mod keyword;
#[cfg(test)]
mod reference;
mod table;
mod tree;

pub use entries::Entries;
pub use error::{KeyError, Place};
pub use keyword::Keyword;

pub(crate) use entries::{Entry, Written};
pub(crate) use error::{did_you_mean, nearest};
pub(crate) use form::{Flat, Form, Inline, List, Number, OfKind, Optional, Plain, Section, Text, Typed, Unless, Whole};
pub(crate) use keyed::{Keyed, key, keyed, kinds, written_as_table};
pub(crate) use keyword::keywords;
#[cfg(test)]
pub(crate) use keyword::words_where;
#[cfg(test)]
pub(crate) use reference::KeyReference;
#[cfg(test)]
pub(crate) use table::one_of;
pub(crate) use table::{Item, Table};
pub(crate) use tree::{MAX_BYTES, Node, Value, split_key};
