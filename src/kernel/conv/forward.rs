//! Convolution (cross-correlation, as every framework means it), forward:
//! `output[n, f, y, x] = activation(bias[f] + sum of input window * weight[f])`. As a matrix product on a GPU;
//! the direct kernel is the variant for few filters, the depthwise one for filters that see one channel each.
//!
//! It is also a transposed convolution backward to its input; the epilogue is then a gradient's.

use crate::ir::{Binding, Dispatch, Kernel, Limits, Needs, Slice, read, write};
use crate::kernel::conv::mixed::{self, Convolution};
use crate::kernel::conv::shape::{DIRECT, Epilogue, Finish, Params, Variant, cost, covered, shapes};
use crate::kernel::dense::rounding::on_rounded;
use crate::kernel::dense::tiling::{TILES, Tiling};
use crate::kernel::formula::activation::LINEAR;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};
use std::sync::Arc;

const BINDINGS: &[Binding] = &[read("input"), read("weight"), read("bias_or_saved"), write("output")];

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

/// The kernel for filters that see one channel each.
pub static KERNEL_DEPTHWISE: Kernel =
    Kernel { name: "depthwise_forward", wgsl: include_str!("../../../shaders/depthwise_forward.wgsl"), ..KERNEL };

/// The product with both factors rounded to f16.
pub static KERNEL_F16: Kernel = Kernel {
    name: "conv2d_forward_f16",
    wgsl: include_str!("../../../shaders/conv2d_forward_f16.wgsl"),
    needs: Needs::F16,
    ..KERNEL
};

/// The same on matrix units.
pub static KERNEL_COOPERATIVE: Kernel = Kernel {
    name: "conv2d_forward_cooperative",
    wgsl: include_str!("../../../shaders/conv2d_forward_cooperative.wgsl"),
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
    /// (models, batch, groups, channels, height, width).
    pub input: Slice,
    /// (groups, filters, channels, kernel_height, kernel_width) for each model.
    pub weight: Slice,
    /// What becomes of the sums.
    pub epilogue: Epilogue,
    /// (models, batch, groups, filters, output_height, output_width).
    pub output: Slice,
}

/// The variant for this shape.
pub fn choose(shape: &Params, models: usize) -> Variant {
    Variant::choose(shape, shape.filters, shape.batch as usize * shape.output_area(), models)
}

/// A launch for `models` models; `activation` is an [`activation`](crate::kernel::formula::activation) code.
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
        constants.extend(operands.epilogue.constants(activation));
        let kernel = match variant {
            Variant::Matmul(_) => &KERNEL,
            Variant::Direct { .. } => {
                constants.push(("PADDED", shape.padded().into()));
                &KERNEL_DIRECT
            }
            Variant::Depthwise => &KERNEL_DEPTHWISE,
        };
        let Operands { input, weight, epilogue, output } = operands;
        Dispatch {
            kernel,
            label,
            constants,
            cost: cost(&shape.words()).times(models),
            params: shape.words(),
            slices: vec![input, weight, epilogue.slice(weight), output],
            grid: variant.grid(shape.groups, shape.filters, shape.batch as usize * shape.output_area(), models),
            demands: variant.demands(),
        }
    }

    fn variants(&self) -> Vec<Arc<dyn Launch>> {
        let all = Variant::all().filter(|_| !self.shape.depthwise());
        all.map(|variant| Arc::new(Forward { variant, ..self.clone() }) as Arc<dyn Launch>).collect()
    }

    fn mixed(&self, limits: &Limits) -> Option<Arc<dyn Launch>> {
        mixed::launch(self, limits)
    }
}

