//! Launches of more workgroups than a grid takes along one side.

use crate::common;
use gputrain::kernel::conv2d::{self, Variant};
use gputrain::kernel::{Case, Contents, Kernel, REGISTRY, conv2d_backward_input, conv2d_backward_input_direct};
use gputrain::kernel::{conv2d_forward, conv2d_forward_direct, dense_forward, matmul};
use gputrain::verify::Prepared;
use std::collections::BTreeSet;

/// Kernels of few workgroups, whatever the batch: one, a bounded number of parts, one for each 64 models, or one for each
/// tile of weights that fit workgroup memory.
const FEW: [&str; 7] = [
    "adjust_loss_scale",
    "begin_epoch",
    "finish_step",
    "fused_update_adam",
    "fused_update_sgd",
    "sum_squares",
    "unscale_gradients",
];

#[test]
fn every_kernel_that_grows_with_the_batch_is_verified_in_several_lines() {
    let lines = |case: &Case| case.dispatch.grid[1];
    let folded = |kernel: &Kernel| kernel.all_cases().iter().any(|case| lines(case) > 1);
    let flat: BTreeSet<&str> = REGISTRY.iter().filter(|kernel| !folded(kernel)).map(|kernel| kernel.name).collect();
    assert_eq!(flat, BTreeSet::from(FEW));
}

/// Two images of one channel and a filter of 3 x 3, as wide and as high as they come out.
fn images([height, width]: [u32; 2]) -> conv2d::Params {
    conv2d::Params {
        batch: 2,
        channels: 1,
        height,
        width,
        filters: 1,
        kernel_height: 3,
        kernel_width: 3,
        stride_height: 1,
        stride_width: 1,
        pad_top: 1,
        pad_left: 1,
        output_height: height,
        output_width: width,
        parameter_stride: 10,
        input_stride: 2 * height * width,
    }
}

fn forward(shape: conv2d::Params, variant: Variant) -> Case {
    let pixels = shape.batch as usize * shape.input_area();
    let sizes = [pixels, 9, 1, pixels];
    let contents: Vec<_> = (1..).zip(sizes).map(|(seed, len)| Contents::random(len, 1.0, seed)).collect();
    let s = Case::slices(&contents);
    let operands = conv2d_forward::Operands { input: s[0], weight: s[1], bias: Some(s[2]), output: s[3] };
    let dispatch = conv2d_forward::dispatch("large", shape, 1, 1, variant, operands);
    Case { name: format!("{variant:?}"), dispatch, contents }
}

fn backward_input(shape: conv2d::Params, variant: Variant) -> Case {
    let pixels = shape.batch as usize * shape.input_area();
    let sizes = [pixels, 9, pixels, pixels];
    let contents: Vec<_> = (1..).zip(sizes).map(|(seed, len)| Contents::random(len, 1.0, seed)).collect();
    let s = Case::slices(&contents);
    let operands =
        conv2d_backward_input::Operands { output_gradient: s[0], weight: s[1], saved: s[2], input_gradient: s[3] };
    let dispatch = conv2d_backward_input::dispatch("large", shape, 1, 3, variant, operands);
    Case { name: format!("{variant:?}"), dispatch, contents }
}

fn dense(rows: u32) -> Case {
    let sizes = [3 * rows as usize, 3, 1, rows as usize];
    let contents: Vec<_> = (1..).zip(sizes).map(|(seed, len)| Contents::random(len, 1.0, seed)).collect();
    let s = Case::slices(&contents);
    let shape = dense_forward::Params { rows, inputs: 3, outputs: 1, parameter_stride: 4, input_stride: 3 * rows };
    let operands = dense_forward::Operands { input: s[0], weight: s[1], bias: Some(s[2]), output: s[3] };
    let dispatch = dense_forward::dispatch("large", shape, 1, 3, matmul::VARIANTS[0], operands);
    Case { name: format!("{rows} rows"), dispatch, contents }
}

#[test]
fn more_workgroups_than_a_side_takes_are_launched_in_several_lines() {
    let Some(backend) = common::checked_vulkan() else { return };
    // 8.5 million pixels, 128 to a workgroup; 4.2 million, 64 to a workgroup; a million, 16 to a workgroup.
    let direct = |pixels| Variant::Direct { columns: 8, pixels };
    let (some, product) = (images([701, 769]), Variant::Matmul(matmul::VARIANTS[0]));
    let cases: [(&'static Kernel, Case); 5] = [
        (&conv2d_forward_direct::KERNEL, forward(images([2063, 2081]), direct(2))),
        (&conv2d_backward_input_direct::KERNEL, backward_input(images([1453, 1447]), direct(1))),
        (&conv2d_forward::KERNEL, forward(some, product)),
        (&conv2d_backward_input::KERNEL, backward_input(some, product)),
        (&dense_forward::KERNEL, dense(1_048_583)),
    ];
    for (kernel, case) in cases {
        assert_eq!(case.dispatch.grid[1..], [2, 1], "{kernel:?}");
        let prepared = Prepared::large(kernel, vec![case]).expect("a valid case");
        let row = prepared.verify(&backend, kernel);
        assert!(row.passed, "{row:?}");
    }
}
