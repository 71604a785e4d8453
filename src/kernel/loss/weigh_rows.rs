//! The losses of a batch's rows and their gradient by the weights of its examples.

use super::weights::{BATCH_WEIGHT, UPDATE_WEIGHT, Updates, WEIGHT_SUMS};
use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, read_u32, write};
use crate::kernel::loss::rows::batch_rows;
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Rows of a full batch.
        batch: u32,
        /// Examples that an epoch goes through.
        in_epoch: u32,
        /// Batches of an update.
        batches: u32,
        /// Outputs of the network.
        outputs: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "weigh_rows",
    wgsl: include_str!("../../../shaders/weigh_rows.wgsl"),
    needs: Needs::Nothing,
    bindings: &[
        read("weights"),
        read_u32("indices"),
        read("weight_sums"),
        read_u32("counters"),
        write("gradient"),
        write("row_loss"),
    ],
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

/// Slices of one launch.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// One for each example, shared by all models.
    pub weights: Slice,
    /// (models, batch): the example of each row.
    pub indices: Slice,
    /// (models, [`WEIGHT_SUMS`]), of this batch.
    pub weight_sums: Slice,
    /// (models, COUNTERS), before the batch is counted.
    pub counters: Slice,
    /// (models, batch, outputs): that of the batch's mean loss before, and of the weighted mean over the update after, as
    /// [`accumulate_gradients`](crate::kernel::optimizer::accumulate_gradients) adds it up.
    pub gradient: Slice,
    /// (models, batch): their mean over the real rows is the weighted mean after.
    pub row_loss: Slice,
}

/// A launch for `models` models.
#[derive(Debug, Clone)]
pub struct WeighRows {
    /// What it computes here.
    pub label: String,
    /// The batches of an update.
    pub updates: Updates,
    /// Outputs of the network.
    pub outputs: u32,
    /// Models side by side.
    pub models: usize,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for WeighRows {
    fn lower(&self) -> Dispatch {
        let WeighRows { label, updates, outputs, models, operands } = self.clone();
        let (Updates { batch, in_epoch, batches }, o) = (updates, operands);
        let items = batch as usize * outputs as usize;
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: Vec::new(),
            params: Params { batch, in_epoch, batches, outputs }.words(),
            slices: vec![o.weights, o.indices, o.weight_sums, o.counters, o.gradient, o.row_loss],
            grid: linear_grid(items.div_ceil(128), models as u32),
            cost: Cost { flops: items as f64, bytes: 8.0 * items as f64 }.times(models),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let Params { batch, in_epoch, batches, outputs } = args.params();
    let models = args.models();
    let [weights, indices, weight_sums, counters, gradient, row_loss] = args.operands();
    let (weights, indices, weight_sums) = (weights.read(), indices.read_u32(), weight_sums.read());
    let (counters, gradient, row_loss) = (counters.read_u32(), gradient.write(), row_loss.write());
    for model in 0..models {
        let sums = &weight_sums[model * WEIGHT_SUMS..];
        let per_weight = |rows: u64, slot: usize| match sums[slot].to_f64() {
            sum if sum > 0.0 => rows as f64 / sum,
            _ => 0.0,
        };
        let (_, in_update) = Updates { batch, in_epoch, batches }.of(counters[model * state::COUNTERS + state::BATCH]);
        let of_gradient = per_weight(in_update, UPDATE_WEIGHT);
        let of_loss = per_weight(batch_rows(batch, in_epoch, counters, model) as u64, BATCH_WEIGHT);
        for row in model * batch as usize..(model + 1) * batch as usize {
            let weight = weights[indices[row] as usize].to_f64();
            row_loss[row] = T::from_f64(row_loss[row].to_f64() * weight * of_loss);
            for slope in &mut gradient[row * outputs as usize..(row + 1) * outputs as usize] {
                *slope = T::from_f64(slope.to_f64() * weight * of_gradient);
            }
        }
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for ((updates, taken), outputs) in Updates::cases().into_iter().zip([1, 3, 10, 1, 7, 2, 5]) {
        let (models, rows, examples) = (3, 3 * updates.batch as usize, updates.in_epoch as usize + 5);
        let mut counters = vec![0; models * state::COUNTERS];
        for (model, counters) in counters.chunks_mut(state::COUNTERS).enumerate() {
            counters[state::BATCH] = taken + model as u32;
        }
        let Contents::F32(weights) = Contents::random(examples, 1.0, 1) else { continue };
        // The sums of a batch without a weight are 0.
        let sums = [[0.75, 31.0, 1.0, 1.0], [0.0, 25.5, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]].concat();
        let contents = vec![
            Contents::F32(weights.into_iter().map(|weight| (4.0 * weight).max(0.0)).collect()),
            Contents::U32((0..rows).map(|row| ((row * 7 + 3) % examples) as u32).collect()),
            Contents::F32(sums),
            Contents::U32(counters),
            Contents::random(rows * outputs as usize, 1.0, 2),
            Contents::random(rows, 1.0, 3),
        ];
        let s = Case::slices(&contents);
        let operands = Operands {
            weights: s[0],
            indices: s[1],
            weight_sums: s[2],
            counters: s[3],
            gradient: s[4],
            row_loss: s[5],
        };
        let launch = WeighRows { label: "case".into(), updates, outputs, models, operands };
        let name = format!("{models}x{outputs}, {updates:?}, batch {taken}");
        cases.push(Case { name, dispatch: launch.lower(), contents });
    }
    cases
}
