//! Sums of squares in parts: norms of gradients and weights, and the L2 penalty.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, params, read, read_u32, write};
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Elements counted per model.
        len: u32,
        /// Elements from one model's values to the next's.
        stride: u32,
        /// Where a model's values start among its parameters: tells which weight blocks are theirs.
        first: u32,
        /// Parts per model.
        parts: u32,
        /// Elements from one model's results to the next's.
        output_stride: u32,
        /// Where a model's results start.
        output_first: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "sum_squares",
    wgsl: include_str!("../../../shaders/sum_squares.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("values"), read("weights"), read_u32("weight_blocks"), read("hyper"), write("parts")],
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
    /// What is squared.
    pub values: Slice,
    /// The parameters, for the gradient of the L2 penalty.
    pub weights: Slice,
    /// One word per 64 elements: 1 where they are weights.
    pub weight_blocks: Slice,
    /// (models, HYPER).
    pub hyper: Slice,
    /// (models, output_stride).
    pub parts: Slice,
}

/// Parts for `len` elements: enough to keep a GPU busy, few enough to be summed by one thread.
pub fn parts(len: usize) -> usize {
    len.div_ceil(4096).clamp(1, 64)
}

/// A launch for `models` models. `weights_only`: elements outside weight blocks count nothing; `with_l2`: the gradient of
/// the L2 penalty is added to the values first.
#[derive(Debug, Clone)]
pub struct SumSquares {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// Whether only weights count.
    pub weights_only: bool,
    /// Whether the L2 penalty's gradient is added.
    pub with_l2: bool,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for SumSquares {
    fn lower(&self) -> Dispatch {
        let SumSquares { label, shape, models, weights_only, with_l2, operands } = self.clone();
        let o = operands;
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![("WEIGHTS_ONLY", weights_only.into()), ("WITH_L2", with_l2.into())],
            cost: cost(&shape.words()).times(models),
            params: shape.words(),
            slices: vec![o.values, o.weights, o.weight_blocks, o.hyper, o.parts],
            grid: [shape.parts, 1, models as u32],
            demands: Demands::default(),
        }
    }
}

/// Threads of a workgroup: they decide which elements fall into which part.
pub(crate) const THREADS: usize = 256;

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let models = args.models();
    let [weights_only, with_l2] = ["WEIGHTS_ONLY", "WITH_L2"].map(|n| args.constant(n, 0) == 1);
    let [values, weights, weight_blocks, hyper, parts] = args.operands();
    let (values, weights, weight_blocks) = (values.read(), weights.read(), weight_blocks.read_u32());
    let (hyper, parts) = (hyper.read(), parts.write());
    let count = p.parts as usize;
    for model in 0..models {
        let base = model * p.stride as usize;
        let l2 = if with_l2 { hyper[model * state::HYPER + state::L2].to_f64() } else { 0.0 };
        let mut sums = vec![0.0; count];
        for i in 0..p.len as usize {
            let is_weight = (weights_only || with_l2) && weight_blocks[(p.first as usize + i) / 64] == 1;
            let mut x = values[base + i].to_f64();
            if with_l2 && is_weight {
                x += 2.0 * l2 * weights[base + i].to_f64();
            }
            if !weights_only || is_weight {
                sums[i / THREADS % count] += x * x;
            }
        }
        let first = model * p.output_stride as usize + p.output_first as usize;
        for (part, sum) in parts[first..].iter_mut().zip(sums) {
            *part = T::from_f64(sum);
        }
    }
}

fn cost(params: &[u32]) -> Cost {
    let len = f64::from(params[0]);
    Cost { flops: 2.0 * len, bytes: 4.0 * len }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (len, models) in [(1usize, 1usize), (65, 2), (1009, 3), (5003, 1), (20_011, 2)] {
        for (weights_only, with_l2) in [(false, false), (true, false), (false, true), (true, true)] {
            let stride = len.next_multiple_of(64);
            let count = parts(len);
            let (output_stride, output_first) = (count + 3, 2);
            let first = 64 * (len % 4);
            let blocks = (0..(first + stride) / 64).map(|b| u32::from(b % 3 != 1)).collect();
            let contents = vec![
                Contents::random((models - 1) * stride + len, 1.0, 1),
                Contents::random((models - 1) * stride + len, 1.0, 2),
                Contents::U32(blocks),
                Contents::random(models * state::HYPER, 1.0, 3),
                Contents::random(models * output_stride, 1.0, 4),
            ];
            let s = Case::slices(&contents);
            let operands = Operands { values: s[0], weights: s[1], weight_blocks: s[2], hyper: s[3], parts: s[4] };
            let [counted, stride, first, parts, output_stride, output_first] =
                [len, stride, first, count, output_stride, output_first].map(|n| n as u32);
            let shape = Params { len: counted, stride, first, parts, output_stride, output_first };
            let dispatch = SumSquares { label: "case".into(), shape, models, weights_only, with_l2, operands }.lower();
            let name = format!("{models}x{len}, weights only {weights_only}, l2 {with_l2}");
            cases.push(Case { name, dispatch, contents });
        }
    }
    cases
}
