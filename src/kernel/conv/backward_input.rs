//! Convolution, backward to its input: every output gradient goes back through the weights of its window,
//! `input_gradient = activation'(saved) * (sum of output_gradient * weight)`. As a matrix product on a GPU;
//! the direct kernel is the variant for few channels, the depthwise one for filters that see one channel each.
//!
//! It is also a transposed convolution forward; the epilogue is then an output's.

use crate::ir::{Binding, Dispatch, Kernel, Limits, Needs, Slice, read, write};
use crate::kernel::conv::mixed::{self, Convolution};
use crate::kernel::conv::shape::{DIRECT, Epilogue, Finish, Params, Variant, cost, shapes};
use crate::kernel::dense::rounding::on_rounded;
use crate::kernel::dense::tiling::{TILES, Tiling};
use crate::kernel::formula::activation::LINEAR;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};
use std::sync::Arc;

const BINDINGS: &[Binding] = &[read("output_gradient"), read("weight"), read("bias_or_saved"), write("input_gradient")];

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

/// The kernel for filters that see one channel each.
pub static KERNEL_DEPTHWISE: Kernel = Kernel {
    name: "depthwise_backward_input",
    wgsl: include_str!("../../../shaders/depthwise_backward_input.wgsl"),
    ..KERNEL
};

/// The product with both factors rounded to f16.
pub static KERNEL_F16: Kernel = Kernel {
    name: "conv2d_backward_input_f16",
    wgsl: include_str!("../../../shaders/conv2d_backward_input_f16.wgsl"),
    needs: Needs::F16,
    ..KERNEL
};

/// The same on matrix units.
pub static KERNEL_COOPERATIVE: Kernel = Kernel {
    name: "conv2d_backward_input_cooperative",
    wgsl: include_str!("../../../shaders/conv2d_backward_input_cooperative.wgsl"),
    needs: Needs::MatrixUnits,
    ..KERNEL_F16
};

/// What the kernels compute.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 1e-5,
    cases: || cases(shapes::all(), &TILES.map(Variant::Matmul)),
};

/// The same for the direct kernel.
pub static SPECIFICATION_DIRECT: Specification = Specification {
    kernel: &KERNEL_DIRECT,
    cases: || cases(shapes::all(), &DIRECT.map(|[columns, pixels]| Variant::Direct { columns, pixels })),
    ..SPECIFICATION
};

/// The same for the depthwise kernel.
pub static SPECIFICATION_DEPTHWISE: Specification = Specification {
    kernel: &KERNEL_DEPTHWISE,
    cases: || cases(shapes::depthwise(), &[Variant::Depthwise; 3]),
    ..SPECIFICATION
};

/// What the product computes of rounded factors.
pub static SPECIFICATION_F16: Specification = Specification {
    kernel: &KERNEL_F16,
    reference: |args| on_rounded(args, reference),
    reference_f64: |args| on_rounded(args, reference),
    cases: || mixed::cases(tried(shapes::all(), &TILES.map(Variant::Matmul)), Needs::F16),
    ..SPECIFICATION
};

/// What matrix units compute.
pub static SPECIFICATION_COOPERATIVE: Specification = Specification {
    kernel: &KERNEL_COOPERATIVE,
    cases: || mixed::cases(tried(shapes::all(), &TILES.map(Variant::Matmul)), Needs::MatrixUnits),
    ..SPECIFICATION_F16
};

/// Slices of one launch.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, batch, groups, filters, output_height, output_width), at this layer's pre-activation.
    pub output_gradient: Slice,
    /// (groups, filters, channels, kernel_height, kernel_width) for each model.
    pub weight: Slice,
    /// What becomes of the sums.
    pub epilogue: Epilogue,
    /// (models, batch, groups, channels, height, width), at the layer before's pre-activation.
    pub input_gradient: Slice,
}

/// The variant for this shape.
pub fn choose(shape: &Params, models: usize) -> Variant {
    Variant::choose(shape, shape.channels, shape.batch as usize * shape.input_area(), models)
}

/// A launch for `models` models; `activation` is the code of the layer before's activation.
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
        constants.extend(operands.epilogue.constants(activation));
        let kernel = match variant {
            Variant::Matmul(_) => &KERNEL,
            Variant::Direct { .. } => {
                constants.push(("STRIDED", shape.strided().into()));
                &KERNEL_DIRECT
            }
            Variant::Depthwise => &KERNEL_DEPTHWISE,
        };
        let Operands { output_gradient, weight, epilogue, input_gradient } = operands;
        Dispatch {
            kernel,
            label,
            constants,
            cost: cost(&shape.words()).times(models),
            params: shape.words(),
            slices: vec![output_gradient, weight, epilogue.slice(weight), input_gradient],
            grid: variant.grid(shape.groups, shape.channels, shape.batch as usize * shape.input_area(), models),
            demands: variant.demands(),
        }
    }

    fn variants(&self) -> Vec<Arc<dyn Launch>> {
        let all = Variant::all().filter(|_| !self.shape.depthwise());
        all.map(|variant| Arc::new(BackwardInput { variant, ..self.clone() }) as Arc<dyn Launch>).collect()
    }

    fn mixed(&self, limits: &Limits) -> Option<Arc<dyn Launch>> {
        mixed::launch(self, limits)
    }
}

