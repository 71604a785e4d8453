//! The sums of the weights of a batch's examples, and of those of its update.

use super::weights::{BATCH_WEIGHT, UPDATE_WEIGHT, Updates, WEIGHT_SUMS};
use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, params, read, read_u32, write};
use crate::kernel::formula::hash;
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Rows of a full batch.
        batch: u32,
        /// Examples in the set; of one fold, where there are several.
        examples: u32,
        /// Examples that an epoch goes through.
        in_epoch: u32,
        /// Batches of an update.
        batches: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "sum_weights",
    wgsl: include_str!("../../../shaders/sum_weights.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("weights"), read_u32("counters"), write("weight_sums")],
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

/// A launch for `models` models, before the batch is counted.
#[derive(Debug, Clone)]
pub struct SumWeights {
    /// What it computes here.
    pub label: String,
    /// Examples in the set; of one fold, where there are several.
    pub examples: u32,
    /// Folds whose weights lie one after the other: model `m` takes fold `m % folds`.
    pub folds: u32,
    /// The batches of an update.
    pub updates: Updates,
    /// Whether each epoch has an order of its own.
    pub shuffle: bool,
    /// Models side by side.
    pub models: usize,
    /// One for each example, shared by all models.
    pub weights: Slice,
    /// (models, COUNTERS).
    pub counters: Slice,
    /// (models, [`WEIGHT_SUMS`]).
    pub weight_sums: Slice,
}

impl Launch for SumWeights {
    fn lower(&self) -> Dispatch {
        let SumWeights { label, examples, folds, updates, shuffle, models, weights, counters, weight_sums } =
            self.clone();
        let Updates { batch, in_epoch, batches } = updates;
        let rows = f64::from(batch) * f64::from(batches);
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: std::iter::once(("SHUFFLE", shuffle.into()))
                .chain((folds > 1).then_some(("FOLDS", folds)))
                .collect(),
            params: Params { batch, examples, in_epoch, batches }.words(),
            slices: vec![weights, counters, weight_sums],
            grid: [1, 1, models as u32],
            cost: Cost { flops: rows, bytes: 4.0 * rows }.times(models),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let Params { batch, examples, in_epoch, batches } = args.params();
    let (models, shuffle) = (args.models(), args.constant("SHUFFLE", 1) == 1);
    let folds = args.constant("FOLDS", 1) as usize;
    let [weights, counters, weight_sums] = args.operands();
    let (weights, counters, weight_sums) = (weights.read(), counters.read_u32(), weight_sums.write());
    for model in 0..models {
        let counters = &counters[model * state::COUNTERS..];
        let taken = counters[state::BATCH];
        let (update, rows) = Updates { batch, in_epoch, batches }.of(taken);
        let weight = |position: u64| {
            let position = position as u32;
            let shuffled = || hash::permute(position, examples, counters[state::KEY]);
            let first = model % folds * examples as usize;
            weights[first + if shuffle { shuffled() } else { position } as usize].to_f64()
        };
        let first = update * u64::from(batch) * u64::from(batches);
        let of_batch = u64::from(taken) * u64::from(batch)..(u64::from(taken) + 1) * u64::from(batch);
        let positions = || first..first + rows;
        let sums = &mut weight_sums[model * WEIGHT_SUMS..];
        sums[BATCH_WEIGHT] = T::from_f64(positions().filter(|at| of_batch.contains(at)).map(weight).sum());
        sums[UPDATE_WEIGHT] = T::from_f64(positions().map(weight).sum());
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (updates, taken) in Updates::cases() {
        for (shuffle, models, folds) in [(true, 2, 1), (false, 3, 1), (true, 3, 2)] {
            let mut counters = vec![0; models * state::COUNTERS];
            for (model, counters) in counters.chunks_mut(state::COUNTERS).enumerate() {
                counters[state::BATCH] = taken + model as u32;
                counters[state::KEY] = 6 + model as u32;
            }
            // Some of them are left out of the epoch.
            let examples = updates.in_epoch + 5;
            let Contents::F32(weights) = Contents::random((folds * examples) as usize, 1.0, 1) else { continue };
            let contents = vec![
                Contents::F32(weights.into_iter().map(|weight| (4.0 * weight).max(0.0)).collect()),
                Contents::U32(counters),
                Contents::random(models * WEIGHT_SUMS, 1.0, 2),
            ];
            let s = Case::slices(&contents);
            let launch = SumWeights {
                label: "case".into(),
                examples,
                folds,
                updates,
                shuffle,
                models,
                weights: s[0],
                counters: s[1],
                weight_sums: s[2],
            };
            let name = format!("{models} models, {folds} folds, {updates:?}, batch {taken}, shuffle {shuffle}");
            cases.push(Case { name, dispatch: launch.lower(), contents });
        }
    }
    cases
}
