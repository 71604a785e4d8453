//! The plan: buffers, and programs of dispatches over them. Pure data: it knows nothing of any device, so it can be
//! printed, checked and compared anywhere, and every backend runs the same one.

mod check;

pub use check::{Limits, PlanError};

use crate::kernel::{Element, Kernel};

/// Names one buffer of a [`Plan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub usize);

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

/// A range of elements of a buffer, as one binding of a dispatch sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slice {
    /// The buffer.
    pub buffer: BufferId,
    /// First element; a multiple of [`SLICE_ALIGNMENT`].
    pub offset: usize,
    /// Number of elements.
    pub len: usize,
}

/// Slices start at multiples of this many elements: the strictest storage-buffer offset alignment that WebGPU allows a
/// device to ask for is 256 bytes.
pub const SLICE_ALIGNMENT: usize = 64;

/// One launch of a kernel.
#[derive(Debug, Clone)]
pub struct Dispatch {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// What it computes here, such as `layers.0 forward`.
    pub label: String,
    /// Values for the shader's `const NAME = …u;` lines; with the kernel they name one compiled pipeline.
    pub constants: Vec<(&'static str, u32)>,
    /// The kernel's parameter struct, word by word.
    pub params: Vec<u32>,
    /// One slice per binding of the kernel, in its order.
    pub slices: Vec<Slice>,
    /// Workgroups along x, y and z; z is the number of models.
    pub grid: [u32; 3],
}

impl Dispatch {
    /// The value of a shader constant, or the default that the caller knows from the shader's text.
    pub fn constant(&self, name: &str, default: u32) -> u32 {
        self.constants.iter().find(|(n, _)| *n == name).map_or(default, |(_, v)| *v)
    }

    /// The words of the parameters as the struct that they came from.
    pub(crate) fn shape<P: bytemuck::AnyBitPattern>(&self) -> P {
        bytemuck::pod_read_unaligned(bytemuck::cast_slice(&self.params))
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
