use super::*;
use crate::ir::{Element, Role};
use crate::kernel::Launch;
use crate::kernel::dense::tiling::{TILES, Tiling};
use crate::kernel::dense::{Forward, forward};

/// A plan with one dense layer of `rows` x `inputs` to `outputs`, and its buffers: input, parameters, output.
fn dense(rows: usize, inputs: usize, outputs: usize) -> (Arc<Plan>, [BufferId; 3], ProgramId) {
    let mut plan = Plan::default();
    let weights = (inputs * outputs).next_multiple_of(crate::ir::SLICE_ALIGNMENT);
    let input = plan.buffer("input", Element::F32, rows * inputs, Role::Data);
    let parameters = plan.buffer("parameters", Element::F32, weights + outputs, Role::Parameters);
    let output = plan.buffer("output", Element::F32, rows * outputs, Role::Activations);
    let shape = forward::Params {
        rows: rows as u32,
        inputs: inputs as u32,
        outputs: outputs as u32,
        parameter_stride: (weights + outputs) as u32,
        input_stride: 0,
    };
    let operands = forward::Operands {
        input: plan.whole(input),
        weight: Slice { buffer: parameters, offset: 0, len: inputs * outputs },
        bias: Some(Slice { buffer: parameters, offset: weights, len: outputs }),
        output: plan.whole(output),
    };
    let tiling = Tiling::plain(TILES[0]);
    let dispatch = Forward { label: "layer".into(), shape, models: 1, activation: 0, tiling, operands }.lower();
    let program = plan.program("forward", vec![dispatch]);
    (Arc::new(plan), [input, parameters, output], program)
}

fn bits(values: &[f32]) -> &[u32] {
    bytemuck::cast_slice(values)
}

fn floats(words: Vec<u32>) -> Vec<f32> {
    words.into_iter().map(f32::from_bits).collect()
}

#[test]
fn a_session_runs_a_program_and_counts_what_it_did() {
    for backend in [CpuBackend::new(), CpuBackend::reference_only()] {
        let (plan, [input, parameters, output], program) = dense(2, 3, 2);
        let mut session = backend.prepare(plan.clone()).expect("a valid plan");
        session.write(input, 0, bits(&[1.0, 2.0, 3.0, -1.0, 0.5, 0.0])).expect("fits");
        session.write(parameters, 0, bits(&[1.0, 0.0, 0.0, 1.0, 1.0, 1.0])).expect("fits");
        session.write(parameters, 64, bits(&[10.0, 20.0])).expect("fits");
        let before = session.snapshot(plan.whole(output)).expect("in range");
        session.run(program, 3).expect("runs");
        assert_eq!(floats(session.read(plan.whole(output)).expect("in range")), [11.0, 26.0, 9.0, 19.5]);
        assert_eq!(floats(session.fetch(before).expect("first fetch")), [0.0; 4], "a snapshot keeps its moment");
        assert!(session.fetch(before).is_err(), "a ticket is good for one fetch");
        let counters = session.counters();
        assert_eq!((counters.buffers_created, counters.bytes_written), (3, 56));
        assert_eq!((counters.submits, counters.dispatches), (1, 3));
    }
}

#[test]
fn ranges_outside_a_buffer_are_errors() {
    let (plan, [input, ..], _) = dense(2, 3, 2);
    let mut session = CpuBackend::new().prepare(plan).expect("a valid plan");
    let error = session.write(input, 5, &[0, 0]).expect_err("six elements, not seven");
    assert!(error.to_string().contains("input, which has 6"), "{error}");
    assert!(session.snapshot(Slice { buffer: input, offset: usize::MAX, len: 2 }).is_err());
    assert!(session.snapshot(Slice { buffer: BufferId(9), offset: 0, len: 1 }).is_err());
    assert!(session.run(ProgramId(1), 1).is_err());
}

#[test]
fn an_impossible_allocation_is_an_error_with_the_tensors_name() {
    let mut plan = Plan::default();
    plan.buffer("enormous", Element::F32, usize::MAX / 8, Role::Data);
    let error = CpuBackend::new().prepare(Arc::new(plan)).err().expect("cannot be allocated");
    assert!(error.to_string().contains("enormous"), "{error}");
}

#[test]
fn f32_runs_flush_subnormals_and_f64_runs_keep_them() {
    let tiny = f32::MIN_POSITIVE / 4.0;
    for (rows, inputs, outputs) in [(1, 1, 1), (256, 128, 256)] {
        let (plan, [input, parameters, output], program) = dense(rows, inputs, outputs);
        for backend in [CpuBackend::new(), CpuBackend::reference_only()] {
            let mut session = backend.prepare(plan.clone()).expect("a valid plan");
            session.write(input, 0, bits(&vec![1.0; rows * inputs])).expect("fits");
            session.write(parameters, 0, bits(&vec![tiny; inputs * outputs])).expect("fits");
            session.run(program, 1).expect("runs");
            let result = floats(session.read(plan.whole(output)).expect("in range"));
            if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
                assert!(result.iter().all(|&x| x == 0.0), "{rows}x{inputs}x{outputs}: {}", result[0]);
            }
        }
    }
    let (plan, [input, parameters, output], program) = dense(1, 1, 1);
    let mut machine: Machine<f64> = Machine::new(plan, Implementation::Reference).expect("a valid plan");
    machine.floats_mut(input)[0] = f64::MIN_POSITIVE;
    machine.floats_mut(parameters)[0] = 0.25;
    machine.run(program, 1);
    assert_eq!(machine.floats(output)[0], f64::MIN_POSITIVE / 4.0);
    assert!(
        std::hint::black_box(f32::MIN_POSITIVE) * std::hint::black_box(0.5f32) > 0.0,
        "the caller's own arithmetic"
    );
}
