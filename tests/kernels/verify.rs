//! The verification as a user runs it: every kernel, on each backend.

use crate::common;
use gputrain::backend::Backend;
use gputrain::backend::cpu::CpuBackend;
use gputrain::backend::gpu::{BackendName, DeviceChoice, GpuBackend};
use gputrain::ir::Dispatch;
use gputrain::kernel::dense;
use gputrain::kernel::dense::Tiling;
use gputrain::kernel::dense::tiling::TILES;
use gputrain::kernel::{Case, Contents, Launch, REGISTRY, Specification};
use gputrain::parity::{Prepared, verify, verify_kernel};

fn assert_passes(backend: &dyn Backend) {
    let report = verify(backend, REGISTRY);
    println!("{report}");
    assert!(report.passed(), "\n{report}");
    assert_eq!(report.rows.len(), REGISTRY.len());
}

#[test]
fn the_fast_cpu_kernels_agree_with_the_reference() {
    assert_passes(&CpuBackend::new());
}

#[test]
fn the_reference_in_f32_agrees_with_the_reference_in_f64() {
    assert_passes(&CpuBackend::reference_only());
}

/// As `verify` runs them.
#[test]
fn the_shaders_agree_with_the_reference() {
    if let Some(backend) = common::vulkan() {
        assert_passes(&backend);
    }
}

/// Bounds checks change the shader, so that it reads 0 where it would go astray. Of the shaders whose loops are written out,
/// which take software drivers seconds to compile, one of each kernel.
#[test]
fn the_shaders_agree_with_the_reference_when_checked() {
    let Some(backend) = common::checked_vulkan() else { return };
    let limits = backend.limits();
    for known in REGISTRY {
        let mut cases = known.all_cases();
        cases.retain(|case| limits.allow(&case.dispatch));
        let (costly, mut cases): (Vec<Case>, Vec<Case>) =
            cases.into_iter().partition(|case| case.dispatch.constants.contains(&("UNROLL", 1)));
        cases.extend(costly.into_iter().take(1));
        if !cases.is_empty() {
            let row = Prepared::new(known, cases).expect("valid cases").verify(&backend, known.kernel);
            assert!(row.passed, "{row:?}");
        }
    }
}

/// OpenGL's compilers take for granted that floats are numbers, so the kernels that must keep NaN are tried there too.
#[test]
fn shaders_for_opengl_keep_nan() {
    let choice = DeviceChoice { backend: BackendName::Gl, device: None, checked: true };
    let backend = match GpuBackend::open_with_cache(&choice, None) {
        Ok(backend) => backend,
        Err(error) => return println!("skipped, since there is no OpenGL device: {error}"),
    };
    for name in ["activation_forward", "softmax_cross_entropy", "binary_cross_entropy"] {
        let specification = REGISTRY.iter().find(|known| known.kernel.name == name).expect("a kernel");
        let row = verify_kernel(&backend, specification);
        assert!(row.passed && row.cases > 0, "{row:?}");
    }
}

/// Shapes that the CPU backend spreads over threads: one large model, and several side by side.
const LARGE: [[usize; 4]; 2] = [[300, 130, 301, 1], [65, 129, 131, 5]];

fn large(make: fn([usize; 4], &[Contents]) -> Dispatch, sizes: fn([usize; 4]) -> Vec<usize>) -> Vec<Case> {
    let case = |shape: [usize; 4]| {
        let contents: Vec<_> = (1..).zip(sizes(shape)).map(|(seed, len)| Contents::random(len, 1.0, seed)).collect();
        Case { name: format!("{shape:?}"), dispatch: make(shape, &contents), contents }
    };
    LARGE.into_iter().map(case).collect()
}

fn large_forward() -> Vec<Case> {
    let make = |[rows, inputs, outputs, models]: [usize; 4], contents: &[Contents]| {
        let stride = inputs * outputs + outputs;
        let [rows, inputs, outputs, parameter_stride] = [rows, inputs, outputs, stride].map(|n| n as u32);
        let shape = dense::forward::Params { rows, inputs, outputs, parameter_stride, input_stride: rows * inputs };
        let s = Case::slices(contents);
        let operands = dense::forward::Operands { input: s[0], weight: s[1], bias: Some(s[2]), output: s[3] };
        dense::Forward {
            label: "large".into(),
            shape,
            models,
            activation: 3,
            tiling: Tiling::plain(TILES[0]),
            operands,
        }
        .lower()
    };
    large(make, |[rows, inputs, outputs, models]| {
        let parameters = models * (inputs * outputs + outputs);
        vec![models * rows * inputs, parameters, parameters, models * rows * outputs]
    })
}

fn large_backward_input() -> Vec<Case> {
    let make = |[rows, inputs, outputs, models]: [usize; 4], contents: &[Contents]| {
        let [rows, inputs, outputs] = [rows, inputs, outputs].map(|n| n as u32);
        let shape = dense::backward_input::Params { rows, inputs, outputs, parameter_stride: inputs * outputs };
        let s = Case::slices(contents);
        let operands =
            dense::backward_input::Operands { output_gradient: s[0], weight: s[1], saved: s[2], input_gradient: s[3] };
        dense::BackwardInput {
            label: "large".into(),
            shape,
            models,
            activation: 3,
            tiling: Tiling::plain(TILES[0]),
            operands,
        }
        .lower()
    };
    large(make, |[rows, inputs, outputs, models]| {
        vec![models * rows * outputs, models * inputs * outputs, models * rows * inputs, models * rows * inputs]
    })
}

fn large_backward_weight() -> Vec<Case> {
    let make = |[rows, inputs, outputs, models]: [usize; 4], contents: &[Contents]| {
        let layer = dense::backward_weight::Layer { rows, inputs, outputs, bias: true, split_rows: rows };
        let s = Case::slices(contents);
        let operands = dense::backward_weight::Operands {
            output_gradient: s[0],
            input: s[1],
            input_stride: rows * inputs,
            gradient: s[2],
            bias_offset: inputs * outputs,
            parameter_stride: inputs * outputs + outputs,
            scratch: None,
        };
        dense::BackwardWeight { label: "large".into(), layer, models, tiling: Tiling::plain(TILES[0]), operands }
            .lower()
    };
    large(make, |[rows, inputs, outputs, models]| {
        vec![models * rows * outputs, models * rows * inputs, models * (inputs * outputs + outputs)]
    })
}

#[test]
fn cpu_kernels_agree_with_the_reference_where_they_use_threads() {
    static LARGE: [Specification; 3] = [
        Specification { cases: large_forward, ..dense::forward::SPECIFICATION },
        Specification { cases: large_backward_input, ..dense::backward_input::SPECIFICATION },
        Specification { cases: large_backward_weight, ..dense::backward_weight::SPECIFICATION },
    ];
    let report = verify(&CpuBackend::new(), &LARGE.each_ref());
    assert!(report.passed(), "\n{report}");
}
