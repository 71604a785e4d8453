//! What a shader does outside its data shows, and the report names the kernel.

use crate::common;
use gputrain::ir::Kernel;
use gputrain::kernel::optimizer::sgd;
use gputrain::kernel::pointwise::softmax_forward;
use gputrain::kernel::step::gather;
use gputrain::kernel::{Specification, dense, shader_source};
use gputrain::parity::{Prepared, verify, verify_kernel};

/// What a kernel computes, with one piece of its shader changed.
fn changed(specification: &Specification, from: &str, to: &str) -> &'static Specification {
    let wgsl = shader_source(specification.kernel, &[]);
    assert_eq!(wgsl.matches(from).count(), 1, "{from}");
    let kernel = Box::leak(Box::new(Kernel { wgsl: wgsl.replace(from, to).leak(), ..*specification.kernel }));
    Box::leak(Box::new(Specification { kernel, ..*specification }))
}

#[test]
fn writing_past_the_end_is_reported_as_such() {
    let Some(backend) = common::checked_vulkan() else { return };
    let row = verify_kernel(&backend, changed(&sgd::SPECIFICATION, "if i >= params.len {", "if i > params.len {"));
    assert!(!row.passed);
    assert!(row.message.contains("parameters, which has") && row.message.contains("was written"), "{}", row.message);
}

#[test]
fn reading_past_the_end_spoils_the_result() {
    let Some(backend) = common::checked_vulkan() else { return };
    // Where the weights have no guard either, their 0 would hide what is read behind the input.
    let guard = "if row < params.rows && k < params.inputs {";
    // Loops that are written out take long to compile and do the same.
    let known = &dense::forward::SPECIFICATION;
    let mut cases = known.all_cases();
    cases.retain(|case| !case.dispatch.constants.contains(&("UNROLL", 1)));
    let prepared = Prepared::new(known, cases).expect("valid cases");
    let row = prepared.verify(&backend, changed(known, guard, "if row < params.rows {").kernel);
    assert!(!row.passed);
    assert!(row.message.contains("NaN"), "{}", row.message);
}

#[test]
fn one_broken_shader_is_named_and_the_others_pass() {
    let Some(backend) = common::checked_vulkan() else { return };
    let broken = changed(&softmax_forward::SPECIFICATION, "let value = exp_of(", "let value = 2.0 * exp_of(");
    let specifications = [&gather::SPECIFICATION, broken, &sgd::SPECIFICATION];
    let report = verify(&backend, &specifications);
    assert!(!report.passed());
    let failed: Vec<_> = report.rows.iter().filter(|row| !row.passed).map(|row| row.kernel).collect();
    assert_eq!(failed, ["softmax_forward"], "\n{report}");
    assert!(report.to_string().contains("1 of 3"), "{report}");
}

#[test]
fn a_shader_that_does_not_compile_fails_with_the_kernels_name() {
    let Some(backend) = common::checked_vulkan() else { return };
    let row = verify_kernel(&backend, changed(&sgd::SPECIFICATION, "if i >= params.len {", "if i >= no_such_thing {"));
    assert!(!row.passed && row.kernel == "sgd" && row.message.contains("sgd"), "{}", row.message);
}
