//! The current batch out of the data set: picked by the epoch's permutation, scaled, bytes turned to floats.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, read_u32, write, write_u32};
use crate::kernel::formula::hash;
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification, constant};

params! {
    /// Shape of one launch.
    Params {
        /// Examples in the batch.
        rows: u32,
        /// Scalars in an example.
        features: u32,
        /// Words in a row of the data: `features`, or with bytes a quarter of it, rounded up.
        row_words: u32,
        /// Examples in the whole data set; of one fold, where there are several.
        examples: u32,
        /// Rows of one order in the data of a streamed set; elsewhere it has no meaning.
        window: u32,
        /// Added last.
        add: f32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "gather",
    wgsl: include_str!("../../../shaders/gather.wgsl"),
    needs: Needs::Nothing,
    bindings: &[
        read_u32("data"),
        read_u32("counters"),
        read("subtract"),
        read("divide"),
        write("batch"),
        write_u32("indices"),
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
    /// The whole data set, or a window of each order.
    pub data: Slice,
    /// Step state.
    pub counters: Slice,
    /// One per feature, or one for all.
    pub subtract: Slice,
    /// As long as `subtract`.
    pub divide: Slice,
    /// (models, rows, features).
    pub batch: Slice,
    /// (models, rows).
    pub indices: Slice,
}

/// How the data is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// The data holds four bytes a word.
    pub bytes: bool,
    /// The epoch has an order of its own.
    pub shuffle: bool,
    /// The data holds `window` rows of each order: one per model if they are shuffled, else one per fold.
    pub streamed: bool,
    /// Sets of `examples` that the data holds one after the other: model `m` takes set `m % folds`.
    pub folds: u32,
}

impl Variant {
    /// Values of the constants that `shaders/lib/examples.wgsl` and its like declare.
    pub(crate) fn constants(self) -> Vec<(&'static str, u32)> {
        let Variant { bytes, shuffle, streamed, folds } = self;
        let constants = [("BYTES", bytes.into()), ("SHUFFLE", shuffle.into()), ("STREAMED", streamed.into())];
        constants.into_iter().chain((folds > 1).then_some(("FOLDS", folds))).collect()
    }

    pub(crate) fn of(constants: &[(&'static str, u32)]) -> Variant {
        let [bytes, shuffle, streamed] = ["BYTES", "SHUFFLE", "STREAMED"].map(|name| constant(constants, name, 0) == 1);
        Variant { bytes, shuffle, streamed, folds: constant(constants, "FOLDS", 1) }
    }

    /// The place of a model's fold among the folds, and that of its order among the windows of a streamed set.
    pub(crate) fn fold_and_order(self, model: usize) -> (usize, usize) {
        let fold = model % self.folds as usize;
        (fold, if self.shuffle { model } else { fold })
    }
}

/// A launch for `models` models.
#[derive(Debug, Clone)]
pub struct Gather {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// How it is computed.
    pub variant: Variant,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for Gather {
    fn lower(&self) -> Dispatch {
        let Gather { label, shape, models, variant, operands } = self.clone();
        let o = operands;
        let items = shape.rows as usize * shape.row_words as usize;
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: [&variant.constants()[..], &[("PER_FEATURE", (o.subtract.len > 1).into())]].concat(),
            cost: cost(&shape.words()).times(models),
            params: shape.words(),
            slices: vec![o.data, o.counters, o.subtract, o.divide, o.batch, o.indices],
            grid: linear_grid(items.div_ceil(128), models as u32),
            demands: Demands::default(),
        }
    }
}

/// The example that row `row` of a model's current batch takes, and its row of the data; `None` past the end of the data
/// set. `counters` are the model's own.
pub(crate) fn example(p: &Params, counters: &[u32], model: usize, row: u32, variant: Variant) -> Option<(u32, usize)> {
    let position = counters[state::BATCH] * p.rows + row;
    let order = || if variant.shuffle { hash::permute(position, p.examples, counters[state::KEY]) } else { position };
    let (fold, window) = variant.fold_and_order(model);
    let example = (position < p.examples).then(order)? + fold as u32 * p.examples;
    let first = window * p.window as usize;
    let data_row = if variant.streamed { first + (position % p.window) as usize } else { example as usize };
    Some((example, data_row))
}

pub(crate) fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, variant, per_feature) =
        (args.models(), Variant::of(args.constants), args.constant("PER_FEATURE", 0) == 1);
    let [data, counters, subtract, divide, batch, indices] = args.operands();
    let (data, counters, subtract, divide) = (data.read_u32(), counters.read_u32(), subtract.read(), divide.read());
    let (batch, indices) = (batch.write(), indices.write_u32());
    for model in 0..models {
        let counters = &counters[model * state::COUNTERS..];
        for row in 0..p.rows {
            let found = example(&p, counters, model, row, variant);
            let at = model * p.rows as usize + row as usize;
            indices[at] = found.map_or(0, |(example, _)| example);
            for feature in 0..p.features as usize {
                let value = found.map_or(0.0, |(_, data_row)| {
                    let words = &data[data_row * p.row_words as usize..];
                    let raw = if variant.bytes {
                        f64::from(words[feature / 4] >> (8 * (feature % 4)) & 0xff)
                    } else {
                        f64::from(f32::from_bits(words[feature]))
                    };
                    let i = if per_feature { feature } else { 0 };
                    (raw - subtract[i].to_f64()) / divide[i].to_f64() + f64::from(p.add)
                });
                batch[at * p.features as usize + feature] = T::from_f64(value);
            }
        }
    }
}

fn cost(params: &[u32]) -> Cost {
    let [rows, features, row_words] = [0, 1, 2].map(|i| f64::from(params[i]));
    Cost { flops: 3.0 * rows * features, bytes: 4.0 * rows * (features + row_words) }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // (rows, features, examples, rows of a window, batch number, models); the window of a set that is not streamed must
    // not matter.
    let shapes: [[u32; 6]; 9] = [
        [1, 1, 1, 1, 0, 1],
        [3, 17, 10, 3, 3, 1],
        [65, 784, 131, 65, 2, 2],
        [17, 5, 67, 34, 1, 3],
        [17, 67, 67, 51, 3, 3],
        // The batch's window does not begin at the data's first row.
        [5, 6, 101, 15, 8, 2],
        [128, 12, 1009, 256, 7, 2],
        // Around powers of two, where the permutation's domain grows; every example in one batch.
        [32, 3, 32, 32, 0, 1],
        [33, 3, 33, 33, 0, 1],
    ];
    for (index, shape) in shapes.into_iter().enumerate() {
        for number in 0..8 {
            let [bytes, shuffle, streamed] = [number & 1, number & 2, number & 4].map(|bit| bit == 0);
            let per_feature = (index + number) % 2 == 1;
            cases.extend(case(shape, Variant { bytes, shuffle, streamed, folds: 1 }, per_feature));
        }
    }
    // Two folds, which five models take in turn.
    for number in 0..8 {
        let [bytes, shuffle, streamed] = [number & 1, number & 2, number & 4].map(|bit| bit == 0);
        let variant = Variant { bytes, shuffle, streamed, folds: 2 };
        cases.extend(case([5, 6, 101, 15, 8, 5], variant, number % 3 == 0));
    }
    cases
}

fn case(shape: [u32; 6], variant: Variant, per_feature: bool) -> Option<Case> {
    let [rows, features, examples, window, number, models] = shape;
    let row_words = if variant.bytes { features.div_ceil(4) } else { features };
    let orders = if variant.shuffle { models } else { variant.folds };
    let data_rows = if variant.streamed { orders * window } else { variant.folds * examples };
    let Contents::F32(raw) = Contents::random((data_rows * row_words) as usize, 1000.0, 1) else { return None };
    let mut counters = vec![0; models as usize * state::COUNTERS];
    for (model, counters) in counters.chunks_mut(state::COUNTERS).enumerate() {
        counters[state::BATCH] = number;
        // With these keys `permute` comes back even from places past the end, so that a broken guard shows at once.
        counters[state::KEY] = 6 + model as u32;
    }
    let scales = if per_feature { features as usize } else { 1 };
    let Contents::F32(divide) = Contents::random(scales, 1.0, 3) else { return None };
    let contents = vec![
        Contents::U32(raw.iter().map(|x| x.to_bits()).collect()),
        Contents::U32(counters),
        Contents::random(scales, 10.0, 2),
        Contents::F32(divide.iter().map(|d| 2.0 + d).collect()),
        Contents::random((models * rows * features) as usize, 1.0, 4),
        Contents::U32(vec![7; (models * rows) as usize]),
    ];
    let s = Case::slices(&contents);
    let operands = Operands { data: s[0], counters: s[1], subtract: s[2], divide: s[3], batch: s[4], indices: s[5] };
    let params = Params { rows, features, row_words, examples, window, add: -0.5 };
    let dispatch = Gather { label: "case".into(), shape: params, models: models as usize, variant, operands }.lower();
    let name = format!("{models}x{rows}x{features} of {examples}, window {window}, {variant:?}");
    Some(Case { name, dispatch, contents })
}
