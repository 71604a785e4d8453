//! Changes of images by whole pixels are copies, on every backend.

use crate::common;
use gputrain::backend::Backend;
use gputrain::backend::cpu::CpuBackend;
use gputrain::kernel::step::augment;
use gputrain::kernel::{Case, Contents, Specification};
use gputrain::parity::Prepared;

/// The cases that only move pixels, with a scaling that every device computes exactly.
fn moves() -> Vec<Case> {
    let mut cases = augment::SPECIFICATION.all_cases();
    let copies = |case: &Case| {
        ["WARP", "BRIGHTNESS", "CONTRAST"].iter().all(|name| case.dispatch.constants.contains(&(name, 0)))
    };
    cases.retain(copies);
    for case in &mut cases {
        let len = case.contents[3].len();
        case.contents[3] = Contents::F32((0..len).map(|i| i as f32).collect());
        case.contents[4] = Contents::F32(vec![2.0; len]);
    }
    cases
}

#[test]
fn whole_pixels_have_the_same_bits_on_every_backend() {
    let exact = Box::leak(Box::new(Specification { tolerance: 0.0, ..augment::SPECIFICATION }));
    let prepared = Prepared::new(exact, moves()).expect("valid cases");
    let vulkan = common::vulkan().map(|gpu| Box::new(gpu) as Box<dyn Backend>);
    for backend in std::iter::once(Box::new(CpuBackend::new()) as Box<dyn Backend>).chain(vulkan) {
        let row = prepared.verify(&*backend, exact.kernel);
        assert!(row.passed && row.cases > 40 && row.worst_error == 0.0, "{}: {row:?}", backend.info().backend);
    }
}
