//! Timing launches: repeated often enough to be worth a clock's while.

use super::{Backend, BackendError, Session};
use crate::ir::{BufferId, Plan, ProgramId, Role};
use crate::kernel::{Case, Contents};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long to measure.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Seconds of each repetition.
    pub seconds: f64,
    /// Repetitions.
    pub repeat: usize,
}

/// Seconds per step of each repetition, and the steps of one. `time` takes so many steps and says how long they took.
pub fn repeat<E>(effort: Effort, mut time: impl FnMut(u32) -> Result<Duration, E>) -> Result<(u32, Vec<f64>), E> {
    let mut steps = 1u32;
    // Warm-up, which also finds out how many steps a repetition takes.
    loop {
        let took = time(steps)?.as_secs_f64();
        if took >= effort.seconds / 4.0 || steps >= 1 << 20 {
            steps = ((f64::from(steps) * effort.seconds / took.max(1e-9)) as u32).max(1);
            break;
        }
        steps *= 2;
    }
    let times: Result<Vec<f64>, E> =
        (0..effort.repeat.max(1)).map(|_| Ok(time(steps)?.as_secs_f64() / f64::from(steps))).collect();
    Ok((steps, times?))
}

/// How far repeated times lie apart, in the times' unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The shortest.
    pub fastest: f64,
    /// The one in the middle.
    pub median: f64,
    /// The longest.
    pub slowest: f64,
}

impl Spread {
    /// The spread of some times, at least one.
    pub fn new(times: &[f64]) -> Spread {
        let mut sorted = times.to_vec();
        sorted.sort_by(f64::total_cmp);
        Spread { fastest: sorted[0], median: sorted[sorted.len() / 2], slowest: sorted[sorted.len() - 1] }
    }
}

/// One case in memory on a device, to be launched again and again.
pub struct TimedCase {
    session: Box<dyn Session>,
    program: ProgramId,
}

impl TimedCase {
    /// Allocates and uploads the case, and compiles its kernel.
    pub fn new(backend: &dyn Backend, case: &Case) -> Result<TimedCase, BackendError> {
        let kernel = case.dispatch.kernel;
        let mut plan = Plan::default();
        for (binding, contents) in kernel.bindings.iter().zip(&case.contents) {
            plan.buffer(binding.name, binding.element, contents.len(), Role::Activations);
        }
        let program = plan.program(kernel.name, vec![case.dispatch.clone()]);
        let mut session = backend.prepare(Arc::new(plan))?;
        for (index, contents) in case.contents.iter().enumerate() {
            let words = match contents {
                Contents::F32(values) => bytemuck::cast_slice(values),
                Contents::U32(words) => words,
            };
            session.write(BufferId(index), 0, words)?;
        }
        Ok(TimedCase { session, program })
    }

    /// Time of so many launches, one after the other.
    pub fn time(&mut self, launches: u32) -> Result<Duration, BackendError> {
        self.session.wait()?;
        let start = Instant::now();
        self.session.run(self.program, launches)?;
        self.session.wait()?;
        Ok(start.elapsed())
    }
}
