//! The device that Python code asks for.

use crate::errors::Failure;
use gputrain::backend::cpu::CpuBackend;
use gputrain::backend::gpu::{BackendName, DeviceChoice, GpuBackend};
use gputrain::backend::{Backend, BackendError};
use pyo3::PyResult;
use pyo3::exceptions::PyValueError;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A device that several models and threads use.
pub(crate) type Shared = Arc<dyn Backend + Send + Sync>;

/// `auto` (the best hardware GPU, or the CPU where there is none), `cpu`, an interface (`vulkan`, `metal`, `dx12`, `gl`), or a
/// part of a GPU's name.
///
/// A device is opened once and kept: a GPU's compiled shaders with it.
pub(crate) fn open(device: &str) -> PyResult<Shared> {
    static OPENED: Mutex<BTreeMap<String, Shared>> = Mutex::new(BTreeMap::new());
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = opened.get(device) {
        return Ok(Arc::clone(known));
    }
    let backend = open_anew(device)?;
    opened.insert(device.to_string(), Arc::clone(&backend));
    Ok(backend)
}

fn open_anew(device: &str) -> PyResult<Shared> {
    let interfaces = [BackendName::Auto, BackendName::Vulkan, BackendName::Metal, BackendName::Dx12, BackendName::Gl];
    if device == "cpu" {
        return Ok(Arc::new(CpuBackend::new()));
    }
    if device.is_empty() {
        return Err(PyValueError::new_err(
            "device is empty; it is \"auto\", \"cpu\", \"vulkan\" or a part of a GPU's name",
        ));
    }
    let interface = interfaces.into_iter().find(|name| name.to_string() == device);
    let part = interface.is_none().then(|| device.to_string());
    let choice = DeviceChoice { backend: interface.unwrap_or_default(), device: part, checked: false };
    match GpuBackend::open(&choice) {
        Ok(gpu) => Ok(Arc::new(gpu)),
        Err(BackendError::NotFound(_)) if device == "auto" => Ok(Arc::new(CpuBackend::new())),
        Err(error) => Err(Failure::from(error).into()),
    }
}
