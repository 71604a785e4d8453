//! The gradient of a value that two operations read: `input_gradient = (a + b) * f'`, f being the activation that made it.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, write};
use crate::kernel::formula::activation;
use crate::kernel::pointwise::activation_forward::CASE_SHAPES;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Elements per model.
        len: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "add_gradients",
    wgsl: include_str!("../../../shaders/add_gradients.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("a"), read("b"), read("saved"), write("input_gradient")],
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
    /// (models, len): the gradient through one reader.
    pub a: Slice,
    /// (models, len): the gradient through the other.
    pub b: Slice,
    /// (models, len): the value that both read.
    pub saved: Slice,
    /// (models, len), before the activation.
    pub input_gradient: Slice,
}

/// A launch for `models` models; `activation` is the code of the activation that made the value, one of
/// [`FROM_OUTPUT`](activation::FROM_OUTPUT). With [`activation::LINEAR`], `saved` is not read and may be any slice of floats
/// that the launch does not write. The gradients of more than two readers are added in a chain, whose last launch alone has
/// the activation.
#[derive(Debug, Clone)]
pub struct AddGradients {
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

impl Launch for AddGradients {
    fn lower(&self) -> Dispatch {
        let AddGradients { label, shape, models, activation, operands } = self.clone();
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![("ACTIVATION", activation)],
            cost: cost(&shape.words()).times(models),
            params: shape.words(),
            slices: vec![operands.a, operands.b, operands.saved, operands.input_gradient],
            grid: linear_grid((shape.len as usize).div_ceil(256), models as u32),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let (count, kind) = (args.params::<Params>().len as usize * args.models(), args.constant("ACTIVATION", 0));
    let [a, b, saved, input_gradient] = args.operands();
    let (a, b, saved, input_gradient) = (a.read(), b.read(), saved.read(), input_gradient.write());
    for i in 0..count {
        let linear = kind == activation::LINEAR;
        let derivative = if linear { 1.0 } else { activation::gradient(saved[i].to_f64(), kind) };
        input_gradient[i] = T::from_f64((a[i].to_f64() + b[i].to_f64()) * derivative);
    }
}

fn cost(params: &[u32]) -> Cost {
    let len = f64::from(params[0]);
    Cost { flops: 4.0 * len, bytes: 16.0 * len }
}

fn cases() -> Vec<Case> {
    let case = |([len, models], kind): ([usize; 2], u32)| {
        let scale = if len % 2 == 1 { 1000.0 } else { 1.0 };
        // The outputs of tanh and sigmoid stay within -1 and 1; those of ReLU6 are to meet its upper bound.
        let outputs = if kind == activation::RELU6 { 9.0 } else { 1.0 };
        let contents = vec![
            Contents::random(models * len, scale, 1),
            Contents::random(models * len, scale, 2),
            Contents::random(if kind == activation::LINEAR { 1 } else { models * len }, outputs, 3 + kind),
            Contents::random(models * len, 1.0, 4),
        ];
        let s = Case::slices(&contents);
        let operands = Operands { a: s[0], b: s[1], saved: s[2], input_gradient: s[3] };
        let shape = Params { len: len as u32 };
        let dispatch = AddGradients { label: "case".into(), shape, models, activation: kind, operands }.lower();
        Case { name: format!("{models}x{len} activation {kind}"), dispatch, contents }
    };
    let shapes = CASE_SHAPES.into_iter().chain([[1008, 2]]);
    shapes.flat_map(|shape| activation::FROM_OUTPUT.map(|kind| (shape, kind))).map(case).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::difference::{Data, run, slope};
    use crate::kernel::pointwise::add::{self, Add};

    /// y = f(u), the loss is 2 y + 3 y + y^2: the gradients of two readers of y, taken before f.
    #[test]
    fn the_gradient_of_two_readers_is_the_slope() {
        for kind in activation::FROM_OUTPUT {
            for u in [-3.0, -0.4, 0.3, 2.0, 7.5] {
                let output = |u: f64| {
                    let mut memory = [u - 0.25, 0.25, 9.0].map(|v| Data::Floats(vec![v]));
                    let s = Case::slices(&[0, 1, 2].map(|_| Contents::F32(vec![0.0])));
                    let operands = add::Operands { a: s[0], b: s[1], output: s[2] };
                    let shape = add::Params { len: 1 };
                    run(&Add { label: "".into(), shape, models: 1, activation: kind, operands }.lower(), &mut memory);
                    memory[2].floats()[0]
                };
                let y = output(u);
                let mut memory = [2.0, 3.0 + 2.0 * y, y, 9.0].map(|v| Data::Floats(vec![v]));
                let s = Case::slices(&[0, 1, 2, 3].map(|_| Contents::F32(vec![0.0])));
                let operands = Operands { a: s[0], b: s[1], saved: s[2], input_gradient: s[3] };
                let shape = Params { len: 1 };
                let launch = AddGradients { label: "".into(), shape, models: 1, activation: kind, operands };
                run(&launch.lower(), &mut memory);
                let gradient = memory[3].floats()[0];
                let numeric = slope(|h| {
                    let y = output(u + h);
                    5.0 * y + y * y
                });
                assert!((gradient - numeric).abs() < 1e-8 + 1e-8 * numeric.abs(), "{kind} {u}: {gradient} {numeric}");
            }
        }
    }
}
