//! The plan: buffers, and programs of dispatches over them.

use super::{BufferId, Dispatch, Element, Initial, Io, PlanError, Slice};
use serde::{Deserialize, Serialize};

/// Names one program of a [`Plan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProgramId(pub usize);

/// What a buffer is for: groups the memory report, and tells data from what is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Trained weights and biases.
    Parameters,
    /// Gradients of the parameters.
    Gradients,
    /// Optimizer moments, rates, and the step state.
    State,
    /// Values between layers, and their gradients.
    Activations,
    /// Examples and labels.
    Data,
    /// Losses, counts and norms on their way to the host.
    Metrics,
}

/// A buffer's declaration. Buffers start zeroed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buffer {
    /// Unique, readable name, such as `layers.0.output`.
    pub name: String,
    /// Element type; every element takes four bytes.
    pub element: Element,
    /// Number of elements.
    pub len: usize,
    /// What it is for.
    pub role: Role,
}

impl Buffer {
    /// Size in bytes.
    pub fn bytes(&self) -> u64 {
        self.len as u64 * 4
    }
}

/// What the launches of a phase are for, in the order in which a step has its phases.
///
/// A fused launch does the work of several phases: that from the batch to the gradients at each layer stands in
/// [`Backward`](PhaseKind::Backward), that from there to the next step in [`Update`](PhaseKind::Update). Such a step has no
/// [`Exchange`](PhaseKind::Exchange), since the parameters' gradients are never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseKind {
    /// Outside of steps: what begins an epoch or an evaluation, and launches that belong to no training.
    Begin,
    /// The batch out of the data.
    Gather,
    /// Changes of the batch's examples.
    Augment,
    /// From the batch to the loss, and to the gradient at the outputs.
    Forward,
    /// From there to the parameters' gradients, divided by the loss's scale where it has one.
    Backward,
    /// No launches: here gradients are complete, and may be exchanged between machines before anything uses them.
    Exchange,
    /// From the gradients to the next weights, and what is measured of both before: norms, clipping, the loss's scale.
    Update,
    /// Bookkeeping: sums, counters, the log.
    Finish,
}

impl PhaseKind {
    /// As it is written: one lower-case word.
    pub fn name(self) -> &'static str {
        match self {
            PhaseKind::Begin => "begin",
            PhaseKind::Gather => "gather",
            PhaseKind::Augment => "augment",
            PhaseKind::Forward => "forward",
            PhaseKind::Backward => "backward",
            PhaseKind::Exchange => "exchange",
            PhaseKind::Update => "update",
            PhaseKind::Finish => "finish",
        }
    }
}

/// A part of a program: dispatches that are run in order.
#[derive(Debug, Clone)]
pub struct Phase {
    /// What they are for.
    pub kind: PhaseKind,
    /// What it runs.
    pub dispatches: Vec<Dispatch>,
}

/// A named list of phases, run in order.
#[derive(Debug, Clone)]
pub struct Program {
    /// Readable name, such as `train step`.
    pub name: String,
    /// What it runs.
    pub phases: Vec<Phase>,
}

impl Program {
    /// A program of launches that belong to no step.
    pub fn new(name: impl Into<String>, dispatches: Vec<Dispatch>) -> Program {
        Program { name: name.into(), phases: vec![Phase { kind: PhaseKind::Begin, dispatches }] }
    }

    /// The dispatches of all phases, in order.
    pub fn dispatches(&self) -> impl Iterator<Item = &Dispatch> + Clone {
        self.phases.iter().flat_map(|phase| &phase.dispatches)
    }

    /// The same, to change.
    pub fn dispatches_mut(&mut self) -> impl Iterator<Item = &mut Dispatch> {
        self.phases.iter_mut().flat_map(|phase| &mut phase.dispatches)
    }

    /// Number of dispatches.
    pub fn len(&self) -> usize {
        self.phases.iter().map(|phase| phase.dispatches.len()).sum()
    }

    /// Whether it runs nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Buffers and the programs over them; and of one that trains or evaluates, all that its replay needs to know.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// All buffers; a [`BufferId`] is an index.
    pub buffers: Vec<Buffer>,
    /// All programs; a [`ProgramId`] is an index.
    pub programs: Vec<Program>,
    /// What is written before the first step.
    pub init: Vec<Initial>,
    /// Where a host finds what; nothing of a plan of launches alone.
    pub io: Option<Io>,
}

impl Plan {
    /// Declares a buffer of `len` elements; an empty one gets a single element, since devices know no empty bindings.
    pub fn buffer(&mut self, name: impl Into<String>, element: Element, len: usize, role: Role) -> BufferId {
        self.buffers.push(Buffer { name: name.into(), element, len: len.max(1), role });
        BufferId(self.buffers.len() - 1)
    }

    /// The whole of a buffer as a slice.
    pub fn whole(&self, buffer: BufferId) -> Slice {
        Slice { buffer, offset: 0, len: self.buffers[buffer.0].len }
    }

    /// Adds a program of launches that belong to no step.
    pub fn program(&mut self, name: impl Into<String>, dispatches: Vec<Dispatch>) -> ProgramId {
        self.programs.push(Program::new(name, dispatches));
        ProgramId(self.programs.len() - 1)
    }

    /// The dispatches of all programs.
    pub fn dispatches(&self) -> impl Iterator<Item = &Dispatch> + Clone {
        self.programs.iter().flat_map(Program::dispatches)
    }

    /// Where a host finds what, of a plan that trains or evaluates.
    pub fn io(&self) -> Result<&Io, PlanError> {
        self.io.as_ref().ok_or(PlanError::NoIo)
    }

    /// The words that a buffer begins with, where any are written before the first step.
    pub fn initial(&self, buffer: BufferId) -> Option<&[u32]> {
        self.init.iter().find(|initial| initial.buffer == buffer).map(|initial| &initial.words[..])
    }

    /// Total size of all buffers in bytes.
    pub fn bytes(&self) -> u64 {
        self.buffers.iter().map(Buffer::bytes).sum()
    }
}
