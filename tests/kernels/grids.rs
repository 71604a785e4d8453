//! Launches of more workgroups than a grid takes along one side.

use crate::common;
use gputrain::kernel::conv::shape::{Epilogue, Variant};
use gputrain::kernel::dense;
use gputrain::kernel::dense::Tiling;
use gputrain::kernel::dense::tiling::TILES;
use gputrain::kernel::{Case, Contents, Launch, REGISTRY, Specification, conv};
use gputrain::parity::Prepared;
use std::collections::BTreeSet;

/// Kernels of few workgroups, whatever the batch: one, a bounded number of parts, one for each 64 models, or one for each
/// tile of weights that fit workgroup memory.
const FEW: [&str; 10] = [
    "adjust_loss_scale",
    "begin_epoch",
    "finish_step",
    "fused_update_adam",
    "fused_update_sgd",
    "scheduled_rate",
    "sum_squares",
    "sum_weights",
    "unscale_gradients",
    "weigh_epoch",
];

#[test]
fn every_kernel_that_grows_with_the_batch_is_verified_in_several_lines() {
    let lines = |case: &Case| case.dispatch.grid[1];
    let folded = |known: &Specification| known.all_cases().iter().any(|case| lines(case) > 1);
    let flat: BTreeSet<&str> = REGISTRY.iter().filter(|known| !folded(known)).map(|known| known.kernel.name).collect();
    assert_eq!(flat, BTreeSet::from(FEW));
}

/// Two images of one channel and a filter of 3 x 3, as wide and as high as they come out.
fn images([height, width]: [u32; 2]) -> conv::shape::Params {
    conv::shape::Params {
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
        dilation_height: 1,
        dilation_width: 1,
        groups: 1,
    }
}

fn forward(shape: conv::shape::Params, variant: Variant) -> Case {
    let pixels = shape.batch as usize * shape.input_area();
    let sizes = [pixels, 9, 1, pixels];
    let contents: Vec<_> = (1..).zip(sizes).map(|(seed, len)| Contents::random(len, 1.0, seed)).collect();
    let s = Case::slices(&contents);
    let epilogue = Epilogue::Output { bias: Some(s[2]) };
    let operands = conv::forward::Operands { input: s[0], weight: s[1], epilogue, output: s[3] };
    let dispatch =
        conv::forward::Forward { label: "large".into(), shape, models: 1, activation: 1, variant, operands }.lower();
    Case { name: format!("{variant:?}"), dispatch, contents }
}

fn backward_input(shape: conv::shape::Params, variant: Variant) -> Case {
    let pixels = shape.batch as usize * shape.input_area();
    let sizes = [pixels, 9, pixels, pixels];
    let contents: Vec<_> = (1..).zip(sizes).map(|(seed, len)| Contents::random(len, 1.0, seed)).collect();
    let s = Case::slices(&contents);
    let epilogue = Epilogue::Gradient { saved: s[2] };
    let operands =
        conv::backward_input::Operands { output_gradient: s[0], weight: s[1], epilogue, input_gradient: s[3] };
    let dispatch = conv::backward_input::BackwardInput {
        label: "large".into(),
        shape,
        models: 1,
        activation: 3,
        variant,
        operands,
    }
    .lower();
    Case { name: format!("{variant:?}"), dispatch, contents }
}

fn dense(rows: u32) -> Case {
    let sizes = [3 * rows as usize, 3, 1, rows as usize];
    let contents: Vec<_> = (1..).zip(sizes).map(|(seed, len)| Contents::random(len, 1.0, seed)).collect();
    let s = Case::slices(&contents);
    let shape = dense::forward::Params { rows, inputs: 3, outputs: 1, parameter_stride: 4, input_stride: 3 * rows };
    let operands = dense::forward::Operands { input: s[0], weight: s[1], bias: Some(s[2]), output: s[3] };
    let dispatch = dense::Forward {
        label: "large".into(),
        shape,
        models: 1,
        activation: 3,
        tiling: Tiling::plain(TILES[0]),
        operands,
    }
    .lower();
    Case { name: format!("{rows} rows"), dispatch, contents }
}

#[test]
fn more_workgroups_than_a_side_takes_are_launched_in_several_lines() {
    let Some(backend) = common::checked_vulkan() else { return };
    // 8.5 million pixels, 128 to a workgroup; 4.2 million, 64 to a workgroup; a million, 16 to a workgroup.
    let direct = |pixels| Variant::Direct { columns: 8, pixels };
    let (some, product) = (images([701, 769]), Variant::Matmul(TILES[0]));
    let cases: [(&'static Specification, Case); 5] = [
        (&conv::forward::SPECIFICATION_DIRECT, forward(images([2063, 2081]), direct(2))),
        (&conv::backward_input::SPECIFICATION_DIRECT, backward_input(images([1453, 1447]), direct(1))),
        (&conv::forward::SPECIFICATION, forward(some, product)),
        (&conv::backward_input::SPECIFICATION, backward_input(some, product)),
        (&dense::forward::SPECIFICATION, dense(1_048_583)),
    ];
    for (specification, case) in cases {
        assert_eq!(case.dispatch.grid[1..], [2, 1], "{specification:?}");
        let prepared = Prepared::large(specification, vec![case]).expect("a valid case");
        let row = prepared.verify(&backend, specification.kernel);
        assert!(row.passed, "{row:?}");
    }
}
