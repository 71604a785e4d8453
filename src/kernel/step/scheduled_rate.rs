//! The learning rate's factor of each step, where a schedule changes it from step to step.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, params, read, read_u32, write};
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Models trained side by side.
        models: u32,
        /// Steps that the table holds of each.
        steps: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "scheduled_rate",
    wgsl: include_str!("../../../shaders/scheduled_rate.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("factors"), read_u32("counters"), write("scalars")],
    params: Params::FIELDS,
};

/// What it computes.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 1e-6,
    cases,
};

/// A launch for all models. Behind the table's end its last factor stays on.
#[derive(Debug, Clone)]
pub struct ScheduledRate {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// (models, steps).
    pub factors: Slice,
    /// (models, COUNTERS).
    pub counters: Slice,
    /// (models, SCALARS).
    pub scalars: Slice,
}

impl Launch for ScheduledRate {
    fn lower(&self) -> Dispatch {
        let ScheduledRate { label, shape, factors, counters, scalars } = self.clone();
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: Vec::new(),
            params: shape.words(),
            slices: vec![factors, counters, scalars],
            grid: [shape.models.div_ceil(64), 1, 1],
            cost: Cost::default(),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let [factors, counters, scalars] = args.operands();
    let (factors, counters, scalars) = (factors.read(), counters.read_u32(), scalars.write());
    for model in 0..p.models as usize {
        let step = counters[model * state::COUNTERS + state::STEP].min(p.steps - 1);
        scalars[model * state::SCALARS + state::WARMUP] = factors[model * p.steps as usize + step as usize];
    }
}

fn cases() -> Vec<Case> {
    // (models, steps, step of the first model); each model is one step further.
    [[1, 1, 0], [3, 7, 5], [65, 130, 64], [2, 9, u32::MAX - 1]]
        .into_iter()
        .map(|[models, steps, step]| {
            let m = models as usize;
            let mut counters = vec![3; m * state::COUNTERS];
            for (model, counters) in counters.chunks_mut(state::COUNTERS).enumerate() {
                counters[state::STEP] = step + model as u32;
            }
            let contents = vec![
                Contents::random(m * steps as usize, 1000.0, 1),
                Contents::U32(counters),
                Contents::random(m * state::SCALARS, 1.0, 2),
            ];
            let s = Case::slices(&contents);
            let shape = Params { models, steps };
            let launch = ScheduledRate { label: "case".into(), shape, factors: s[0], counters: s[1], scalars: s[2] };
            Case { name: format!("{models} models, step {step} of {steps}"), dispatch: launch.lower(), contents }
        })
        .collect()
}
