//! The GPU backend on a Vulkan adapter. Without one these tests say so and pass, or fail where GPUTRAIN_REQUIRE_VULKAN=1.

use crate::gpu_support::{self, case_plan, counter_plan, floats, load, vulkan};
use gputrain::backend::cpu::CpuBackend;
use gputrain::backend::gpu::GpuBackend;
use gputrain::backend::{Backend, BackendError, Session};
use gputrain::ir::{Access, BufferId, Element, Plan, ProgramId, Role, Slice};
use gputrain::kernel::{Case, REGISTRY, dense};
use std::sync::Arc;

/// Largest error: `|x - reference| / (|reference| + rms(reference))`. Values that are not finite must be the same.
fn error(result: &[f32], reference: &[f32]) -> f64 {
    let finite: Vec<f64> = reference.iter().filter(|x| x.is_finite()).map(|&x| f64::from(x)).collect();
    let rms = (finite.iter().map(|x| x * x).sum::<f64>() / finite.len().max(1) as f64).sqrt();
    let one = |(&x, &r): (&f32, &f32)| match x == r || (x.is_nan() && r.is_nan()) {
        true => 0.0,
        false => f64::from((x - r).abs()) / (f64::from(r.abs()) + rms),
    };
    result.iter().zip(reference).map(one).fold(0.0, |worst, e| if e.is_nan() { f64::INFINITY } else { worst.max(e) })
}

/// What every written binding of a case holds after it ran.
fn outcome(backend: &dyn Backend, case: &Case) -> Result<Vec<(usize, Vec<u32>)>, BackendError> {
    let plan = Arc::new(case_plan(case));
    let mut session = backend.prepare(plan.clone())?;
    load(session.as_mut(), case)?;
    session.run(ProgramId(0), 1)?;
    let written = case.dispatch.kernel.bindings.iter().enumerate().filter(|(_, b)| b.access == Access::ReadWrite);
    written.map(|(i, _)| Ok((i, session.read(plan.whole(BufferId(i)))?))).collect()
}

/// `verify` holds every kernel to its own bound; here a wrong binding, offset, constant or order must show, and each of
/// those gives errors near 1.
const WRONG: f64 = 1e-3;

#[test]
fn kernels_match_their_references() {
    // Every variant takes long to compile, and `verify` runs them all: two are enough to see that each kernel gets its own
    // bindings and constants, and one kernel to see that checks change nothing.
    for (checked, specifications) in [(false, REGISTRY), (true, &[&dense::forward::SPECIFICATION])] {
        let Some(gpu) = vulkan(checked) else { return };
        for specification in specifications {
            let (kernel, cases) = (specification.kernel, gpu_support::cases(&gpu, specification));
            let others = cases.len().div_ceil(2).max(1);
            for case in cases.into_iter().step_by(others) {
                let device = outcome(&gpu, &case).unwrap_or_else(|e| panic!("{} {}: {e}", kernel.name, case.name));
                let reference = outcome(&CpuBackend::reference_only(), &case).expect("the reference runs");
                for ((binding, device), (_, reference)) in device.into_iter().zip(reference) {
                    let name = format!("{} {}: {}", kernel.name, case.name, kernel.bindings[binding].name);
                    if kernel.bindings[binding].element == Element::U32 {
                        assert_eq!(device, reference, "{name}");
                    } else {
                        let error = error(&floats(device), &floats(reference));
                        assert!(error <= WRONG, "{name}: {error:e}, checked {checked}");
                    }
                }
            }
        }
    }
}

/// One program with a case of every kernel, each with buffers of its own: parameters at many offsets.
fn medley(gpu: &GpuBackend) -> (Plan, Vec<Case>) {
    let cases: Vec<Case> =
        REGISTRY.iter().flat_map(|k| gpu_support::cases(gpu, k).into_iter().skip(1).take(2)).collect();
    let mut medley = Plan::default();
    let mut dispatches = Vec::new();
    for case in &cases {
        let first = medley.buffers.len();
        medley.buffers.extend(case_plan(case).buffers);
        let mut dispatch = case.dispatch.clone();
        dispatch.slices.iter_mut().for_each(|slice| slice.buffer.0 += first);
        dispatches.push(dispatch);
    }
    medley.program("medley", dispatches);
    (medley, cases)
}

