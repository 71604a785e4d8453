//! An activation's gradient on its own: `input_gradient = output_gradient * f'`.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, write};
use crate::kernel::formula::activation;
use crate::kernel::pointwise::activation_forward::{CASE_SHAPES, EXTREMES};
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
    name: "activation_backward",
    wgsl: include_str!("../../../shaders/activation_backward.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("output_gradient"), read("saved"), write("input_gradient")],
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
    pub output_gradient: Slice,
    /// (models, len): the forward pass's output for the activations [`FROM_OUTPUT`](activation::FROM_OUTPUT), its input for the
    /// others.
    pub saved: Slice,
    /// (models, len).
    pub input_gradient: Slice,
}

/// A launch for `models` models; `activation` is an [`activation`] code.
#[derive(Debug, Clone)]
pub struct ActivationBackward {
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

impl Launch for ActivationBackward {
    fn lower(&self) -> Dispatch {
        let ActivationBackward { label, shape, models, activation, operands } = self.clone();
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![("ACTIVATION", activation)],
            cost: cost(&shape.words()).times(models),
            params: shape.words(),
            slices: vec![operands.output_gradient, operands.saved, operands.input_gradient],
            grid: linear_grid((shape.len as usize).div_ceil(256), models as u32),
            demands: Demands::default(),
        }
    }
}

pub(crate) fn reference<T: Real>(args: &mut Args<T>) {
    let (count, kind) = (args.params::<Params>().len as usize * args.models(), args.constant("ACTIVATION", 0));
    let [output_gradient, saved, input_gradient] = args.operands();
    let (output_gradient, saved, input_gradient) = (output_gradient.read(), saved.read(), input_gradient.write());
    for i in 0..count {
        let derivative = activation::gradient(saved[i].to_f64(), kind);
        input_gradient[i] = T::from_f64(output_gradient[i].to_f64() * derivative);
    }
}

fn cost(params: &[u32]) -> Cost {
    let len = f64::from(params[0]);
    Cost { flops: 20.0 * len, bytes: 12.0 * len }
}

fn case(name: String, [len, models]: [usize; 2], kind: u32, scale: f32, saved: Contents) -> Case {
    let contents = vec![Contents::random(models * len, scale, 1), saved, Contents::random(models * len, 1.0, 3)];
    let s = Case::slices(&contents);
    let operands = Operands { output_gradient: s[0], saved: s[1], input_gradient: s[2] };
    Case {
        name,
        dispatch: ActivationBackward {
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
        // Outputs of tanh and sigmoid stay within -1 and 1, those of ELU above -1.
        let bounded = matches!(kind, activation::TANH | activation::SIGMOID);
        if !bounded {
            let extremes = Contents::F32(EXTREMES.to_vec());
            cases.push(case(format!("activation {kind}, extremes"), [EXTREMES.len(), 1], kind, 1.0, extremes));
            let tail = Contents::F32((0..500).map(|i| -9.0 - i as f32 * 1e-3).collect());
            cases.push(case(format!("activation {kind}, tail"), [500, 1], kind, 1.0, tail));
        }
        for [len, models] in CASE_SHAPES {
            for scale in [6.0, 1e-4, 1000.0] {
                let saved = Contents::random(models * len, if bounded { 1.0 } else { scale }, 2 + kind);
                let name = format!("{models}x{len} activation {kind} to {scale}");
                cases.push(case(name, [len, models], kind, scale, saved));
            }
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::difference::{Data, run, slope};
    use crate::kernel::pointwise::activation_forward;

    #[test]
    fn the_gradient_is_the_slope() {
        for kind in activation::ALL {
            // No input at 0, where ReLU has no slope.
            for x in [-30.0, -6.3, -2.0, -0.75, -0.1, -0.01, 0.01, 0.3, 1.0, 2.5, 7.0, 30.0] {
                let forward = |x: f64| {
                    let mut memory = vec![Data::Floats(vec![x]), Data::Floats(vec![9.0])];
                    let s = Case::slices(&[Contents::F32(vec![0.0]), Contents::F32(vec![0.0])]);
                    let operands = activation_forward::Operands { input: s[0], output: s[1] };
                    let shape = activation_forward::Params { len: 1 };
                    run(
                        &activation_forward::ActivationForward {
                            label: "".into(),
                            shape,
                            models: 1,
                            activation: kind,
                            operands,
                        }
                        .lower(),
                        &mut memory,
                    );
                    memory[1].floats()[0]
                };
                let numeric = 3.0 * slope(|h| forward(x + h));
                let saved = if activation::FROM_OUTPUT.contains(&kind) { forward(x) } else { x };
                let mut memory = [3.0, saved, 9.0].map(|v| Data::Floats(vec![v]));
                let s = Case::slices(&[0, 1, 2].map(|_| Contents::F32(vec![0.0])));
                let operands = Operands { output_gradient: s[0], saved: s[1], input_gradient: s[2] };
                run(
                    &ActivationBackward {
                        label: "".into(),
                        shape: Params { len: 1 },
                        models: 1,
                        activation: kind,
                        operands,
                    }
                    .lower(),
                    &mut memory,
                );
                let gradient = memory[2].floats()[0];
                assert!((gradient - numeric).abs() < 1e-9 + 1e-8 * numeric.abs(), "{kind} {x}: {gradient} {numeric}");
            }
        }
    }
}
