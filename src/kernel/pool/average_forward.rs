//! Average pooling, forward: the mean of each window. Padding does not count: a window that reaches over the edge divides
//! by the pixels it has, as in Keras and TensorFlow. A global average pool is a window as large as the image.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, read, write};
use crate::kernel::pool::shape::{Params, THREADS, shapes};
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "average_pool_forward",
    wgsl: include_str!("../../../shaders/average_pool_forward.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("input"), write("output")],
    params: Params::FIELDS,
};

/// What it computes.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 1e-5,
    cases,
};

/// A launch for `models` models: input (models, planes, height, width), output (models, planes, output_height,
/// output_width).
#[derive(Debug, Clone)]
pub struct AverageForward {
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

impl Launch for AverageForward {
    fn lower(&self) -> Dispatch {
        let AverageForward { label, shape, models, input, output } = self.clone();
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
        let [rows, columns] = p.window(place / width, place % width);
        let mut sum = 0.0;
        for y in rows.clone() {
            for x in columns.clone() {
                sum += input[plane * p.input_area() + y * p.width as usize + x].to_f64();
            }
        }
        *output = T::from_f64(sum / (rows.len() * columns.len()) as f64);
    }
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
            dispatch: AverageForward { label: "case".into(), shape: p, models, input: s[0], output: s[1] }.lower(),
            contents,
        }
    };
    shapes::all().map(case).collect()
}
