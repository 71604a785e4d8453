//! A plan on the GPU.

use super::device::Device;
use super::flight::Flights;
use super::pipeline::Pipelines;
use super::readback::Readback;
use super::replay::{Recording, Replay};
use crate::backend::{BackendError, HostCounters, LaunchTime, Session, Ticket};
use crate::ir::{BufferId, Plan, ProgramId, Slice};
use std::sync::Arc;
use std::time::Instant;

/// Most bytes written without a submit: their copies in host memory live until the GPU has taken them.
const WRITE_BYTES: usize = 32 << 20;

/// A plan in a GPU's memory.
pub struct GpuSession {
    pub(super) device: Arc<Device>,
    pub(super) plan: Arc<Plan>,
    buffers: Vec<wgpu::Buffer>,
    pub(super) replay: Replay,
    pub(super) recording: Option<Recording>,
    pub(super) flights: Flights,
    pub(super) readback: Readback,
    pub(super) counters: HostCounters,
    /// Bytes written since the last submit.
    unsent: usize,
}

impl GpuSession {
    pub(super) fn new(device: Arc<Device>, plan: Arc<Plan>, pipelines: &Pipelines) -> Result<GpuSession, BackendError> {
        plan.check(&device.plan_limits())?;
        device.check()?;
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let create = |buffer: &crate::ir::Buffer| {
            let (label, size) = (Some(buffer.name.as_str()), buffer.bytes());
            let describe = wgpu::BufferDescriptor { label, size, usage, mapped_at_creation: false };
            device.scoped(&buffer.name, size, |device| device.create_buffer(&describe))
        };
        let buffers = plan.buffers.iter().map(create).collect::<Result<Vec<_>, _>>()?;
        let replay = Replay::new(&device, &plan, &buffers, pipelines)?;
        let params = replay.params.as_ref();
        let counters = HostCounters {
            buffers_created: (buffers.len() + params.iter().len()) as u64,
            bytes_written: params.map_or(0, wgpu::Buffer::size),
            ..HostCounters::default()
        };
        let flights = Flights::new(device.clone());
        Ok(GpuSession {
            device,
            plan,
            buffers,
            replay,
            recording: None,
            flights,
            readback: Readback::default(),
            counters,
            unsent: 0,
        })
    }

    /// Numbers of distinct pipelines and bind groups that the plan's dispatches share.
    pub fn shared_objects(&self) -> (usize, usize) {
        self.replay.sizes()
    }

    /// Counts the time of encoding: all of `work` but submits and waiting for the GPU.
    fn clocked(&mut self, work: impl FnOnce(&mut Self) -> Result<(), BackendError>) -> Result<(), BackendError> {
        let elsewhere = |session: &Self| session.flights.waited + session.flights.submitting;
        let (began, before) = (Instant::now(), elsewhere(self));
        let result = work(self);
        let encoding = began.elapsed().saturating_sub(elsewhere(self) - before);
        self.counters.encode_nanoseconds += encoding.as_nanos() as u64;
        result
    }

    /// Hands what is encoded to the GPU.
    pub(super) fn flush(&mut self) -> Result<(), BackendError> {
        let Some(recording) = self.recording.take() else { return Ok(()) };
        let work = recording.work;
        let flight = self.flights.submit(Some(recording.finish()), work)?;
        self.unsent = 0;
        self.counters.submits += 1;
        self.readback.submitted(flight);
        Ok(())
    }

    /// Hands what is encoded to the GPU if it has nothing else to do; otherwise more may join it.
    fn flush_if_idle(&mut self) -> Result<(), BackendError> {
        self.flights.reap()?;
        if self.flights.idle() { self.flush() } else { Ok(()) }
    }

    fn encode(&mut self, program: ProgramId, times: u32) -> Result<(), BackendError> {
        let steps = match self.replay.programs.get(program.0) {
            Some(steps) => steps.len(),
            None => return Err(self.device.invalid("a run", format!("the plan has no program {}", program.0))),
        };
        self.flights.reap()?;
        let mut budget = self.flights.pace.budget(self.flights.idle());
        for _ in 0..times {
            for index in 0..steps {
                let step = self.replay.programs[program.0][index];
                let recording = self.recording.get_or_insert_with(|| Recording::begin(&self.device));
                recording.launch(&self.replay, step);
                if recording.work >= budget {
                    self.flush()?;
                    budget = self.flights.pace.budget(false);
                }
            }
        }
        self.counters.dispatches += u64::from(times) * steps as u64;
        self.flush_if_idle()
    }

