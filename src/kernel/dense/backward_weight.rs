//! Dense layer, backward to its parameters: `gradient = output_gradient^T * input`, and the bias gradient beside it.
//!
//! A small layer's sums over a large batch are long and few, so they are split over rows; [`SumPartials`] adds the splits.

use super::rounding::on_rounded;
use super::tiling::{AWKWARD, Product, TILES, Tiling, mixed, variants};
use super::trial::{Trial, cases};
use crate::ir::{Binding, Cost, Dispatch, Kernel, Limits, Needs, Slice, params, read, write};
use crate::kernel::reduce::sum_partials::{self, SumPartials};
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
        /// Where the bias gradient starts in `gradient`.
        bias_offset: u32,
        /// Elements from one model's input to the next's.
        input_stride: u32,
        /// Rows of one split.
        split_rows: u32,
        /// Elements from one split's sums to the next's.
        split_stride: u32,
    }
}

/// Rows of one split, for a layer of so many weights: all of them unless the batch is large and the layer small. The same
/// whether other models train beside this one: the sums' order, and with it their last bits, must not depend on that.
pub fn split_rows(rows: usize, weights: usize) -> usize {
    /// Fewer rows than this per split are not worth a partial result of their own.
    const LEAST_ROWS: usize = 512;
    /// Tiles of this many weights in all keep a GPU busy without any splits.
    const MANY_WEIGHTS: usize = 256 * 1024;
    let splits = (MANY_WEIGHTS / weights.max(1)).min(rows / LEAST_ROWS).max(1);
    rows.div_ceil(splits)
}

const BINDINGS: &[Binding] = &[read("output_gradient"), read("input"), write("gradient")];

/// The kernel in f32.
pub static KERNEL: Kernel = Kernel {
    name: "dense_backward_weight",
    wgsl: include_str!("../../../shaders/dense_backward_weight.wgsl"),
    needs: Needs::Nothing,
    bindings: BINDINGS,
    params: Params::FIELDS,
};

/// The same with both factors rounded to f16.
pub static KERNEL_F16: Kernel = Kernel {
    name: "dense_backward_weight_f16",
    wgsl: include_str!("../../../shaders/dense_backward_weight_f16.wgsl"),
    needs: Needs::F16,
    ..KERNEL
};

/// The same on matrix units.
pub static KERNEL_COOPERATIVE: Kernel = Kernel {
    name: "dense_backward_weight_cooperative",
    wgsl: include_str!("../../../shaders/dense_backward_weight_cooperative.wgsl"),
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

/// A dense layer's weight gradient to compute.
#[derive(Debug, Clone, Copy)]
pub struct Layer {
    /// Examples in the batch.
    pub rows: usize,
    /// Features in.
    pub inputs: usize,
    /// Features out.
    pub outputs: usize,
    /// Whether there is a bias gradient too.
    pub bias: bool,
    /// Rows of one split (see [`split_rows`]).
    pub split_rows: usize,
}

impl Layer {
    fn splits(&self) -> usize {
        self.rows.div_ceil(self.split_rows)
    }

    /// Elements of one split's sums.
    fn sums_len(&self) -> usize {
        self.outputs * (self.inputs + usize::from(self.bias))
    }

    /// Elements of scratch memory that the launches need; 0 when the sums are not split.
    pub fn scratch_len(&self, models: usize) -> usize {
        if self.splits() == 1 { 0 } else { models * self.splits() * self.sums_len() }
    }
}

/// Slices and strides of the launches.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, rows, outputs).
    pub output_gradient: Slice,
    /// (models, rows, inputs).
    pub input: Slice,
    /// Elements from one model's input to the next's.
    pub input_stride: usize,
    /// The layer's weight gradient, and its bias gradient from `bias_offset` on, for each model.
    pub gradient: Slice,
    /// Where the bias gradient starts in `gradient`.
    pub bias_offset: usize,
    /// Elements from one model's parameters to the next's.
    pub parameter_stride: usize,
    /// Memory of [`Layer::scratch_len`] elements; unused when the sums are not split.
    pub scratch: Option<Slice>,
}

