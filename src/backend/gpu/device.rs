//! The opened device: its queue, its limits, and the errors it reports on its own.

use super::adapter::{AdapterReport, BackendName, DeviceChoice, DeviceKind, pick};
use super::quiet;
use super::report::{FEATURES, adapters, feature_names, matrix_units, report};
use crate::backend::{BackendError, DeviceInfo};
use crate::ir::{Limits, MatrixUnits};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(super) struct Device {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub info: DeviceInfo,
    pub report: AdapterReport,
    pub adapter: wgpu::AdapterInfo,
    pub limits: wgpu::Limits,
    pub features: wgpu::Features,
    /// The matrix units that kernels use, where the device has such.
    matrix_units: Option<MatrixUnits>,
    /// Shaders are compiled with bounds checks.
    pub checked: bool,
    faults: Arc<Faults>,
}

/// The first error that the device reported outside of any call: a lost device, or an error that no scope caught.
#[derive(Default)]
struct Faults {
    raised: AtomicBool,
    first: Mutex<Option<Fault>>,
}

enum Fault {
    Lost(String),
    Memory,
    Invalid(String),
}

impl Faults {
    fn raise(&self, fault: Fault) {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
        self.raised.store(true, Ordering::Release);
    }
}

/// Opens the adapter that fits the choice.
pub(super) fn open(choice: &DeviceChoice) -> Result<Device, BackendError> {
    let mut found = adapters(backends(choice));
    let reports: Vec<AdapterReport> = found.iter().map(|(_, r)| r.clone()).collect();
    let position = match pick(&reports, choice) {
        Err(_) if choice.device.is_none() => {
            // Asked for little to start fast; before saying no, look everywhere (OpenGL too) and list what there is.
            found = adapters(wgpu::Backends::all());
            pick(&found.iter().map(|(_, r)| r.clone()).collect::<Vec<_>>(), choice)?
        }
        other => other?,
    };
    let (adapter, report) = found.swap_remove(position);
    connect(&adapter, report, choice.checked)
}

/// The interfaces to ask: loading OpenGL's drivers takes long and is rarely needed. An index counts all of them.
fn backends(choice: &DeviceChoice) -> wgpu::Backends {
    match (&choice.device, choice.backend) {
        (Some(_), _) => wgpu::Backends::all(),
        (None, BackendName::Auto) => wgpu::Backends::PRIMARY,
        (None, BackendName::Vulkan) => wgpu::Backends::VULKAN,
        (None, BackendName::Metal) => wgpu::Backends::METAL,
        (None, BackendName::Dx12) => wgpu::Backends::DX12,
        (None, BackendName::Gl) => wgpu::Backends::GL,
    }
}

/// wgpu's no-op device with WebGPU's default limits: validates everything, computes nothing.
pub(super) fn open_noop() -> Result<Device, BackendError> {
    let noop = wgpu::NoopBackendOptions { enable: true, limits: Some(wgpu::Limits::default()), ..Default::default() };
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::NOOP,
        backend_options: wgpu::BackendOptions { noop, ..Default::default() },
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::NOOP));
    let adapter = adapters.first().ok_or_else(|| BackendError::NotFound("wgpu lacks its no-op backend".into()))?;
    let mut device = connect(adapter, report(adapter, 0, BackendName::Auto), true)?;
    device.info.backend = "noop".into();
    Ok(device)
}

fn connect(adapter: &wgpu::Adapter, mut report: AdapterReport, checked: bool) -> Result<Device, BackendError> {
    let wanted = FEATURES.iter().fold(wgpu::Features::empty(), |all, (feature, _)| all | *feature);
    let mut listed = adapter.features() & wanted;
    if report.cooperative_matrices.is_empty() {
        listed.remove(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX);
    }
    let request = |features: wgpu::Features| {
        let experimental = features.intersects(wgpu::Features::all_experimental_mask());
        pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("gputrain"),
            required_features: features,
            required_limits: adapter.limits(),
            experimental_features: if experimental {
                // SAFETY: the one experimental feature asked for is cooperative matrices; the kernels that use them are
                // held to the CPU reference by `verify` like all others.
                unsafe { wgpu::ExperimentalFeatures::enabled() }
            } else {
                wgpu::ExperimentalFeatures::disabled()
            },
            ..Default::default()
        }))
        .map_err(|error| error.to_string())
    };
    let opened = with_what_it_grants(listed, request);
    let ((device, queue), features) =
        opened.map_err(|message| BackendError::CannotOpen { device: report.to_string(), message: tidy(&message) })?;
    report.refused = feature_names(listed - features);
    report.features.retain(|name| !report.refused.contains(name));
    let info = DeviceInfo {
        backend: report.backend.to_string(),
        device: report.name.clone(),
        driver: report.driver.clone(),
        software: report.kind == DeviceKind::Software,
    };
    let faults = listen(&device);
    let limits = device.limits();
    let matrix_units =
        features.contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX).then(|| matrix_units(adapter));
    let matrix_units = matrix_units.flatten();
    let adapter = adapter.get_info();
    Ok(Device { device, queue, info, report, adapter, limits, features, matrix_units, checked, faults })
}