impl Convolution for Forward {
    const KERNELS: [&'static Kernel; 3] = [&KERNEL, &KERNEL_F16, &KERNEL_COOPERATIVE];

    fn shape(&self) -> &Params {
        &self.shape
    }

    fn models(&self) -> usize {
        self.models
    }

    fn results(&self) -> [usize; 3] {
        let shape = &self.shape;
        [shape.filters as usize, shape.batch as usize * shape.output_area(), shape.groups as usize]
    }

    fn layer_sides(&self) -> [usize; 2] {
        [self.shape.filters as usize, self.shape.taps()]
    }

    fn is_linear(&self) -> bool {
        self.activation == LINEAR
    }

    fn as_product(&self, kernel: &'static Kernel, tiling: Tiling) -> Dispatch {
        mixed::over_pixels(self, self.operands.epilogue.constants(self.activation), kernel, tiling)
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let (p, constants): (Params, _) = (args.params(), args.constants);
    let models = args.models();
    let [input, weight, bias_or_saved, output] = args.operands();
    let (input, weight, bias_or_saved, output) = (input.read(), weight.read(), bias_or_saved.read(), output.write());
    let sum = |model: usize, image: usize, filter: usize, pixel: usize| {
        let (y, x) = (pixel / p.output_width as usize, pixel % p.output_width as usize);
        let filter_weights = &weight[model * p.parameter_stride as usize + filter * p.taps()..][..p.taps()];
        let first_channel = image * p.all_channels() + filter / p.filters as usize * p.channels as usize;
        let mut sum = 0.0;
        for (tap, w) in filter_weights.iter().enumerate() {
            let (channel, tap) = (tap / p.kernel_area(), tap % p.kernel_area());
            let [i, j] = p.tap(tap);
            let row = covered(y, p.stride_height, i, p.pad_top, p.height);
            let column = covered(x, p.stride_width, j, p.pad_left, p.width);
            if let (Some(row), Some(column)) = (row, column) {
                let place = (first_channel + channel) * p.input_area() + row * p.width as usize + column;
                sum += input[model * p.input_stride as usize + place].to_f64() * w.to_f64();
            }
        }
        sum
    };
    let finish = Finish::new(constants, bias_or_saved);
    let results = [models, p.batch as usize, p.all_filters(), p.output_area()];
    finish.each(results, p.parameter_stride, output, sum);
}

fn cases(shapes: impl Iterator<Item = shapes::Shape>, variants: &[Variant]) -> Vec<Case> {
    let case =
        |(name, launch, contents): (String, Forward, Vec<Contents>)| Case { name, dispatch: launch.lower(), contents };
    tried(shapes, variants).into_iter().map(case).collect()
}

/// What verification tries: a launch of each shape as each variant, with its data.
fn tried(shapes: impl Iterator<Item = shapes::Shape>, variants: &[Variant]) -> Vec<(String, Forward, Vec<Contents>)> {
    let mut tried = Vec::new();
    for (index, shape) in shapes.enumerate() {
        for (number, &variant) in variants.iter().enumerate() {
            let (p, models) = (shape.params, shape.models);
            let kind = shapes::activation(index, number);
            let scale = shapes::input_scale(&p, index, kind);
            let stride = (models - 1) * p.parameter_stride as usize;
            let gradient = (index + number) % 5 == 4;
            let contents = vec![
                Contents::random(models * p.input_stride as usize, scale, 1),
                Contents::random(stride + p.weights(), 1.0, 2),
                shapes::bias_or_saved(&p, models, p.all_filters(), models * p.outputs(), kind, gradient),
                Contents::random(models * p.outputs(), 1.0, 4),
            ];
            let s = Case::slices(&contents);
            let epilogue = match gradient {
                true => Epilogue::Gradient { saved: s[2] },
                false => Epilogue::Output { bias: (number % 2 == 0).then_some(s[2]) },
            };
            let operands = Operands { input: s[0], weight: s[1], epilogue, output: s[3] };
            let launch = Forward { label: "case".into(), shape: p, models, activation: kind, variant, operands };
            let name = format!("{} activation {kind} gradient {gradient} {variant:?}", shape.name);
            tried.push((name, launch, contents));
        }
    }
    tried
}
