//! An embedding, forward: each value of an example is the number of a row of the table, as in PyTorch's `nn.Embedding`, but for
//! the first, which may be numbers that pass as they are.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, params, read, write};
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

params! {
    /// Shape of one launch.
    Params {
        /// Rows of each model: the examples of a batch.
        rows: u32,
        /// Values of an example that pass as they are, before the others.
        numbers: u32,
        /// Values of an example that are numbers of levels.
        inputs: u32,
        /// Numbers of each level.
        width: u32,
        /// Rows of the table.
        levels: u32,
        /// Elements from one model's table, or its gradient, to the next's.
        parameter_stride: u32,
    }
}

impl Params {
    /// Values of an example.
    pub(super) fn values(&self) -> usize {
        self.numbers as usize + self.inputs as usize
    }

    /// What is made of an example.
    pub(super) fn outputs(&self) -> usize {
        self.numbers as usize + self.inputs as usize * self.width as usize
    }

    /// Numbers of levels in a batch.
    pub(super) fn items(&self) -> usize {
        self.rows as usize * self.inputs as usize
    }

    /// Numbers of the table.
    pub(super) fn table(&self) -> usize {
        self.levels as usize * self.width as usize
    }

    /// The level that a value stands for; none below 0. What is beyond the last is taken for that, so that nothing is read out
    /// of bounds.
    pub(super) fn level<T: Real>(&self, value: T) -> Option<usize> {
        let value = value.to_f64();
        (value >= 0.0).then(|| (value as usize).min(self.levels as usize - 1))
    }
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "embedding_forward",
    wgsl: include_str!("../../../shaders/embedding_forward.wgsl"),
    needs: Needs::Nothing,
    bindings: &[read("input"), read("weight"), write("output")],
    params: Params::FIELDS,
};

/// What it computes.
pub static SPECIFICATION: Specification = Specification {
    kernel: &KERNEL,
    reference: reference::<f32>,
    reference_f64: reference::<f64>,
    tolerance: 0.0,
    cases,
};

/// Threads of a workgroup.
pub(super) const THREADS: usize = 64;

/// Slices of one launch.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (models, rows, numbers + inputs): the latter are whole numbers below `levels`, or below 0 where an example has none.
    pub input: Slice,
    /// (levels, width) of each model.
    pub weight: Slice,
    /// (models, rows, numbers + inputs x width).
    pub output: Slice,
}

/// A launch for `models` models: the numbers of `input[r]`, then `weight[input[r, i]]` for each of its other values; zeros for
/// those below 0.
#[derive(Debug, Clone)]
pub struct EmbeddingForward {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Models side by side.
    pub models: usize,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for EmbeddingForward {
    fn lower(&self) -> Dispatch {
        let EmbeddingForward { label, shape, models, operands } = self.clone();
        let elements = shape.rows as usize * shape.outputs();
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![],
            cost: Cost { flops: 0.0, bytes: 8.0 * elements as f64 }.times(models),
            params: shape.words(),
            slices: vec![operands.input, operands.weight, operands.output],
            grid: linear_grid(elements.div_ceil(THREADS), models as u32),
            demands: Demands::default(),
        }
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let (models, numbers, width) = (args.models(), p.numbers as usize, p.width as usize);
    let [input, weight, output] = args.operands();
    let (input, weight, output) = (input.read(), weight.read(), output.write());
    let rows = input.chunks_exact(p.values()).zip(output.chunks_exact_mut(p.outputs()));
    for (index, (input, output)) in rows.take(models * p.rows as usize).enumerate() {
        let table = index / p.rows as usize * p.parameter_stride as usize;
        output[..numbers].copy_from_slice(&input[..numbers]);
        for (value, output) in input[numbers..].iter().zip(output[numbers..].chunks_exact_mut(width)) {
            match p.level(*value) {
                Some(level) => output.copy_from_slice(&weight[table + level * width..][..width]),
                None => output.fill(T::from_f64(0.0)),
            }
        }
    }
}

/// Shapes for cases, with their numbers of models.
pub(super) fn shapes() -> impl Iterator<Item = (usize, Params)> {
    // (models, rows, numbers, inputs, width, levels, gap)
    const ROWS: [(usize, [u32; 6]); 8] = [
        (1, [1, 0, 1, 1, 1, 0]),
        (1, [1, 0, 1, 5, 3, 0]),
        (2, [7, 0, 3, 4, 5, 3]),
        (3, [5, 2, 2, 1, 17, 1]),
        (1, [33, 0, 7, 3, 2, 0]),
        (2, [13, 5, 1, 16, 9, 64]),
        (2, [9, 1, 3, 2, 6, 5]),
        (1, [61, 0, 5, 17, 40, 0]),
    ];
    ROWS.into_iter().map(|(models, [rows, numbers, inputs, width, levels, gap])| {
        (models, Params { rows, numbers, inputs, width, levels, parameter_stride: levels * width + gap })
    })
}

/// Numbers of levels, and some that are none: below 0, beyond the last, and between two.
pub(super) fn values(models: usize, shape: &Params, seed: u32) -> Contents {
    let levels = shape.levels as f32;
    match Contents::random(models * shape.rows as usize * shape.values(), 0.6 * levels, seed) {
        Contents::F32(values) => {
            let place = |(index, value): (usize, f32)| {
                let value = value + 0.5 * levels;
                if index % 5 == 4 { value } else { value.floor() }
            };
            Contents::F32(values.into_iter().enumerate().map(place).collect())
        }
        integers => integers,
    }
}

fn cases() -> Vec<Case> {
    let case = |(models, shape): (usize, Params)| {
        let contents = vec![
            values(models, &shape, 1),
            Contents::random((models - 1) * shape.parameter_stride as usize + shape.table(), 1000.0, 2),
            Contents::random(models * shape.rows as usize * shape.outputs(), 1.0, 3),
        ];
        let s = Case::slices(&contents);
        let operands = Operands { input: s[0], weight: s[1], output: s[2] };
        let dispatch = EmbeddingForward { label: "case".into(), shape, models, operands }.lower();
        Case { name: format!("{models} models, {shape:?}"), dispatch, contents }
    };
    shapes().map(case).collect()
}
