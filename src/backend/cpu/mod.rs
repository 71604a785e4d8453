//! The CPU backend: runs the same plan as the GPUs in host memory.

pub mod denormals;
pub mod fast;
pub mod gemm;
mod machine;
mod name;
#[cfg(test)]
mod tests;
pub mod threads;

pub use machine::{Data, Implementation, Machine, Memory, Scalar, execute};

use super::{Backend, BackendError, DeviceInfo, HostCounters, LaunchTime, Session, Ticket};
use crate::ir::{BufferId, Cost, Limits, Plan, Program, ProgramId, Slice};
use denormals::FlushDenormals;
use std::collections::HashMap;
use std::sync::Arc;

/// This machine's processor.
#[derive(Debug, Clone)]
pub struct CpuBackend {
    info: DeviceInfo,
    implementation: Implementation,
}

impl CpuBackend {
    /// Runs the fast kernels, on all cores where that pays.
    pub fn new() -> CpuBackend {
        CpuBackend::with(Implementation::Fast)
    }

    /// Runs the reference kernels only: slow, for comparing with.
    pub fn reference_only() -> CpuBackend {
        CpuBackend::with(Implementation::Reference)
    }

    fn with(implementation: Implementation) -> CpuBackend {
        let threads = match implementation {
            Implementation::Fast => threads::count(),
            Implementation::Reference => 1,
        };
        let plural = if threads == 1 { "" } else { "s" };
        let device = format!("{} ({threads} thread{plural})", name::processor());
        let info = DeviceInfo { backend: "cpu".into(), device, driver: String::new(), software: false };
        CpuBackend { info, implementation }
    }
}

impl Default for CpuBackend {
    fn default() -> Self {
        CpuBackend::new()
    }
}

/// The most that the examples of all sets may take: larger sets are streamed, with the same results.
const DATA_BYTES: u64 = 256 << 20;

impl Backend for CpuBackend {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn limits(&self) -> Limits {
        // What is streamed from a mapped file takes no second place in the same memory.
        Limits { data_bytes: DATA_BYTES, ..Limits::UNLIMITED }
    }

    fn prepare(&self, plan: Arc<Plan>) -> Result<Box<dyn Session>, BackendError> {
        let fast = self.implementation == Implementation::Fast;
        let wants_threads = plan.programs.iter().map(|program| fast && wants_threads(program)).collect();
        let counters = HostCounters { buffers_created: plan.buffers.len() as u64, ..HostCounters::default() };
        let machine = Machine::new(plan, self.implementation)?;
        Ok(Box::new(CpuSession { machine, wants_threads, counters, snapshots: HashMap::new(), next_ticket: 0 }))
    }
}

/// Whether a program has a dispatch large enough to be worth several threads: some microseconds of work.
fn wants_threads(program: &Program) -> bool {
    let is_worth = |cost: Cost| cost.flops >= threads::WORTH_FLOPS || cost.bytes >= threads::WORTH_BYTES;
    program.dispatches().any(|dispatch| is_worth(dispatch.cost))
}

struct CpuSession {
    machine: Machine<f32>,
    /// For each program.
    wants_threads: Vec<bool>,
    counters: HostCounters,
    snapshots: HashMap<Ticket, Vec<u32>>,
    next_ticket: u64,
}

fn invalid(what: &str, message: String) -> BackendError {
    BackendError::Invalid { device: "the CPU".into(), what: what.into(), message }
}

impl CpuSession {
    /// Works where a program's kernels run: with the other threads where it has a dispatch that is worth waking them.
    fn on_threads<R>(
        &mut self,
        program: ProgramId,
        work: impl FnOnce(&mut Machine<f32>) -> R,
    ) -> Result<R, BackendError> {
        let Some(&wants_threads) = self.wants_threads.get(program.0) else {
            return Err(invalid("a run", format!("the plan has no program {}", program.0)));
        };
        let _flush = FlushDenormals::here();
        let work = || work(&mut self.machine);
        Ok(if wants_threads { threads::with_team(work) } else { work() })
    }

    fn check(&self, what: &str, slice: Slice) -> Result<(), BackendError> {
        match self.machine.plan().buffers.get(slice.buffer.0) {
            Some(buffer) if slice.offset.checked_add(slice.len).is_some_and(|end| end <= buffer.len) => Ok(()),
            Some(buffer) => {
                let asked = format!("{} elements from {} on", slice.len, slice.offset);
                Err(invalid(what, format!("{asked} of {}, which has {}", buffer.name, buffer.len)))
            }
            None => Err(invalid(what, format!("the plan has no buffer {}", slice.buffer.0))),
        }
    }
}

impl Session for CpuSession {
    fn run(&mut self, program: ProgramId, times: u32) -> Result<(), BackendError> {
        self.on_threads(program, |machine| machine.run(program, times))?;
        self.counters.submits += 1;
        let dispatches = self.machine.plan().programs[program.0].len();
        self.counters.dispatches += dispatches as u64 * u64::from(times);
        Ok(())
    }

    fn profile(&mut self, program: ProgramId) -> Result<Vec<LaunchTime>, BackendError> {
        self.on_threads(program, |machine| machine.profile(program))
    }

    fn write(&mut self, buffer: BufferId, offset: usize, words: &[u32]) -> Result<(), BackendError> {
        let slice = Slice { buffer, offset, len: words.len() };
        self.check("a write", slice)?;
        self.machine.write_words(slice, words);
        self.counters.bytes_written += words.len() as u64 * 4;
        Ok(())
    }

    fn snapshot(&mut self, slice: Slice) -> Result<Ticket, BackendError> {
        self.check("a snapshot", slice)?;
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.snapshots.insert(ticket, self.machine.read_words(slice));
        Ok(ticket)
    }

    fn fetch(&mut self, ticket: Ticket) -> Result<Vec<u32>, BackendError> {
        self.snapshots.remove(&ticket).ok_or_else(|| invalid("a fetch", "the ticket was fetched before".into()))
    }

    fn wait(&mut self) -> Result<(), BackendError> {
        Ok(())
    }

    /// A launch is a call here, so nothing is encoded and that time stays 0; a submit is a call of `run`.
    fn counters(&self) -> HostCounters {
        self.counters
    }
}
