//! A kernel's declaration: what a backend must know to bind and launch it.

use serde::{Deserialize, Serialize};

/// Element type of a buffer; every element takes four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Element {
    /// 32-bit float.
    F32,
    /// 32-bit unsigned integer, also four packed bytes.
    U32,
}

/// How a kernel uses a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    ReadWrite,
}

/// One storage binding. In the shader, binding 0 of group 0 is the parameter struct (a uniform named `params`); the
/// storage bindings follow from 1, in the order declared, under the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Name, the same in Rust and in WGSL.
    pub name: &'static str,
    /// Type, the same in Rust and in WGSL.
    pub element: Element,
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
    /// Name: the file stem of its WGSL file.
    pub name: &'static str,
    /// The shader's text, before includes and constants are filled in (see [`shader_source`](crate::kernel::shader_source)).
    pub wgsl: &'static str,
    /// What it asks of a device beyond the ordinary.
    pub needs: Needs,
    /// Storage bindings.
    pub bindings: &'static [Binding],
    /// Fields of the parameter struct.
    pub params: &'static [Field],
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Kernels are the same where their names are.
impl PartialEq for Kernel {
    fn eq(&self, other: &Kernel) -> bool {
        self.name == other.name
    }
}

impl Eq for Kernel {}

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
            pub const FIELDS: &'static [$crate::ir::Field] =
                &[$($crate::ir::Field { name: stringify!($field), element: $crate::ir::params!(@element $type) }),*];

            /// The struct as words, for a dispatch.
            pub fn words(&self) -> Vec<u32> {
                bytemuck::cast_slice(std::slice::from_ref(self)).to_vec()
            }
        }
    };
    (@element u32) => { $crate::ir::Element::U32 };
    (@element f32) => { $crate::ir::Element::F32 };
}
pub(crate) use params;
