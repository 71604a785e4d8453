//! Dense layer, forward: `output = activation(input * weight^T + bias)`.

use super::rounding::on_rounded;
use super::tiling::{AWKWARD, Product, TILES, Tiling, mixed, variants};
use super::trial::{Trial, cases};
use crate::ir::{Binding, Cost, Dispatch, Kernel, Limits, Needs, Slice, params, read, write};
use crate::kernel::formula::activation;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};
use std::sync::Arc;

params! {
    /// Shape of one launch.
    Params {
        /// Examples in the batch.
        rows: u32,
        /// Features in.
        inputs: u32,
        /// Features out.
        outputs: u32,
        /// Elements from one model's parameters to the next's.
        parameter_stride: u32,
        /// Elements from one model's input to the next's.
        input_stride: u32,
    }
}

const BINDINGS: &[Binding] = &[read("input"), read("weight"), read("bias"), write("output")];

/// The kernel in f32.
pub static KERNEL: Kernel = Kernel {
    name: "dense_forward",
    wgsl: include_str!("../../../shaders/dense_forward.wgsl"),
    needs: Needs::Nothing,
    bindings: BINDINGS,
    params: Params::FIELDS,
};

/// The same with both factors rounded to f16.
pub static KERNEL_F16: Kernel = Kernel {
    name: "dense_forward_f16",
    wgsl: include_str!("../../../shaders/dense_forward_f16.wgsl"),
    needs: Needs::F16,
    ..KERNEL
};

/// The same on matrix units.
pub static KERNEL_COOPERATIVE: Kernel = Kernel {
    name: "dense_forward_cooperative",
    wgsl: include_str!("../../../shaders/dense_forward_cooperative.wgsl"),
    needs: Needs::MatrixUnits,
    ..KERNEL
};

/// What the kernel computes.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 1e-5,
    cases: || cases(trials(), Needs::Nothing),
};

/// What it computes of rounded factors.
pub static SPECIFICATION_F16: Specification = Specification {
    kernel: &KERNEL_F16,
    reference: |args| on_rounded(args, reference),
    reference_f64: |args| on_rounded(args, reference),
    cases: || cases(trials(), Needs::F16),
    ..SPECIFICATION
};

/// What matrix units compute.
pub static SPECIFICATION_COOPERATIVE: Specification =
    Specification { kernel: &KERNEL_COOPERATIVE, cases: || cases(trials(), Needs::MatrixUnits), ..SPECIFICATION_F16 };

/// Slices of one launch.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, rows, inputs).
    pub input: Slice,
    /// (outputs, inputs) for each model.
    pub weight: Slice,
    /// (outputs) for each model; `None` for a layer without.
    pub bias: Option<Slice>,
    /// (models, rows, outputs).
    pub output: Slice,
}

/// A launch.
#[derive(Debug, Clone)]
pub struct Forward {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// Code of the [`activation`].
    pub activation: u32,
    /// How the product is cut.
    pub tiling: Tiling,
    /// Its slices.
    pub operands: Operands,
}

impl Product for Forward {
    const KERNELS: [&'static Kernel; 3] = [&KERNEL, &KERNEL_F16, &KERNEL_COOPERATIVE];

    fn tiling(&self) -> Tiling {
        self.tiling
    }

    fn tiled(&self, tiling: Tiling) -> Self {
        Forward { tiling, ..self.clone() }
    }

    fn results(&self) -> [usize; 3] {
        [self.shape.rows as usize, self.shape.outputs as usize, 1]
    }

    fn side_by_side(&self) -> usize {
        self.models
    }

    fn comes_in_fours(&self) -> bool {
        let Params { inputs, input_stride, parameter_stride, .. } = self.shape;
        [inputs, input_stride, parameter_stride].iter().all(|length| length.is_multiple_of(4))
    }
}

impl Launch for Forward {
    fn lower(&self) -> Dispatch {
        let Operands { input, weight, bias, output } = self.operands;
        let mut constants = self.tiling.constants();
        constants.extend([("ACTIVATION", self.activation), ("BIAS", bias.is_some().into())]);
        Dispatch {
            kernel: self.kernel(),
            label: self.label.clone(),
            constants,
            params: self.shape.words(),
            slices: vec![input, weight, bias.unwrap_or(weight), output],
            grid: self.tiling.grid(self.results(), self.models),
            cost: self.cost().times(self.models),
            demands: self.tiling.demands([true, true]),
        }
    }

    fn variants(&self) -> Vec<Arc<dyn Launch>> {
        variants(self)
    }

    fn mixed(&self, limits: &Limits) -> Option<Arc<dyn Launch>> {
        Some(mixed(self, limits))
    }
}

impl Forward {
    /// Work of one model.
    fn cost(&self) -> Cost {
        let Params { rows, inputs, outputs, .. } = self.shape;
        let [rows, inputs, outputs] = [rows, inputs, outputs].map(f64::from);
        Cost { flops: 2.0 * rows * inputs * outputs, bytes: 4.0 * (rows * inputs + inputs * outputs + rows * outputs) }
    }
}

pub(crate) fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, kind, has_bias) = (args.models(), args.constant("ACTIVATION", 0), args.constant("BIAS", 1) == 1);
    let [input, weight, bias, output] = args.operands();
    let (input, weight, bias, output) = (input.read(), weight.read(), bias.read(), output.write());
    let (rows, inputs, outputs) = (p.rows as usize, p.inputs as usize, p.outputs as usize);
    for model in 0..models {
        let input = &input[model * p.input_stride as usize..];
        let parameters = model * p.parameter_stride as usize;
        for row in 0..rows {
            for o in 0..outputs {
                let mut z = if has_bias { bias[parameters + o].to_f64() } else { 0.0 };
                for i in 0..inputs {
                    z += input[row * inputs + i].to_f64() * weight[parameters + o * inputs + i].to_f64();
                }
                output[(model * rows + row) * outputs + o] = T::from_f64(activation::activate(z, kind));
            }
        }
    }
}

/// What verification tries.
fn trials() -> Vec<Trial<Forward>> {
    let mut trials = Vec::new();
    for (index, [rows, inputs, outputs, models]) in AWKWARD.into_iter().enumerate() {
        for (variant, tile) in TILES.into_iter().enumerate() {
            let activation = ((index + variant) % 7) as u32;
            // Far out, where saturating activations end, with sums that are exact.
            let (scale, steps) = if index % 3 == 2 { (1000.0, [1.0, 0.125]) } else { (1.0, [2.0f32.powi(-40); 2]) };
            let stride = inputs * outputs + outputs;
            let contents = vec![
                Contents::random(models * rows * inputs, scale, 1).rounded(steps[0]),
                Contents::random((models - 1) * stride + inputs * outputs, 1.0, 2).rounded(steps[1]),
                Contents::random((models - 1) * stride + outputs, 1.0, 3).rounded(steps[1]),
                Contents::random(models * rows * outputs, 1.0, 4),
            ];
            let s = Case::slices(&contents);
            let bias = (variant % 2 == 0).then_some(s[2]);
            let shape = Params {
                rows: rows as u32,
                inputs: inputs as u32,
                outputs: outputs as u32,
                parameter_stride: stride as u32,
                input_stride: (rows * inputs) as u32,
            };
            let product = Forward {
                label: "case".into(),
                shape,
                models,
                activation,
                tiling: Tiling::plain(tile),
                operands: Operands { input: s[0], weight: s[1], bias, output: s[3] },
            };
            let name = format!("{models}x{rows}x{inputs}x{outputs} activation {activation}");
            trials.push(Trial { name, product, tile, form: index, linear: activation == 0, contents });
        }
    }
    trials
}
