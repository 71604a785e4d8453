//! Adam and AdamW, as torch.optim has them.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, read, read_u32, write};
use crate::kernel::optimizer::rules::{self, Params, Rules};
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "adam",
    wgsl: include_str!("../../../shaders/adam.wgsl"),
    needs: Needs::Nothing,
    bindings: &[
        write("parameters"),
        read("gradients"),
        write("mean"),
        write("variance"),
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
    tolerance: 2e-5,
    cases,
};

/// Slices of one launch.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// The range of the parameters.
    pub parameters: Slice,
    /// The same range of the gradients.
    pub gradients: Slice,
    /// The same range of the first moment.
    pub mean: Slice,
    /// The same range of the second moment.
    pub variance: Slice,
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
    /// AdamW: weight decay apart from the gradient.
    pub decoupled: bool,
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
pub struct Adam {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Which terms the update has.
    pub terms: Terms,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for Adam {
    fn lower(&self) -> Dispatch {
        let Adam { label, shape, terms, operands } = self.clone();
        let o = operands;
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![
                ("DECOUPLED", terms.decoupled.into()),
                ("CLIP", terms.clip.into()),
                ("PENALTY", terms.penalty.into()),
                ("SKIPS", terms.skips.into()),
                ("SPARES_BIASES", terms.spares_biases.into()),
            ],
            cost: cost(&shape.words()).times(1),
            params: shape.words(),
            slices: vec![
                o.parameters,
                o.gradients,
                o.mean,
                o.variance,
                o.weight_blocks,
                o.hyper,
                o.scalars,
                o.norm_parts,
            ],
            grid: linear_grid((shape.len as usize).div_ceil(128), 1),
            demands: Demands::default(),
        }
    }
}

pub(crate) fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let [decoupled, clip, penalty] = ["DECOUPLED", "CLIP", "PENALTY"].map(|n| args.constant(n, 0) == 1);
    let [skips, spares_biases] = ["SKIPS", "SPARES_BIASES"].map(|n| args.constant(n, 0) == 1);
    let [parameters, gradients, mean, variance, weight_blocks, hyper, scalars, norm_parts] = args.operands();
    let (parameters, gradients) = (parameters.write(), gradients.read());
    let (mean, variance) = (mean.write(), variance.write());
    let (blocks, shared) = (weight_blocks.read_u32(), [hyper.read(), scalars.read(), norm_parts.read()]);
    for (model, first, len) in rules::pieces(&p, None) {
        let rules = Rules::of_model(model, &p, [clip, penalty, spares_biases], shared, blocks);
        if rules.is_skipped(skips) {
            continue;
        }
        for i in first..first + len {
            let gradient = rules.gradient(p.first as usize + i, gradients[i], parameters[i]);
            let decay = rules.decay(p.first as usize + i).to_f64();
            let old = [parameters[i], mean[i], variance[i]].map(T::to_f64);
            let next = element(&rules, decoupled, rules.learning_rate(), old, gradient, decay);
            [parameters[i], mean[i], variance[i]] = next.map(T::from_f64);
        }
    }
}

/// One element after a step: parameter, mean and variance.
pub(crate) fn element<T: Real>(
    rules: &Rules<'_, T>,
    decoupled: bool,
    rate: f64,
    [mut parameter, mean, variance]: [f64; 3],
    mut gradient: f64,
    decay: f64,
) -> [f64; 3] {
    let h = |slot: usize| rules.hyper[slot].to_f64();
    let [correction1, correction2] =
        [state::BETA1_CORRECTION, state::BETA2_CORRECTION].map(|slot| rules.scalars[slot].to_f64());
    if decoupled {
        parameter *= 1.0 - rate * decay;
    } else {
        gradient += decay * parameter;
    }
    let m = h(state::BETA1) * mean + h(state::ONE_MINUS_BETA1) * gradient;
    let v = h(state::BETA2) * variance + h(state::ONE_MINUS_BETA2) * gradient * gradient;
    let denominator = v.sqrt() / correction2.sqrt() + h(state::EPSILON);
    [parameter - rate / correction1 * m / denominator, m, v]
}

fn cost(params: &[u32]) -> Cost {
    let len = f64::from(params[0]);
    Cost { flops: 14.0 * len, bytes: 28.0 * len }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for [models, stride, first, len] in rules::CASE_RANGES {
        for variant in 0..7 {
            let terms = Terms {
                decoupled: variant % 2 == 1,
                clip: (2..5).contains(&variant),
                penalty: (1..6).contains(&variant),
                skips: variant == 4,
                spares_biases: variant > 4,
            };
            let norm_parts = 3;
            let [blocks, hyper, scalars, norms] = rules::case_state(models, stride, norm_parts);
            let Contents::F32(variance) = Contents::random(len, 1.0, 4) else { continue };
            let contents = vec![
                Contents::random(len, 1.0, 1),
                Contents::random(len, if variant == 1 { 1000.0 } else { 1.0 }, 2),
                Contents::random(len, 1.0, 3),
                Contents::F32(variance.iter().map(|v| v.abs()).collect()),
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
                variance: s[3],
                weight_blocks: s[4],
                hyper: s[5],
                scalars: s[6],
                norm_parts: s[7],
            };
            let shape = Params {
                len: len as u32,
                first: first as u32,
                parameter_stride: stride as u32,
                norm_parts: norm_parts as u32,
            };
            let dispatch = Adam { label: "case".into(), shape, terms, operands }.lower();
            cases.push(Case { name: format!("{len} of {models}x{stride}, {terms:?}"), dispatch, contents });
        }
    }
    cases
}
