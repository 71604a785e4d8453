//! The polynomial of an iteration of Newton and Schulz, which brings all singular values of Muon's directions near 1.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, write};
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Rows and columns of a matrix.
        side: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "muon_polynomial",
    wgsl: include_str!("../../../shaders/muon_polynomial.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("gram"), write("square")],
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

/// A launch.
#[derive(Debug, Clone)]
pub struct Polynomial {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// (models, side, side): the matrix times its transpose.
    pub gram: Slice,
    /// (models, side, side): the square of that; then the polynomial.
    pub square: Slice,
}

impl Launch for Polynomial {
    fn lower(&self) -> Dispatch {
        let Polynomial { label, shape, models, gram, square } = self.clone();
        let len = shape.side as usize * shape.side as usize;
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: Vec::new(),
            cost: Cost { flops: 4.0 * len as f64, bytes: 12.0 * len as f64 }.times(models),
            params: shape.words(),
            slices: vec![gram, square],
            grid: linear_grid(len.div_ceil(128), models as u32),
            demands: Demands::default(),
        }
    }
}

/// Keller Jordan's coefficients, the defaults of torch.optim.Muon.
const COEFFICIENTS: [f64; 3] = [3.4445, -4.775, 2.0315];

fn reference<T: Real>(args: &mut Args<T>) {
    let (p, models): (Params, usize) = (args.params(), args.models());
    let [gram, square] = args.operands();
    let (gram, square) = (gram.read(), square.write());
    let (side, [a, b, c]) = (p.side as usize, COEFFICIENTS);
    for (i, (square, gram)) in square.iter_mut().zip(gram).enumerate().take(models * side * side) {
        let place = i % (side * side);
        let identity = if place / side == place % side { a } else { 0.0 };
        *square = T::from_f64(identity + b * gram.to_f64() + c * square.to_f64());
    }
}

fn cases() -> Vec<Case> {
    let case = |[side, models]: [usize; 2]| {
        let len = models * side * side;
        let contents = vec![Contents::random(len, 1.0, 1), Contents::random(len, 1.0, 2)];
        let s = Case::slices(&contents);
        let shape = Params { side: side as u32 };
        let launch = Polynomial { label: "case".into(), shape, models, gram: s[0], square: s[1] };
        Case { name: format!("{models}x{side}x{side}"), dispatch: launch.lower(), contents }
    };
    [[1, 1], [3, 2], [17, 3], [65, 1]].into_iter().map(case).collect()
}
