//! Asks the drivers which adapters there are and what they offer.

use super::adapter::{AdapterLimits, AdapterReport, BackendName, DeviceChoice, DeviceKind, like, pick};
use crate::ir::MatrixUnits;
use crate::kernel::MAX_BINDINGS;

/// The fewest threads per workgroup and bytes of workgroup memory that the kernels count on: WebGPU's defaults.
const THREADS: u32 = 256;
const WORKGROUP_BYTES: u32 = 16 << 10;

/// Every adapter that answers here, in the order of their indices.
pub fn list_adapters() -> Vec<AdapterReport> {
    let mut reports: Vec<AdapterReport> = adapters(wgpu::Backends::all()).into_iter().map(|(_, r)| r).collect();
    if let Ok(position) = pick(&reports, &DeviceChoice::default()) {
        reports[position].auto = true;
    }
    reports
}

/// The device for a process that is the `local_rank`-th on this machine, as `--device` takes it, where there are several like
/// the one that fits the choice: processes take them in turn.
pub fn device_of_rank(choice: &DeviceChoice, local_rank: usize) -> Option<String> {
    let reports = list_adapters();
    let devices = like(&reports, choice);
    (devices.len() > 1).then(|| devices[local_rank % devices.len()].to_string())
}

/// The adapters of some interfaces. Indices count all interfaces only when all are asked.
pub(super) fn adapters(backends: wgpu::Backends) -> Vec<(wgpu::Adapter, AdapterReport)> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: backends - wgpu::Backends::NOOP,
        flags: wgpu::InstanceFlags::from_build_config().with_env(),
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let found = pollster::block_on(instance.enumerate_adapters(backends));
    // The no-op backend answers everything and computes nothing: it must never be taken for a device.
    let known = found.into_iter().filter_map(|adapter| Some((backend_name(adapter.get_info().backend)?, adapter)));
    known
        .enumerate()
        .map(|(index, (backend, adapter))| {
            let report = report(&adapter, index, backend);
            (adapter, report)
        })
        .collect()
}

fn backend_name(backend: wgpu::Backend) -> Option<BackendName> {
    match backend {
        wgpu::Backend::Vulkan => Some(BackendName::Vulkan),
        wgpu::Backend::Metal => Some(BackendName::Metal),
        wgpu::Backend::Dx12 => Some(BackendName::Dx12),
        wgpu::Backend::Gl => Some(BackendName::Gl),
        wgpu::Backend::Noop | wgpu::Backend::BrowserWebGpu => None,
    }
}

/// What an adapter offers; also used for the no-op one, which has no [`BackendName`] of its own.
pub(super) fn report(adapter: &wgpu::Adapter, index: usize, backend: BackendName) -> AdapterReport {
    let info = adapter.get_info();
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => DeviceKind::Discrete,
        wgpu::DeviceType::IntegratedGpu => DeviceKind::Integrated,
        wgpu::DeviceType::VirtualGpu => DeviceKind::Virtual,
        wgpu::DeviceType::Other => DeviceKind::Other,
        wgpu::DeviceType::Cpu => DeviceKind::Software,
    };
    let limits = limits(&adapter.limits());
    AdapterReport {
        index,
        name: info.name,
        backend,
        kind,
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
        auto: false,
        unusable: unusable(adapter, &limits),
        limits,
        features: feature_names(adapter.features()),
        refused: Vec::new(),
        cooperative_matrices: adapter.cooperative_matrix_properties().iter().map(cooperative_name).collect(),
    }
}

fn limits(limits: &wgpu::Limits) -> AdapterLimits {
    AdapterLimits {
        buffer_bytes: limits.max_buffer_size,
        binding_bytes: limits.max_storage_buffer_binding_size,
        storage_buffers: limits.max_storage_buffers_per_shader_stage,
        workgroup_bytes: limits.max_compute_workgroup_storage_size,
        workgroup_threads: limits.max_compute_invocations_per_workgroup,
        workgroups: limits.max_compute_workgroups_per_dimension,
    }
}

fn unusable(adapter: &wgpu::Adapter, limits: &AdapterLimits) -> Option<String> {
    let needs = |what: &str, has: u32, needed: u32| {
        (has < needed).then(|| format!("it has {has} {what}, gputrain needs {needed}"))
    };
    if !adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS) {
        return Some("it has no compute shaders".into());
    }
    needs("storage buffers per kernel", limits.storage_buffers, MAX_BINDINGS as u32)
        .or_else(|| needs("threads per workgroup", limits.workgroup_threads, THREADS))
        .or_else(|| needs("bytes of workgroup memory", limits.workgroup_bytes, WORKGROUP_BYTES))
}

/// The features that some kernel, the profiler or the pipeline cache can use.
pub(super) const FEATURES: &[(wgpu::Features, &str)] = &[
    (wgpu::Features::SHADER_F16, "shader_f16"),
    (wgpu::Features::SUBGROUP, "subgroup"),
    (wgpu::Features::TIMESTAMP_QUERY, "timestamp_query"),
    (wgpu::Features::PIPELINE_CACHE, "pipeline_cache"),
    (wgpu::Features::MEMORY_DECORATION_COHERENT, "memory_decoration_coherent"),
    (wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX, "cooperative_matrix"),
];

pub(super) fn feature_names(features: wgpu::Features) -> Vec<&'static str> {
    FEATURES.iter().filter(|(feature, _)| features.contains(*feature)).map(|(_, name)| *name).collect()
}

fn cooperative_name(p: &wgpu::CooperativeMatrixProperties) -> String {
    let scalar = |t: wgpu::CooperativeScalarType| format!("{t:?}").to_lowercase();
    format!("{}x{}x{} {} -> {}", p.m_size, p.n_size, p.k_size, scalar(p.ab_type), scalar(p.cr_type))
}

/// The matrix units for factors in f16 and results in f32. The threads of a subgroup multiply together, so a device whose
/// subgroups have no one size has none that the kernels can use.
pub(super) fn matrix_units(adapter: &wgpu::Adapter) -> Option<MatrixUnits> {
    let info = adapter.get_info();
    let subgroup = (info.subgroup_min_size == info.subgroup_max_size).then_some(info.subgroup_max_size)?;
    let types = (wgpu::CooperativeScalarType::F16, wgpu::CooperativeScalarType::F32);
    let listed = adapter.cooperative_matrix_properties();
    let square =
        listed.iter().filter(|p| (p.ab_type, p.cr_type) == types && p.m_size == p.n_size && p.m_size == p.k_size);
    let units = square.map(|p| MatrixUnits { matrix: p.m_size, subgroup });
    units.filter(MatrixUnits::is_usable).max_by_key(|units| units.matrix)
}
