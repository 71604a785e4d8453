//! One launch of a kernel, ready for a backend.

use super::{Kernel, MatrixUnits};
use serde::{Deserialize, Serialize};

/// Names one buffer of a [`Plan`](super::Plan).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BufferId(pub usize);

/// A range of elements of a buffer, as one binding of a dispatch sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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

/// Work that a dispatch does, for rates and rooflines.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Floating point operations (a multiply-add counts two).
    pub flops: f64,
    /// Bytes that must be read and written at least once.
    pub bytes: f64,
}

impl Cost {
    /// The cost for so many models side by side.
    pub fn times(self, models: usize) -> Cost {
        let models = models as f64;
        Cost { flops: models * self.flops, bytes: models * self.bytes }
    }
}

/// What one workgroup takes of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workgroup {
    /// Its threads.
    pub threads: u32,
    /// Its workgroup memory.
    pub bytes: u32,
}

/// What a launch asks of a device beyond its kernel's [`Needs`](super::Needs): nothing by default, for what every device has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demands {
    /// What a workgroup takes, where it may be more than a device has.
    pub workgroup: Workgroup,
    /// The matrix units that it is made for.
    pub units: Option<MatrixUnits>,
    /// Whether storage is bound as arrays of vectors.
    pub vectors: bool,
}

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
    /// Its work, for all models together.
    pub cost: Cost,
    /// What it asks of a device.
    pub demands: Demands,
}

/// Grid for `groups` workgroups of each of `models` models: a line of them, or several of one length where one would pass the
/// 65,535 that every device takes along a side. Shaders recover a workgroup's number with `linear_group` of `lib/grid.wgsl`;
/// the last line may run over, so they guard.
pub fn linear_grid(groups: usize, models: u32) -> [u32; 3] {
    const SIDE: usize = 65_535;
    let lines = groups.div_ceil(SIDE).max(1);
    [groups.div_ceil(lines).max(1) as u32, lines as u32, models]
}
