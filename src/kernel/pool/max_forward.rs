//! Max pooling, forward: the largest pixel of each window. Padding does not count.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, read, write};
use crate::kernel::pool::shape::{Params, THREADS, shapes};
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "max_pool_forward",
    wgsl: include_str!("../../../shaders/max_pool_forward.wgsl"),
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

/// A launch for `models` models: input (models, planes, height, width), output (models, planes, output_height,
/// output_width).
#[derive(Debug, Clone)]
pub struct MaxForward {
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

impl Launch for MaxForward {
    fn lower(&self) -> Dispatch {
        let MaxForward { label, shape, models, input, output } = self.clone();
        let lanes = shape.lanes();
        let groups = (shape.planes as usize * shape.output_area()).div_ceil(THREADS / lanes);
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![("LANES", lanes as u32)],
            cost: cost(&shape.words()).times(models),
            params: shape.words(),
            slices: vec![input, output],
            grid: linear_grid(groups, models as u32),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let models = args.models();
    let [input, output] = args.operands();
    let (input, output) = (input.read(), output.write());
    let width = p.output_width as usize;
    let count = models * p.planes as usize * p.output_area();
    for (index, output) in output.iter_mut().take(count).enumerate() {
        let (place, plane) = (index % p.output_area(), index / p.output_area());
        let plane = &input[plane * p.input_area()..][..p.input_area()];
        let largest = p.first_maximum(plane, p.window(place / width, place % width), is_larger);
        *output = plane[largest];
    }
}

/// Whether a pixel displaces the largest before it; NaN stays the largest, so that it is not hidden.
pub(crate) fn is_larger<T: Real>(candidate: T, largest: T) -> bool {
    let (candidate, largest) = (candidate.to_f64(), largest.to_f64());
    (candidate > largest || candidate.is_nan()) && !largest.is_nan()
}

pub(crate) fn cost(params: &[u32]) -> Cost {
    let at = |i: usize| f64::from(params[i]);
    let outputs = at(0) * at(9) * at(10);
    Cost { flops: outputs * at(3) * at(4), bytes: 4.0 * (at(0) * at(1) * at(2) + outputs) }
}

fn cases() -> Vec<Case> {
    let case = |(name, models, p): (String, usize, Params)| {
        let scale = if p.planes % 2 == 0 { 1000.0 } else { 1.0 };
        let contents = vec![
            Contents::random(models * p.planes as usize * p.input_area(), scale, 1),
            Contents::random(models * p.planes as usize * p.output_area(), 1.0, 2),
        ];
        let s = Case::slices(&contents);
        Case {
            name,
            dispatch: MaxForward { label: "case".into(), shape: p, models, input: s[0], output: s[1] }.lower(),
            contents,
        }
    };
    shapes::all().map(case).collect()
}