/// The launches of a layer's gradient for `models` models: one, or two with the sum of the splits.
pub fn launches(label: &str, layer: Layer, models: usize, tiling: Tiling, operands: Operands) -> Vec<Arc<dyn Launch>> {
    let Some(scratch) = operands.scratch.filter(|_| layer.splits() > 1) else {
        let layer = Layer { split_rows: layer.rows, ..layer };
        return vec![Arc::new(BackwardWeight { label: label.into(), layer, models, tiling, operands }.planned())];
    };
    let (weights, len) = (layer.outputs * layer.inputs, layer.sums_len());
    let parameter_stride = layer.splits() * len;
    let partial = Operands { gradient: scratch, bias_offset: weights, parameter_stride, ..operands };
    let shape = sum_partials::Params {
        len: len as u32,
        count: layer.splits() as u32,
        first: weights as u32,
        second: operands.bias_offset as u32,
        output_stride: operands.parameter_stride as u32,
    };
    let label_of_sum = format!("{label}, sum of splits");
    vec![
        Arc::new(BackwardWeight { label: label.into(), layer, models, tiling, operands: partial }.planned()),
        Arc::new(SumPartials { label: label_of_sum, shape, models, partials: scratch, output: operands.gradient }),
    ]
}

/// A launch.
#[derive(Debug, Clone)]
pub struct BackwardWeight {
    /// What it computes here.
    pub label: String,
    /// The layer, and how its sums are split.
    pub layer: Layer,
    /// Models side by side.
    pub models: usize,
    /// How the product is cut.
    pub tiling: Tiling,
    /// Its slices and strides.
    pub operands: Operands,
}

impl Product for BackwardWeight {
    const KERNELS: [&'static Kernel; 3] = [&KERNEL, &KERNEL_F16, &KERNEL_COOPERATIVE];

    fn tiling(&self) -> Tiling {
        self.tiling
    }

    fn tiled(&self, tiling: Tiling) -> Self {
        BackwardWeight { tiling, ..self.clone() }
    }

    fn results(&self) -> [usize; 3] {
        [self.layer.outputs, self.layer.inputs, self.layer.splits()]
    }

    fn side_by_side(&self) -> usize {
        self.models
    }

    fn comes_in_fours(&self) -> bool {
        let (Layer { inputs, outputs, .. }, Operands { input_stride, .. }) = (self.layer, self.operands);
        [inputs, outputs, input_stride].iter().all(|length| length.is_multiple_of(4))
    }
}

impl Launch for BackwardWeight {
    fn lower(&self) -> Dispatch {
        let Operands { output_gradient, input, gradient, .. } = self.operands;
        let mut constants = self.tiling.constants();
        constants.extend([("A_K_CONTIGUOUS", 0), ("B_K_CONTIGUOUS", 0), ("ROW_SUMS", self.layer.bias.into())]);
        Dispatch {
            kernel: self.kernel(),
            label: self.label.clone(),
            constants,
            params: self.shape().words(),
            slices: vec![output_gradient, input, gradient],
            grid: self.tiling.grid(self.results(), self.models),
            cost: self.cost().times(self.models),
            demands: self.tiling.demands([false, false]),
        }
    }

    fn variants(&self) -> Vec<Arc<dyn Launch>> {
        variants(self)
    }

    fn mixed(&self, limits: &Limits) -> Option<Arc<dyn Launch>> {
        Some(mixed(self, limits))
    }
}

impl BackwardWeight {
    fn shape(&self) -> Params {
        let (layer, operands) = (&self.layer, &self.operands);
        Params {
            rows: layer.rows as u32,
            inputs: layer.inputs as u32,
            outputs: layer.outputs as u32,
            parameter_stride: operands.parameter_stride as u32,
            bias_offset: operands.bias_offset as u32,
            input_stride: operands.input_stride as u32,
            split_rows: layer.split_rows as u32,
            split_stride: layer.sums_len() as u32,
        }
    }

    /// Work of one model.
    fn cost(&self) -> Cost {
        let Layer { rows, inputs, outputs, .. } = self.layer;
        let [rows, inputs, outputs] = [rows, inputs, outputs].map(|n| n as f64);
        Cost { flops: 2.0 * rows * inputs * outputs, bytes: 4.0 * (rows * inputs + inputs * outputs + rows * outputs) }
    }
}

impl Params {
    /// Number of splits.
    pub fn splits(&self) -> usize {
        self.rows.div_ceil(self.split_rows) as usize
    }

