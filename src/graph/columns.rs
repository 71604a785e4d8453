//! Values one after the other.

use super::{Backward, Lowering, Node, Operation, ValueId};
use crate::ir::Slice;
use crate::kernel::pointwise::copy_columns::{CopyColumns, Operands, Params};
use crate::kernel::{Activation, Launch};
use std::sync::Arc;

/// inputs → each example's scalars of the first, of the second, and so on.
#[derive(Debug)]
pub struct Join {
    /// Scalars per example of each input.
    pub lens: Vec<usize>,
}

impl Operation for Join {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let to_stride = self.lens.iter().sum::<usize>() as u32;
        let mut to_first = 0;
        let part = |(input, len): (&Slice, &usize)| -> Arc<dyn Launch> {
            let (rows, len) = (at.rows as u32, *len as u32);
            let shape = Params { rows, len, from_first: 0, from_stride: len, to_first, to_stride };
            to_first += len;
            Arc::new(CopyColumns {
                label: "concat".into(),
                shape,
                models: at.models,
                activation: Activation::Linear.code(),
                operands: Operands { input: *input, saved: *input, output: writes[0] },
            })
        };
        reads.iter().zip(&self.lens).map(part).collect()
    }

    fn backward(&self, node: &Node, gradient: ValueId, pass: &mut Backward) {
        let mut first = 0;
        for (input, len) in node.reads.iter().zip(&self.lens) {
            let (first_column, len) = (first, *len);
            pass.gradient_in_epilogue(*input, |activation, saved| {
                (Arc::new(Part { first: first_column, len, activation }), vec![gradient, saved])
            });
            first += len;
        }
    }

    fn describe(&self) -> String {
        "the concatenation".into()
    }
}

/// (gradient, saved) → some of its scalars, times the derivative of `activation` at what was saved.
#[derive(Debug)]
pub struct Part {
    /// The first scalar of an example.
    pub first: usize,
    /// Scalars per example.
    pub len: usize,
    /// Of the operation that made the input.
    pub activation: Activation,
}

impl Operation for Part {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let [first, len, stride] = [self.first, self.len, at.per_row(reads[0]) as usize].map(|n| n as u32);
        let shape =
            Params { rows: at.rows as u32, len, from_first: first, from_stride: stride, to_first: 0, to_stride: len };
        vec![Arc::new(CopyColumns {
            label: "concat backward".into(),
            shape,
            models: at.models,
            activation: self.activation.code(),
            operands: Operands { input: reads[0], saved: reads[1], output: writes[0] },
        })]
    }

    fn describe(&self) -> String {
        "a part of a gradient".into()
    }
}
