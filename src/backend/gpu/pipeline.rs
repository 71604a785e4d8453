//! Compiled kernels: one pipeline for each shader text, kept for every session on the backend.

use super::cache::DiskCache;
use super::device::Device;
use crate::backend::BackendError;
use crate::ir::{Access, Dispatch, Kernel};
use crate::kernel::shader_source;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Parsing WGSL recurses: more stack than a thread has by default.
const COMPILER_STACK: usize = 8 << 20;

pub(super) struct Pipeline {
    pub compute: wgpu::ComputePipeline,
    pub layout: Layout,
}

/// Bindings of a kernel as the device sees them.
#[derive(Clone)]
pub(super) struct Layout {
    pub group: wgpu::BindGroupLayout,
    pipeline: wgpu::PipelineLayout,
}

/// What makes two layouts the same: bytes of the parameter struct, which storage bindings are read only, and whether some are
/// read as vectors.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct LayoutKey {
    params: u64,
    read_only: Vec<bool>,
    vectors: bool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct PipelineKey {
    source: Arc<str>,
    layout: LayoutKey,
}

/// A kernel and its constants: cheaper to compare than the shader's text.
type Variant<'a> = (*const Kernel, &'a [(&'static str, u32)]);

/// A pipeline to compile, and what errors call it.
struct Job {
    key: PipelineKey,
    layout: Layout,
    name: String,
}

pub(super) struct Pipelines {
    layouts: Mutex<HashMap<LayoutKey, Layout>>,
    compiled: Mutex<HashMap<PipelineKey, Arc<Pipeline>>>,
    disk: Option<DiskCache>,
}

impl Pipelines {
    /// No pipelines yet; those of earlier runs are in `directory`.
    pub(super) fn new(device: &Device, directory: Option<&Path>) -> Pipelines {
        let disk = directory.and_then(|d| DiskCache::open(device, d));
        Pipelines { layouts: Mutex::default(), compiled: Mutex::default(), disk }
    }

    /// Number of pipelines compiled so far.
    pub(super) fn count(&self) -> usize {
        lock(&self.compiled).len()
    }

    /// The distinct pipelines of some dispatches and, for each dispatch, which one is its own. Compiles what is missing,
    /// on all cores.
    pub(super) fn get(
        &self,
        device: &Device,
        dispatches: &[&Dispatch],
    ) -> Result<(Vec<Arc<Pipeline>>, Vec<usize>), BackendError> {
        let mut variants: HashMap<Variant, usize> = HashMap::new();
        let mut keys: Vec<(PipelineKey, &Dispatch)> = Vec::new();
        let mut choice = Vec::with_capacity(dispatches.len());
        for dispatch in dispatches {
            let variant = (std::ptr::from_ref(dispatch.kernel), &dispatch.constants[..]);
            choice.push(*variants.entry(variant).or_insert_with(|| {
                keys.push((pipeline_key(dispatch), dispatch));
                keys.len() - 1
            }));
        }
        self.compile_missing(device, &keys)?;
        let compiled = lock(&self.compiled);
        Ok((keys.iter().map(|(key, _)| compiled[key].clone()).collect(), choice))
    }

    fn compile_missing(&self, device: &Device, keys: &[(PipelineKey, &Dispatch)]) -> Result<(), BackendError> {
        let mut jobs: Vec<Job> = Vec::new();
        for (key, dispatch) in keys {
            if !lock(&self.compiled).contains_key(key) && jobs.iter().all(|job| job.key != *key) {
                let layout = self.layout(device, &key.layout, dispatch.kernel.name)?;
                jobs.push(Job { key: key.clone(), layout, name: describe(dispatch) });
            }
        }
        if jobs.is_empty() {
            return Ok(());
        }
        let cache = self.disk.as_ref().map(DiskCache::get);
        let compiled = in_parallel(&jobs, |job| compile(device, job, cache));
        let mut map = lock(&self.compiled);
        for (job, pipeline) in jobs.into_iter().zip(compiled) {
            map.insert(job.key, Arc::new(pipeline?));
        }
        drop(map);
        if let Some(disk) = &self.disk {
            disk.save();
        }
        Ok(())
    }

    fn layout(&self, device: &Device, key: &LayoutKey, kernel: &str) -> Result<Layout, BackendError> {
        let mut layouts = lock(&self.layouts);
        if let Some(layout) = layouts.get(key) {
            return Ok(layout.clone());
        }
        let layout = device.scoped(kernel, 0, |device| create_layout(device, key))?;
        layouts.insert(key.clone(), layout.clone());
        Ok(layout)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LayoutKey {
    pub(super) fn new(dispatch: &Dispatch) -> LayoutKey {
        let Dispatch { kernel, .. } = dispatch;
        let read_only = kernel.bindings.iter().map(|b| b.access == Access::Read).collect();
        LayoutKey { params: kernel.params.len() as u64 * 4, read_only, vectors: dispatch.demands.vectors }
    }
}

fn pipeline_key(dispatch: &Dispatch) -> PipelineKey {
    let source = shader_source(dispatch.kernel, &dispatch.constants).into();
    PipelineKey { source, layout: LayoutKey::new(dispatch) }
}

/// The kernel and its constants, for error messages.
fn describe(dispatch: &Dispatch) -> String {
    let constants: Vec<String> = dispatch.constants.iter().map(|(name, value)| format!("{name}={value}")).collect();
    match constants.is_empty() {
        true => dispatch.kernel.name.to_string(),
        false => format!("{} ({})", dispatch.kernel.name, constants.join(" ")),
    }
}

fn create_layout(device: &wgpu::Device, key: &LayoutKey) -> Layout {
    let entry = |binding: u32, ty: wgpu::BufferBindingType, min: u64| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: wgpu::BufferSize::new(min) },
        count: None,
    };
    let params = (key.params > 0).then(|| entry(0, wgpu::BufferBindingType::Uniform, key.params));
    let storage = (1..).zip(&key.read_only);
    // An element; 0 leaves it to the shader to say how much it reads at least, which each launch is then held against.
    let least = if key.vectors { 0 } else { 4 };
    let storage =
        storage.map(|(binding, &read_only)| entry(binding, wgpu::BufferBindingType::Storage { read_only }, least));
    let entries: Vec<_> = params.into_iter().chain(storage).collect();
    let group = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
    let pipeline = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts: &[Some(&group)],
        immediate_size: 0,
    });
    Layout { group, pipeline }
}

