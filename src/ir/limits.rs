//! What a device allows.

use super::{Demands, Dispatch, Needs};
use serde::{Deserialize, Serialize};

/// Units that multiply square matrices of f16 into sums of f32, the threads of a subgroup together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatrixUnits {
    /// Rows and columns of a matrix: 8 or 16.
    pub matrix: u32,
    /// Threads of a subgroup.
    pub subgroup: u32,
}

/// What a device allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest buffer in bytes.
    pub buffer_bytes: u64,
    /// Largest range of a buffer that one dispatch can see, in bytes.
    pub binding_bytes: u64,
    /// Memory that the examples of all data sets may take: those that find no room are streamed.
    pub data_bytes: u64,
    /// Most workgroups along one dimension of a grid.
    pub workgroups: u32,
    /// Workgroups that keep the device busy: below this, smaller tiles are better than fewer workgroups.
    pub busy_workgroups: usize,
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
    /// Threads of a workgroup.
    pub workgroup_threads: u32,
    /// A launch takes time of its own, as on a GPU: few launches that do much are better than many.
    pub costly_launches: bool,
    /// It computes with numbers of 16 bits.
    pub f16: bool,
    /// Its units that multiply matrices of such numbers, if it has them.
    pub matrix_units: Option<MatrixUnits>,
}

impl Limits {
    /// What every browser with WebGPU has: its default limits. The others of them no kernel passes (8 storage buffers a launch).
    pub const WEBGPU: Limits = Limits {
        buffer_bytes: 256 << 20,
        binding_bytes: 128 << 20,
        data_bytes: u64::MAX,
        workgroups: 65_535,
        busy_workgroups: 256,
        workgroup_bytes: 16 << 10,
        workgroup_threads: 256,
        costly_launches: true,
        f16: false,
        matrix_units: None,
    };

    /// What the CPU backend has: no limit but that kernels count elements in 32 bits.
    pub const UNLIMITED: Limits = Limits {
        buffer_bytes: u64::MAX,
        binding_bytes: 4 * u32::MAX as u64,
        data_bytes: u64::MAX,
        workgroups: u32::MAX,
        busy_workgroups: 1,
        workgroup_bytes: u32::MAX,
        workgroup_threads: u32::MAX,
        costly_launches: false,
        f16: true,
        matrix_units: None,
    };

    /// Whether a dispatch can run.
    pub fn allow(&self, dispatch: &Dispatch) -> bool {
        let Demands { workgroup, units, .. } = dispatch.demands;
        let needs = match dispatch.kernel.needs {
            Needs::Nothing => true,
            Needs::F16 => self.f16,
            Needs::MatrixUnits => self.f16 && self.matrix_units.is_some() && self.matrix_units == units,
        };
        needs && workgroup.bytes <= self.workgroup_bytes && workgroup.threads <= self.workgroup_threads
    }
}