    /// Of every model and split: the model's number, its rows, and where its sums start.
    pub(crate) fn parts(&self, models: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>, usize)> {
        let (rows, split_rows) = (self.rows as usize, self.split_rows as usize);
        let (stride, split_stride) = (self.parameter_stride as usize, self.split_stride as usize);
        let of_model = move |model| {
            let ranges = (0..rows).step_by(split_rows).map(move |first| first..rows.min(first + split_rows));
            ranges.enumerate().map(move |(split, range)| (model, range, model * stride + split * split_stride))
        };
        (0..models).flat_map(of_model)
    }
}

pub(crate) fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, has_bias) = (args.models(), args.constant("ROW_SUMS", 0) == 1);
    let [output_gradient, input, gradient] = args.operands();
    let (output_gradient, input, gradient) = (output_gradient.read(), input.read(), gradient.write());
    let (rows, inputs, outputs) = (p.rows as usize, p.inputs as usize, p.outputs as usize);
    for (model, range, start) in p.parts(models) {
        let delta = |r: usize, o: usize| output_gradient[(model * rows + r) * outputs + o].to_f64();
        let input = &input[model * p.input_stride as usize..];
        let gradient = &mut gradient[start..];
        for o in 0..outputs {
            for i in 0..inputs {
                let sum: f64 = range.clone().map(|r| delta(r, o) * input[r * inputs + i].to_f64()).sum();
                gradient[o * inputs + i] = T::from_f64(sum);
            }
            if has_bias {
                gradient[p.bias_offset as usize + o] = T::from_f64(range.clone().map(|r| delta(r, o)).sum());
            }
        }
    }
}

/// What verification tries.
fn trials() -> Vec<Trial<BackwardWeight>> {
    let mut trials = Vec::new();
    // With outputs that fill a row of tiles, and more splits than one.
    let shapes = AWKWARD.into_iter().chain([[40, 7, 16, 2]]);
    for (index, [rows, inputs, outputs, models]) in shapes.enumerate() {
        for (variant, tile) in TILES.into_iter().enumerate() {
            let scale = if index % 3 == 2 { 1000.0 } else { 1.0 };
            let bias_offset = (inputs * outputs).next_multiple_of(64);
            // Whole, and in splits of which the last is shorter.
            let split_rows = if (index + variant) % 2 == 0 { rows } else { rows.div_ceil(3) + 1 };
            let layer = Layer { rows, inputs, outputs, bias: (index + variant) % 3 != 0, split_rows };
            let scratch = layer.scratch_len(models);
            let stride = bias_offset + outputs + 5;
            let contents = vec![
                Contents::random(models * rows * outputs, scale, 1),
                Contents::random(models * rows * inputs, 1.0, 2),
                Contents::random(if scratch > 0 { scratch } else { models * stride - 5 }, 1.0, 3),
            ];
            let s = Case::slices(&contents);
            let splits = scratch > 0;
            let operands = Operands {
                output_gradient: s[0],
                input: s[1],
                input_stride: rows * inputs,
                gradient: s[2],
                bias_offset: if splits { inputs * outputs } else { bias_offset },
                parameter_stride: if splits { layer.splits() * layer.sums_len() } else { stride },
                scratch: None,
            };
            let product = BackwardWeight { label: "case".into(), layer, models, tiling: Tiling::plain(tile), operands };
            let (bias, name) = (layer.bias, format!("{models}x{rows}x{inputs}x{outputs}"));
            let name = format!("{name} bias {bias}, splits of {split_rows},");
            trials.push(Trial { name, product, tile, form: index, linear: true, contents });
        }
    }
    trials
}

#[cfg(test)]
mod tests {
    use super::split_rows;

    #[test]
    fn only_small_layers_of_large_batches_are_split() {
        assert_eq!(split_rows(128, 10), 128);
        assert_eq!(split_rows(15_000, 784_000), 15_000);
        assert_eq!(split_rows(15_000, 10_000), 15_000usize.div_ceil(26));
        assert_eq!(split_rows(15_000, 1), 15_000usize.div_ceil(29));
        assert_eq!(split_rows(1, 1), 1);
    }
}