fn compile(device: &Device, job: &Job, cache: Option<&wgpu::PipelineCache>) -> Result<Pipeline, BackendError> {
    let describe = || wgpu::ShaderModuleDescriptor {
        label: Some(&job.name),
        source: wgpu::ShaderSource::Wgsl(job.key.source.as_ref().into()),
    };
    // Two scopes: a pipeline made from a broken module only says that the module is broken.
    let module = device.scoped(&job.name, 0, |wgpu_device| match device.checked {
        true => wgpu_device.create_shader_module(describe()),
        // SAFETY: every kernel guards its accesses, proven by the canary tests, which run with checks on; no loop of a
        // kernel is endless and no divisor is 0, since every dimension in a plan is at least 1.
        false => unsafe {
            wgpu_device.create_shader_module_trusted(describe(), wgpu::ShaderRuntimeChecks::unchecked())
        },
    })?;
    let compute = device.scoped(&job.name, 0, |wgpu_device| {
        wgpu_device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&job.name),
            layout: Some(&job.layout.pipeline),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                // The kernels write workgroup memory before they read it.
                zero_initialize_workgroup_memory: device.checked,
                ..Default::default()
            },
            cache,
        })
    })?;
    Ok(Pipeline { compute, layout: job.layout.clone() })
}

/// Results of `work` on every item, in order, computed on as many threads as there are cores.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len());
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
    let worker = || {
        while let Some(index) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&i| i < items.len()) {
            *lock(&results[index]) = Some(work(&items[index]));
        }
    };
    std::thread::scope(|scope| {
        let spawn = || std::thread::Builder::new().stack_size(COMPILER_STACK).spawn_scoped(scope, worker).is_ok();
        // Where no thread can be had, this one does the work.
        if (0..threads).filter(|_| spawn()).count() == 0 {
            worker();
        }
    });
    results.into_iter().filter_map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn parallel_results_keep_their_order() {
        let items: Vec<usize> = (0..100).collect();
        assert_eq!(super::in_parallel(&items, |i| i * i), items.iter().map(|i| i * i).collect::<Vec<_>>());
        assert!(super::in_parallel(&[0; 0], |i: &i32| *i).is_empty());
    }
}
