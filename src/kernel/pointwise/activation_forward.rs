//! An activation on its own: `output = f(input)`.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, write};
use crate::kernel::formula::activation;
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
    name: "activation_forward",
    wgsl: include_str!("../../../shaders/activation_forward.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("input"), write("output")],
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
    /// (models, len).
    pub input: Slice,
    /// (models, len).
    pub output: Slice,
}

/// A launch for `models` models; `activation` is an [`activation`] code.
#[derive(Debug, Clone)]
pub struct ActivationForward {
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

impl Launch for ActivationForward {
    fn lower(&self) -> Dispatch {
        let ActivationForward { label, shape, models, activation, operands } = self.clone();
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![("ACTIVATION", activation)],
            cost: cost(&shape.words()).times(models),
            params: shape.words(),
            slices: vec![operands.input, operands.output],
            grid: linear_grid((shape.len as usize).div_ceil(256), models as u32),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let (count, kind) = (args.params::<Params>().len as usize * args.models(), args.constant("ACTIVATION", 0));
    let [input, output] = args.operands();
    let (input, output) = (input.read(), output.write());
    for i in 0..count {
        output[i] = T::from_f64(activation::activate(input[i].to_f64(), kind));
    }
}

fn cost(params: &[u32]) -> Cost {
    let len = f64::from(params[0]);
    Cost { flops: 20.0 * len, bytes: 8.0 * len }
}

/// Inputs that have spoiled activations elsewhere: exp overflows, tiny values vanish, NaN turns into 0; and kinks.
pub(crate) const EXTREMES: [f32; 14] =
    [0.0, -0.0, 1e-30, -1e-30, 15.5, -88.5, 1000.0, -1000.0, 1e30, -1e30, f32::NAN, 3.0, -3.0, 6.0];

/// Lengths and models of the cases.
pub(crate) const CASE_SHAPES: [[usize; 2]; 6] = [[1, 1], [3, 2], [65, 3], [257, 1], [1009, 2], [70_001, 1]];

fn case(name: String, [len, models]: [usize; 2], kind: u32, input: Contents) -> Case {
    let contents = vec![input, Contents::random(models * len, 1.0, 2)];
    let s = Case::slices(&contents);
    let operands = Operands { input: s[0], output: s[1] };
    Case {
        name,
        dispatch: ActivationForward {
            label: "case".into(),
            shape: Params { len: len as u32 },
            models,
            activation: kind,
            operands,
        }
        .lower(),
        contents,
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in activation::ALL {
        let extremes = Contents::F32(EXTREMES.to_vec());
        cases.push(case(format!("activation {kind}, extremes"), [EXTREMES.len(), 1], kind, extremes));
        // All in the negative tail, so that the values there are the scale that errors are held against.
        let tail = Contents::F32((0..500).map(|i| -9.0 - i as f32 * 1e-3).collect());
        cases.push(case(format!("activation {kind}, tail"), [500, 1], kind, tail));
        for [len, models] in CASE_SHAPES {
            for scale in [6.0, 1e-4, 1000.0] {
                let input = Contents::random(models * len, scale, 1 + kind);
                cases.push(case(format!("{models}x{len} activation {kind} to {scale}"), [len, models], kind, input));
            }
        }
    }
    cases
}
