//! What a pickle makes.

use crate::data::array::{Array, Dtype};
use crate::data::error::Problem;

/// A value, or the place of its parts.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    /// None, or a number that is no integer.
    Other,
    /// An integer or a boolean.
    Integer(i64),
    /// Bytes, or a text: Python 2 did not tell them apart.
    Bytes(&'a [u8]),
    /// A text of whose characters each is a byte.
    Owned(Vec<u8>),
    List(Vec<usize>),
    /// Keys and values.
    Dictionary(Vec<(usize, usize)>),
    Name(Callable),
    /// An array's type, and its order of bytes once that is known.
    Type(Dtype, bool),
    /// An array, none before its values are there.
    Array(Option<Box<Array>>),
}

/// What may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Callable {
    /// The class of arrays.
    Ndarray,
    /// Makes an empty array.
    Reconstruct,
    /// Makes a type of values by its name.
    Dtype,
    /// Makes bytes of a text.
    Encode,
}

/// What is wrong with a pickle.
pub(super) fn bad(detail: impl std::fmt::Display) -> Problem {
    Problem::malformed("pickle", detail)
}
