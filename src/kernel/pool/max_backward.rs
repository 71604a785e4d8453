//! Max pooling, backward: each window's gradient goes to its first largest pixel, as in PyTorch, times the layer before's
//! activation derivative.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, read, write};
use crate::kernel::formula::activation;
use crate::kernel::pool::max_forward::is_larger;
use crate::kernel::pool::shape::{Params, THREADS, shapes};
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "max_pool_backward",
    wgsl: include_str!("../../../shaders/max_pool_backward.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("input"), read("output_gradient"), read("saved"), write("input_gradient")],
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

/// Slices of one launch.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, planes, height, width): the pooling's input.
    pub input: Slice,
    /// (models, planes, output_height, output_width).
    pub output_gradient: Slice,
    /// (models, planes, height, width): what the layer before saved, often the same as `input`.
    pub saved: Slice,
    /// (models, planes, height, width), at the layer before's pre-activation.
    pub input_gradient: Slice,
}

/// A launch for `models` models; `activation` is the code of the layer before's activation. With
/// [`activation::LINEAR`], `saved` is not read and may be any slice of floats that the launch does not write.
#[derive(Debug, Clone)]
pub struct MaxBackward {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// Code of the activation.
    pub activation: u32,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for MaxBackward {
    fn lower(&self) -> Dispatch {
        let MaxBackward { label, shape, models, activation, operands } = self.clone();
        let planes = shape.planes as usize;
        // Where one window is worth a workgroup, the maximum is found once, not by each pixel.
        let (lanes, groups) = match shape.is_whole() && shape.lanes() == THREADS {
            true => (THREADS, planes),
            false => (1, (planes * shape.input_area()).div_ceil(THREADS)),
        };
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![("ACTIVATION", activation), ("LANES", lanes as u32)],
            cost: cost(&shape.words()).times(models),
            params: shape.words(),
            slices: vec![operands.input, operands.output_gradient, operands.saved, operands.input_gradient],
            grid: linear_grid(groups, models as u32),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, kind) = (args.models(), args.constant("ACTIVATION", 0));
    let [input, output_gradient, saved, input_gradient] = args.operands();
    let (input, output_gradient, saved) = (input.read(), output_gradient.read(), saved.read());
    let input_gradient = input_gradient.write();
    let width = p.output_width as usize;
    for plane in 0..models * p.planes as usize {
        let start = plane * p.input_area();
        let mut sums = vec![0.0; p.input_area()];
        for place in 0..p.output_area() {
            let input = &input[start..start + p.input_area()];
            let largest = p.first_maximum(input, p.window(place / width, place % width), is_larger);
            sums[largest] += output_gradient[plane * p.output_area() + place].to_f64();
        }
        for (index, sum) in (start..).zip(sums) {
            let linear = kind == activation::LINEAR;
            let derivative = if linear { 1.0 } else { activation::gradient(saved[index].to_f64(), kind) };
            input_gradient[index] = T::from_f64(sum * derivative);
        }
    }
}

pub(crate) fn cost(params: &[u32]) -> Cost {
    let at = |i: usize| f64::from(params[i]);
    let (inputs, outputs) = (at(0) * at(1) * at(2), at(0) * at(9) * at(10));
    Cost { flops: outputs * at(3) * at(4) + inputs, bytes: 4.0 * (3.0 * inputs + outputs) }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (index, (name, models, p)) in shapes::all().enumerate() {
        let kind = (index % 7) as u32;
        let planes = models * p.planes as usize;
        let mut input = Contents::random(planes * p.input_area(), if index % 3 == 2 { 1000.0 } else { 1.0 }, 1);
        // Ties, as behind a ReLU, and of the largest: the first pixel wins.
        if let (1, Contents::F32(values)) = (index % 2, &mut input) {
            values.iter_mut().for_each(|value| *value = value.clamp(0.0, 0.5));
        }
        let contents = vec![
            input,
            Contents::random(planes * p.output_area(), 1.0, 2),
            Contents::random(if kind == activation::LINEAR { 1 } else { planes * p.input_area() }, 1.0, 3),
            Contents::random(planes * p.input_area(), 1.0, 4),
        ];
        let s = Case::slices(&contents);
        let operands = Operands { input: s[0], output_gradient: s[1], saved: s[2], input_gradient: s[3] };
        let dispatch = MaxBackward { label: "case".into(), shape: p, models, activation: kind, operands }.lower();
        cases.push(Case { name: format!("{name} activation {kind}"), dispatch, contents });
    }
    cases
}
