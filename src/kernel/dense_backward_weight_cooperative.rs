//! [`super::dense_backward_weight`] with both factors rounded to f16, by matrix units: the same operands and results.

use super::{Kernel, Needs, dense_backward_weight, mixed};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "dense_backward_weight_cooperative",
    wgsl: include_str!("../../shaders/dense_backward_weight_cooperative.wgsl"),
    needs: Needs::MatrixUnits,
    reference: |args| mixed::on_rounded(args, dense_backward_weight::reference),
    reference_f64: |args| mixed::on_rounded(args, dense_backward_weight::reference),
    fast: Some(|args| mixed::on_rounded(args, dense_backward_weight::fast)),
    cases: || mixed::cases(&dense_backward_weight::KERNEL, Needs::MatrixUnits),
    ..dense_backward_weight::KERNEL
};
