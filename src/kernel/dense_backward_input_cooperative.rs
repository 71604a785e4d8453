//! [`super::dense_backward_input`] with both factors rounded to f16, by matrix units: the same operands and results.

use super::{Kernel, Needs, dense_backward_input, mixed};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "dense_backward_input_cooperative",
    wgsl: include_str!("../../shaders/dense_backward_input_cooperative.wgsl"),
    needs: Needs::MatrixUnits,
    reference: |args| mixed::on_rounded(args, dense_backward_input::reference),
    reference_f64: |args| mixed::on_rounded(args, dense_backward_input::reference),
    fast: Some(|args| mixed::on_rounded(args, dense_backward_input::fast)),
    cases: || mixed::cases(&dense_backward_input::KERNEL, Needs::MatrixUnits),
    ..dense_backward_input::KERNEL
};
