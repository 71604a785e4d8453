//! Runs plans on GPUs through wgpu: Vulkan, Metal, Direct3D 12 or OpenGL.
//!
//! A session's buffers, pipelines and bind groups are made before the first step. A step then costs the host one
//! `dispatch` call per launch, with `set_pipeline` and `set_bind_group` where they change; many steps go into one command
//! buffer, whose size follows the time that the GPU takes for it. Nothing is created, written or waited for between
//! steps, save that at most three submits are under way at once.

mod adapter;
mod cache;
mod device;
mod flight;
mod pace;
mod pipeline;
mod profile;
mod quiet;
mod readback;
mod replay;
mod report;
mod session;
#[cfg(test)]
mod tests;

pub use adapter::{AdapterLimits, AdapterReport, BackendName, DeviceChoice, DeviceKind, missing_driver};
pub use report::{device_of_rank, list_adapters};
pub use session::GpuSession;

use super::tuning::TuningStore;
use super::{Backend, BackendError, DeviceInfo, Session};
use crate::ir::{Limits, Plan};
use device::Device;
use pipeline::Pipelines;
use std::path::Path;
use std::sync::Arc;

/// An opened GPU.
pub struct GpuBackend {
    device: Arc<Device>,
    pipelines: Arc<Pipelines>,
    tuning: TuningStore,
}

impl GpuBackend {
    /// Opens the device that fits the choice. [`BackendError::NotFound`] lists what is there when none does; for `auto`
    /// that means that no hardware GPU answers.
    pub fn open(choice: &DeviceChoice) -> Result<GpuBackend, BackendError> {
        GpuBackend::open_with_cache(choice, crate::file::cache_directory().as_deref())
    }

    /// The same, with compiled shaders and tuned variants kept in `directory`, or nowhere.
    pub fn open_with_cache(choice: &DeviceChoice, directory: Option<&Path>) -> Result<GpuBackend, BackendError> {
        let device = Arc::new(device::open(choice)?);
        let pipelines = Arc::new(Pipelines::new(&device, directory));
        let tuning = TuningStore::open(directory.map(|d| d.join(cache::file_name(&device.adapter, "tuning", "json"))))?;
        Ok(GpuBackend { device, pipelines, tuning })
    }

    /// wgpu's no-op device with WebGPU's default limits: validates plans, shaders and launches without any GPU and
    /// computes nothing. For tests and for measuring the host's own cost.
    pub fn noop() -> Result<GpuBackend, BackendError> {
        let device = Arc::new(device::open_noop()?);
        let pipelines = Arc::new(Pipelines::new(&device, None));
        Ok(GpuBackend { device, pipelines, tuning: TuningStore::default() })
    }

    /// The same device once more, with the pipelines that were compiled for it, but without tuned variants: those it learns
    /// are its own.
    pub fn shared(&self) -> GpuBackend {
        let (device, pipelines) = (self.device.clone(), self.pipelines.clone());
        GpuBackend { device, pipelines, tuning: TuningStore::default() }
    }

    /// What the opened adapter is and offers.
    pub fn adapter(&self) -> &AdapterReport {
        &self.device.report
    }

    /// Pipelines compiled so far: sessions share them.
    pub fn pipelines(&self) -> usize {
        self.pipelines.count()
    }

    /// [`Backend::prepare`], for callers that need what only GPU sessions have.
    pub fn session(&self, plan: Arc<Plan>) -> Result<GpuSession, BackendError> {
        GpuSession::new(self.device.clone(), plan, &self.pipelines)
    }
}

impl Backend for GpuBackend {
    fn info(&self) -> &DeviceInfo {
        &self.device.info
    }

    fn limits(&self) -> Limits {
        self.device.plan_limits()
    }

    fn tuning(&self) -> Option<&TuningStore> {
        Some(&self.tuning)
    }

    fn prepare(&self, plan: Arc<Plan>) -> Result<Box<dyn Session>, BackendError> {
        Ok(Box::new(self.session(plan)?))
    }
}
