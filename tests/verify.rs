//! The verification as a user runs it: every kernel, on each backend.

use gputrain::backend::Backend;
use gputrain::backend::cpu::CpuBackend;
use gputrain::kernel::REGISTRY;
use gputrain::verify::verify;

fn assert_passes(backend: &dyn Backend) {
    let report = verify(backend, REGISTRY, |_| ());
    assert!(report.passed(), "\n{report}");
    assert_eq!(report.rows.len(), REGISTRY.len());
    println!("{report}");
}

#[test]
fn the_fast_cpu_kernels_agree_with_the_reference() {
    assert_passes(&CpuBackend::new());
}

#[test]
fn the_reference_in_f32_agrees_with_the_reference_in_f64() {
    assert_passes(&CpuBackend::reference_only());
}
