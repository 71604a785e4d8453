//! What the tests of the GPU backend share.
#![allow(dead_code, reason = "each test binary uses a part")]

use gputrain::backend::gpu::{BackendName, DeviceChoice, GpuBackend};
use gputrain::backend::{Backend, BackendError, Session};
use gputrain::ir::{
    Binding, Buffer, BufferId, Cost, Demands, Dispatch, Element, Kernel, Needs, Plan, Program, ProgramId, Role, write,
};
use gputrain::kernel::{Case, Contents, Specification};

pub fn choice(checked: bool) -> DeviceChoice {
    DeviceChoice { backend: BackendName::Vulkan, device: None, checked }
}

/// A Vulkan adapter, software or not; `None`, said aloud, when there is none and none is required.
pub fn vulkan(checked: bool) -> Option<GpuBackend> {
    match GpuBackend::open_with_cache(&choice(checked), None) {
        Ok(gpu) => Some(gpu),
        Err(error) if std::env::var("GPUTRAIN_REQUIRE_VULKAN").is_ok_and(|v| v == "1") => {
            panic!("GPUTRAIN_REQUIRE_VULKAN=1, but {error}")
        }
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

pub fn floats(words: Vec<u32>) -> Vec<f32> {
    words.into_iter().map(f32::from_bits).collect()
}

/// The bits of a case's contents.
pub fn words(contents: &Contents) -> Vec<u32> {
    match contents {
        Contents::F32(values) => values.iter().map(|v| v.to_bits()).collect(),
        Contents::U32(values) => values.clone(),
    }
}

/// The cases of a kernel that the device can run; says so where it can run none.
pub fn cases(gpu: &GpuBackend, specification: &Specification) -> Vec<Case> {
    let (kernel, mut cases) = (specification.kernel, (specification.cases)());
    cases.retain(|case| gpu.limits().allow(&case.dispatch));
    if cases.is_empty() {
        println!("skipped, since this device has no {}: {}", kernel.needs.missing(), kernel.name);
    }
    cases
}

/// A plan with the case's dispatch as its only program; buffer i is binding i.
pub fn case_plan(case: &Case) -> Plan {
    let buffer = |(i, c): (usize, &Contents)| Buffer {
        name: format!("{} {i}", case.name),
        element: c.element(),
        len: c.len(),
        role: Role::Data,
    };
    let program = Program::new(&case.name, vec![case.dispatch.clone()]);
    Plan { buffers: case.contents.iter().enumerate().map(buffer).collect(), programs: vec![program], ..Plan::default() }
}

/// Writes a case's contents into its plan's buffers.
pub fn load(session: &mut dyn Session, case: &Case) -> Result<(), BackendError> {
    for (i, contents) in case.contents.iter().enumerate() {
        session.write(BufferId(i), 0, &words(contents))?;
    }
    Ok(())
}

const VALUES: &[Binding] = &[write("values")];

/// A kernel of the tests' own.
pub const fn kernel(name: &'static str, wgsl: &'static str) -> Kernel {
    Kernel { name, wgsl, needs: Needs::Nothing, bindings: VALUES, params: &[] }
}

pub static ADD: Kernel = kernel(
    "add",
    "@group(0) @binding(1) var<storage, read_write> values: array<f32>;
     @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
         if id.x < arrayLength(&values) { values[id.x] += 1.0; }
     }",
);

pub static DOUBLE: Kernel = kernel(
    "double",
    "@group(0) @binding(1) var<storage, read_write> values: array<f32>;
     @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
         if id.x < arrayLength(&values) { values[id.x] *= 2.0; }
     }",
);

/// A launch of one of the kernels above over the whole of buffer 0.
pub fn launch(plan: &Plan, kernel: &'static Kernel, label: &str) -> Dispatch {
    Dispatch {
        kernel,
        label: label.into(),
        constants: Vec::new(),
        params: Vec::new(),
        slices: vec![plan.whole(BufferId(0))],
        grid: [4, 1, 1],
        cost: Cost { flops: 256.0, bytes: 2048.0 },
        demands: Demands::default(),
    }
}

/// One buffer of 256 zeros and two programs: add one to each, double each.
pub fn counter_plan() -> (Plan, [ProgramId; 2]) {
    let mut plan = Plan::default();
    plan.buffer("counter", Element::F32, 256, Role::State);
    let (add, double) = (launch(&plan, &ADD, "add one"), launch(&plan, &DOUBLE, "double"));
    let programs = [plan.program("add", vec![add]), plan.program("double", vec![double])];
    (plan, programs)
}