#[test]
fn a_program_of_many_kernels_gives_each_its_own_parameters() {
    let Some(gpu) = vulkan(false) else { return };
    let (plan, cases) = medley(&gpu);
    let plan = Arc::new(plan);
    let outcome = |backend: &dyn Backend| -> Vec<Vec<u32>> {
        let mut session = backend.prepare(plan.clone()).expect("a valid plan");
        let contents = cases.iter().flat_map(|case| &case.contents);
        for (i, contents) in contents.enumerate() {
            session.write(BufferId(i), 0, &gpu_support::words(contents)).expect("writes");
        }
        session.run(ProgramId(0), 1).expect("runs");
        let all = 0..plan.buffers.len();
        all.map(|i| session.read(plan.whole(BufferId(i))).expect("reads")).collect()
    };
    let (device, reference) = (outcome(&gpu), outcome(&CpuBackend::reference_only()));
    for ((buffer, device), reference) in plan.buffers.iter().zip(device).zip(reference) {
        match buffer.element {
            Element::U32 => assert_eq!(device, reference, "{}", buffer.name),
            Element::F32 => assert!(error(&floats(device), &floats(reference)) <= WRONG, "{}", buffer.name),
        }
    }
}

/// Reads the whole of the counter plan's only buffer.
fn values(session: &mut dyn Session) -> Vec<f32> {
    floats(session.read(Slice { buffer: BufferId(0), offset: 0, len: 256 }).expect("reads"))
}

#[test]
fn writes_runs_and_snapshots_keep_their_order() {
    let Some(gpu) = vulkan(true) else { return };
    let (plan, [add, double]) = counter_plan();
    let whole = plan.whole(BufferId(0));
    let mut session = gpu.prepare(Arc::new(plan)).expect("a valid plan");
    assert_eq!(values(session.as_mut()), [0.0; 256], "buffers start zeroed");

    let mut tickets = Vec::new();
    let mut expected = Vec::new();
    let mut value = 0.0_f32;
    for round in 0..20 {
        session.run(add, 1).expect("runs");
        session.run(double, 2).expect("runs");
        value = (value + 1.0) * 4.0;
        tickets.push(session.snapshot(whole).expect("copies"));
        expected.push(value);
        value = round as f32;
        session.write(BufferId(0), 0, &[value.to_bits(); 256]).expect("writes");
        session.run(add, 3).expect("runs");
        value += 3.0;
    }
    assert_eq!(values(session.as_mut()), [value; 256]);
    // Fetched in another order than taken.
    for (ticket, value) in tickets.iter().zip(&expected).rev() {
        assert_eq!(floats(session.fetch(*ticket).expect("fetches")), [*value; 256]);
    }
    let again = session.fetch(tickets[0]).expect_err("a ticket is good for one fetch");
    assert!(again.to_string().contains("fetched before"), "{again}");
}

#[test]
fn part_of_a_buffer_can_be_written_and_read() {
    let Some(gpu) = vulkan(true) else { return };
    let (plan, [add, _]) = counter_plan();
    let mut session = gpu.prepare(Arc::new(plan)).expect("a valid plan");
    session.write(BufferId(0), 5, &[7.0_f32.to_bits(), 8.0_f32.to_bits()]).expect("writes");
    session.run(add, 1).expect("runs");
    let part = session.read(Slice { buffer: BufferId(0), offset: 4, len: 4 }).expect("reads");
    assert_eq!(floats(part), [1.0, 8.0, 9.0, 1.0]);
    let error = session.write(BufferId(0), 255, &[0, 0]).expect_err("out of range");
    assert!(error.to_string().contains("counter, which has 256"), "{error}");
    assert!(session.snapshot(Slice { buffer: BufferId(1), offset: 0, len: 1 }).is_err());
    assert!(session.run(ProgramId(9), 1).is_err());
}

#[test]
fn a_write_larger_than_a_portion_arrives_whole() {
    let Some(gpu) = vulkan(true) else { return };
    let mut plan = Plan::default();
    let len = (20 << 20) + 12;
    let buffer = plan.buffer("large", Element::U32, len, Role::Data);
    let whole = plan.whole(buffer);
    let mut session = gpu.prepare(Arc::new(plan)).expect("a valid plan");
    let words: Vec<u32> = (0..len as u32).map(|i| i.wrapping_mul(0x9E37_79B9)).collect();
    session.write(buffer, 0, &words).expect("writes");
    assert!(session.read(whole).expect("reads") == words);
}

