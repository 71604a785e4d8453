//! The sum of two values, as at the end of a residual block: `output = f(a + b)`.

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
    name: "add",
    wgsl: include_str!("../../../shaders/add.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("a"), read("b"), write("output")],
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

/// Slices of one launch. `a` and `b` may be the same.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, len).
    pub a: Slice,
    /// (models, len).
    pub b: Slice,
    /// (models, len).
    pub output: Slice,
}

/// A launch for `models` models; `activation` is an [`activation`] code, for training one of
/// [`FROM_OUTPUT`](activation::FROM_OUTPUT): the sum itself is not kept.
#[derive(Debug, Clone)]
pub struct Add {
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

impl Launch for Add {
    fn lower(&self) -> Dispatch {
        let Add { label, shape, models, activation, operands } = self.clone();
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![("ACTIVATION", activation)],
            cost: cost(&shape.words()).times(models),
            params: shape.words(),
            slices: vec![operands.a, operands.b, operands.output],
            grid: linear_grid((shape.len as usize).div_ceil(256), models as u32),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let (count, kind) = (args.params::<Params>().len as usize * args.models(), args.constant("ACTIVATION", 0));
    let [a, b, output] = args.operands();
    let (a, b, output) = (a.read(), b.read(), output.write());
    for i in 0..count {
        output[i] = T::from_f64(activation::activate(a[i].to_f64() + b[i].to_f64(), kind));
    }
}

fn cost(params: &[u32]) -> Cost {
    let len = f64::from(params[0]);
    Cost { flops: 20.0 * len, bytes: 12.0 * len }
}

fn cases() -> Vec<Case> {
    let case = |([len, models], kind): ([usize; 2], u32)| {
        let scale = if len % 2 == 1 { 1000.0 } else { 3.0 };
        let contents = vec![
            Contents::random(models * len, scale, 1 + kind),
            Contents::random(models * len, 3.0, 21 + kind),
            Contents::random(models * len, 1.0, 3),
        ];
        let s = Case::slices(&contents);
        let operands = Operands { a: s[0], b: s[1], output: s[2] };
        let shape = Params { len: len as u32 };
        let dispatch = Add { label: "case".into(), shape, models, activation: kind, operands }.lower();
        Case { name: format!("{models}x{len} activation {kind}"), dispatch, contents }
    };
    let shapes = CASE_SHAPES.into_iter().chain([[1008, 2]]);
    shapes.flat_map(|shape| activation::FROM_OUTPUT.map(|kind| (shape, kind))).map(case).collect()
}