/// Opens a device with as many of the optional features that it lists as it grants: all of them, or all but one, or all but
/// the experimental ones, or none. Everything trains without them. The first error tells most: it is that of the whole.
///
/// Panics count as refusals, because wgpu-hal has no other way to say it: where Vulkan answers that a feature or an
/// extension is not present, it calls its driver's answer a usage error and panics. Nothing is open then, and the adapter
/// can be asked again.
fn with_what_it_grants<T>(
    listed: wgpu::Features,
    mut open: impl FnMut(wgpu::Features) -> Result<T, String>,
) -> Result<(T, wgpu::Features), String> {
    let mut asked = vec![listed];
    asked.extend(listed.iter().map(|one| listed - one));
    asked.extend([listed - wgpu::Features::all_experimental_mask(), wgpu::Features::empty()]);
    let mut first = None;
    for (index, features) in asked.iter().enumerate() {
        if asked[..index].contains(features) {
            continue;
        }
        match quiet::catch(|| open(*features)).flatten() {
            Ok(device) => return Ok((device, *features)),
            Err(message) => _ = first.get_or_insert(message),
        }
    }
    Err(first.unwrap_or_default())
}

fn listen(device: &wgpu::Device) -> Arc<Faults> {
    let faults = Arc::new(Faults::default());
    let uncaptured = faults.clone();
    device.on_uncaptured_error(Arc::new(move |error| uncaptured.raise(fault(error))));
    let lost = faults.clone();
    device.set_device_lost_callback(move |reason, message| lost.raise(Fault::Lost(format!("{reason:?}: {message}"))));
    faults
}

fn fault(error: wgpu::Error) -> Fault {
    match error {
        wgpu::Error::OutOfMemory { .. } => Fault::Memory,
        wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
            Fault::Invalid(tidy(&description))
        }
    }
}

/// wgpu's description without its heading.
fn tidy(description: &str) -> String {
    description.trim_start_matches("Validation Error").trim_start().trim_start_matches("Caused by:").trim().to_string()
}

impl Device {
    /// The limits that a plan must keep.
    pub(super) fn plan_limits(&self) -> Limits {
        Limits {
            buffer_bytes: self.limits.max_buffer_size,
            // Lengths in bytes of bindings end there on Metal, which allows longer ones.
            binding_bytes: self.limits.max_storage_buffer_binding_size.min(u64::from(u32::MAX) & !255),
            data_bytes: u64::MAX,
            workgroups: self.limits.max_compute_workgroups_per_dimension,
            // A software adapter runs one workgroup per core; a GPU holds several on each of its tens of multiprocessors.
            busy_workgroups: if self.report.kind == DeviceKind::Software { 4 } else { 256 },
            workgroup_bytes: self.limits.max_compute_workgroup_storage_size,
            workgroup_threads: self.limits.max_compute_invocations_per_workgroup,
            costly_launches: true,
            f16: self.features.contains(wgpu::Features::SHADER_F16),
            matrix_units: self.matrix_units,
        }
    }

    /// The error that the device reported since it was opened, if any: nothing after it can be trusted.
    pub(super) fn check(&self) -> Result<(), BackendError> {
        if !self.faults.raised.load(Ordering::Acquire) {
            return Ok(());
        }
        let first = self.faults.first.lock().unwrap_or_else(PoisonError::into_inner);
        Err(match &*first {
            Some(Fault::Lost(message)) => self.lost(message.clone()),
            Some(Fault::Memory) => self.invalid("queued work", "out of memory; use a smaller batch, model or data set"),
            Some(Fault::Invalid(message)) => self.invalid("queued work", message.clone()),
            None => return Ok(()),
        })
    }

