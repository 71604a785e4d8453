//! Kernels. Each is declared once: a Rust file here and a WGSL file of the same name in `shaders/`.
//!
//! The Rust file states the bindings, the parameter struct, how a dispatch is made, the CPU reference (plain loops with
//! f64 sums: the specification) and the cases that `verify` runs. [`REGISTRY`] lists them all.

pub mod activation;
pub mod activation_backward;
pub mod activation_forward;
pub mod adam;
pub mod adjust_loss_scale;
mod args;
pub mod average_pool_backward;
pub mod average_pool_forward;
pub mod begin_epoch;
pub mod binary_cross_entropy;
mod case;
pub mod conv2d;
pub mod conv2d_backward_input;
pub mod conv2d_backward_input_direct;
pub mod conv2d_backward_weight;
mod conv2d_fast;
pub mod conv2d_forward;
pub mod conv2d_forward_direct;
mod correlate;
pub mod dense_backward_input;
pub mod dense_backward_input_cooperative;
pub mod dense_backward_input_f16;
pub mod dense_backward_weight;
pub mod dense_backward_weight_cooperative;
pub mod dense_backward_weight_f16;
pub mod dense_forward;
pub mod dense_forward_cooperative;
pub mod dense_forward_f16;
pub mod dense_layers;
#[cfg(test)]
mod difference;
pub mod dropout;
pub mod fast_math;
pub mod finish_step;
pub mod fused_forward_backward;
pub mod fused_update;
pub mod fused_update_adam;
pub mod fused_update_sgd;
pub mod gather;
pub mod hash;
pub mod loss;
pub mod matmul;
mod matrix_units;
pub mod max_pool_backward;
pub mod max_pool_forward;
pub mod mixed;
pub mod optimizer;
pub mod pool;
pub mod rows;
pub mod sgd;
pub mod simd;
pub mod softmax_backward;
pub mod softmax_cross_entropy;
pub mod softmax_forward;
mod source;
pub mod squared_error;
pub mod state;
pub mod sum_partials;
pub mod sum_squares;
pub mod unscale_gradients;
mod variants;

pub use args::{Args, MAX_BINDINGS, Operand, Real};
pub use case::{Case, Contents};
pub use dense_layers::{DenseLayer, DenseLayers};
pub use matmul::Workgroup;
pub use matrix_units::MatrixUnits;
pub use source::shader_source;
pub use variants::variants;

/// Element type of a buffer; every element takes four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Element {
    /// 32-bit float.
    F32,
    /// 32-bit unsigned integer, also four packed bytes.
    U32,
}

/// How a kernel uses a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    ReadWrite,
}

/// One storage binding. In the shader, binding 0 of group 0 is the parameter struct (a uniform named `params`); the
/// storage bindings follow from 1, in the order declared, under the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The variable's name in the shader.
    pub name: &'static str,
    /// Read, or read and write.
    pub access: Access,
    /// Element type of the array.
    pub element: Element,
}

/// A float array that the kernel only reads.
pub const fn read(name: &'static str) -> Binding {
    Binding { name, access: Access::Read, element: Element::F32 }
}

/// A float array that the kernel writes.
pub const fn write(name: &'static str) -> Binding {
    Binding { name, access: Access::ReadWrite, element: Element::F32 }
}

/// An integer array that the kernel only reads.
pub const fn read_u32(name: &'static str) -> Binding {
    Binding { name, access: Access::Read, element: Element::U32 }
}

/// An integer array that the kernel writes.
pub const fn write_u32(name: &'static str) -> Binding {
    Binding { name, access: Access::ReadWrite, element: Element::U32 }
}

/// One field of a parameter struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Name, the same in Rust and in WGSL.
    pub name: &'static str,
    /// Type, the same in Rust and in WGSL.
    pub element: Element,
}

/// Work that a dispatch does, for rates and rooflines.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// Floating point operations (a multiply-add counts two).
    pub flops: f64,
    /// Bytes that must be read and written at least once.
    pub bytes: f64,
}

/// What a kernel asks of a device beyond what every one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// Numbers of 16 bits in shaders.
    F16,
    /// Those, and units that multiply matrices of them.
    MatrixUnits,
}

impl Needs {
    /// What a device lacks that cannot run the kernel.
    pub fn missing(self) -> &'static str {
        match self {
            Needs::Nothing => "such kernel",
            Needs::F16 => "numbers of 16 bits in shaders",
            Needs::MatrixUnits => "matrix units for f16 that the kernels know",
        }
    }
}

