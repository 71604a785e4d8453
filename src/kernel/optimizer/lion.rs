//! Lion: steps by the sign of a mean gradient.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, read, read_u32, write};
use crate::kernel::optimizer::rules::{self, Params, Rules};
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "lion",
    wgsl: include_str!("../../../shaders/lion.wgsl"),
    needs: Needs::Nothing,
    bindings: &[
        write("parameters"),
        read("gradients"),
        write("mean"),
        read_u32("weight_blocks"),
        read("hyper"),
        read("scalars"),
        read("norm_parts"),
    ],
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
    /// The range of the parameters.
    pub parameters: Slice,
    /// The same range of the gradients.
    pub gradients: Slice,
    /// The same range of the mean gradient.
    pub mean: Slice,
    /// One word per 64 elements of a model: 1 where they are weights.
    pub weight_blocks: Slice,
    /// (models, HYPER).
    pub hyper: Slice,
    /// (models, SCALARS).
    pub scalars: Slice,
    /// (models, norm_parts); anything without clipping.
    pub norm_parts: Slice,
}

/// Which terms the update has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    /// The gradient is clipped by norm.
    pub clip: bool,
    /// There is an L2 penalty.
    pub penalty: bool,
    /// Models whose gradients are not all finite are left alone.
    pub skips: bool,
    /// Weight decay leaves out biases and the scales of norms.
    pub spares_biases: bool,
}

/// A launch over one range.
#[derive(Debug, Clone)]
pub struct Lion {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Which terms the update has.
    pub terms: Terms,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for Lion {
    fn lower(&self) -> Dispatch {
        let Lion { label, shape, terms, operands } = self.clone();
        let o = operands;
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![
                ("CLIP", terms.clip.into()),
                ("PENALTY", terms.penalty.into()),
                ("SKIPS", terms.skips.into()),
                ("SPARES_BIASES", terms.spares_biases.into()),
            ],
            cost: cost(&shape.words()).times(1),
            params: shape.words(),
            slices: vec![o.parameters, o.gradients, o.mean, o.weight_blocks, o.hyper, o.scalars, o.norm_parts],
            grid: linear_grid((shape.len as usize).div_ceil(128), 1),
            demands: Demands::default(),
        }
    }
}

/// The sign of a number, 0 of 0 and NaN of NaN.
pub(crate) fn direction<T: PartialOrd + From<f32>>(value: T) -> T {
    if value > 0.0.into() {
        1.0.into()
    } else if value < 0.0.into() {
        (-1.0).into()
    } else {
        value
    }
}

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let [clip, penalty] = ["CLIP", "PENALTY"].map(|n| args.constant(n, 0) == 1);
    let [skips, spares_biases] = ["SKIPS", "SPARES_BIASES"].map(|n| args.constant(n, 0) == 1);
    let [parameters, gradients, mean, weight_blocks, hyper, scalars, norm_parts] = args.operands();
    let (parameters, gradients, mean) = (parameters.write(), gradients.read(), mean.write());
    let (blocks, shared) = (weight_blocks.read_u32(), [hyper.read(), scalars.read(), norm_parts.read()]);
    for (model, first, len) in rules::pieces(&p, None) {
        let rules = Rules::of_model(model, &p, [clip, penalty, spares_biases], shared, blocks);
        if rules.is_skipped(skips) {
            continue;
        }
        let rate = rules.learning_rate();
        let h = |slot: usize| rules.hyper[slot].to_f64();
        for i in first..first + len {
            let (parameter, m) = (parameters[i].to_f64(), mean[i].to_f64());
            let gradient = rules.gradient(p.first as usize + i, gradients[i], parameters[i]);
            let step = direction(h(state::BETA1) * m + h(state::ONE_MINUS_BETA1) * gradient);
            let decay = rules.decay(p.first as usize + i).to_f64();
            parameters[i] = T::from_f64(parameter * (1.0 - rate * decay) - rate * step);
            mean[i] = T::from_f64(h(state::BETA2) * m + h(state::ONE_MINUS_BETA2) * gradient);
        }
    }
}

fn cost(params: &[u32]) -> Cost {
    let len = f64::from(params[0]);
    Cost { flops: 6.0 * len, bytes: 20.0 * len }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for [models, stride, first, len] in rules::CASE_RANGES {
        for variant in 0..5 {
            let terms = Terms {
                clip: (2..4).contains(&variant),
                penalty: (1..4).contains(&variant),
                skips: variant == 3,
                spares_biases: variant == 4,
            };
            let norm_parts = 3;
            let [blocks, hyper, scalars, norms] = rules::case_state(models, stride, norm_parts);
            // Here and there nothing moves: neither way.
            let at_rest = |scale: f32, seed: u32| match Contents::random(len, scale, seed) {
                Contents::F32(values) if variant == 0 => {
                    Contents::F32(values.iter().enumerate().map(|(i, x)| if i % 5 == 3 { 0.0 } else { *x }).collect())
                }
                values => values,
            };
            let contents = vec![
                Contents::random(len, 1.0, 1),
                at_rest(if variant == 1 { 1000.0 } else { 1.0 }, 2),
                at_rest(1.0, 3),
                blocks,
                hyper,
                scalars,
                norms,
            ];
            let s = Case::slices(&contents);
            let operands = Operands {
                parameters: s[0],
                gradients: s[1],
                mean: s[2],
                weight_blocks: s[3],
                hyper: s[4],
                scalars: s[5],
                norm_parts: s[6],
            };
            let shape = Params {
                len: len as u32,
                first: first as u32,
                parameter_stride: stride as u32,
                norm_parts: norm_parts as u32,
            };
            let dispatch = Lion { label: "case".into(), shape, terms, operands }.lower();
            cases.push(Case { name: format!("{len} of {models}x{stride}, {terms:?}"), dispatch, contents });
        }
    }
    cases
}