    /// Checks that a range lies in a buffer.
    fn range(&self, buffer: BufferId, offset: usize, len: usize) -> Result<(), BackendError> {
        let wrong = |message: String| Err(self.device.invalid("a copy", message));
        match self.plan.buffers.get(buffer.0) {
            None => wrong(format!("the plan has no buffer {}", buffer.0)),
            Some(b) if offset.checked_add(len).is_none_or(|end| end > b.len) => {
                wrong(format!("{offset}+{len} is outside of {}, which has {} elements", b.name, b.len))
            }
            Some(_) => Ok(()),
        }
    }

    /// Encodes a copy of `bytes` of a buffer to the host.
    pub(super) fn copy_out(
        &mut self,
        source: &wgpu::Buffer,
        offset: u64,
        bytes: u64,
        what: &str,
    ) -> Result<Ticket, BackendError> {
        let (staging, created) = self.readback.staging(&self.device, bytes, what)?;
        self.counters.buffers_created += u64::from(created);
        let recording = self.recording.get_or_insert_with(|| Recording::begin(&self.device));
        recording.encoder().copy_buffer_to_buffer(source, offset, &staging, 0, bytes);
        Ok(self.readback.encoded(staging, bytes))
    }
}

impl Session for GpuSession {
    fn run(&mut self, program: ProgramId, times: u32) -> Result<(), BackendError> {
        self.device.check()?;
        self.clocked(|session| session.encode(program, times))
    }

    fn write(&mut self, buffer: BufferId, offset: usize, words: &[u32]) -> Result<(), BackendError> {
        self.range(buffer, offset, words.len())?;
        // wgpu puts writes before all commands that are not submitted yet.
        self.clocked(GpuSession::flush)?;
        let bytes: &[u8] = bytemuck::cast_slice(words);
        for (index, part) in bytes.chunks(WRITE_BYTES).enumerate() {
            if self.unsent + part.len() > WRITE_BYTES {
                self.flights.submit(None, 0.0)?;
                self.counters.submits += 1;
                self.unsent = 0;
            }
            let start = (offset * 4 + index * WRITE_BYTES) as u64;
            self.device.queue.write_buffer(&self.buffers[buffer.0], start, part);
            self.unsent += part.len();
        }
        self.counters.bytes_written += bytes.len() as u64;
        self.device.check()
    }

    fn snapshot(&mut self, slice: Slice) -> Result<Ticket, BackendError> {
        self.range(slice.buffer, slice.offset, slice.len)?;
        let (offset, bytes) = (slice.offset as u64 * 4, slice.len as u64 * 4);
        let (source, plan) = (self.buffers[slice.buffer.0].clone(), self.plan.clone());
        let ticket = self.copy_out(&source, offset, bytes, &plan.buffers[slice.buffer.0].name)?;
        self.clocked(GpuSession::flush_if_idle)?;
        Ok(ticket)
    }

    fn fetch(&mut self, ticket: Ticket) -> Result<Vec<u32>, BackendError> {
        if self.readback.flight(ticket) == Some(None) {
            self.clocked(GpuSession::flush)?;
        }
        if let Some(Some(flight)) = self.readback.flight(ticket) {
            self.flights.wait_for(flight)?;
        }
        self.readback.take(&self.device, ticket)
    }

    fn profile(&mut self, program: ProgramId) -> Result<Vec<LaunchTime>, BackendError> {
        self.profile_launches(program)
    }

    fn wait(&mut self) -> Result<(), BackendError> {
        self.clocked(GpuSession::flush)?;
        self.flights.wait_for_all()?;
        self.device.check()
    }

    fn counters(&self) -> HostCounters {
        HostCounters { submit_nanoseconds: self.flights.submitting.as_nanos() as u64, ..self.counters }
    }
}
