//! What is wrong with an Arrow file.

use super::super::flat::Broken;
use crate::data::error::Problem;

pub(super) const ARROW: &str = "Arrow";

impl From<Broken> for Problem {
    fn from(_: Broken) -> Problem {
        Problem::malformed(ARROW, "a message of it is no flatbuffer")
    }
}

pub(super) fn broken(cause: impl std::fmt::Display) -> Problem {
    Problem::malformed(ARROW, cause)
}