    /// Runs `f` and returns the error that wgpu reports for what it does; `what` and `bytes` name it.
    pub(super) fn scoped<T>(
        &self,
        what: &str,
        bytes: u64,
        f: impl FnOnce(&wgpu::Device) -> T,
    ) -> Result<T, BackendError> {
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let value = quiet::catch(|| f(&self.device));
        let errors = [validation, internal, memory].map(|scope| pollster::block_on(scope.pop()));
        let value = value.map_err(|message| self.invalid(what, message))?;
        match errors.into_iter().flatten().next() {
            Some(error) => Err(self.refusal(what, bytes, error)),
            None => self.check().map(|()| value),
        }
    }

    /// wgpu's refusal to make `what`.
    pub(super) fn refusal(&self, what: &str, bytes: u64, error: wgpu::Error) -> BackendError {
        match fault(error) {
            Fault::Memory => BackendError::OutOfMemory { device: self.info.device.clone(), bytes, what: what.into() },
            Fault::Invalid(message) | Fault::Lost(message) => self.invalid(what, message),
        }
    }

    /// Lets wgpu look after finished work, and waits for some if asked to.
    pub(super) fn poll(&self, kind: wgpu::PollType) -> Result<(), BackendError> {
        self.check()?;
        match quiet::catch(|| self.device.poll(kind)) {
            Ok(Ok(_)) => self.check(),
            Ok(Err(error)) => Err(self.invalid("waiting", error.to_string())),
            Err(message) => {
                self.faults.raise(Fault::Lost(message));
                self.check()
            }
        }
    }

    pub(super) fn invalid(&self, what: &str, message: impl Into<String>) -> BackendError {
        let device = self.info.device.clone();
        BackendError::Invalid { device, what: what.into(), message: message.into() }
    }

    fn lost(&self, message: String) -> BackendError {
        BackendError::Lost { device: self.info.device.clone(), message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wgpu::Features;

    const LISTED: Features = Features::SHADER_F16
        .union(Features::SUBGROUP)
        .union(Features::TIMESTAMP_QUERY)
        .union(Features::EXPERIMENTAL_COOPERATIVE_MATRIX);

    /// What is granted by a device that lists all and refuses some, by an error or by a panic; and how often it is asked.
    fn granted(refused: Features, panics: bool) -> (Result<Features, String>, usize) {
        let mut asked = 0;
        let open = |features: Features| {
            asked += 1;
            match features.intersects(refused) {
                true if panics => panic!("Requested feature is not available"),
                true => Err("refused".to_string()),
                false => Ok(()),
            }
        };
        let result = with_what_it_grants(LISTED, open).map(|(_, features)| features);
        (result, asked)
    }

    #[test]
    fn a_feature_that_is_listed_and_refused_is_done_without() {
        assert_eq!(granted(Features::empty(), false), (Ok(LISTED), 1));
        for panics in [false, true] {
            for one in LISTED.iter() {
                assert_eq!(granted(one, panics).0, Ok(LISTED - one), "{one:?}, panics: {panics}");
            }
            let two = Features::SHADER_F16 | Features::SUBGROUP;
            assert_eq!(granted(two, panics).0, Ok(Features::empty()), "panics: {panics}");
        }
    }

    #[test]
    fn a_device_that_never_opens_is_an_error_with_the_first_reason() {
        let mut asked = 0;
        let open = |_| -> Result<(), String> {
            asked += 1;
            if asked == 1 { panic!("no device {asked}") } else { Err("later".into()) }
        };
        assert_eq!(with_what_it_grants(LISTED, open).map(|_| ()), Err("no device 1".to_string()));
        assert_eq!(asked, 2 + 4, "all, none, all but each of four: all but the experimental ones are among those");
        // Where nothing is optional there is nothing to try again.
        let mut asked = 0;
        let open = |_| -> Result<(), String> {
            asked += 1;
            Err("no".into())
        };
        assert!(with_what_it_grants(Features::empty(), open).is_err());
        assert_eq!(asked, 1);
    }
}
