//! Convolution (cross-correlation, as every framework means it), forward:
//! `output[n, f, y, x] = activation(bias[f] + sum of input window * weight[f])`. As a matrix product on a GPU;
//! the direct kernel is the variant for few filters.

use crate::ir::{Binding, Dispatch, Kernel, Needs, Slice, read, write};
use crate::kernel::conv::shape::{DIRECT, Params, Variant, cost, covered, shapes};
use crate::kernel::dense::tiling::TILES;
use crate::kernel::formula::activation;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};
use std::sync::Arc;

const BINDINGS: &[Binding] = &[read("input"), read("weight"), read("bias"), write("output")];

/// The kernel as a matrix product.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_forward",
    wgsl: include_str!("../../../shaders/conv2d_forward.wgsl"),
    needs: Needs::Nothing,
    bindings: BINDINGS,
    params: Params::FIELDS,
};

/// The kernel for few filters.
pub static KERNEL_DIRECT: Kernel = Kernel {
    name: "conv2d_forward_direct",
    wgsl: include_str!("../../../shaders/conv2d_forward_direct.wgsl"),
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
    /// (models, batch, channels, height, width).
    pub input: Slice,
    /// (filters, channels, kernel_height, kernel_width) for each model.
    pub weight: Slice,
    /// (filters) for each model; `None` for a layer without.
    pub bias: Option<Slice>,
    /// (models, batch, filters, output_height, output_width).
    pub output: Slice,
}

/// The variant for this shape.
pub fn choose(shape: &Params, models: usize) -> Variant {
    Variant::choose(shape.filters as usize, shape.batch as usize * shape.output_area(), models)
}

/// A launch for `models` models; `activation` is an [`activation`] code.
#[derive(Debug, Clone)]
pub struct Forward {
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

impl Launch for Forward {
    fn lower(&self) -> Dispatch {
        let Forward { label, shape, models, activation, variant, operands } = self.clone();
        let mut constants = variant.constants();
        constants.extend([("ACTIVATION", activation), ("BIAS", operands.bias.is_some().into())]);
        let kernel = match variant {
            Variant::Matmul(_) => &KERNEL,
            Variant::Direct { .. } => {
                constants.push(("PADDED", shape.padded().into()));
                &KERNEL_DIRECT
            }
        };
        Dispatch {
            kernel,
            label,
            constants,
            cost: cost(&shape.words()).times(models),
            params: shape.words(),
            slices: vec![operands.input, operands.weight, operands.bias.unwrap_or(operands.weight), operands.output],
            grid: variant.grid(shape.filters as usize, shape.batch as usize * shape.output_area(), models),
            demands: variant.demands(),
        }
    }

    fn variants(&self) -> Vec<Arc<dyn Launch>> {
        Variant::all().map(|variant| Arc::new(Forward { variant, ..self.clone() }) as Arc<dyn Launch>).collect()
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, kind, has_bias) = (args.models(), args.constant("ACTIVATION", 0), args.constant("BIAS", 1) == 1);
    let [input, weight, bias, output] = args.operands();
    let (input, weight, bias, output) = (input.read(), weight.read(), bias.read(), output.write());
    let (width, output_width) = (p.width as usize, p.output_width as usize);
    for (index, output) in output.chunks_mut(p.output_area()).take(models * (p.batch * p.filters) as usize).enumerate()
    {
        let (filter, image) = (index % p.filters as usize, index / p.filters as usize);
        let (image, model) = (image % p.batch as usize, image / p.batch as usize);
        let parameters = model * p.parameter_stride as usize;
        let image = &input[model * p.input_stride as usize + image * p.channels as usize * p.input_area()..];
        let filter_weights = &weight[parameters + filter * p.taps()..][..p.taps()];
        for (place, output) in output.iter_mut().enumerate() {
            let (y, x) = (place / output_width, place % output_width);
            let mut z = if has_bias { bias[parameters + filter].to_f64() } else { 0.0 };
            for (tap, w) in filter_weights.iter().enumerate() {
                let (channel, tap) = (tap / p.kernel_area(), tap % p.kernel_area());
                let (i, j) = (tap / p.kernel_width as usize, tap % p.kernel_width as usize);
                let row = covered(y, p.stride_height, i, p.pad_top, p.height);
                let column = covered(x, p.stride_width, j, p.pad_left, p.width);
                if let (Some(row), Some(column)) = (row, column) {
                    z += image[channel * p.input_area() + row * width + column].to_f64() * w.to_f64();
                }
            }
            *output = T::from_f64(activation::activate(z, kind));
        }
    }
}

fn cases(variants: &[Variant]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (index, shape) in shapes::all().enumerate() {
        for (number, &variant) in variants.iter().enumerate() {
            let (p, models) = (shape.params, shape.models);
            let kind = shapes::activation(index, number);
            let scale = shapes::input_scale(&p, index, kind);
            let stride = (models - 1) * p.parameter_stride as usize;
            let contents = vec![
                Contents::random(models * p.input_stride as usize, scale, 1),
                Contents::random(stride + p.filters as usize * p.taps(), 1.0, 2),
                Contents::random(stride + p.filters as usize, 1.0, 3),
                Contents::random(models * (p.batch * p.filters) as usize * p.output_area(), 1.0, 4),
            ];
            let s = Case::slices(&contents);
            let bias = (number % 2 == 0).then_some(s[2]);
            let operands = Operands { input: s[0], weight: s[1], bias, output: s[3] };
            let mut dispatch =
                Forward { label: "case".into(), shape: p, models, activation: kind, variant, operands }.lower();
            dispatch.slices = s;
            cases.push(Case { name: format!("{} activation {kind} {variant:?}", shape.name), dispatch, contents });
        }
    }
    cases
}
