//! What a shader does outside its data shows, and the report names the kernel.

use crate::common;
use gputrain::kernel::{Kernel, dense_forward, gather, sgd, shader_source, softmax_forward};
use gputrain::verify::{Prepared, verify, verify_kernel};

/// The kernel with one piece of its shader changed.
fn changed(kernel: &'static Kernel, from: &str, to: &str) -> &'static Kernel {
    let wgsl = shader_source(kernel, &[]);
    assert_eq!(wgsl.matches(from).count(), 1, "{from}");
    Box::leak(Box::new(Kernel { wgsl: wgsl.replace(from, to).leak(), ..*kernel }))
}

#[test]
fn writing_past_the_end_is_reported_as_such() {
    let Some(backend) = common::checked_vulkan() else { return };
    let row = verify_kernel(&backend, changed(&sgd::KERNEL, "if i >= params.len {", "if i > params.len {"));
    assert!(!row.passed);
    assert!(row.message.contains("parameters, which has") && row.message.contains("was written"), "{}", row.message);
}

#[test]
fn reading_past_the_end_spoils_the_result() {
    let Some(backend) = common::checked_vulkan() else { return };
    // Where the weights have no guard either, their 0 would hide what is read behind the input.
    let guard = "if row < params.rows && k < params.inputs {";
    // Loops that are written out take long to compile and do the same.
    let mut cases = dense_forward::KERNEL.all_cases();
    cases.retain(|case| case.dispatch.constant("UNROLL", 0) == 0);
    let prepared = Prepared::new(&dense_forward::KERNEL, cases).expect("valid cases");
    let row = prepared.verify(&backend, changed(&dense_forward::KERNEL, guard, "if row < params.rows {"));
    assert!(!row.passed);
    assert!(row.message.contains("NaN"), "{}", row.message);
}

#[test]
fn one_broken_shader_is_named_and_the_others_pass() {
    let Some(backend) = common::checked_vulkan() else { return };
    let broken = changed(&softmax_forward::KERNEL, "let value = exp_of(", "let value = 2.0 * exp_of(");
    let kernels = [&gather::KERNEL, broken, &sgd::KERNEL];
    let report = verify(&backend, &kernels);
    assert!(!report.passed());
    let failed: Vec<_> = report.rows.iter().filter(|row| !row.passed).map(|row| row.kernel).collect();
    assert_eq!(failed, ["softmax_forward"], "\n{report}");
    assert!(report.to_string().contains("1 of 3"), "{report}");
}

#[test]
fn a_shader_that_does_not_compile_fails_with_the_kernels_name() {
    let Some(backend) = common::checked_vulkan() else { return };
    let row = verify_kernel(&backend, changed(&sgd::KERNEL, "if i >= params.len {", "if i >= no_such_thing {"));
    assert!(!row.passed && row.kernel == "sgd" && row.message.contains("sgd"), "{}", row.message);
}
