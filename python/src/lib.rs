//! What the Python package `gputrain` is made of: the library's trainer, models and verification as Python objects, and the
//! whole program as a function. What is convenient in Python is written in Python, in `gputrain/`.

mod arrays;
mod curves;
mod device;
mod errors;
mod model;
mod moment;
mod training;

#[path = "../../src/cli/mod.rs"]
mod cli;

use gputrain::kernel::{REGISTRY, Specification};
use gputrain::parity::{VerifyReport, verify_kernel};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::ffi::OsString;

/// The native part of gputrain.
#[pymodule]
mod _native {
    use super::*;

    #[pymodule_export]
    use super::arrays::are_no_pixels;
    #[pymodule_export]
    use super::curves::curves;
    #[pymodule_export]
    use super::model::Model;
    #[pymodule_export]
    use super::moment::Moment;
    #[pymodule_export]
    use super::training::{find, resolve, train};

    /// Runs the program with a command line, the program's name first, and returns its exit code.
    #[pyfunction]
    fn main(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
        py.detach(|| cli::main(arguments))
    }

    /// Every kernel on a device against its reference: the report as JSON. Kernels whose name contains one of `kernels`, each of
    /// which is part of a name, or all where that is empty.
    #[pyfunction]
    fn verify(py: Python<'_>, device: &str, kernels: Vec<String>) -> PyResult<String> {
        let names: Vec<&str> = REGISTRY.iter().map(|known| known.kernel.name).collect();
        if let Some(unknown) = kernels.iter().find(|part| !names.iter().any(|name| name.contains(part.as_str()))) {
            let there_are = names.join(", ");
            return Err(PyValueError::new_err(format!("no kernel is called {unknown:?}; there are {there_are}")));
        }
        let backend = device::open(device)?;
        let wanted = |name: &str| kernels.is_empty() || kernels.iter().any(|part| name.contains(part.as_str()));
        let mut rows = Vec::new();
        for specification in REGISTRY.iter().copied().filter(|known: &&Specification| wanted(known.kernel.name)) {
            py.check_signals()?;
            rows.push(py.detach(|| verify_kernel(&*backend, specification)));
        }
        let report = VerifyReport { device: backend.info().clone(), rows };
        errors::json(&report)
    }
}
