//! [`super::dense_forward`] with both factors rounded to f16: the same operands and results.

use super::{Kernel, Needs, dense_forward, mixed};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "dense_forward_f16",
    wgsl: include_str!("../../shaders/dense_forward_f16.wgsl"),
    needs: Needs::F16,
    reference: |args| mixed::on_rounded(args, dense_forward::reference),
    reference_f64: |args| mixed::on_rounded(args, dense_forward::reference),
    fast: Some(|args| mixed::on_rounded(args, dense_forward::fast)),
    cases: || mixed::cases(&dense_forward::KERNEL, Needs::F16),
    ..dense_forward::KERNEL
};
