//! Mixes rows of numbers: a batch's inputs, or targets and weights of its examples.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, read_u32, write};
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Rows of a batch.
        rows: u32,
        /// Numbers in a row.
        len: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "mixup_rows",
    wgsl: include_str!("../../../shaders/mixup_rows.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("input"), read_u32("own"), read_u32("other"), read("shares"), write("output")],
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

/// A launch for `models` models.
#[derive(Debug, Clone)]
pub struct MixupRows {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// Rows of `len` numbers.
    pub input: Slice,
    /// (models, rows): which of them is a row's own.
    pub own: Slice,
    /// Which it is mixed with.
    pub other: Slice,
    /// The other's share.
    pub shares: Slice,
    /// (models, rows, len).
    pub output: Slice,
}

impl Launch for MixupRows {
    fn lower(&self) -> Dispatch {
        let MixupRows { label, shape, models, input, own, other, shares, output } = self.clone();
        let items = shape.rows as usize * shape.len as usize;
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: Vec::new(),
            params: shape.words(),
            slices: vec![input, own, other, shares, output],
            grid: linear_grid(items.div_ceil(128), models as u32),
            cost: Cost { flops: 3.0 * items as f64, bytes: 12.0 * items as f64 }.times(models),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let (p, models): (Params, _) = (args.params(), args.models());
    let [input, own, other, shares, output] = args.operands();
    let (input, own, other, shares) = (input.read(), own.read_u32(), other.read_u32(), shares.read());
    let (output, len) = (output.write(), p.len as usize);
    for at in 0..models * p.rows as usize {
        let row = |rows: &[u32]| &input[rows[at] as usize * len..][..len];
        for ((mixed, x), y) in output[at * len..][..len].iter_mut().zip(row(own)).zip(row(other)) {
            *mixed = T::from_f64(x.to_f64() + shares[at].to_f64() * (y.to_f64() - x.to_f64()));
        }
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for [rows, len, models] in [[1, 1, 1], [2, 3, 3], [17, 5, 2], [31, 129, 2], [5, 784, 1], [130, 1, 3], [65, 31, 2]] {
        let all = models * rows;
        let Contents::F32(shares) = Contents::random(all, 0.5, 2) else { continue };
        // The batch's own rows, or those of more examples, shared by the models.
        for (kind, inputs) in [("a batch", all), ("examples", 2 * rows + 3)] {
            let own = (0..all).map(|at| if inputs == all { at } else { (at * 7 + 1) % inputs } as u32);
            let contents = vec![
                Contents::random(inputs * len, 2.0, 1),
                Contents::U32(own.collect()),
                Contents::U32((0..all).map(|at| ((at * 5 + 2) % inputs) as u32).collect()),
                Contents::F32(shares.iter().map(|share| share + 0.5).collect()),
                Contents::random(all * len, 1.0, 3),
            ];
            let s = Case::slices(&contents);
            let launch = MixupRows {
                label: "case".into(),
                shape: Params { rows: rows as u32, len: len as u32 },
                models,
                input: s[0],
                own: s[1],
                other: s[2],
                shares: s[3],
                output: s[4],
            };
            let name = format!("{models}x{rows}x{len} of {kind}");
            cases.push(Case { name, dispatch: launch.lower(), contents });
        }
    }
    cases
}
