//! Changes of the batch's images.

use super::{Lowering, Operation};
use crate::ir::Slice;
use crate::kernel::Launch;
use crate::kernel::step::augment;
use std::sync::Arc;

/// the batch → input. The numbers of the changes; the batch's size and its scaling are those of the lowering.
#[derive(Debug)]
pub struct Augment(pub augment::Params);

impl Operation for Augment {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let shape = augment::Params { rows: at.rows as u32, add: at.scaling.add, ..self.0 };
        let operands = augment::Operands {
            input: reads[0],
            indices: at.indices,
            counters: at.counters,
            subtract: at.scaling.subtract,
            divide: at.scaling.divide,
            output: writes[0],
        };
        vec![Arc::new(augment::Augment { label: "augment".into(), shape, models: at.models, operands })]
    }

    fn describe(&self) -> String {
        "the augmentation".into()
    }
}
