//! Programs made ready to launch, and their encoding: one compute pass, bind groups made beforehand, nothing set twice.

use super::device::Device;
use super::pace::prior;
use super::pipeline::{LayoutKey, Pipeline, Pipelines};
use crate::backend::BackendError;
use crate::ir::{Dispatch, Plan, Slice};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// One launch: indices into the tables of [`Replay`].
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub pipeline: u32,
    pub bind_group: u32,
    pub grid: [u32; 3],
    /// Expected work in the unit of [`Pace`](super::pace::Pace).
    pub work: f64,
}

/// All programs of a plan, ready to launch.
pub(super) struct Replay {
    pipelines: Vec<Arc<Pipeline>>,
    bind_groups: Vec<wgpu::BindGroup>,
    pub programs: Vec<Vec<Step>>,
    /// Keeps the parameters in memory, and says how large they are.
    pub params: Option<wgpu::Buffer>,
}

/// What makes two bind groups the same: layout, place of the parameters, and slices.
type GroupKey<'a> = (LayoutKey, u64, &'a [Slice]);

impl Replay {
    pub(super) fn new(
        device: &Device,
        plan: &Plan,
        buffers: &[wgpu::Buffer],
        pipelines: &Pipelines,
    ) -> Result<Replay, BackendError> {
        let dispatches: Vec<&Dispatch> = plan.dispatches().collect();
        let (pipelines, choice) = pipelines.get(device, &dispatches)?;
        let (params, offsets) = upload_params(device, &dispatches)?;
        let mut replay = Replay { pipelines, bind_groups: Vec::new(), programs: Vec::new(), params };
        let mut groups: HashMap<GroupKey, u32> = HashMap::new();
        let mut steps = Vec::with_capacity(dispatches.len());
        for ((dispatch, pipeline), offset) in dispatches.iter().zip(choice).zip(offsets) {
            let bind_group = match groups.entry((LayoutKey::new(dispatch), offset, &dispatch.slices)) {
                Entry::Occupied(group) => *group.get(),
                Entry::Vacant(place) => {
                    let layout = &replay.pipelines[pipeline].layout.group;
                    replay.bind_groups.push(bind(device, dispatch, layout, buffers, replay.params.as_ref(), offset)?);
                    *place.insert(replay.bind_groups.len() as u32 - 1)
                }
            };
            steps.push(Step { pipeline: pipeline as u32, bind_group, grid: dispatch.grid, work: work(dispatch) });
        }
        let mut steps = steps.into_iter();
        replay.programs = plan.programs.iter().map(|p| steps.by_ref().take(p.len()).collect()).collect();
        Ok(replay)
    }

    /// Numbers of distinct pipelines and bind groups.
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.pipelines.len(), self.bind_groups.len())
    }
}

fn work(dispatch: &Dispatch) -> f64 {
    prior(dispatch.cost.flops, dispatch.cost.bytes)
}

/// One uniform buffer with the parameters of all dispatches, equal ones once; and the offset of each dispatch's.
fn upload_params(device: &Device, dispatches: &[&Dispatch]) -> Result<(Option<wgpu::Buffer>, Vec<u64>), BackendError> {
    let alignment = device.limits.min_uniform_buffer_offset_alignment as usize / 4;
    let mut words: Vec<u32> = Vec::new();
    let mut places: HashMap<&[u32], usize> = HashMap::new();
    let mut offsets = Vec::with_capacity(dispatches.len());
    for dispatch in dispatches {
        let place = *places.entry(&dispatch.params).or_insert_with(|| {
            let start = words.len().next_multiple_of(alignment.max(1));
            words.resize(start, 0);
            words.extend(&dispatch.params);
            start
        });
        offsets.push(place as u64 * 4);
    }
    if words.is_empty() {
        return Ok((None, offsets));
    }
    let size = words.len() as u64 * 4;
    let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    let describe = wgpu::BufferDescriptor { label: Some("parameters"), size, usage, mapped_at_creation: false };
    let buffer = device.scoped("kernel parameters", size, |device| device.create_buffer(&describe))?;
    device.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&words));
    Ok((Some(buffer), offsets))
}

fn bind(
    device: &Device,
    dispatch: &Dispatch,
    layout: &wgpu::BindGroupLayout,
    buffers: &[wgpu::Buffer],
    params: Option<&wgpu::Buffer>,
    offset: u64,
) -> Result<wgpu::BindGroup, BackendError> {
    let entry = |binding, buffer, offset, words: usize| wgpu::BindGroupEntry {
        binding,
        resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer,
            offset,
            size: wgpu::BufferSize::new(words as u64 * 4),
        }),
    };
    let uniform = params.filter(|_| !dispatch.params.is_empty());
    let uniform = uniform.map(|buffer| entry(0, buffer, offset, dispatch.params.len()));
    let storage = (1..).zip(&dispatch.slices);
    let storage = storage.map(|(binding, s)| entry(binding, &buffers[s.buffer.0], s.offset as u64 * 4, s.len));
    let entries: Vec<_> = uniform.into_iter().chain(storage).collect();
    let what = format!("{} ({})", dispatch.label, dispatch.kernel.name);
    device.scoped(&what, 0, |device| {
        let label = Some(dispatch.label.as_str());
        device.create_bind_group(&wgpu::BindGroupDescriptor { label, layout, entries: &entries })
    })
}

/// Commands being encoded. The pass comes first: it must end before its encoder.
pub(super) struct Recording {
    pass: Option<wgpu::ComputePass<'static>>,
    encoder: wgpu::CommandEncoder,
    pipeline: u32,
    bind_group: u32,
    /// Expected work so far.
    pub work: f64,
}

const UNSET: u32 = u32::MAX;

impl Recording {
    pub(super) fn begin(device: &Device) -> Recording {
        let encoder = device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("gputrain") });
        Recording { pass: None, encoder, pipeline: UNSET, bind_group: UNSET, work: 0.0 }
    }

    pub(super) fn launch(&mut self, replay: &Replay, step: Step) {
        let pass = self.pass.get_or_insert_with(|| {
            (self.pipeline, self.bind_group) = (UNSET, UNSET);
            self.encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()).forget_lifetime()
        });
        if self.pipeline != step.pipeline {
            pass.set_pipeline(&replay.pipelines[step.pipeline as usize].compute);
            self.pipeline = step.pipeline;
        }
        if self.bind_group != step.bind_group {
            pass.set_bind_group(0, &replay.bind_groups[step.bind_group as usize], &[]);
            self.bind_group = step.bind_group;
        }
        let [x, y, z] = step.grid;
        pass.dispatch_workgroups(x, y, z);
        self.work += step.work;
    }

    /// Launches in a pass of its own, with timestamps at its begin and end.
    pub(super) fn launch_timed(&mut self, replay: &Replay, step: Step, queries: &wgpu::QuerySet, first: u32) {
        self.pass = None;
        (self.pipeline, self.bind_group) = (UNSET, UNSET);
        let timestamp_writes = Some(wgpu::ComputePassTimestampWrites {
            query_set: queries,
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        });
        let describe = wgpu::ComputePassDescriptor { label: None, timestamp_writes };
        self.pass = Some(self.encoder.begin_compute_pass(&describe).forget_lifetime());
        self.launch(replay, step);
        self.pass = None;
    }

    /// The encoder between passes, for copies.
    pub(super) fn encoder(&mut self) -> &mut wgpu::CommandEncoder {
        self.pass = None;
        &mut self.encoder
    }

    pub(super) fn finish(self) -> wgpu::CommandBuffer {
        drop(self.pass);
        self.encoder.finish()
    }
}
