//! Mixes the examples of a batch.

use super::{Lowering, Operation};
use crate::ir::Slice;
use crate::kernel::Launch;
use crate::kernel::mixup::{Pairs, pairs, rows};
use std::sync::Arc;

/// the batch → the mixed batch, and for losses that are not linear in the target the mixed targets; where such examples have weights,
/// these too.
#[derive(Debug)]
pub struct Mixup;

/// Where mixing finds what it needs.
#[derive(Debug, Clone, Copy)]
pub struct Mixing {
    /// The ratios to draw from.
    pub quantiles: Slice,
    /// What is mixed with what.
    pub pairs: Pairs,
}

impl Operation for Mixup {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let Some(Mixing { quantiles, pairs }) = at.mixing else {
            unreachable!("a network that mixes its batch has memory for that")
        };
        let draw = pairs::MixupPairs {
            label: "mixup: pairs".into(),
            shape: pairs::Params { rows: at.rows as u32, examples: at.source.layout.examples as u32 },
            models: at.models,
            indices: at.indices,
            counters: at.counters,
            quantiles,
            pairs,
        };
        let mix = |what: &str, input: Slice, [own, other]: [Slice; 2], output: Slice| -> Arc<dyn Launch> {
            let shape = rows::Params { rows: at.rows as u32, len: at.per_row(output) };
            let (label, models, shares) = (format!("mixup: {what}"), at.models, pairs.shares);
            Arc::new(rows::MixupRows { label, shape, models, input, own, other, shares, output })
        };
        let of_batch = mix("inputs", reads[0], [pairs.own, pairs.other], writes[0]);
        let of_examples = |what: &str, values: Slice, output: Option<&Slice>| {
            output.map(|output| mix(what, values, [at.indices, pairs.other_examples], *output))
        };
        let targets = of_examples("targets", at.targets, writes.get(1));
        let weights = at.weighing.and_then(|weighing| of_examples("weights", weighing.weights, writes.get(2)));
        [Arc::new(draw) as Arc<dyn Launch>, of_batch].into_iter().chain(targets).chain(weights).collect()
    }

    fn describe(&self) -> String {
        "mixup".into()
    }
}
