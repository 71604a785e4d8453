//! In the place of `hdf5.rs` where the feature of that name is off.

use std::path::Path;

use super::array::Array;
use super::error::Problem;
use super::source::Named;

pub(crate) fn read(_: &Path, _: Option<&str>) -> Result<Array, Problem> {
    Err(Problem::LeftOut { format: "HDF5", feature: "hdf5" })
}

pub(crate) fn read_all(_: &Path) -> Result<Vec<Named>, Problem> {
    Err(Problem::LeftOut { format: "HDF5", feature: "hdf5" })
}
