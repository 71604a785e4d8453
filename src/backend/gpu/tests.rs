//! What only the inside can provoke.

use super::*;
use crate::ir::{Element, ProgramId, Role};
use crate::kernel::Launch;
use crate::kernel::dense::tiling::{TILES, Tiling};
use crate::kernel::dense::{Forward, forward};

fn dense_plan() -> Plan {
    let mut plan = Plan::default();
    let [input, weight, bias, output] = [64, 64, 8, 64].map(|len| plan.buffer("tensor", Element::F32, len, Role::Data));
    let shape = forward::Params { rows: 8, inputs: 8, outputs: 8, parameter_stride: 0, input_stride: 0 };
    let operands = forward::Operands {
        input: plan.whole(input),
        weight: plan.whole(weight),
        bias: Some(plan.whole(bias)),
        output: plan.whole(output),
    };
    let tiling = Tiling::plain(TILES[0]);
    let dispatch = Forward { label: "layer".into(), shape, models: 1, activation: 0, tiling, operands }.lower();
    plan.program("forward", vec![dispatch]);
    plan
}

#[test]
fn a_lost_device_is_an_error_from_every_call() {
    let gpu = GpuBackend::noop().expect("compiled in");
    let plan = Arc::new(dense_plan());
    let whole = plan.whole(crate::ir::BufferId(0));
    let mut session = gpu.session(plan.clone()).expect("a valid plan");
    session.run(ProgramId(0), 1).expect("runs");
    let ticket = session.snapshot(whole).expect("copies");
    gpu.device.device.destroy();
    let lost = |result: Result<(), BackendError>| {
        let error = result.expect_err("the device is gone");
        assert!(matches!(error, BackendError::Lost { .. }), "{error}");
        assert!(error.to_string().contains("train --resume"), "{error}");
    };
    lost(session.run(ProgramId(0), 1));
    lost(session.write(crate::ir::BufferId(0), 0, &[1]));
    lost(session.snapshot(whole).map(drop));
    lost(session.fetch(ticket).map(drop));
    lost(session.wait());
    lost(gpu.session(plan).map(drop));
}

#[test]
fn an_error_outside_of_any_call_is_returned_by_the_next() {
    let gpu = GpuBackend::noop().expect("compiled in");
    let mut session = gpu.session(Arc::new(dense_plan())).expect("a valid plan");
    // Outside of an error scope, from another thread: an overlapping copy within a buffer.
    let device = gpu.device.device.clone();
    let misuse = move || {
        let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        let describe = wgpu::BufferDescriptor { label: None, size: 8, usage, mapped_at_creation: false };
        let buffer = device.create_buffer(&describe);
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(&buffer, 0, &buffer, 0, 8);
        drop(encoder.finish());
    };
    std::thread::spawn(misuse).join().expect("no panic");
    let error = session.run(ProgramId(0), 1).expect_err("the device has reported an error");
    assert!(matches!(&error, BackendError::Invalid { what, .. } if what == "queued work"), "{error}");
}

#[test]
fn a_refused_buffer_is_named() {
    let gpu = GpuBackend::noop().expect("compiled in");
    let source = || std::io::Error::other("vkAllocateMemory").into();
    let error = gpu.device.refusal("layers.0.weight", 123, wgpu::Error::OutOfMemory { source: source() });
    assert!(matches!(error, BackendError::OutOfMemory { bytes: 123, .. }), "{error}");
    assert!(error.to_string().contains("for layers.0.weight"), "{error}");

    let create = |device: &wgpu::Device| {
        let usage = wgpu::BufferUsages::COPY_DST;
        device.create_buffer(&wgpu::BufferDescriptor { label: None, size: 1 << 60, usage, mapped_at_creation: false })
    };
    let error = gpu.device.scoped("layers.1.weight", 1 << 60, create).expect_err("an exbibyte");
    assert!(matches!(&error, BackendError::Invalid { what, .. } if what == "layers.1.weight"), "{error}");
}
