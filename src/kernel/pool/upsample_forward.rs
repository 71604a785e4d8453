//! Nearest-neighbour upsampling by whole factors, forward: each pixel becomes a window of itself, as in PyTorch's
//! `nn.Upsample(scale_factor=…, mode="nearest")`.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, write};
use crate::kernel::pool::shape::THREADS;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Channels of all images of the batch.
        planes: u32,
        /// Rows in.
        height: u32,
        /// Columns in.
        width: u32,
        /// Rows out for each row in.
        factor_height: u32,
        /// Columns out for each column in.
        factor_width: u32,
    }
}

impl Params {
    /// Pixels of an input plane.
    pub fn input_area(&self) -> usize {
        self.height as usize * self.width as usize
    }

    /// Columns of an output plane.
    pub(crate) fn output_width(&self) -> usize {
        self.width as usize * self.factor_width as usize
    }

    /// Pixels of an output plane.
    pub fn output_area(&self) -> usize {
        self.height as usize * self.factor_height as usize * self.output_width()
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "upsample_forward",
    wgsl: include_str!("../../../shaders/upsample_forward.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("input"), write("output")],
    params: Params::FIELDS,
};

/// What it computes.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 0.0,
    cases,
};

/// A launch for `models` models: input (models, planes, height, width), output (models, planes, height * factor_height,
/// width * factor_width); `output[p, y, x] = input[p, y / factor_height, x / factor_width]`.
#[derive(Debug, Clone)]
pub struct UpsampleForward {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// What is read.
    pub input: Slice,
    /// What is written.
    pub output: Slice,
}

impl Launch for UpsampleForward {
    fn lower(&self) -> Dispatch {
        let UpsampleForward { label, shape, models, input, output } = self.clone();
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![],
            cost: cost(&shape).times(models),
            params: shape.words(),
            slices: vec![input, output],
            grid: linear_grid((shape.planes as usize * shape.output_area()).div_ceil(THREADS), models as u32),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let count = args.models() * p.planes as usize * p.output_area();
    let [input, output] = args.operands();
    let (input, output) = (input.read(), output.write());
    for (index, output) in output.iter_mut().take(count).enumerate() {
        let (plane, place) = (index / p.output_area(), index % p.output_area());
        let (y, x) = (place / p.output_width(), place % p.output_width());
        let row = plane * p.height as usize + y / p.factor_height as usize;
        *output = input[row * p.width as usize + x / p.factor_width as usize];
    }
}

pub(super) fn cost(shape: &Params) -> Cost {
    let planes = f64::from(shape.planes);
    let [inputs, outputs] = [shape.input_area(), shape.output_area()].map(|area| planes * area as f64);
    Cost { flops: outputs, bytes: 4.0 * (inputs + outputs) }
}

/// Shapes for cases, with their numbers of models.
pub(super) fn shapes() -> impl Iterator<Item = (usize, Params)> {
    // (models, planes, height, width, factors)
    const ROWS: [(usize, u32, u32, u32, [u32; 2]); 8] = [
        (1, 1, 1, 1, [1, 1]),
        (1, 1, 1, 1, [5, 3]),
        (2, 3, 5, 7, [2, 2]),
        (3, 2, 3, 5, [1, 3]),
        (1, 7, 4, 1, [3, 1]),
        (1, 13, 7, 7, [2, 3]),
        (2, 1, 17, 13, [4, 5]),
        (1, 8, 20, 20, [2, 2]),
    ];
    ROWS.into_iter().map(|(models, planes, height, width, [factor_height, factor_width])| {
        (models, Params { planes, height, width, factor_height, factor_width })
    })
}

fn cases() -> Vec<Case> {
    let case = |(models, shape): (usize, Params)| {
        let planes = models * shape.planes as usize;
        let contents = vec![
            Contents::random(planes * shape.input_area(), 1000.0, 1),
            Contents::random(planes * shape.output_area(), 1.0, 2),
        ];
        let s = Case::slices(&contents);
        let dispatch = UpsampleForward { label: "case".into(), shape, models, input: s[0], output: s[1] }.lower();
        Case { name: format!("{models} models, {shape:?}"), dispatch, contents }
    };
    shapes().map(case).collect()
}