/// A kernel's declaration.
pub struct Kernel {
    /// Name: the file stem of its Rust and WGSL files.
    pub name: &'static str,
    /// The shader's text, before includes and constants are filled in (see [`shader_source`]).
    pub wgsl: &'static str,
    /// What it asks of a device beyond the ordinary.
    pub needs: Needs,
    /// Storage bindings.
    pub bindings: &'static [Binding],
    /// Fields of the parameter struct.
    pub params: &'static [Field],
    /// The specification on f32 storage, which is also how the CPU backend runs the kernel when it has no faster way.
    pub reference: fn(&mut Args<f32>),
    /// The specification on f64 storage, for gradient checks.
    pub reference_f64: fn(&mut Args<f64>),
    /// A faster f32 implementation for the CPU backend, held to the same tolerance.
    pub fast: Option<fn(&mut Args<f32>)>,
    /// Work done by a dispatch with these parameters, per model.
    pub cost: fn(&[u32]) -> Cost,
    /// Largest error that `verify` accepts: `|x - reference| / (|reference| + rms(reference))`.
    pub tolerance: f64,
    /// What `verify` runs.
    pub cases: fn() -> Vec<Case>,
}

impl Kernel {
    /// What `verify` runs: the cases, and those of several workgroups once more in lines of two, as a launch of more than
    /// 65,535 comes in several lines (see [`linear_grid`]).
    pub fn all_cases(&self) -> Vec<Case> {
        let mut cases = (self.cases)();
        if self.counts_workgroups() {
            let folded: Vec<Case> = cases.iter().filter_map(Case::folded).collect();
            cases.extend(folded);
        }
        cases
    }

    /// Whether the shader counts its workgroups through, in whatever lines they are launched. The others have few.
    fn counts_workgroups(&self) -> bool {
        shader_source(self, &[]).contains("fn linear_group(")
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Declares a kernel's parameter struct: `repr(C)`, four bytes a field, with the list of fields that the reflection test
/// holds against the shader.
macro_rules! params {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ident),* $(,)? }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
        pub struct $name { $($(#[$field_meta])* pub $field: $type),* }

        impl $name {
            /// The fields, in order.
            pub const FIELDS: &'static [$crate::kernel::Field] =
                &[$($crate::kernel::Field { name: stringify!($field), element: $crate::kernel::params!(@element $type) }),*];

            /// The struct as words, for a dispatch.
            pub fn words(&self) -> Vec<u32> {
                bytemuck::cast_slice(std::slice::from_ref(self)).to_vec()
            }
        }
    };
    (@element u32) => { $crate::kernel::Element::U32 };
    (@element f32) => { $crate::kernel::Element::F32 };
}
pub(crate) use params;

/// Grid for `groups` workgroups of each of `models` models: a line of them, or several of one length where one would pass the
/// 65,535 that every device takes along a side. Shaders recover a workgroup's number with `linear_group` of `lib/grid.wgsl`;
/// the last line may run over, so they guard.
pub fn linear_grid(groups: usize, models: u32) -> [u32; 3] {
    const SIDE: usize = 65_535;
    let lines = groups.div_ceil(SIDE).max(1);
    [groups.div_ceil(lines).max(1) as u32, lines as u32, models]
}

/// Every kernel there is.
pub static REGISTRY: &[&Kernel] = &[
    &gather::KERNEL,
    &dense_forward::KERNEL,
    &dense_backward_input::KERNEL,
    &dense_backward_weight::KERNEL,
    &dense_forward_f16::KERNEL,
    &dense_backward_input_f16::KERNEL,
    &dense_backward_weight_f16::KERNEL,
    &dense_forward_cooperative::KERNEL,
    &dense_backward_input_cooperative::KERNEL,
    &dense_backward_weight_cooperative::KERNEL,
    &activation_forward::KERNEL,
    &activation_backward::KERNEL,
    &dropout::KERNEL,
    &softmax_forward::KERNEL,
    &softmax_backward::KERNEL,
    &softmax_cross_entropy::KERNEL,
    &squared_error::KERNEL,
    &binary_cross_entropy::KERNEL,
    &conv2d_forward::KERNEL,
    &conv2d_forward_direct::KERNEL,
    &conv2d_backward_input::KERNEL,
    &conv2d_backward_input_direct::KERNEL,
    &conv2d_backward_weight::KERNEL,
    &sum_partials::KERNEL,
    &max_pool_forward::KERNEL,
    &max_pool_backward::KERNEL,
    &average_pool_forward::KERNEL,
    &average_pool_backward::KERNEL,
    &sum_squares::KERNEL,
    &unscale_gradients::KERNEL,
    &adjust_loss_scale::KERNEL,
    &sgd::KERNEL,
    &adam::KERNEL,
    &begin_epoch::KERNEL,
    &finish_step::KERNEL,
    &fused_forward_backward::KERNEL,
    &fused_update_sgd::KERNEL,
    &fused_update_adam::KERNEL,
];
