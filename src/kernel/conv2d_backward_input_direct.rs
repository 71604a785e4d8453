//! Convolution, backward to its input, for few channels: see [`super::conv2d_backward_input`], whose formula, operands
//! and dispatch it shares.

use super::conv2d::{DIRECT, Params, Variant, cost};
use super::conv2d_backward_input::{cases, reference};
use super::{Kernel, Needs, conv2d_fast, read, write};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_backward_input_direct",
    wgsl: include_str!("../../shaders/conv2d_backward_input_direct.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("output_gradient"), read("weight"), read("saved"), write("input_gradient")],
    params: Params::FIELDS,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    fast: Some(conv2d_fast::backward_input),
    cost,
    tolerance: 1e-5,
    cases: || cases(&DIRECT.map(|[columns, pixels]| Variant::Direct { columns, pixels })),
};
