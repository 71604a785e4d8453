//! Convolution, forward, for few filters: see [`super::conv2d_forward`], whose formula, operands and dispatch it shares.

use super::conv2d::{DIRECT, Params, Variant, cost};
use super::conv2d_forward::{cases, reference};
use super::{Kernel, Needs, conv2d_fast, read, write};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_forward_direct",
    wgsl: include_str!("../../shaders/conv2d_forward_direct.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("input"), read("weight"), read("bias"), write("output")],
    params: Params::FIELDS,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    fast: Some(conv2d_fast::forward),
    cost,
    tolerance: 1e-5,
    cases: || cases(&DIRECT.map(|[columns, pixels]| Variant::Direct { columns, pixels })),
};
