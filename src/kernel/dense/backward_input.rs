//! Dense layer, backward to its input: `input_gradient = activation'(saved) * (output_gradient * weight)`.

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
    }
}

const BINDINGS: &[Binding] = &[read("output_gradient"), read("weight"), read("saved"), write("input_gradient")];

/// The kernel in f32.
pub static KERNEL: Kernel = Kernel {
    name: "dense_backward_input",
    wgsl: include_str!("../../../shaders/dense_backward_input.wgsl"),
    needs: Needs::Nothing,
    bindings: BINDINGS,
    params: Params::FIELDS,
};

/// The same with both factors rounded to f16.
pub static KERNEL_F16: Kernel = Kernel {
    name: "dense_backward_input_f16",
    wgsl: include_str!("../../../shaders/dense_backward_input_f16.wgsl"),
    needs: Needs::F16,
    ..KERNEL
};

/// The same on matrix units.
pub static KERNEL_COOPERATIVE: Kernel = Kernel {
    name: "dense_backward_input_cooperative",
    wgsl: include_str!("../../../shaders/dense_backward_input_cooperative.wgsl"),
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
    /// (models, rows, outputs).
    pub output_gradient: Slice,
    /// (outputs, inputs) for each model.
    pub weight: Slice,
    /// (models, rows, inputs): the output of the layer before.
    pub saved: Slice,
    /// (models, rows, inputs).
    pub input_gradient: Slice,
}

/// A launch.
#[derive(Debug, Clone)]
pub struct BackwardInput {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// Code of the [`activation`] of the layer before.
    pub activation: u32,
    /// How the product is cut.
    pub tiling: Tiling,
    /// Its slices.
    pub operands: Operands,
}

impl Product for BackwardInput {
    const KERNELS: [&'static Kernel; 3] = [&KERNEL, &KERNEL_F16, &KERNEL_COOPERATIVE];

    fn tiling(&self) -> Tiling {
        self.tiling
    }

    fn tiled(&self, tiling: Tiling) -> Self {
        BackwardInput { tiling, ..self.clone() }
    }

    fn results(&self) -> [usize; 3] {
        [self.shape.rows as usize, self.shape.inputs as usize, 1]
    }

    fn side_by_side(&self) -> usize {
        self.models
    }

    fn comes_in_fours(&self) -> bool {
        let Params { inputs, outputs, parameter_stride, .. } = self.shape;
        [inputs, outputs, parameter_stride].iter().all(|length| length.is_multiple_of(4))
    }
}

impl Launch for BackwardInput {
    fn lower(&self) -> Dispatch {
        let Operands { output_gradient, weight, saved, input_gradient } = self.operands;
        let mut constants = self.tiling.constants();
        constants.extend([("ACTIVATION", self.activation), ("B_K_CONTIGUOUS", 0)]);
        Dispatch {
            kernel: self.kernel(),
            label: self.label.clone(),
            constants,
            params: self.shape.words(),
            slices: vec![output_gradient, weight, saved, input_gradient],
            grid: self.tiling.grid(self.results(), self.models),
            cost: self.cost().times(self.models),
            demands: self.tiling.demands([true, false]),
        }
    }

    fn variants(&self) -> Vec<Arc<dyn Launch>> {
        variants(self)
    }

    fn mixed(&self, limits: &Limits) -> Option<Arc<dyn Launch>> {
        Some(mixed(self, limits))
    }
}

impl BackwardInput {
    /// Work of one model.
    fn cost(&self) -> Cost {
        let Params { rows, inputs, outputs, .. } = self.shape;
        let [rows, inputs, outputs] = [rows, inputs, outputs].map(f64::from);
        Cost {
            flops: 2.0 * rows * inputs * outputs,
            bytes: 4.0 * (2.0 * rows * inputs + inputs * outputs + rows * outputs),
        }
    }
}

pub(crate) fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, kind) = (args.models(), args.constant("ACTIVATION", 0));
    let [output_gradient, weight, saved, input_gradient] = args.operands();
    let (output_gradient, weight, saved) = (output_gradient.read(), weight.read(), saved.read());
    let input_gradient = input_gradient.write();
    let (rows, inputs, outputs) = (p.rows as usize, p.inputs as usize, p.outputs as usize);
    for model in 0..models {
        let weight = &weight[model * p.parameter_stride as usize..];
        for row in model * rows..(model + 1) * rows {
            for i in 0..inputs {
                let mut sum = 0.0;
                for o in 0..outputs {
                    sum += output_gradient[row * outputs + o].to_f64() * weight[o * inputs + i].to_f64();
                }
                let derivative = if kind == activation::LINEAR {
                    1.0
                } else {
                    activation::gradient(saved[row * inputs + i].to_f64(), kind)
                };
                input_gradient[row * inputs + i] = T::from_f64(sum * derivative);
            }
        }
    }
}

/// What verification tries.
fn trials() -> Vec<Trial<BackwardInput>> {
    let mut trials = Vec::new();
    for (index, [rows, inputs, outputs, models]) in AWKWARD.into_iter().enumerate() {
        for (variant, tile) in TILES.into_iter().enumerate() {
            let activation = ((index + variant) % 7) as u32;
            let scale = if index % 3 == 2 { 1000.0 } else { 1.0 };
            let stride = inputs * outputs + 4;
            let contents = vec![
                Contents::random(models * rows * outputs, scale, 1),
                Contents::random((models - 1) * stride + inputs * outputs, 1.0, 2),
                // With zeros, as ReLU saves them, and ones.
                Contents::random(models * rows * inputs, 1.0, 3).rounded(0.25),
                Contents::random(models * rows * inputs, 1.0, 4),
            ];
            let s = Case::slices(&contents);
            let shape = Params {
                rows: rows as u32,
                inputs: inputs as u32,
                outputs: outputs as u32,
                parameter_stride: stride as u32,
            };
            let product = BackwardInput {
                label: "case".into(),
                shape,
                models,
                activation,
                tiling: Tiling::plain(tile),
                operands: Operands { output_gradient: s[0], weight: s[1], saved: s[2], input_gradient: s[3] },
            };
            let name = format!("{models}x{rows}x{inputs}x{outputs} activation {activation}");
            trials.push(Trial { name, product, tile, form: index, linear: activation == 0, contents });
        }
    }
    trials
}
