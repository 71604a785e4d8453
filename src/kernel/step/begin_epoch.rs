//! The step state before the first batch of an epoch, or of a pass over an evaluation set.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, params, read, write, write_u32};
use crate::kernel::formula::hash;
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Models trained side by side.
        models: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "begin_epoch",
    wgsl: include_str!("../../../shaders/begin_epoch.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("hyper"), write_u32("counters"), write("scalars")],
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

/// A launch for `models` models.
#[derive(Debug, Clone)]
pub struct BeginEpoch {
    /// What it computes here.
    pub label: String,
    /// Models side by side.
    pub models: usize,
    /// (models, HYPER).
    pub hyper: Slice,
    /// (models, COUNTERS).
    pub counters: Slice,
    /// (models, SCALARS).
    pub scalars: Slice,
}

impl Launch for BeginEpoch {
    fn lower(&self) -> Dispatch {
        let BeginEpoch { label, models, hyper, counters, scalars } = self.clone();
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: Vec::new(),
            params: Params { models: models as u32 }.words(),
            slices: vec![hyper, counters, scalars],
            grid: [models.div_ceil(64) as u32, 1, 1],
            cost: Cost::default(),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let [hyper, counters, scalars] = args.operands();
    let (hyper, counters, scalars) = (hyper.read(), counters.write_u32(), scalars.write());
    for model in 0..p.models as usize {
        let counters = &mut counters[model * state::COUNTERS..];
        let scalars = &mut scalars[model * state::SCALARS..];
        let epoch = counters[state::EPOCH].wrapping_add(1);
        counters[state::EPOCH] = epoch;
        counters[state::BATCH] = 0;
        counters[state::SEEN] = 0;
        counters[state::KEY] = hash::epoch_key(counters[state::SEED], epoch);
        scalars[state::LOSS_SUM] = T::default();
        scalars[state::CORRECT_SUM] = T::default();
        let warmup_steps = hyper[model * state::HYPER + state::WARMUP_STEPS].to_f64();
        let step = f64::from(counters[state::STEP]);
        scalars[state::WARMUP] = T::from_f64(((step + 1.0) / warmup_steps).min(1.0));
    }
}

fn cases() -> Vec<Case> {
    [1usize, 3, 65]
        .into_iter()
        .map(|models| {
            let mut hyper = vec![0.5; models * state::HYPER];
            let mut counters = vec![u32::MAX; models * state::COUNTERS];
            for model in 0..models {
                hyper[model * state::HYPER + state::WARMUP_STEPS] = 1.0 + model as f32 * 7.0;
                counters[model * state::COUNTERS + state::STEP] = if model % 2 == 0 { 5 } else { 20 } * model as u32;
                counters[model * state::COUNTERS + state::SEED] = 9 + model as u32;
            }
            let contents = vec![
                Contents::F32(hyper),
                Contents::U32(counters),
                Contents::random(models * state::SCALARS, 1000.0, 1),
            ];
            let s = Case::slices(&contents);
            let dispatch =
                BeginEpoch { label: "case".into(), models, hyper: s[0], counters: s[1], scalars: s[2] }.lower();
            Case { name: format!("{models} models"), dispatch, contents }
        })
        .collect()
}
