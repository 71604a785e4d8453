//! The gradient of softmax as an output layer of its own.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, params, read, write};
use crate::kernel::formula::rows;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Rows of a batch.
        rows: u32,
        /// Classes.
        classes: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "softmax_backward",
    wgsl: include_str!("../../../shaders/softmax_backward.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("output_gradient"), read("output"), write("input_gradient")],
    params: Params::FIELDS,
};

/// What it computes.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 5e-6,
    cases,
};

/// Slices of one launch.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, rows, classes).
    pub output_gradient: Slice,
    /// (models, rows, classes): what softmax gave.
    pub output: Slice,
    /// (models, rows, classes).
    pub input_gradient: Slice,
}

/// A launch for `models` models.
#[derive(Debug, Clone)]
pub struct SoftmaxBackward {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for SoftmaxBackward {
    fn lower(&self) -> Dispatch {
        let SoftmaxBackward { label, shape, models, operands } = self.clone();
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: rows::constants(shape.classes),
            cost: cost(&shape.words()).times(models),
            params: shape.words(),
            slices: vec![operands.output_gradient, operands.output, operands.input_gradient],
            grid: rows::grid(shape.rows, shape.classes, models),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (all_rows, classes) = (args.models() * p.rows as usize, p.classes as usize);
    let [output_gradient, output, input_gradient] = args.operands();
    let (output_gradient, output, input_gradient) = (output_gradient.read(), output.read(), input_gradient.write());
    for first in (0..all_rows).map(|row| row * classes) {
        let y = |c: usize| output[first + c].to_f64();
        let dy = |c: usize| output_gradient[first + c].to_f64();
        let mean: f64 = (0..classes).map(|c| y(c) * dy(c)).sum();
        for c in 0..classes {
            input_gradient[first + c] = T::from_f64(y(c) * (dy(c) - mean));
        }
    }
}

fn cost(params: &[u32]) -> Cost {
    let elements = f64::from(params[0]) * f64::from(params[1]);
    Cost { flops: 4.0 * elements, bytes: 12.0 * elements }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (index, [rows, classes, models]) in rows::AWKWARD.into_iter().enumerate() {
        for scale in [1.0, 1000.0] {
            let elements = models * rows * classes;
            // Outputs as softmax gives them: positive, about 1 / classes.
            let output = (0..elements).map(|i| (i * 37 % 101) as f32 / (50.0 * classes as f32)).collect();
            let contents = vec![
                Contents::random(elements, scale, index as u32 + 1),
                Contents::F32(output),
                Contents::random(elements, 1.0, 2),
            ];
            let s = Case::slices(&contents);
            let shape = Params { rows: rows as u32, classes: classes as u32 };
            let operands = Operands { output_gradient: s[0], output: s[1], input_gradient: s[2] };
            let dispatch = SoftmaxBackward { label: "case".into(), shape, models, operands }.lower();
            cases.push(Case { name: format!("{models}x{rows}x{classes} to {scale}"), dispatch, contents });
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::difference::{Data, run, slope};
    use crate::kernel::pointwise::softmax_forward;

    #[test]
    fn the_gradient_is_the_slope() {
        let (rows, classes) = (3, 5);
        let Contents::F32(z) = Contents::random(rows * classes, 2.0, 1) else { unreachable!() };
        let dy: Vec<f64> = (0..rows * classes).map(|i| (i as f64).sin()).collect();
        let forward = |at: usize, h: f64| {
            let mut z: Vec<f64> = z.iter().map(|&v| v.into()).collect();
            z[at] += h;
            let mut memory = vec![Data::Floats(z), Data::Floats(vec![9.0; rows * classes])];
            let s = Case::slices(&[0, 1].map(|_| Contents::F32(vec![0.0; rows * classes])));
            let shape = softmax_forward::Params { rows: rows as u32, classes: classes as u32 };
            let operands = softmax_forward::Operands { input: s[0], output: s[1] };
            run(&softmax_forward::SoftmaxForward { label: "".into(), shape, models: 1, operands }.lower(), &mut memory);
            memory[1].floats().to_vec()
        };
        let mut memory = [dy.clone(), forward(0, 0.0), vec![9.0; rows * classes]].map(Data::Floats);
        let s = Case::slices(&[0, 1, 2].map(|_| Contents::F32(vec![0.0; rows * classes])));
        let operands = Operands { output_gradient: s[0], output: s[1], input_gradient: s[2] };
        run(
            &SoftmaxBackward {
                label: "".into(),
                shape: Params { rows: rows as u32, classes: classes as u32 },
                models: 1,
                operands,
            }
            .lower(),
            &mut memory,
        );
        for (at, gradient) in memory[2].floats().iter().enumerate() {
            let numeric = slope(|h| forward(at, h).iter().zip(&dy).map(|(y, dy)| y * dy).sum());
            assert!((gradient - numeric).abs() < 1e-9, "{at}: {gradient} {numeric}");
        }
    }
}
