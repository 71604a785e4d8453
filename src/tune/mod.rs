//! Measures, on the device at hand, the variants in which a plan's products could be launched, and keeps the fastest.
//!
//! The planner chooses a variant by a rule that suits most GPUs. Tuning replaces the rule by a measurement: [`measure`]
//! times every variant of a launch at its own shape, leaves out those that do not compute what the CPU computes, and
//! [`keep`] remembers the winners. A plan is planned as ever; [`Backend::tuned`] then exchanges its launches.

use crate::backend::timing::{Effort, Spread, TimedCase, repeat};
use crate::backend::tuning::{TuningFileError, TuningStore};
use crate::backend::{Backend, BackendError};
use crate::ir::Dispatch;
use crate::kernel::{Case, Contents, Launch, LaunchPlan, Specification};
use crate::parity::Prepared;
use std::sync::Arc;

/// A launch must be so much faster than the planner's choice to replace it: less is noise.
const WORTH: f64 = 0.95;

/// Launches are timed for a hundredth of a second, five times.
const EFFORT: Effort = Effort { seconds: 0.01, repeat: 5 };

/// Up to so many operations the reference takes less than a few seconds.
const REFERENCE_FLOPS: f64 = 1e8;

/// A launch as the plan has it, and the time of each of its variants.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The launch.
    pub launch: Arc<dyn Launch>,
    /// The plan's choice.
    pub planned: Dispatch,
    /// Every variant that the device allows with its time in seconds, or with what is wrong with it.
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
    a.kernel == b.kernel && a.constants == b.constants
}

/// Measures every launch of the plan that has variants, equal ones once; `progress` sees each as it comes. The plan's choice is
/// what is known to be the fastest so far.
pub fn measure(
    backend: &dyn Backend,
    plan: &LaunchPlan,
    mut progress: impl FnMut(&Measured),
) -> Result<Vec<Measured>, BackendError> {
    let limits = backend.limits();
    let mut done: Vec<Measured> = Vec::new();
    for launch in plan.launches() {
        let planned = backend.tuning().map_or_else(|| launch.lower(), |tuning| tuning.tuned(&**launch));
        if done.iter().any(|m| is_same(&m.planned, &planned) && m.planned.params == planned.params) {
            continue;
        }
        let mut variants: Vec<Dispatch> = launch.variants().iter().map(|variant| variant.lower()).collect();
        variants.retain(|variant| limits.allow(variant));
        if !variants.is_empty() {
            let times =
                variants.iter().map(|variant| measure_variant(backend, variant)).collect::<Result<Vec<_>, _>>()?;
            let variants = variants.into_iter().zip(times).collect();
            let measured = Measured { launch: Arc::clone(launch), planned, variants };
            progress(&measured);
            done.push(measured);
        }
    }
    Ok(done)
}

/// Keeps the fastest variants of the measured launches, where they are worth it.
pub fn keep(store: &TuningStore, measured: &[Measured]) -> Result<(), TuningFileError> {
    store.keep(measured.iter().filter_map(|m| Some((&*m.launch as &dyn Launch, m.best()?))))
}

/// Seconds that a variant takes, or what is wrong with it.
fn measure_variant(backend: &dyn Backend, variant: &Dispatch) -> Result<Result<f64, String>, BackendError> {
    let contents: Vec<Contents> = (1u32..).zip(&variant.slices).map(|(i, s)| Contents::random(s.len, 1.0, i)).collect();
    let dispatch = Dispatch { slices: Case::slices(&contents), ..variant.clone() };
    let case = Case { name: variant.label.clone(), dispatch, contents };
    if let Err(wrong) = checked(backend, &case) {
        return Ok(Err(wrong));
    }
    let mut case = TimedCase::new(backend, &case)?;
    Ok(Ok(Spread::new(&repeat(EFFORT, |launches| case.time(launches))?.1).median))
}

/// Whether the device computes the case as the CPU does, and nothing else changes.
fn checked(backend: &dyn Backend, case: &Case) -> Result<(), String> {
    let (kernel, cases) = (case.dispatch.kernel, vec![case.clone()]);
    let specification = Specification::of(kernel);
    let is_small = case.dispatch.cost.flops <= REFERENCE_FLOPS;
    let prepared = if is_small { Prepared::new(specification, cases) } else { Prepared::large(specification, cases) };
    let row = prepared?.verify(backend, kernel);
    if row.passed { Ok(()) } else { Err(row.message) }
}

#[cfg(test)]
mod tests;
