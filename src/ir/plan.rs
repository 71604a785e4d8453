//! The plan: buffers, and programs of dispatches over them.

use super::{BufferId, Dispatch, Element, Slice};

/// Names one program of a [`Plan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProgramId(pub usize);

/// What a buffer is for: groups the memory report, and tells data from what is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
#[derive(Debug, Clone, PartialEq)]
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

/// A named list of dispatches, run in order.
#[derive(Debug, Clone)]
pub struct Program {
    /// Readable name, such as `train step`.
    pub name: String,
    /// What it runs.
    pub dispatches: Vec<Dispatch>,
}

/// Buffers and the programs over them.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// All buffers; a [`BufferId`] is an index.
    pub buffers: Vec<Buffer>,
    /// All programs; a [`ProgramId`] is an index.
    pub programs: Vec<Program>,
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

    /// Adds a program.
    pub fn program(&mut self, name: impl Into<String>, dispatches: Vec<Dispatch>) -> ProgramId {
        self.programs.push(Program { name: name.into(), dispatches });
        ProgramId(self.programs.len() - 1)
    }

    /// Total size of all buffers in bytes.
    pub fn bytes(&self) -> u64 {
        self.buffers.iter().map(Buffer::bytes).sum()
    }
}
