//! Convolution, backward to its input: every output gradient goes back through the weights of its window,
//! `input_gradient = activation'(saved) * (sum of output_gradient * weight)`. As a matrix product on a GPU;
//! [`super::conv2d_backward_input_direct`] is the variant for few channels.

use super::conv2d::{Params, Variant, cost, shapes};
use super::{
    Args, Case, Contents, Kernel, Needs, Real, activation, conv2d_backward_input_direct, conv2d_fast, matmul, read,
    write,
};
use crate::plan::{Dispatch, Slice};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_backward_input",
    wgsl: include_str!("../../shaders/conv2d_backward_input.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("output_gradient"), read("weight"), read("saved"), write("input_gradient")],
    params: Params::FIELDS,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    fast: Some(conv2d_fast::backward_input),
    cost,
    tolerance: 1e-5,
    cases: || cases(&matmul::VARIANTS.map(Variant::Matmul)),
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
pub fn dispatch(
    label: impl Into<String>,
    shape: Params,
    models: usize,
    activation: u32,
    variant: Variant,
    operands: Operands,
) -> Dispatch {
    let mut constants = variant.constants();
    constants.push(("ACTIVATION", activation));
    let kernel = match variant {
        Variant::Matmul(_) => &KERNEL,
        Variant::Direct { .. } => {
            constants.push(("STRIDED", shape.strided().into()));
            &conv2d_backward_input_direct::KERNEL
        }
    };
    Dispatch {
        kernel,
        label: label.into(),
        constants,
        params: shape.words(),
        slices: vec![operands.output_gradient, operands.weight, operands.saved, operands.input_gradient],
        grid: variant.grid(shape.channels as usize, shape.batch as usize * shape.input_area(), models),
    }
}

/// The launch in every variant.
pub(super) fn variants(launch: &Dispatch) -> Vec<Dispatch> {
    let &[output_gradient, weight, saved, input_gradient] = &launch.slices[..] else { return Vec::new() };
    let operands = Operands { output_gradient, weight, saved, input_gradient };
    let (shape, activation) = (launch.shape(), launch.constant("ACTIVATION", 0));
    let models = launch.grid[2] as usize;
    Variant::all().map(|v| dispatch(launch.label.clone(), shape, models, activation, v, operands)).collect()
}

/// The window whose row (or column) `tap` covers row `at` of the image; `None` when there is none.
fn window(at: usize, pad: u32, tap: usize, stride: u32, windows: u32) -> Option<usize> {
    let start = (at + pad as usize).checked_sub(tap)?;
    let window = start / stride as usize;
    (start % stride as usize == 0 && window < windows as usize).then_some(window)
}

pub(super) fn reference<T: Real>(args: &mut Args<T>) {
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

pub(super) fn cases(variants: &[Variant]) -> Vec<Case> {
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
            let dispatch = dispatch("case", p, models, kind, variant, operands);
            cases.push(Case { name: format!("{} activation {kind} {variant:?}", shape.name), dispatch, contents });
        }
    }
    cases
}
