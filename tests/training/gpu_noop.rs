//! The GPU backend on wgpu's no-op device, which validates everything with WebGPU's default limits and needs no GPU.

use crate::gpu_support::{self, ADD, DOUBLE, counter_plan, kernel, launch};
use gputrain::backend::gpu::{BackendName, DeviceChoice, GpuBackend, list_adapters};
use gputrain::backend::{Backend, BackendError, HostCounters, Session};
use gputrain::ir::{BufferId, Dispatch, Element, Kernel, Plan, PlanError, Program, ProgramId, Role};
use gputrain::kernel::dense::tiling::TILES;
use gputrain::kernel::dense::{self, Tiling};
use gputrain::kernel::{Case, Launch, REGISTRY};
use std::sync::Arc;

fn noop() -> GpuBackend {
    GpuBackend::noop().expect("wgpu's no-op backend is compiled in")
}

fn refusal(plan: Plan) -> BackendError {
    noop().session(Arc::new(plan)).err().expect("the plan must be refused")
}

#[test]
fn every_kernel_and_variant_is_valid_with_default_limits() {
    let gpu = noop();
    assert_eq!(gpu.info().backend, "noop");
    let mut checked = 0;
    for specification in REGISTRY {
        for case in gpu_support::cases(&gpu, specification) {
            let name = format!("{} {}", specification.kernel.name, case.name);
            let mut session =
                gpu.session(Arc::new(gpu_support::case_plan(&case))).unwrap_or_else(|e| panic!("{name}: {e}"));
            session.run(ProgramId(0), 2).unwrap_or_else(|e| panic!("{name}: {e}"));
            session.wait().unwrap_or_else(|e| panic!("{name}: {e}"));
            checked += 1;
        }
    }
    assert!(checked > 50, "{checked} cases");
    assert!(gpu.pipelines() < checked, "cases share pipelines");
}

#[test]
fn a_grid_beyond_the_limit_is_refused() {
    let mut plan = counter_plan().0;
    plan.programs[0].phases[0].dispatches[0].grid = [65_536, 1, 1];
    let error = refusal(plan);
    assert!(matches!(error, BackendError::Plan(PlanError::GridTooLarge { limit: 65_535, .. })), "{error}");
    assert!(error.to_string().contains("add one (add)"), "{error}");
}

#[test]
fn a_binding_or_buffer_beyond_the_limit_is_refused_with_its_name() {
    let gpu = noop();
    assert_eq!((gpu.limits().binding_bytes, gpu.limits().buffer_bytes), (128 << 20, 256 << 20));
    let sized = |elements: usize| {
        let mut plan = Plan::default();
        let buffer = plan.buffer("layers.0.weight", Element::F32, elements, Role::Parameters);
        let mut add = launch(&plan, &ADD, "grow");
        add.slices = vec![plan.whole(buffer)];
        plan.program("grow", vec![add]);
        plan
    };
    assert!(gpu.session(Arc::new(sized(32 << 20))).is_ok(), "exactly the limit");
    for (elements, what) in [((32 << 20) + 1, "per binding"), ((64 << 20) + 1, "per buffer")] {
        let text = refusal(sized(elements)).to_string();
        assert!(text.contains("layers.0.weight") && text.contains(what), "{text}");
    }
}

static UNPARSABLE: Kernel = kernel("unparsable", "@compute @workgroup_size(64) fn main() { let = 1; }");
static MISDECLARED: Kernel = kernel(
    "misdeclared",
    "@group(0) @binding(1) var<storage, read_write> values: array<f32>;
     @group(0) @binding(2) var<storage, read> more: array<f32>;
     @compute @workgroup_size(64) fn main() { values[0] = more[0]; }",
);
static TOO_MANY_THREADS: Kernel = kernel(
    "too_many_threads",
    "@group(0) @binding(1) var<storage, read_write> values: array<f32>;
     @compute @workgroup_size(512) fn main() { values[0] = 1.0; }",
);

#[test]
fn a_broken_shader_is_an_error_with_its_name() {
    for kernel in [&UNPARSABLE, &MISDECLARED, &TOO_MANY_THREADS] {
        let mut plan = counter_plan().0;
        let mut broken = launch(&plan, kernel, "broken");
        broken.constants = vec![("TILE", 4)];
        plan.program("broken", vec![broken]);
        let gpu = noop();
        let Err(BackendError::Invalid { what, message, .. }) = gpu.session(Arc::new(plan)) else {
            panic!("{} must be refused", kernel.name)
        };
        assert_eq!(what, format!("{} (TILE=4)", kernel.name));
        assert!(!message.is_empty() && !message.contains("Caused by"), "{message}");
        // The others compiled, and the backend goes on.
        let (plan, [add, _]) = counter_plan();
        let mut session = gpu.session(Arc::new(plan)).expect("a valid plan");
        session.run(add, 1).expect("runs");
    }
}

