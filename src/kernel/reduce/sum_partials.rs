//! Sums partial results of a long reduction that was split, in a fixed order: `output[i] = sum over s of partials[s, i]`.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, write};
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Elements of each partial.
        len: u32,
        /// Partials of each model.
        count: u32,
        /// Elements of the output's first piece: `len` when it is one piece.
        first: u32,
        /// Where the output's second piece starts.
        second: u32,
        /// Elements from one model's output to the next's.
        output_stride: u32,
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "sum_partials",
    wgsl: include_str!("../../../shaders/sum_partials.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("partials"), write("output")],
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

/// Elements that one workgroup sums: `COLUMNS` in the shader.
const COLUMNS: usize = 32;

/// A launch for `models` models: `partials` is (models, count, len).
#[derive(Debug, Clone)]
pub struct SumPartials {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// (models, count, len).
    pub partials: Slice,
    /// What is written.
    pub output: Slice,
}

impl Launch for SumPartials {
    fn lower(&self) -> Dispatch {
        let SumPartials { label, shape, models, partials, output } = self.clone();
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![],
            cost: cost(&shape.words()).times(models),
            params: shape.words(),
            slices: vec![partials, output],
            grid: linear_grid((shape.len as usize).div_ceil(COLUMNS), models as u32),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let models = args.models();
    let [partials, output] = args.operands();
    let (partials, output) = (partials.read(), output.write());
    let (len, count, first) = (p.len as usize, p.count as usize, p.first as usize);
    for model in 0..models {
        let output = &mut output[model * p.output_stride as usize..];
        for i in 0..len {
            let sum: f64 = (0..count).map(|s| partials[(model * count + s) * len + i].to_f64()).sum();
            output[if i < first { i } else { p.second as usize + i - first }] = T::from_f64(sum);
        }
    }
}

fn cost(params: &[u32]) -> Cost {
    let [len, count] = [0, 1].map(|i| f64::from(params[i]));
    Cost { flops: len * count, bytes: 4.0 * len * (count + 1.0) }
}

fn cases() -> Vec<Case> {
    let rows = [(1, 1, 1, 1), (1, 3, 5, 7), (2, 33, 9, 29), (3, 65, 17, 65), (1, 97, 130, 96), (2, 257, 8, 200)];
    let case = |(models, len, count, first): (usize, u32, u32, u32)| {
        let second = first + 3;
        let end = if first < len { second + len - first } else { len } as usize;
        let output_stride = end + 5;
        let contents = vec![
            Contents::random(models * (len * count) as usize, if len == 65 { 1000.0 } else { 1.0 }, 1),
            Contents::random((models - 1) * output_stride + end, 1.0, 2),
        ];
        let s = Case::slices(&contents);
        let first = first.min(len);
        let shape = Params { len, count, first, second, output_stride: output_stride as u32 };
        let dispatch = SumPartials { label: "case".into(), shape, models, partials: s[0], output: s[1] }.lower();
        Case { name: format!("{models}x{count}x{len} split at {first}"), dispatch, contents }
    };
    rows.into_iter().map(case).collect()
}
