//! What only the inside can provoke.

use super::*;
use crate::kernel::{Element, dense_forward, matmul};
use crate::plan::{ProgramId, Role};

fn dense_plan() -> Plan {
    let mut plan = Plan::default();
    let [input, weight, bias, output] = [64, 64, 8, 64].map(|len| plan.buffer("tensor", Element::F32, len, Role::Data));
    let shape = dense_forward::Params { rows: 8, inputs: 8, outputs: 8, parameter_stride: 0, input_stride: 0 };
    let operands = dense_forward::Operands {
        input: plan.whole(input),
        weight: plan.whole(weight),
        bias: Some(plan.whole(bias)),
        output: plan.whole(output),
    };
    let dispatch = dense_forward::dispatch("layer", shape, 1, 0, matmul::VARIANTS[0], operands);
    plan.program("forward", vec![dispatch]);
    plan
}

#[test]
fn a_lost_device_is_an_error_from_every_call() {
    let gpu = GpuBackend::noop().expect("compiled in");
    let plan = Arc::new(dense_plan());
    let whole = plan.whole(crate::plan::BufferId(0));
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
    lost(session.write(crate::plan::BufferId(0), 0, &[1]));
    lost(session.snapshot(whole).map(drop));
    lost(session.fetch(ticket).map(drop));
    lost(session.wait());
    lost(gpu.session(plan).map(drop));
}

#[test]
fn an_error_outside_of_any_call_is_returned_by_the_next() {
    let gpu = GpuBackend::noop().expect("compiled in");
    let mut session = gpu.session(Arc::new(dense_plan())).expect("a valid plan");
    let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::STORAGE;
    let describe = wgpu::BufferDescriptor { label: None, size: 4, usage, mapped_at_creation: false };
    let device = gpu.device.device.clone();
    std::thread::spawn(move || drop(device.create_buffer(&describe))).join().expect("no panic");
    // The no-op device allows mapping any buffer; an undefined copy is refused by all.
    let commands = {
        let mut encoder = gpu.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let usage = wgpu::BufferUsages::COPY_DST;
        let describe = wgpu::BufferDescriptor { label: None, size: 4, usage, mapped_at_creation: false };
        let buffer = gpu.device.device.create_buffer(&describe);
        encoder.copy_buffer_to_buffer(&buffer, 0, &buffer, 0, 4);
        encoder.finish()
    };
    drop(commands);
    let error = session.run(ProgramId(0), 1).expect_err("the device has reported an error");
    assert!(matches!(&error, BackendError::Invalid { what, .. } if what == "queued work"), "{error}");
}

#[test]
fn memory_that_cannot_be_had_is_named() {
    let gpu = GpuBackend::noop().expect("compiled in");
    let error = gpu.device.scoped("layers.0.weight", 123, |device| {
        // The no-op device keeps buffers in host memory; a mapped one must be allocated at once.
        let usage = wgpu::BufferUsages::COPY_DST;
        device.create_buffer(&wgpu::BufferDescriptor { label: None, size: 1 << 60, usage, mapped_at_creation: false })
    });
    let error = error.expect_err("an exbibyte");
    assert!(error.to_string().contains("layers.0.weight"), "{error}");
}
