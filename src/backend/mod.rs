//! Backends run plans. [`Backend::prepare`] allocates a plan's buffers and makes everything ready to launch; the
//! [`Session`] it returns runs programs and moves data.

pub mod cpu;
pub mod gpu;
pub mod timing;
pub mod tuning;

use crate::ir::{BufferId, Limits, Plan, PlanError, ProgramId, Slice};
use crate::kernel::LaunchPlan;
use std::sync::Arc;
use tuning::{TuningFileError, TuningStore};

/// What a backend runs on.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct DeviceInfo {
    /// `vulkan`, `metal`, `dx12`, `gl` or `cpu`.
    pub backend: String,
    /// The device's name.
    pub device: String,
    /// The driver's name and version; empty for the CPU.
    pub driver: String,
    /// True for an adapter that computes on the CPU, such as llvmpipe.
    pub software: bool,
}

/// Why a backend could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// No such backend or device here.
    #[error("{0}")]
    NotFound(String),
    /// The device is there and does not open.
    #[error(
        "{device} could not be opened: {message}; update its driver, choose another --device, or use --backend cpu"
    )]
    CannotOpen {
        /// The device, as `devices` lists it.
        device: String,
        /// What the driver said.
        message: String,
    },
    /// The device refuses the plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The device has too little memory.
    #[error(
        "{device} could not allocate {bytes} bytes for {what}; use a smaller batch or model, or --data-memory to stream the data set"
    )]
    OutOfMemory {
        /// The device.
        device: String,
        /// Bytes asked for.
        bytes: u64,
        /// The tensor.
        what: String,
    },
    /// The file with the device's tuned variants cannot be used.
    #[error(transparent)]
    Tuning(#[from] TuningFileError),
    /// A shader did not compile or a launch was not valid: a bug in gputrain or in the driver.
    #[error("{device} refused {what}: {message}; update the driver, or try --checked or --backend cpu, and report it")]
    Invalid {
        /// The device.
        device: String,
        /// The kernel.
        what: String,
        /// What the driver or the validation said.
        message: String,
    },
    /// The device computed something else than the CPU.
    #[error(
        "{device} and the CPU differ in {message}; {checked} steps were checked before without a difference; the last checkpoint \
         is from before this step, but steps that were not checked may have gone wrong too: update the driver, look for \
         overclocking or failing memory, or go on with train --resume --backend cpu, and report it"
    )]
    Differs {
        /// The device.
        device: String,
        /// Where and by how much.
        message: String,
        /// Steps that were checked before.
        checked: u64,
    },
    /// The device was lost: reset, unplugged, or its driver crashed.
    #[error("{device} was lost: {message}; train --resume goes on from the last checkpoint")]
    Lost {
        /// The device.
        device: String,
        /// What the driver said.
        message: String,
    },
}

/// A copy of a slice on its way to the host: taken in the order of the launches around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// Counts of what the host did, to show that the loop leaves the host idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct HostCounters {
    /// Buffers created.
    pub buffers_created: u64,
    /// Bytes written by the host.
    pub bytes_written: u64,
    /// Command buffers submitted.
    pub submits: u64,
    /// Kernel launches encoded.
    pub dispatches: u64,
    /// Time spent encoding them, in nanoseconds.
    pub encode_nanoseconds: u64,
    /// Time spent submitting them, in nanoseconds. A software driver such as llvmpipe computes meanwhile.
    pub submit_nanoseconds: u64,
}

/// Time of one launch.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct LaunchTime {
    /// What it computes.
    pub label: String,
    /// Its kernel.
    pub kernel: &'static str,
    /// Time on the device.
    pub nanoseconds: f64,
}

/// A device that can run plans.
pub trait Backend {
    /// What it is.
    fn info(&self) -> &DeviceInfo;

    /// What it allows.
    fn limits(&self) -> Limits;

    /// Variants of launches that were measured to be faster on it than the planner's; `None` where there is one way only.
    fn tuning(&self) -> Option<&TuningStore> {
        None
    }

    /// A plan with the variants of its launches that are known to be the fastest here.
    fn tuned(&self, plan: &LaunchPlan) -> Plan {
        self.tuning().map_or_else(|| plan.lower(), |tuning| tuning.applied(plan))
    }

    /// Checks the plan, allocates its buffers (zeroed) and makes its kernels ready.
    fn prepare(&self, plan: Arc<Plan>) -> Result<Box<dyn Session>, BackendError>;
}

/// A backend whose data sets may take so much of its memory together: see [`Limits::data_bytes`].
pub struct DataMemory {
    /// Where everything runs.
    pub backend: Box<dyn Backend>,
    /// Bytes that the examples may take.
    pub bytes: u64,
}

impl Backend for DataMemory {
    fn info(&self) -> &DeviceInfo {
        self.backend.info()
    }

    fn limits(&self) -> Limits {
        Limits { data_bytes: self.bytes, ..self.backend.limits() }
    }

    fn tuning(&self) -> Option<&TuningStore> {
        self.backend.tuning()
    }

    fn prepare(&self, plan: Arc<Plan>) -> Result<Box<dyn Session>, BackendError> {
        self.backend.prepare(plan)
    }
}

/// A plan in memory on a device. Everything happens in the order of the calls; nothing waits unless it says so.
pub trait Session: Send {
    /// Runs a program `times` times. Returns at once on a GPU, where work is queued.
    fn run(&mut self, program: ProgramId, times: u32) -> Result<(), BackendError>;

    /// Writes words into a buffer from element `offset` on. Floats travel as their bits.
    fn write(&mut self, buffer: BufferId, offset: usize, words: &[u32]) -> Result<(), BackendError>;

    /// Copies a slice aside, to be fetched later, without waiting.
    fn snapshot(&mut self, slice: Slice) -> Result<Ticket, BackendError>;

    /// The words of a snapshot, waiting for them if needed. Each ticket can be fetched once.
    fn fetch(&mut self, ticket: Ticket) -> Result<Vec<u32>, BackendError>;

    /// Waits until everything queued has run.
    fn wait(&mut self) -> Result<(), BackendError>;

    /// Runs a program once and says how long each of its launches took; an error where the device takes no timestamps.
    fn profile(&mut self, program: ProgramId) -> Result<Vec<LaunchTime>, BackendError>;

    /// What the host did so far.
    fn counters(&self) -> HostCounters;

    /// Reads a slice now: a snapshot and its fetch.
    fn read(&mut self, slice: Slice) -> Result<Vec<u32>, BackendError> {
        let ticket = self.snapshot(slice)?;
        self.fetch(ticket)
    }
}
