//! Muon's direction of a weight as a matrix of norm 1, on its side.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, write};
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Rows of the weight: outputs or filters.
        rows: u32,
        /// Columns of the weight: all that one output sees.
        columns: u32,
        /// Elements from one model's direction to the next's.
        stride: u32,
        /// Partial sums of the squared direction per model.
        parts: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "muon_normalise",
    wgsl: include_str!("../../../shaders/muon_normalise.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("direction"), read("norm_parts"), write("matrix")],
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
pub struct Normalise {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// (rows, columns) for each model.
    pub direction: Slice,
    /// (models, parts).
    pub norm_parts: Slice,
    /// (models, short side, long side).
    pub matrix: Slice,
}

impl Launch for Normalise {
    fn lower(&self) -> Dispatch {
        let Normalise { label, shape, models, direction, norm_parts, matrix } = self.clone();
        let len = shape.rows as usize * shape.columns as usize;
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: Vec::new(),
            cost: Cost { flops: len as f64, bytes: 8.0 * len as f64 }.times(models),
            params: shape.words(),
            slices: vec![direction, norm_parts, matrix],
            grid: linear_grid(len.div_ceil(128), models as u32),
            demands: Demands::default(),
        }
    }
}

/// The least norm that is divided by, as in torch.optim.Muon.
const LEAST_NORM: f64 = 1e-7;

/// Where element `i` of a `rows` x `columns` weight lies in the matrix, whose rows are the short side.
pub(super) fn place(i: usize, [rows, columns]: [usize; 2]) -> usize {
    if rows > columns { i % columns * rows + i / columns } else { i }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let models = args.models();
    let [direction, norm_parts, matrix] = args.operands();
    let (direction, norm_parts, matrix) = (direction.read(), norm_parts.read(), matrix.write());
    let (sides, parts) = ([p.rows, p.columns].map(|n| n as usize), p.parts as usize);
    let len = sides[0] * sides[1];
    for model in 0..models {
        let squares: f64 = norm_parts[model * parts..][..parts].iter().map(|x| x.to_f64()).sum();
        let norm = squares.sqrt().max(LEAST_NORM);
        let direction = &direction[model * p.stride as usize..][..len];
        for (i, value) in direction.iter().enumerate() {
            matrix[model * len + place(i, sides)] = T::from_f64(value.to_f64() / norm);
        }
    }
}

/// Sides of weights for cases, and models.
pub(super) const CASE_SIDES: [[usize; 3]; 6] = [[1, 1, 1], [3, 5, 2], [5, 3, 2], [7, 7, 2], [17, 130, 1], [65, 17, 3]];

fn cases() -> Vec<Case> {
    let case = |([rows, columns, models], scale): ([usize; 3], f32)| {
        let (len, parts, stride) = (rows * columns, 1 + rows % 3, (rows * columns).next_multiple_of(64));
        let Contents::F32(squares) = Contents::random(models * parts, scale, 2) else { unreachable!() };
        let contents = vec![
            Contents::random((models - 1) * stride + len, 1.0, 1),
            Contents::F32(squares.iter().map(|x| x.abs()).collect()),
            Contents::random(models * len, 1.0, 3),
        ];
        let s = Case::slices(&contents);
        let [r, c, stride, parts] = [rows, columns, stride, parts].map(|n| n as u32);
        let shape = Params { rows: r, columns: c, stride, parts };
        let launch = Normalise { label: "case".into(), shape, models, direction: s[0], norm_parts: s[1], matrix: s[2] };
        Case { name: format!("{models}x{rows}x{columns}, squares to {scale:e}"), dispatch: launch.lower(), contents }
    };
    // With next to nothing of a norm, too.
    CASE_SIDES.into_iter().flat_map(|sides| [(sides, 1.0), (sides, 1e-16)]).map(case).collect()
}
