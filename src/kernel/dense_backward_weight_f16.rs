//! [`super::dense_backward_weight`] with both factors rounded to f16: the same operands and results.

use super::{Kernel, Needs, dense_backward_weight, mixed};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "dense_backward_weight_f16",
    wgsl: include_str!("../../shaders/dense_backward_weight_f16.wgsl"),
    needs: Needs::F16,
    reference: |args| mixed::on_rounded(args, dense_backward_weight::reference),
    reference_f64: |args| mixed::on_rounded(args, dense_backward_weight::reference),
    fast: Some(|args| mixed::on_rounded(args, dense_backward_weight::fast)),
    cases: || mixed::cases(&dense_backward_weight::KERNEL, Needs::F16),
    ..dense_backward_weight::KERNEL
};
