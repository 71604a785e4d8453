//! Every kernel on a device against its reference in f64, with canaries around everything it may touch.

mod layout;
mod report;

pub use report::{KernelRow, VerifyReport};

use crate::backend::cpu::{Implementation, Machine, Scalar};
use crate::backend::{Backend, BackendError};
use crate::ir::{Access, Binding, BufferId, Element, Kernel, Needs, Plan, Program};
use crate::kernel::{Case, Specification};
use layout::{Layout, canary};
use std::sync::Arc;

/// Verifies kernels on a device.
pub fn verify(backend: &dyn Backend, specifications: &[&'static Specification]) -> VerifyReport {
    let rows = specifications.iter().map(|specification| verify_kernel(backend, specification)).collect();
    VerifyReport { device: backend.info().clone(), rows }
}

/// Verifies one kernel on all its cases.
pub fn verify_kernel(backend: &dyn Backend, specification: &'static Specification) -> KernelRow {
    let limits = backend.limits();
    let mut cases = specification.all_cases();
    cases.retain(|case| limits.allow(&case.dispatch));
    let needs = specification.kernel.needs;
    if cases.is_empty() && needs != Needs::Nothing {
        return KernelRow { skipped: Some(needs.missing()), ..row(specification, 0, Outcome::default()) };
    }
    verify_cases(backend, specification, cases)
}

fn verify_cases(backend: &dyn Backend, specification: &'static Specification, cases: Vec<Case>) -> KernelRow {
    match Prepared::new(specification, cases) {
        Ok(prepared) => prepared.verify(backend, specification.kernel),
        Err(message) => row(specification, 0, Outcome::failed(message)),
    }
}

/// Runs a small case of every kernel for matrix units that the plan launches. Such kernels are what drivers and shader
/// compilers get wrong most easily: what naga 30 writes for them says nothing of which accesses to workgroup memory threads
/// see from each other (wgpu issue 8805). Nobody should train on it unseen.
pub fn check_matrix_units(backend: &dyn Backend, plan: &Plan) -> Result<(), BackendError> {
    let launches = plan.dispatches();
    let mut checked: Vec<&str> = Vec::new();
    for launch in launches.filter(|launch| launch.kernel.needs == Needs::MatrixUnits) {
        let kernel = launch.kernel;
        if checked.contains(&kernel.name) {
            continue;
        }
        checked.push(kernel.name);
        let limits = backend.limits();
        let specification = Specification::of(kernel);
        let cases = (specification.cases)().into_iter().filter(|case| limits.allow(&case.dispatch));
        let alike = |case: &Case| case.dispatch.constants.iter().filter(|c| launch.constants.contains(c)).count();
        let row = verify_cases(backend, specification, cases.max_by_key(alike).into_iter().collect());
        if !row.passed {
            let (device, what) = (backend.info().device.clone(), format!("a check of {}", kernel.name));
            let message = format!("{}; train with --precision f32", row.message);
            return Err(BackendError::Invalid { device, what, message });
        }
    }
    Ok(())
}

/// Cases of a kernel with what the reference makes of them: all of them run in one session, each between canaries.
pub struct Prepared {
    specification: &'static Specification,
    cases: Vec<Case>,
    layout: Layout,
    reference: Vec<Expected>,
    /// Times the kernel's tolerance.
    slack: f64,
}

/// What is expected of large shapes is in f32 too, and rounds as much as the device does in longer sums than `verify` has.
pub(crate) const FAST_SLACK: f64 = 8.0;

impl Prepared {
    /// Runs the reference. An error says which case does not fit the kernel's declaration.
    pub fn new(specification: &'static Specification, cases: Vec<Case>) -> Result<Prepared, String> {
        if cases.is_empty() {
            return Err("it has no cases".into());
        }
        let layout = Layout::new(specification.kernel, &cases)?;
        let reference = expected::<f64>(specification.kernel, &layout, Implementation::Reference)
            .map_err(|error| error.to_string())?;
        Ok(Prepared { specification, cases, layout, reference, slack: 1.0 })
    }

    /// The same for shapes that would keep the reference busy for minutes: what is expected comes from the CPU backend's
    /// fast kernels, and errors may be larger.
    pub fn large(specification: &'static Specification, cases: Vec<Case>) -> Result<Prepared, String> {
        let layout = Layout::new(specification.kernel, &cases)?;
        let reference =
            expected::<f32>(specification.kernel, &layout, Implementation::Fast).map_err(|error| error.to_string())?;
        Ok(Prepared { specification, cases, layout, reference, slack: FAST_SLACK })
    }

    /// Runs a kernel on a device and compares. It need not be the one whose reference ran: a copy with a changed shader
    /// shows what the verification sees.
    pub fn verify(&self, backend: &dyn Backend, kernel: &'static Kernel) -> KernelRow {
        let outcome = match run_on_device(backend, kernel, &self.layout) {
            Ok(device) => self.judge(kernel, &device),
            Err(error) => Outcome::failed(error.to_string()),
        };
        row(self.specification, self.cases.len(), outcome)
    }

    fn judge(&self, kernel: &Kernel, device: &[Vec<u32>]) -> Outcome {
        let Prepared { specification, cases, layout, reference, slack } = self;
        let mut outcome = Outcome::default();
        for (case, ranges) in cases.iter().zip(&layout.ranges) {
            for (index, (binding, range)) in kernel.bindings.iter().zip(ranges).enumerate() {
                if binding.access == Access::Read {
                    continue;
                }
                let (before, after) = (&layout.words[index][range.clone()], &device[index][range.clone()]);
                let Difference { error, at, found, wanted } = match &reference[index] {
                    Expected::Words(expected) => differing_word(after, &expected[range.clone()]),
                    Expected::Floats(expected) => largest_error(before, after, &expected[range.clone()]),
                };
                let name = binding.name;
                let what = || format!("{name}[{at}] is {found}, the reference says {wanted} (error {error:.1e})");
                outcome.add(error, slack * specification.tolerance, case, what);
            }
        }
        for (index, binding) in kernel.bindings.iter().enumerate() {
            check_untouched(layout, index, binding, &device[index], cases, &mut outcome);
        }
        outcome
    }
}

fn row(specification: &Specification, cases: usize, outcome: Outcome) -> KernelRow {
    KernelRow {
        kernel: specification.kernel.name,
        cases,
        worst_error: outcome.error,
        tolerance: specification.tolerance,
        worst_case: outcome.case,
        passed: outcome.message.is_empty(),
        skipped: None,
        message: outcome.message,
    }
}

/// The words of every buffer after the run.
fn run_on_device(
    backend: &dyn Backend,
    kernel: &'static Kernel,
    layout: &Layout,
) -> Result<Vec<Vec<u32>>, BackendError> {
    let mut plan = layout.plan.clone();
    plan.programs.iter_mut().flat_map(Program::dispatches_mut).for_each(|dispatch| dispatch.kernel = kernel);
    let plan = Arc::new(plan);
    let mut session = backend.prepare(plan.clone())?;
    for (index, words) in layout.words.iter().enumerate() {
        session.write(BufferId(index), 0, words)?;
    }
    session.run(layout.program, 1)?;
    (0..plan.buffers.len()).map(|index| session.read(plan.whole(BufferId(index)))).collect()
}

/// One buffer as the reference left it.
enum Expected {
    Floats(Vec<f64>),
    Words(Vec<u32>),
}

fn expected<T: Scalar>(
    kernel: &Kernel,
    layout: &Layout,
    implementation: Implementation,
) -> Result<Vec<Expected>, BackendError> {
    let mut machine: Machine<T> = Machine::new(Arc::new(layout.plan.clone()), implementation)?;
    for (index, (words, binding)) in layout.words.iter().zip(kernel.bindings).enumerate() {
        match binding.element {
            Element::F32 => {
                let floats = machine.floats_mut(BufferId(index));
                floats.iter_mut().zip(words).for_each(|(x, w)| *x = T::from_f64(f64::from(f32::from_bits(*w))));
            }
            Element::U32 => machine.words_mut(BufferId(index)).copy_from_slice(words),
        }
    }
    machine.run(layout.program, 1);
    let take = |(index, binding): (usize, &Binding)| match binding.element {
        Element::F32 => Expected::Floats(machine.floats(BufferId(index)).iter().map(|x| x.to_f64()).collect()),
        Element::U32 => Expected::Words(machine.words(BufferId(index)).to_vec()),
    };
    Ok(kernel.bindings.iter().enumerate().map(take).collect())
}

/// The largest error, where it is, and the first thing that fails.
#[derive(Default)]
struct Outcome {
    error: f64,
    case: String,
    message: String,
}

impl Outcome {
    fn failed(message: String) -> Outcome {
        Outcome { error: f64::INFINITY, case: String::new(), message }
    }

    /// Takes the error of one binding in one case into account; `what` describes it.
    fn add(&mut self, error: f64, tolerance: f64, case: &Case, what: impl FnOnce() -> String) {
        let fails = error > tolerance;
        if self.message.is_empty() && fails {
            self.message = format!("case {}: {}", case.name, what());
            self.case.clone_from(&case.name);
        } else if self.message.is_empty() && (error > self.error || self.case.is_empty()) {
            self.case.clone_from(&case.name);
        }
        self.error = self.error.max(error);
    }
}

/// Where a binding differs most from the reference.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Difference {
    pub error: f64,
    pub at: usize,
    pub found: String,
    pub wanted: String,
}

