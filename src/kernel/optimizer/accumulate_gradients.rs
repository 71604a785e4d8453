//! The gradients of several batches, for one update.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, read_u32, write};
use crate::kernel::loss::rows::batch_rows;
use crate::kernel::optimizer::{rules, update};
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch over a range of the flat buffers of all models.
    Params {
        /// Elements in the range.
        len: u32,
        /// First element of the range.
        first: u32,
        /// Elements per model.
        parameter_stride: u32,
        /// Examples in a batch.
        batch: u32,
        /// Examples that an epoch goes through.
        examples: u32,
        /// Batches of an update; the last one of an epoch takes what is left.
        batches: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "accumulate_gradients",
    wgsl: include_str!("../../../shaders/accumulate_gradients.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("batch_gradients"), read_u32("counters"), write("gradients")],
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

/// A launch over one range. After the last batch of an update `gradients` are the mean over the examples of all its batches.
#[derive(Debug, Clone)]
pub struct AccumulateGradients {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// The range of the batch's gradients.
    pub batch_gradients: Slice,
    /// (models, COUNTERS), before the batch is counted.
    pub counters: Slice,
    /// The same range of the update's gradients.
    pub gradients: Slice,
}

impl Launch for AccumulateGradients {
    fn lower(&self) -> Dispatch {
        let AccumulateGradients { label, shape, batch_gradients, counters, gradients } = self.clone();
        let len = f64::from(shape.len);
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: Vec::new(),
            params: shape.words(),
            slices: vec![batch_gradients, counters, gradients],
            grid: linear_grid((shape.len as usize).div_ceil(128), 1),
            cost: Cost { flops: 2.0 * len, bytes: 12.0 * len },
            demands: Demands::default(),
        }
    }
}

/// A model's weight of this batch in its update, and whether it is the first one.
pub(crate) fn weight(p: &Params, counters: &[u32], model: usize) -> (f64, bool) {
    let taken = counters[model * state::COUNTERS + state::BATCH];
    let rows = batch_rows(p.batch, p.examples, counters, model);
    let before = u64::from(taken / p.batches) * u64::from(p.batch) * u64::from(p.batches);
    let all = u64::from(p.examples).saturating_sub(before).min(u64::from(p.batch) * u64::from(p.batches));
    (rows as f64 / all.max(1) as f64, taken.is_multiple_of(p.batches))
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let [batch_gradients, counters, gradients] = args.operands();
    let (batch_gradients, counters, gradients) = (batch_gradients.read(), counters.read_u32(), gradients.write());
    for (model, first, len) in rules::model_pieces([p.first, p.len, p.parameter_stride]) {
        let (weight, begins) = weight(&p, counters, model);
        for (sum, gradient) in gradients[first..].iter_mut().zip(&batch_gradients[first..]).take(len) {
            let before = if begins { 0.0 } else { sum.to_f64() };
            *sum = T::from_f64(before + gradient.to_f64() * weight);
        }
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // (batch, examples, batches of an update, batch of the first model); each model is one batch further.
    let places = [[1, 1, 1, 0], [31, 155, 2, 3], [7, 40, 3, 2], [7, 40, 4, 4], [128, 1000, 8, 6]];
    for ([models, stride, first, len], [batch, examples, batches, taken]) in update::CASE_RANGES.into_iter().zip(places)
    {
        for (shift, scale) in [(0, 1.0), (1, 1000.0)] {
            let mut counters = vec![9; models * state::COUNTERS];
            for (model, counters) in counters.chunks_mut(state::COUNTERS).enumerate() {
                counters[state::BATCH] = taken + shift + model as u32;
            }
            let contents =
                vec![Contents::random(len, scale, 1), Contents::U32(counters), Contents::random(len, scale, 2)];
            let s = Case::slices(&contents);
            let (len, first, parameter_stride) = (len as u32, first as u32, stride as u32);
            let shape = Params { len, first, parameter_stride, batch, examples, batches };
            let (batch_gradients, counters, gradients) = (s[0], s[1], s[2]);
            let launch = AccumulateGradients { label: "case".into(), shape, batch_gradients, counters, gradients };
            let name = format!(
                "{len} of {models}x{stride}, batch {} of {examples} by {batch}, {batches} to an update",
                taken + shift
            );
            cases.push(Case { name, dispatch: launch.lower(), contents });
        }
    }
    cases
}
