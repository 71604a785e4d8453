//! Softmax as an output layer of its own: for losses other than cross-entropy, and for predictions.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, params, read, write};
use crate::kernel::formula::rows;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Rows of a batch.
        rows: u32,
        /// Classes.
        classes: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "softmax_forward",
    wgsl: include_str!("../../../shaders/softmax_forward.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("input"), write("output")],
    params: Params::FIELDS,
};

/// What it computes.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 2e-6,
    cases,
};

/// Slices of one launch.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, rows, classes).
    pub input: Slice,
    /// (models, rows, classes).
    pub output: Slice,
}

/// A launch for `models` models.
#[derive(Debug, Clone)]
pub struct SoftmaxForward {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for SoftmaxForward {
    fn lower(&self) -> Dispatch {
        let SoftmaxForward { label, shape, models, operands } = self.clone();
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: rows::constants(shape.classes),
            cost: cost(&shape.words()).times(models),
            params: shape.words(),
            slices: vec![operands.input, operands.output],
            grid: rows::grid(shape.rows, shape.classes, models),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (all_rows, classes) = (args.models() * p.rows as usize, p.classes as usize);
    let [input, output] = args.operands();
    let (input, output) = (input.read(), output.write());
    for first in (0..all_rows).map(|row| row * classes) {
        let z = |c: usize| input[first + c].to_f64();
        let largest = (0..classes).map(z).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = (0..classes).map(|c| (z(c) - largest).exp()).sum();
        for c in 0..classes {
            output[first + c] = T::from_f64((z(c) - largest).exp() / sum);
        }
    }
}

fn cost(params: &[u32]) -> Cost {
    let elements = f64::from(params[0]) * f64::from(params[1]);
    Cost { flops: 20.0 * elements, bytes: 8.0 * elements }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (index, [rows, classes, models]) in rows::AWKWARD.into_iter().enumerate() {
        for scale in [3.0, 1000.0] {
            let elements = models * rows * classes;
            let contents =
                vec![Contents::random(elements, scale, index as u32 + 1), Contents::random(elements, 1.0, 2)];
            let s = Case::slices(&contents);
            let shape = Params { rows: rows as u32, classes: classes as u32 };
            let dispatch = SoftmaxForward {
                label: "case".into(),
                shape,
                models,
                operands: Operands { input: s[0], output: s[1] },
            }
            .lower();
            cases.push(Case { name: format!("{models}x{rows}x{classes} to {scale}"), dispatch, contents });
        }
    }
    cases.extend(rows::not_finite(&cases));
    cases
}