/// Integers must agree exactly.
pub(crate) fn differing_word(after: &[u32], expected: &[u32]) -> Difference {
    match after.iter().zip(expected).position(|(x, e)| x != e) {
        Some(at) => {
            let (found, wanted) = (after[at].to_string(), expected[at].to_string());
            Difference { error: f64::INFINITY, at, found, wanted }
        }
        None => Difference::default(),
    }
}

/// The largest of the floats' errors, against the root mean square of what the reference wrote: what it left alone must
/// stay the same to the bit.
pub(crate) fn largest_error(before: &[u32], after: &[u32], expected: &[f64]) -> Difference {
    let float = |word: &u32| f32::from_bits(*word);
    let kept = |before: f32, expected: f64| f64::from(before) == expected || before.is_nan() && expected.is_nan();
    let written = before.iter().map(float).zip(expected).filter(|(b, e)| !kept(*b, **e) && e.is_finite());
    let (count, squares) = written.fold((0.0, 0.0), |(n, s), (_, e)| (n + 1.0, s + e * e));
    let rms = if count > 0.0 { f64::sqrt(squares / count) } else { 0.0 };
    let mut worst = Difference::default();
    for (at, (before, (after, &expected))) in
        before.iter().map(float).zip(after.iter().map(float).zip(expected)).enumerate()
    {
        let scale = if kept(before, expected) { 0.0 } else { expected.abs() + rms };
        let error = element_error(after, expected, scale);
        if error > worst.error {
            worst = Difference { error, at, found: after.to_string(), wanted: expected.to_string() };
        }
    }
    worst
}

