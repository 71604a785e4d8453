//! Time per launch, from timestamps that the GPU takes.

use super::replay::Recording;
use super::session::GpuSession;
use crate::backend::{BackendError, LaunchTime, Session};
use crate::ir::ProgramId;

/// WebGPU allows this many queries in a set; a launch takes two.
const LAUNCHES: usize = 2048;

impl GpuSession {
    /// Every launch gets a pass of its own, which costs a little: the sum is more than a step of [`Session::run`] takes.
    pub(super) fn profile_launches(&mut self, program: ProgramId) -> Result<Vec<LaunchTime>, BackendError> {
        if !self.device.features.contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Err(BackendError::NotFound(format!(
                "{} takes no timestamps; bench without --profile times whole steps",
                self.device.info.device
            )));
        }
        self.wait()?;
        let steps = self.replay.programs.get(program.0).map_or(0, Vec::len);
        let mut ticks = Vec::with_capacity(2 * steps);
        for start in (0..steps).step_by(LAUNCHES) {
            ticks.extend(self.timed(program, start..steps.min(start + LAUNCHES))?);
        }
        let period = f64::from(self.device.queue.get_timestamp_period());
        let Some(program) = self.plan.programs.get(program.0) else { return Ok(Vec::new()) };
        let times = program.dispatches().zip(ticks.chunks(2)).map(|(dispatch, pair)| LaunchTime {
            label: dispatch.label.clone(),
            kernel: dispatch.kernel.name,
            nanoseconds: pair[1].saturating_sub(pair[0]) as f64 * period,
        });
        Ok(times.collect())
    }

    fn timed(&mut self, program: ProgramId, range: std::ops::Range<usize>) -> Result<Vec<u64>, BackendError> {
        let count = 2 * range.len() as u32;
        let bytes = u64::from(count) * 8;
        let (queries, resolved) = self.device.scoped("timestamps", bytes, |device| {
            let ty = wgpu::QueryType::Timestamp;
            let queries = device.create_query_set(&wgpu::QuerySetDescriptor { label: None, ty, count });
            let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
            let describe = wgpu::BufferDescriptor { label: None, size: bytes, usage, mapped_at_creation: false };
            (queries, device.create_buffer(&describe))
        })?;
        self.counters.buffers_created += 1;
        self.counters.dispatches += range.len() as u64;
        for (position, index) in range.enumerate() {
            let step = self.replay.programs[program.0][index];
            let recording = self.recording.get_or_insert_with(|| Recording::begin(&self.device));
            recording.launch_timed(&self.replay, step, &queries, 2 * position as u32);
        }
        let recording = self.recording.get_or_insert_with(|| Recording::begin(&self.device));
        recording.encoder().resolve_query_set(&queries, 0..count, &resolved, 0);
        let ticket = self.copy_out(&resolved, 0, bytes, "timestamps")?;
        let words = self.fetch(ticket)?;
        Ok(words.chunks_exact(2).map(|pair| u64::from(pair[0]) | u64::from(pair[1]) << 32).collect())
    }
}
