//! [`super::dense_forward`] with both factors rounded to f16, by matrix units: the same operands and results.

use super::{Kernel, Needs, dense_forward, mixed};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "dense_forward_cooperative",
    wgsl: include_str!("../../shaders/dense_forward_cooperative.wgsl"),
    needs: Needs::MatrixUnits,
    reference: |args| mixed::on_rounded(args, dense_forward::reference),
    reference_f64: |args| mixed::on_rounded(args, dense_forward::reference),
    fast: Some(|args| mixed::on_rounded(args, dense_forward::fast)),
    cases: || mixed::cases(&dense_forward::KERNEL, Needs::MatrixUnits),
    ..dense_forward::KERNEL
};
