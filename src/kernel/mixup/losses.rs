//! The losses of a batch by its own targets and by those it is mixed with, made one.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, write};
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Rows of a batch.
        rows: u32,
        /// Outputs of the network.
        outputs: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "mixup_losses",
    wgsl: include_str!("../../../shaders/mixup_losses.wgsl"),
    needs: Needs::Nothing,
    bindings: &[
        read("shares"),
        read("other_gradient"),
        read("other_loss"),
        read("other_correct"),
        write("gradient"),
        write("row_loss"),
        write("row_correct"),
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

/// What a loss gives: its gradient (models, rows, outputs), and of each row (models, rows) the loss and whether it is right.
#[derive(Debug, Clone, Copy)]
pub struct Results {
    /// The gradient of the batch's mean loss.
    pub gradient: Slice,
    /// Each row's loss.
    pub row_loss: Slice,
    /// 1 for a right answer, else 0.
    pub row_correct: Slice,
}

/// A launch for `models` models.
#[derive(Debug, Clone)]
pub struct MixupLosses {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// (models, rows): the others' share.
    pub shares: Slice,
    /// By the others' targets.
    pub others: Results,
    /// By the rows' own targets; afterwards those of both.
    pub results: Results,
}

impl Launch for MixupLosses {
    fn lower(&self) -> Dispatch {
        let MixupLosses { label, shape, models, shares, others, results } = self.clone();
        let items = shape.rows as usize * shape.outputs as usize;
        let slices = |r: Results| [r.gradient, r.row_loss, r.row_correct];
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: Vec::new(),
            params: shape.words(),
            slices: [&[shares][..], &slices(others), &slices(results)].concat(),
            grid: linear_grid(items.div_ceil(128), models as u32),
            cost: Cost { flops: 3.0 * items as f64, bytes: 12.0 * items as f64 }.times(models),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let (p, models): (Params, _) = (args.params(), args.models());
    let [shares, other_gradient, other_loss, other_correct, gradient, row_loss, row_correct] = args.operands();
    let (shares, other_gradient) = (shares.read(), other_gradient.read());
    let (other_loss, other_correct) = (other_loss.read(), other_correct.read());
    let (gradient, row_loss, row_correct) = (gradient.write(), row_loss.write(), row_correct.write());
    let outputs = p.outputs as usize;
    let mix = |own: &mut T, other: &T, share: &T| {
        *own = T::from_f64(own.to_f64() + share.to_f64() * (other.to_f64() - own.to_f64()));
    };
    for at in 0..models * p.rows as usize {
        let columns = at * outputs..(at + 1) * outputs;
        for (own, other) in gradient[columns.clone()].iter_mut().zip(&other_gradient[columns]) {
            mix(own, other, &shares[at]);
        }
        mix(&mut row_loss[at], &other_loss[at], &shares[at]);
        mix(&mut row_correct[at], &other_correct[at], &shares[at]);
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for [rows, outputs, models] in [[1, 1, 1], [2, 3, 3], [17, 5, 2], [31, 129, 2], [130, 1, 3], [65, 10, 2]] {
        let (all, elements) = (models * rows, models * rows * outputs);
        let Contents::F32(shares) = Contents::random(all, 0.5, 2) else { continue };
        let contents = vec![
            Contents::F32(shares.iter().map(|share| share + 0.5).collect()),
            Contents::random(elements, 1.0, 3),
            Contents::random(all, 3.0, 4),
            Contents::random(all, 1.0, 5),
            Contents::random(elements, 1.0, 6),
            Contents::random(all, 3.0, 7),
            Contents::random(all, 1.0, 8),
        ];
        let s = Case::slices(&contents);
        let launch = MixupLosses {
            label: "case".into(),
            shape: Params { rows: rows as u32, outputs: outputs as u32 },
            models,
            shares: s[0],
            others: Results { gradient: s[1], row_loss: s[2], row_correct: s[3] },
            results: Results { gradient: s[4], row_loss: s[5], row_correct: s[6] },
        };
        cases.push(Case { name: format!("{models}x{rows}x{outputs}"), dispatch: launch.lower(), contents });
    }
    cases
}