/// `launches` launches that alternate between two kernels and two buffers.
fn alternating(launches: usize) -> Plan {
    let mut plan = Plan::default();
    for name in ["a", "b"] {
        plan.buffer(name, Element::F32, 256, Role::State);
    }
    let one = |i: usize| {
        let mut dispatch = launch(&plan, if i.is_multiple_of(2) { &ADD } else { &DOUBLE }, "launch");
        dispatch.slices[0].buffer = BufferId(i / 2 % 2);
        dispatch
    };
    let dispatches: Vec<Dispatch> = (0..launches).map(one).collect();
    plan.programs.push(Program::new("alternating", dispatches));
    plan
}

#[test]
fn equal_pipelines_and_bind_groups_are_made_once() {
    let gpu = noop();
    let session = gpu.session(Arc::new(alternating(100))).expect("a valid plan");
    assert_eq!(session.shared_objects(), (2, 2));
    let counters = session.counters();
    assert_eq!((counters.buffers_created, counters.bytes_written), (2, 0), "no parameters, no parameter buffer");

    // Parameters: equal ones are stored once, each at the device's alignment.
    let case = |case: &Case| case.dispatch.kernel.name == "dense_forward";
    let cases: Vec<Case> = REGISTRY.iter().flat_map(|k| (k.cases)()).filter(case).collect();
    let mut plan = gpu_support::case_plan(&cases[0]);
    plan.programs[0].phases[0].dispatches = vec![cases[0].dispatch.clone(); 3];
    let session = gpu.session(Arc::new(plan)).expect("a valid plan");
    assert_eq!(session.shared_objects(), (1, 1));
    let words = cases[0].dispatch.params.len() as u64;
    assert_eq!(session.counters().bytes_written, words * 4);
    assert_eq!(session.counters().buffers_created, cases[0].contents.len() as u64 + 1);
}

/// Eighteen dense layers, there and back between two buffers, in tiles that differ from layer to layer.
fn layers() -> Plan {
    let mut plan = Plan::default();
    let [a, b, weight, bias] = [("a", 64), ("b", 64), ("weight", 64), ("bias", 8)]
        .map(|(name, len)| plan.buffer(name, Element::F32, len, Role::Data));
    let layer = |i: usize| {
        let (input, output) = if i.is_multiple_of(2) { (a, b) } else { (b, a) };
        let shape = dense::forward::Params { rows: 8, inputs: 8, outputs: 8, parameter_stride: 0, input_stride: 0 };
        let [input, weight, bias, output] = [input, weight, bias, output].map(|buffer| plan.whole(buffer));
        let operands = dense::forward::Operands { input, weight, bias: Some(bias), output };
        dense::Forward {
            label: "layer".into(),
            shape,
            models: 1,
            activation: 0,
            tiling: Tiling::plain(TILES[i % 3]),
            operands,
        }
        .lower()
    };
    let dispatches = (0..18).map(layer).collect();
    plan.program("layers", dispatches);
    plan
}

#[test]
fn encoding_a_launch_costs_less_than_a_microsecond() {
    if cfg!(debug_assertions) {
        eprintln!("skipped: only an optimised build is worth timing");
        return;
    }
    let gpu = noop();
    let mut session = gpu.session(Arc::new(layers())).expect("a valid plan");
    session.run(ProgramId(0), 1000).expect("runs");
    session.wait().expect("waits");
    // The best of many short rounds: in some of them no other process takes the core away.
    let round = |session: &mut dyn Session| {
        let before = session.counters();
        session.run(ProgramId(0), 100).expect("runs");
        session.wait().expect("waits");
        let after = session.counters();
        assert_eq!(after.buffers_created, before.buffers_created);
        assert_eq!(after.bytes_written, before.bytes_written);
        let launches = (after.dispatches - before.dispatches) as f64;
        assert_eq!(launches, 1800.0);
        let host = |c: HostCounters| c.encode_nanoseconds + c.submit_nanoseconds;
        (host(after) - host(before)) as f64 / launches
    };
    let best = (0..200).map(|_| round(&mut session)).fold(f64::INFINITY, f64::min);
    eprintln!("{best:.0} ns per launch");
    assert!(best < 1000.0, "{best} ns per launch");
}

#[test]
fn the_noop_device_is_never_listed_or_chosen() {
    let listed = list_adapters();
    assert!(listed.iter().all(|a| !a.name.to_lowercase().contains("noop")), "{listed:?}");
    assert!(listed.iter().enumerate().all(|(position, a)| a.index == position));
    assert!(listed.iter().filter(|a| a.auto).count() <= 1);
    let choice = DeviceChoice { device: Some("noop".into()), ..DeviceChoice::default() };
    let error = GpuBackend::open_with_cache(&choice, None).err().expect("the no-op device computes nothing");
    assert!(error.to_string().contains("no GPU device fits --device noop"), "{error}");
    let choice = DeviceChoice { backend: BackendName::Metal, ..DeviceChoice::default() };
    if cfg!(not(target_vendor = "apple")) {
        assert!(matches!(GpuBackend::open_with_cache(&choice, None), Err(BackendError::NotFound(_))));
    }
}
