//! Nearest-neighbour upsampling, backward: each pixel's gradient is the sum of its window's, times the layer before's
//! activation derivative.

use crate::ir::{Demands, Dispatch, Kernel, Needs, Slice, linear_grid, read, write};
use crate::kernel::formula::activation;
use crate::kernel::pool::shape::THREADS;
use crate::kernel::pool::upsample_forward::{Params, cost, shapes};
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "upsample_backward",
    wgsl: include_str!("../../../shaders/upsample_backward.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("output_gradient"), read("saved"), write("input_gradient")],
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
    /// (models, planes, height * factor_height, width * factor_width).
    pub output_gradient: Slice,
    /// (models, planes, height, width): what the layer before saved.
    pub saved: Slice,
    /// (models, planes, height, width), at the layer before's pre-activation.
    pub input_gradient: Slice,
}

/// A launch for `models` models; `activation` is the code of the layer before's activation. With
/// [`activation::LINEAR`], `saved` is not read and may be any slice of floats that the launch does not write.
#[derive(Debug, Clone)]
pub struct UpsampleBackward {
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

impl Launch for UpsampleBackward {
    fn lower(&self) -> Dispatch {
        let UpsampleBackward { label, shape, models, activation, operands } = self.clone();
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![("ACTIVATION", activation)],
            cost: cost(&shape).times(models),
            params: shape.words(),
            slices: vec![operands.output_gradient, operands.saved, operands.input_gradient],
            grid: linear_grid((shape.planes as usize * shape.input_area()).div_ceil(THREADS), models as u32),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, kind) = (args.models(), args.constant("ACTIVATION", 0));
    let [output_gradient, saved, input_gradient] = args.operands();
    let (output_gradient, saved, input_gradient) = (output_gradient.read(), saved.read(), input_gradient.write());
    let (width, down, across) = (p.width as usize, p.factor_height as usize, p.factor_width as usize);
    // Rows of all planes, one below the other.
    for y in 0..models * p.planes as usize * p.height as usize {
        for x in 0..width {
            let mut sum = 0.0;
            for row in y * down..(y + 1) * down {
                for column in x * across..(x + 1) * across {
                    sum += output_gradient[row * p.output_width() + column].to_f64();
                }
            }
            let index = y * width + x;
            let linear = kind == activation::LINEAR;
            let derivative = if linear { 1.0 } else { activation::gradient(saved[index].to_f64(), kind) };
            input_gradient[index] = T::from_f64(sum * derivative);
        }
    }
}

fn cases() -> Vec<Case> {
    let case = |(index, (models, shape)): (usize, (usize, Params))| {
        let kind = activation::FROM_OUTPUT[index % activation::FROM_OUTPUT.len()];
        let planes = models * shape.planes as usize;
        let contents = vec![
            Contents::random(planes * shape.output_area(), if index % 3 == 2 { 1000.0 } else { 1.0 }, 1),
            Contents::random(if kind == activation::LINEAR { 1 } else { planes * shape.input_area() }, 1.0, 2),
            Contents::random(planes * shape.input_area(), 1.0, 3),
        ];
        let s = Case::slices(&contents);
        let operands = Operands { output_gradient: s[0], saved: s[1], input_gradient: s[2] };
        let dispatch = UpsampleBackward { label: "case".into(), shape, models, activation: kind, operands }.lower();
        Case { name: format!("{models} models, {shape:?}, activation {kind}"), dispatch, contents }
    };
    shapes().enumerate().map(case).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::difference::{Data, run, slope};
    use crate::kernel::pool::upsample_forward::UpsampleForward;

    /// The loss is the sum of factors times the upsampled tanh(u).
    #[test]
    fn the_gradient_is_the_slope() {
        let shape = Params { planes: 2, height: 2, width: 1, factor_height: 2, factor_width: 3 };
        let u = [0.3, -1.2, 0.8, 2.0];
        let factors: Vec<f64> = (0..24).map(|i| f64::from(i * 7 % 11) - 4.0).collect();
        let s = Case::slices(&[0, 1, 2].map(|_| Contents::F32(vec![0.0])));
        let floats = |values: &[f64]| Data::Floats(values.to_vec());
        let forward = |u: &[f64]| {
            let input: Vec<f64> = u.iter().map(|u| u.tanh()).collect();
            let mut memory = vec![floats(&input), floats(&[9.0; 24])];
            let launch = UpsampleForward { label: "".into(), shape, models: 1, input: s[0], output: s[1] };
            run(&launch.lower(), &mut memory);
            (input, memory[1].floats().iter().zip(&factors).map(|(y, f)| y * f).sum::<f64>())
        };
        let mut memory = vec![floats(&factors), floats(&forward(&u).0), floats(&[9.0; 4])];
        let operands = Operands { output_gradient: s[0], saved: s[1], input_gradient: s[2] };
        let launch = UpsampleBackward { label: "".into(), shape, models: 1, activation: activation::TANH, operands };
        run(&launch.lower(), &mut memory);
        for (at, gradient) in memory[2].floats().iter().enumerate() {
            let numeric = slope(|h| {
                let mut moved = u;
                moved[at] += h;
                forward(&moved).1
            });
            assert!((gradient - numeric).abs() < 1e-9, "{at}: {gradient} {numeric}");
        }
    }
}