/// |x - expected| / scale; 0 when they agree, also in being NaN or the same infinity; infinite when only one is finite.
pub(crate) fn element_error(x: f32, expected: f64, scale: f64) -> f64 {
    if f64::from(x) == expected || x == expected as f32 || x.is_nan() && expected.is_nan() {
        0.0
    } else if x.is_finite() && expected.is_finite() && scale > 0.0 {
        (f64::from(x) - expected).abs() / scale
    } else {
        f64::INFINITY
    }
}

/// Everything outside the contents is still a canary, and what is only read is as it was.
fn check_untouched(
    layout: &Layout,
    index: usize,
    binding: &Binding,
    after: &[u32],
    cases: &[Case],
    outcome: &mut Outcome,
) {
    let guard = canary(binding);
    for (number, case) in cases.iter().enumerate() {
        let range = &layout.ranges[number][index];
        let end = layout.ranges.get(number + 1).map_or(after.len(), |next| next[index].start);
        let name = binding.name;
        if let Some(at) = after[range.end..end].iter().position(|word| *word != guard) {
            let len = range.len();
            outcome.add(f64::INFINITY, 0.0, case, || {
                format!("element {} of {name}, which has {len}, was written", len + at)
            });
        }
        if number == 0 && after[..range.start].iter().any(|word| *word != guard) {
            outcome.add(f64::INFINITY, 0.0, case, || format!("something before the start of {name} was written"));
        }
        if binding.access == Access::Read && after[range.clone()] != layout.words[index][range.clone()] {
            outcome.add(f64::INFINITY, 0.0, case, || format!("{name}, which is only read, has changed"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|x| x.to_bits()).collect()
    }

    #[test]
    fn the_error_is_relative_to_the_element_and_to_the_root_mean_square() {
        let found = largest_error(&bits(&[9.0, 9.0]), &bits(&[3.0, 5.0]), &[3.0, 4.0]);
        assert_eq!(found.at, 1);
        assert!((found.error - 1.0 / (4.0 + 12.5f64.sqrt())).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn an_element_that_the_reference_keeps_must_keep_its_bits() {
        let found = largest_error(&bits(&[9.0, 1000.0]), &bits(&[1.0, 1000.001]), &[1.0, 1000.0]);
        assert_eq!((found.error, found.at), (f64::INFINITY, 1));
    }

    #[test]
    fn values_that_are_not_finite_agree_only_with_their_like() {
        for (x, expected, error) in [
            (f32::NAN, f64::NAN, 0.0),
            (f32::INFINITY, f64::INFINITY, 0.0),
            (f32::INFINITY, 1e39, 0.0),
            (f32::NAN, 1.0, f64::INFINITY),
            (1.0, f64::NAN, f64::INFINITY),
            (f32::NEG_INFINITY, f64::INFINITY, f64::INFINITY),
            (f32::INFINITY, 1.0, f64::INFINITY),
        ] {
            assert_eq!(element_error(x, expected, 1.0), error, "{x} for {expected}");
        }
    }

    #[test]
    fn integers_agree_exactly_or_not_at_all() {
        assert_eq!(differing_word(&[1, 2], &[1, 2]).error, 0.0);
        assert_eq!(differing_word(&[1, 3], &[1, 2]).at, 1);
    }
}
