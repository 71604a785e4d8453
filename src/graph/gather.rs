//! The batch out of the data set.

use super::{Lowering, Operation};
use crate::ir::Slice;
use crate::kernel::Launch;
use crate::kernel::step::gather;
use std::sync::Arc;

/// () → input.
#[derive(Debug)]
pub struct Gather;

impl Operation for Gather {
    fn lower(&self, _reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let layout = &at.source.layout;
        let shape = gather::Params {
            rows: at.rows as u32,
            features: layout.features as u32,
            row_words: layout.row_words() as u32,
            examples: layout.examples as u32,
            window: at.source.window_rows(),
            add: at.scaling.add,
        };
        let operands = gather::Operands {
            data: at.data,
            counters: at.counters,
            subtract: at.scaling.subtract,
            divide: at.scaling.divide,
            batch: writes[0],
            indices: at.indices,
        };
        let variant = at.source.variant();
        vec![Arc::new(gather::Gather { label: "gather".into(), shape, models: at.models, variant, operands })]
    }

    fn describe(&self) -> String {
        "the batch".into()
    }
}
