//! The mean loss of an epoch by the weights of its batches.

use super::weights::{BATCH_WEIGHT, EPOCH_LOSS, EPOCH_WEIGHT, WEIGHT_SUMS};
use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, params, read_u32, write};
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
    name: "weigh_epoch",
    wgsl: include_str!("../../../shaders/weigh_epoch.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read_u32("counters"), write("weight_sums"), write("scalars")],
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

/// A launch for `models` models, after the batch is counted.
#[derive(Debug, Clone)]
pub struct WeighEpoch {
    /// What it computes here.
    pub label: String,
    /// Models side by side.
    pub models: usize,
    /// (models, COUNTERS).
    pub counters: Slice,
    /// (models, [`WEIGHT_SUMS`]).
    pub weight_sums: Slice,
    /// (models, SCALARS).
    pub scalars: Slice,
}

impl Launch for WeighEpoch {
    fn lower(&self) -> Dispatch {
        let WeighEpoch { label, models, counters, weight_sums, scalars } = self.clone();
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: Vec::new(),
            params: Params { models: models as u32 }.words(),
            slices: vec![counters, weight_sums, scalars],
            grid: [models.div_ceil(64) as u32, 1, 1],
            cost: Cost::default(),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let [counters, weight_sums, scalars] = args.operands();
    let (counters, weight_sums, scalars) = (counters.read_u32(), weight_sums.write(), scalars.write());
    for model in 0..p.models as usize {
        let counters = &counters[model * state::COUNTERS..];
        let sums = &mut weight_sums[model * WEIGHT_SUMS..];
        let scalars = &mut scalars[model * state::SCALARS..];
        let before = |slot: usize| if counters[state::BATCH] > 1 { sums[slot].to_f64() } else { 0.0 };
        let of_batch = sums[BATCH_WEIGHT].to_f64();
        let loss = before(EPOCH_LOSS) + of_batch * scalars[state::STEP_LOSS].to_f64();
        let weight = before(EPOCH_WEIGHT) + of_batch;
        sums[EPOCH_LOSS] = T::from_f64(loss);
        sums[EPOCH_WEIGHT] = T::from_f64(weight);
        let mean = if weight > 0.0 { loss / weight * f64::from(counters[state::SEEN]) } else { loss };
        scalars[state::LOSS_SUM] = T::from_f64(mean);
    }
}

fn cases() -> Vec<Case> {
    let case = |models: usize| {
        let mut counters = vec![0; models * state::COUNTERS];
        let mut sums = vec![0.0; models * WEIGHT_SUMS];
        for (model, (counters, sums)) in
            counters.chunks_mut(state::COUNTERS).zip(sums.chunks_mut(WEIGHT_SUMS)).enumerate()
        {
            counters[state::BATCH] = 1 + model as u32 % 3;
            counters[state::SEEN] = 31 * counters[state::BATCH] - model as u32 % 2;
            let batch_weight = match model % 4 {
                2 => 0.25,
                3 => 0.0,
                _ => 7.5 + model as f32,
            };
            sums.copy_from_slice(&[batch_weight, 99.0, 20.25 + model as f32, 3.5 + model as f32]);
        }
        let contents =
            vec![Contents::U32(counters), Contents::F32(sums), Contents::random(models * state::SCALARS, 2.0, 1)];
        let s = Case::slices(&contents);
        let (counters, weight_sums, scalars) = (s[0], s[1], s[2]);
        let launch = WeighEpoch { label: "case".into(), models, counters, weight_sums, scalars };
        Case { name: format!("{models} models"), dispatch: launch.lower(), contents }
    };
    [1, 5, 12, 65].map(case).into()
}
