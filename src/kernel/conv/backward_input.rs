//! Convolution, backward to its input: every output gradient goes back through the weights of its window,
//! `input_gradient = activation'(saved) * (sum of output_gradient * weight)`. As a matrix product on a GPU;
//! the direct kernel is the variant for few channels.

use crate::ir::{Binding, Dispatch, Kernel, Needs, Slice, read, write};
use crate::kernel::conv::shape::{DIRECT, Params, Variant, cost, shapes};
use crate::kernel::dense::tiling::TILES;
use crate::kernel::formula::activation;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};
use std::sync::Arc;

const BINDINGS: &[Binding] = &[read("output_gradient"), read("weight"), read("saved"), write("input_gradient")];

/// The kernel as a matrix product.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_backward_input",
    wgsl: include_str!("../../../shaders/conv2d_backward_input.wgsl"),
    needs: Needs::Nothing,
    bindings: BINDINGS,
    params: Params::FIELDS,
};

/// The kernel for few channels.
pub static KERNEL_DIRECT: Kernel = Kernel {
    name: "conv2d_backward_input_direct",
    wgsl: include_str!("../../../shaders/conv2d_backward_input_direct.wgsl"),
    ..KERNEL
};

/// What the kernels compute.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 1e-5,
    cases: || cases(&TILES.map(Variant::Matmul)),
};

/// The same for the direct kernel.
pub static SPECIFICATION_DIRECT: Specification = Specification {
    kernel: &KERNEL_DIRECT,
    cases: || cases(&DIRECT.map(|[columns, pixels]| Variant::Direct { columns, pixels })),
    ..SPECIFICATION
};

/// Slices of one launch.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, batch, filters, output_height, output_width), at this layer's pre-activation.
    pub output_gradient: Slice,
    /// (filters, channels, kernel_height, kernel_width) for each model.
    pub weight: Slice,
    /// (models, batch, channels, height, width): what the layer before saved.
    pub saved: Slice,
    /// (models, batch, channels, height, width), at the layer before's pre-activation.
    pub input_gradient: Slice,
}

/// The variant for this shape.
pub fn choose(shape: &Params, models: usize) -> Variant {
    Variant::choose(shape.channels as usize, shape.batch as usize * shape.input_area(), models)
}

/// A launch for `models` models; `activation` is the code of the layer before's activation. With
/// [`activation::LINEAR`], `saved` is not read and may be any slice of floats that the launch does not write.
#[derive(Debug, Clone)]
pub struct BackwardInput {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// Code of the activation.
    pub activation: u32,
    /// How it is computed.
    pub variant: Variant,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for BackwardInput {
    fn lower(&self) -> Dispatch {
        let BackwardInput { label, shape, models, activation, variant, operands } = self.clone();
        let mut constants = variant.constants();
        constants.push(("ACTIVATION", activation));
        let kernel = match variant {
            Variant::Matmul(_) => &KERNEL,
            Variant::Direct { .. } => {
                constants.push(("STRIDED", shape.strided().into()));
                &KERNEL_DIRECT
            }
        };
        Dispatch {
            kernel,
            label,
            constants,
            cost: cost(&shape.words()).times(models),
            params: shape.words(),
            slices: vec![operands.output_gradient, operands.weight, operands.saved, operands.input_gradient],
            grid: variant.grid(shape.channels as usize, shape.batch as usize * shape.input_area(), models),
            demands: variant.demands(),
        }
    }

    fn variants(&self) -> Vec<Arc<dyn Launch>> {
        Variant::all().map(|variant| Arc::new(BackwardInput { variant, ..self.clone() }) as Arc<dyn Launch>).collect()
    }
}

/// The window whose row (or column) `tap` covers row `at` of the image; `None` when there is none.
fn window(at: usize, pad: u32, tap: usize, stride: u32, windows: u32) -> Option<usize> {
    let start = (at + pad as usize).checked_sub(tap)?;
    let window = start / stride as usize;
    (start % stride as usize == 0 && window < windows as usize).then_some(window)
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, kind) = (args.models(), args.constant("ACTIVATION", 0));
    let [output_gradient, weight, saved, input_gradient] = args.operands();
    let (output_gradient, weight, saved) = (output_gradient.read(), weight.read(), saved.read());
    let (area, channels) = (p.input_area(), p.channels as usize);
    let count = models * p.batch as usize * channels * area;
    for (index, input_gradient) in input_gradient.write().iter_mut().take(count).enumerate() {
        let (place, plane) = (index % area, index / area);
        let (channel, image) = (plane % channels, plane / channels);
        let (y, x) = (place / p.width as usize, place % p.width as usize);
        let weight = &weight[image / p.batch as usize * p.parameter_stride as usize..];
        let mut sum = 0.0;
        for filter in 0..p.filters as usize {
            for i in 0..p.kernel_height as usize {
                for j in 0..p.kernel_width as usize {
                    let row = window(y, p.pad_top, i, p.stride_height, p.output_height);
                    let column = window(x, p.pad_left, j, p.stride_width, p.output_width);
                    let (Some(row), Some(column)) = (row, column) else { continue };
                    let plane = image * p.filters as usize + filter;
                    let gradient = output_gradient[plane * p.output_area() + row * p.output_width as usize + column];
                    let tap = i * p.kernel_width as usize + j;
                    sum += gradient.to_f64() * weight[filter * p.taps() + channel * p.kernel_area() + tap].to_f64();
                }
            }
        }
        let linear = kind == activation::LINEAR;
        let derivative = if linear { 1.0 } else { activation::gradient(saved[index].to_f64(), kind) };
        *input_gradient = T::from_f64(sum * derivative);
    }
}

fn cases(variants: &[Variant]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (index, shape) in shapes::all().enumerate() {
        for (number, &variant) in variants.iter().enumerate() {
            let (p, models) = (shape.params, shape.models);
            let kind = shapes::activation(index, number);
            let scale = if index % 3 == 2 { 1000.0 } else { 1.0 };
            let inputs = models * p.input_stride as usize;
            let stride = (models - 1) * p.parameter_stride as usize;
            let contents = vec![
                Contents::random(models * (p.batch * p.filters) as usize * p.output_area(), scale, 1),
                Contents::random(stride + p.filters as usize * p.taps(), 1.0, 2),
                // With a linear layer before, `saved` must not be touched.
                Contents::random(if kind == activation::LINEAR { 1 } else { inputs }, 1.0, 3),
                Contents::random(inputs, 1.0, 4),
            ];
            let s = Case::slices(&contents);
            let operands = Operands { output_gradient: s[0], weight: s[1], saved: s[2], input_gradient: s[3] };
            let dispatch =
                BackwardInput { label: "case".into(), shape: p, models, activation: kind, variant, operands }.lower();
            cases.push(Case { name: format!("{} activation {kind} {variant:?}", shape.name), dispatch, contents });
        }
    }
    cases
}
