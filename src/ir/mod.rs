//! What backends run, as pure data: kernels' declarations, their dispatches, and plans of programs over buffers. It knows nothing
//! of any device or of what a kernel computes, so it can be printed, checked, written and compared anywhere.

mod check;
mod dispatch;
mod io;
mod kernel;
mod limits;
mod plan;

pub use check::PlanError;
pub use dispatch::{BufferId, Cost, Demands, Dispatch, SLICE_ALIGNMENT, Slice, Workgroup, linear_grid};
pub use io::{
    Accumulation, Batches, DataLayout, EpochRates, Evaluation, Initial, Io, ParameterBuffers, Slots, SourceBuffers,
    StatisticBuffers, TargetLayout, TensorPlace, Training, Window,
};
pub(crate) use kernel::params;
pub use kernel::{Access, Binding, Element, Field, Kernel, Needs, read, read_u32, write, write_u32};
pub use limits::{Limits, MatrixUnits};
pub use plan::{Buffer, Phase, PhaseKind, Plan, Program, ProgramId, Role};