impl Convolution for BackwardInput {
    const KERNELS: [&'static Kernel; 3] = [&KERNEL, &KERNEL_F16, &KERNEL_COOPERATIVE];

    fn shape(&self) -> &Params {
        &self.shape
    }

    fn models(&self) -> usize {
        self.models
    }

    fn results(&self) -> [usize; 3] {
        let shape = &self.shape;
        [shape.channels as usize, shape.batch as usize * shape.input_area(), shape.groups as usize]
    }

    fn layer_sides(&self) -> [usize; 2] {
        [self.shape.channels as usize, self.shape.filters as usize * self.shape.kernel_area()]
    }

    fn is_linear(&self) -> bool {
        self.activation == LINEAR
    }

    fn as_product(&self, kernel: &'static Kernel, tiling: Tiling) -> Dispatch {
        mixed::over_pixels(self, self.operands.epilogue.constants(self.activation), kernel, tiling)
    }
}

/// The window that covers row (or column) `at` of the image so many below its first; `None` when there is none.
fn window(at: usize, pad: u32, below: usize, stride: u32, windows: u32) -> Option<usize> {
    let start = (at + pad as usize).checked_sub(below)?;
    let window = start / stride as usize;
    (start % stride as usize == 0 && window < windows as usize).then_some(window)
}

fn reference<T: Real>(args: &mut Args<T>) {
    let (p, constants): (Params, _) = (args.params(), args.constants);
    let models = args.models();
    let [output_gradient, weight, bias_or_saved, input_gradient] = args.operands();
    let (output_gradient, weight) = (output_gradient.read(), weight.read());
    let (filters, channels) = (p.filters as usize, p.channels as usize);
    let sum = |model: usize, image: usize, channel: usize, pixel: usize| {
        let (y, x) = (pixel / p.width as usize, pixel % p.width as usize);
        let (group, channel) = (channel / channels, channel % channels);
        let weight = &weight[model * p.parameter_stride as usize..];
        let mut sum = 0.0;
        for filter in group * filters..(group + 1) * filters {
            for tap in 0..p.kernel_area() {
                let [i, j] = p.tap(tap);
                let row = window(y, p.pad_top, i, p.stride_height, p.output_height);
                let column = window(x, p.pad_left, j, p.stride_width, p.output_width);
                let (Some(row), Some(column)) = (row, column) else { continue };
                let plane = (model * p.batch as usize + image) * p.all_filters() + filter;
                let gradient = output_gradient[plane * p.output_area() + row * p.output_width as usize + column];
                sum += gradient.to_f64() * weight[filter * p.taps() + channel * p.kernel_area() + tap].to_f64();
            }
        }
        sum
    };
    let finish = Finish::new(constants, bias_or_saved.read());
    let results = [models, p.batch as usize, p.all_channels(), p.input_area()];
    finish.each(results, p.parameter_stride, input_gradient.write(), sum);
}

fn cases(shapes: impl Iterator<Item = shapes::Shape>, variants: &[Variant]) -> Vec<Case> {
    let case = |(name, launch, contents): (String, BackwardInput, Vec<Contents>)| Case {
        name,
        dispatch: launch.lower(),
        contents,
    };
    tried(shapes, variants).into_iter().map(case).collect()
}

/// What verification tries: a launch of each shape as each variant, with its data.
fn tried(
    shapes: impl Iterator<Item = shapes::Shape>,
    variants: &[Variant],
) -> Vec<(String, BackwardInput, Vec<Contents>)> {
    let mut tried = Vec::new();
    for (index, shape) in shapes.enumerate() {
        for (number, &variant) in variants.iter().enumerate() {
            let (p, models) = (shape.params, shape.models);
            let gradient = (index + number) % 5 != 4;
            let kind = shapes::activation(index, number);
            let scale = match gradient {
                true if index % 3 == 2 => 1000.0,
                true => 1.0,
                false => shapes::output_scale(index, kind),
            };
            let stride = (models - 1) * p.parameter_stride as usize;
            let contents = vec![
                Contents::random(models * p.outputs(), scale, 1),
                Contents::random(stride + p.weights(), 1.0, 2),
                shapes::bias_or_saved(&p, models, p.all_channels(), models * p.inputs(), kind, gradient),
                Contents::random(models * p.inputs(), 1.0, 4),
            ];
            let s = Case::slices(&contents);
            let epilogue = match gradient {
                true => Epilogue::Gradient { saved: s[2] },
                false => Epilogue::Output { bias: (number % 2 == 0).then_some(s[2]) },
            };
            let operands = Operands { output_gradient: s[0], weight: s[1], epilogue, input_gradient: s[3] };
            let launch = BackwardInput { label: "case".into(), shape: p, models, activation: kind, variant, operands };
            let name = format!("{} activation {kind} gradient {gradient} {variant:?}", shape.name);
            tried.push((name, launch, contents));
        }
    }
    tried
}
