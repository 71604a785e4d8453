//! Which variant of a launch is the fastest.

use super::WORTH;
use crate::backend::timing::{Effort, TimedCase, repeat, spread};
use crate::backend::{Backend, BackendError};
use crate::kernel::{Case, Contents, Kernel, variants};
use crate::plan::{Dispatch, Plan};
use crate::verify::Prepared;

/// Launches are timed for a hundredth of a second, five times.
const EFFORT: Effort = Effort { seconds: 0.01, repeat: 5 };

/// Up to so many operations the reference takes less than a few seconds.
const REFERENCE_FLOPS: f64 = 1e8;

/// A launch as the plan has it, and the time of each of its variants.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The plan's choice.
    pub planned: Dispatch,
    /// Every variant with its time in seconds, or with what is wrong with it.
    pub variants: Vec<(Dispatch, Result<f64, String>)>,
}

impl Measured {
    /// Seconds that the plan's choice takes.
    pub fn planned_seconds(&self) -> Option<f64> {
        let is_planned = |d: &Dispatch| is_same(d, &self.planned);
        self.variants.iter().find(|(d, _)| is_planned(d)).and_then(|(_, time)| time.clone().ok())
    }

    /// The variant to use in the place of the plan's choice, if one is worth it.
    pub fn best(&self) -> Option<&Dispatch> {
        let right = self.variants.iter().filter_map(|(d, time)| Some((d, *time.as_ref().ok()?)));
        let (fastest, seconds) = right.min_by(|(_, a), (_, b)| a.total_cmp(b))?;
        let beats = self.planned_seconds().is_none_or(|planned| seconds < WORTH * planned);
        (beats && !is_same(fastest, &self.planned)).then_some(fastest)
    }
}

fn is_same(a: &Dispatch, b: &Dispatch) -> bool {
    std::ptr::eq(a.kernel, b.kernel) && a.constants == b.constants
}

/// Measures every launch of the plan that has variants, equal ones once; `progress` sees each as it comes.
pub fn measure(
    backend: &dyn Backend,
    plan: &Plan,
    mut progress: impl FnMut(&Measured),
) -> Result<Vec<Measured>, BackendError> {
    let limits = backend.limits();
    let mut done: Vec<Measured> = Vec::new();
    for dispatch in plan.programs.iter().flat_map(|program| &program.dispatches) {
        let known = done.iter().any(|m| is_same(&m.planned, dispatch) && m.planned.params == dispatch.params);
        let mut variants = if known { Vec::new() } else { variants(dispatch) };
        variants.retain(|variant| limits.allow(variant.kernel, &variant.constants));
        if !variants.is_empty() {
            let measured = measure_launch(backend, dispatch, variants)?;
            progress(&measured);
            done.push(measured);
        }
    }
    Ok(done)
}

fn measure_launch(
    backend: &dyn Backend,
    planned: &Dispatch,
    variants: Vec<Dispatch>,
) -> Result<Measured, BackendError> {
    let mut timed = Vec::with_capacity(variants.len());
    let contents: Vec<Contents> = (1u32..).zip(&planned.slices).map(|(i, s)| Contents::random(s.len, 1.0, i)).collect();
    for variant in variants {
        let (kernel, label) = (variant.kernel, &variant.label);
        let mut dispatch = variant.clone();
        dispatch.slices = Case::slices(&contents);
        let case = Case { name: label.clone(), dispatch, contents: contents.clone() };
        let time = match checked(backend, kernel, &case) {
            Ok(()) => {
                let mut case = TimedCase::new(backend, &case)?;
                Ok(spread(&repeat(EFFORT, |launches| case.time(launches))?.1)[1])
            }
            Err(wrong) => Err(wrong),
        };
        timed.push((variant, time));
    }
    Ok(Measured { planned: planned.clone(), variants: timed })
}

/// Whether the device computes the case as the CPU does, and nothing else changes.
fn checked(backend: &dyn Backend, kernel: &'static Kernel, case: &Case) -> Result<(), String> {
    let flops = (kernel.cost)(&case.dispatch.params).flops * f64::from(case.dispatch.grid[2]);
    let cases = vec![case.clone()];
    let small = flops <= REFERENCE_FLOPS;
    let prepared = if small { Prepared::new(kernel, cases) } else { Prepared::large(kernel, cases) };
    let row = prepared?.verify(backend, kernel);
    if row.passed { Ok(()) } else { Err(row.message) }
}