#[test]
fn many_steps_run_without_the_host_creating_or_writing_anything() {
    let Some(gpu) = vulkan(false) else { return };
    let (plan, [add, _]) = counter_plan();
    let whole = plan.whole(BufferId(0));
    let mut session = gpu.prepare(Arc::new(plan)).expect("a valid plan");
    assert_eq!(values(session.as_mut()), [0.0; 256]);
    let before = session.counters();
    for _ in 0..50 {
        session.run(add, 100).expect("runs");
        let ticket = session.snapshot(whole).expect("copies");
        session.run(add, 1).expect("runs");
        session.fetch(ticket).expect("fetches");
    }
    session.run(add, 20_000).expect("runs");
    session.wait().expect("waits");
    let after = session.counters();
    assert_eq!(after.buffers_created, before.buffers_created);
    assert_eq!(after.bytes_written, before.bytes_written);
    assert_eq!(after.dispatches - before.dispatches, 50 * 101 + 20_000);
    let submits = after.submits - before.submits;
    assert!(submits < 1000, "{submits} submits");
    assert!(after.encode_nanoseconds > before.encode_nanoseconds);
    assert_eq!(values(session.as_mut()), [(50 * 101 + 20_000) as f32; 256]);
}

#[test]
fn sessions_on_one_backend_share_pipelines_but_no_memory() {
    let Some(gpu) = vulkan(true) else { return };
    let (plan, [add, double]) = counter_plan();
    let plan = Arc::new(plan);
    let mut first = gpu.session(plan.clone()).expect("a valid plan");
    let compiled = gpu.pipelines();
    let mut second = gpu.session(plan).expect("a valid plan");
    assert_eq!((compiled, gpu.pipelines()), (2, 2));
    assert_eq!(first.shared_objects(), (2, 1), "the same slices and parameters make the same bind group");
    first.run(add, 3).expect("runs");
    second.run(add, 1).expect("runs");
    second.run(double, 5).expect("runs");
    first.run(double, 1).expect("runs");
    assert_eq!(values(&mut second), [32.0; 256]);
    assert_eq!(values(&mut first), [6.0; 256]);
}

#[test]
fn a_profile_times_every_launch() {
    let Some(gpu) = vulkan(false) else { return };
    if !gpu.adapter().features.contains(&"timestamp_query") {
        eprintln!("skipped: {} takes no timestamps", gpu.adapter());
        return;
    }
    let (mut plan, [add, _]) = counter_plan();
    let many = plan.programs[add.0].phases[0].dispatches[0].clone();
    let long = plan.program("long", vec![many; 2500]);
    let mut session = gpu.session(Arc::new(plan)).expect("a valid plan");
    let times = session.profile(long).expect("profiles");
    assert_eq!(times.len(), 2500);
    assert!(times.iter().all(|t| t.kernel == "add" && t.label == "add one"));
    assert!(times.iter().map(|t| t.nanoseconds).sum::<f64>() > 0.0);
    assert!(times.iter().all(|t| t.nanoseconds < 10e9), "timestamps are nanoseconds");
    assert_eq!(values(&mut session), [2500.0; 256], "a profile runs the program once");
}

#[test]
fn a_second_backend_starts_from_the_stored_pipelines() {
    let directory = tempfile::tempdir().expect("a directory");
    let open = || GpuBackend::open_with_cache(&gpu_support::choice(false), Some(directory.path()));
    if vulkan(false).is_none() {
        return;
    }
    let stored = || std::fs::read_dir(directory.path()).expect("readable").count();
    let gpu = open().expect("opened before");
    if !gpu.adapter().features.contains(&"pipeline_cache") {
        eprintln!("skipped: {} has no pipeline cache", gpu.adapter());
        return;
    }
    for _ in 0..2 {
        let (plan, [add, _]) = counter_plan();
        let mut session = open().expect("opened before").prepare(Arc::new(plan)).expect("a valid plan");
        session.run(add, 1).expect("runs");
        assert_eq!(values(session.as_mut()), [1.0; 256]);
        assert_eq!(stored(), 1, "one file, replaced");
    }
}
