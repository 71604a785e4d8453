//! What is mixed with what in a batch, and in which ratio.

use super::{Pairs, QUANTILES, other_row, quantile, quantiles};
use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, read_u32, write, write_u32};
use crate::kernel::loss::rows::{batch_rows, case_data};
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Rows of a batch.
        rows: u32,
        /// Examples that an epoch goes through.
        examples: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "mixup_pairs",
    wgsl: include_str!("../../../shaders/mixup_pairs.wgsl"),
    needs: Needs::Nothing,
    bindings: &[
        read_u32("indices"),
        read_u32("counters"),
        read("quantiles"),
        write_u32("own"),
        write_u32("other"),
        write_u32("other_examples"),
        write("shares"),
    ],
    params: Params::FIELDS,
};

/// What it computes: whole numbers, and copies.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 0.0,
    cases,
};

/// A launch for `models` models.
#[derive(Debug, Clone)]
pub struct MixupPairs {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// (models, rows): the example of each row.
    pub indices: Slice,
    /// (models, COUNTERS), before the batch is counted.
    pub counters: Slice,
    /// The [`QUANTILES`] to draw from, shared by all models.
    pub quantiles: Slice,
    /// What is drawn.
    pub pairs: Pairs,
}

impl Launch for MixupPairs {
    fn lower(&self) -> Dispatch {
        let MixupPairs { label, shape, models, indices, counters, quantiles, pairs } = self.clone();
        let Pairs { own, other, other_examples, shares } = pairs;
        let rows = f64::from(shape.rows);
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: Vec::new(),
            params: shape.words(),
            slices: vec![indices, counters, quantiles, own, other, other_examples, shares],
            grid: linear_grid(shape.rows.div_ceil(64) as usize, models as u32),
            cost: Cost { flops: rows, bytes: 24.0 * rows }.times(models),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let (p, models): (Params, _) = (args.params(), args.models());
    let [indices, counters, quantiles, own, other, other_examples, shares] = args.operands();
    let (indices, counters, quantiles) = (indices.read_u32(), counters.read_u32(), quantiles.read());
    let (own, other, other_examples) = (own.write_u32(), other.write_u32(), other_examples.write_u32());
    let shares = shares.write();
    for model in 0..models {
        let rows = batch_rows(p.rows, p.examples, counters, model) as u32;
        let (first, state) = (model as u32 * p.rows, &counters[model * state::COUNTERS..]);
        let share = quantiles[quantile(state[state::SEED], state[state::EPOCH], state[state::BATCH])];
        for row in 0..p.rows {
            let partner = first + if row < rows { other_row(row, rows) } else { row };
            let at = (first + row) as usize;
            (own[at], other[at], other_examples[at]) = (first + row, partner, indices[partner as usize]);
            shares[at] = if row < rows { share } else { T::default() };
        }
    }
}

fn cases() -> Vec<Case> {
    let shapes = [(1, 1), (2, 3), (17, 2), (31, 1), (64, 2), (65, 3), (200, 2)];
    shapes.into_iter().flat_map(|(rows, models)| [0.4, 1.0].map(|strength| case(rows, models, strength))).collect()
}

fn case(rows: usize, models: usize, strength: f32) -> Case {
    let data = case_data(rows, models);
    let (indices, mut counters) = (data.indices, data.counters);
    if let Contents::U32(counters) = &mut counters {
        for (model, counters) in counters.chunks_mut(state::COUNTERS).enumerate() {
            (counters[state::SEED], counters[state::EPOCH]) = (11 + 5 * model as u32, 3 + rows as u32 % 7);
        }
    }
    let words = || Contents::U32(vec![7; models * rows]);
    let contents = vec![
        indices,
        counters,
        Contents::F32(quantiles(strength)),
        words(),
        words(),
        words(),
        Contents::random(models * rows, 1.0, 1),
    ];
    assert_eq!(contents[2].len(), QUANTILES);
    let s = Case::slices(&contents);
    let launch = MixupPairs {
        label: "case".into(),
        shape: Params { rows: rows as u32, examples: data.examples as u32 },
        models,
        indices: s[0],
        counters: s[1],
        quantiles: s[2],
        pairs: Pairs { own: s[3], other: s[4], other_examples: s[5], shares: s[6] },
    };
    Case { name: format!("{models}x{rows}, Beta({strength}, {strength})"), dispatch: launch.lower(), contents }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_real_row_is_another_rows_other() {
        for rows in [1, 2, 5, 31] {
            let mut others: Vec<u32> = (0..rows).map(|row| other_row(row, rows)).collect();
            assert!(rows == 1 || (0..rows).all(|row| others[row as usize] != row));
            others.sort_unstable();
            assert_eq!(others, (0..rows).collect::<Vec<_>>());
        }
    }

    #[test]
    fn ratios_differ_by_seed_epoch_and_batch_and_reach_all_quantiles() {
        let drawn: Vec<usize> = (0..40_000).map(|batch| quantile(3, batch / 100, batch % 100)).collect();
        let mean = drawn.iter().sum::<usize>() as f64 / (drawn.len() * QUANTILES) as f64;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        assert!(drawn.iter().all(|index| *index < QUANTILES));
        assert!(drawn.iter().collect::<std::collections::BTreeSet<_>>().len() > QUANTILES * 99 / 100);
        let same = (0..1000).filter(|batch| quantile(3, 0, *batch) == quantile(4, 0, *batch)).count();
        assert!(same < 10, "{same}");
    }
}
