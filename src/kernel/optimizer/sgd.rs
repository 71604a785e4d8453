//! Stochastic gradient descent with momentum, as torch.optim.SGD.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, read, read_u32, write};
use crate::kernel::optimizer::rules::{self, Params, Rules};
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "sgd",
    wgsl: include_str!("../../../shaders/sgd.wgsl"),
    needs: Needs::Nothing,
    bindings: &[
        write("parameters"),
        read("gradients"),
        write("velocity"),
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
    /// The same range of the velocity; anything without momentum.
    pub velocity: Slice,
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
    /// Momentum.
    pub momentum: bool,
    /// Nesterov's momentum.
    pub nesterov: bool,
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
pub struct Sgd {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Which terms the update has.
    pub terms: Terms,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for Sgd {
    fn lower(&self) -> Dispatch {
        let Sgd { label, shape, terms, operands } = self.clone();
        let o = operands;
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![
                ("WITH_MOMENTUM", terms.momentum.into()),
                ("NESTEROV", terms.nesterov.into()),
                ("CLIP", terms.clip.into()),
                ("PENALTY", terms.penalty.into()),
                ("SKIPS", terms.skips.into()),
                ("SPARES_BIASES", terms.spares_biases.into()),
            ],
            cost: cost(&shape.words()).times(1),
            params: shape.words(),
            slices: vec![o.parameters, o.gradients, o.velocity, o.weight_blocks, o.hyper, o.scalars, o.norm_parts],
            grid: linear_grid((shape.len as usize).div_ceil(128), 1),
            demands: Demands::default(),
        }
    }
}

pub(crate) fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let [momentum, nesterov, clip, penalty] =
        ["WITH_MOMENTUM", "NESTEROV", "CLIP", "PENALTY"].map(|n| args.constant(n, 0) == 1);
    let [skips, spares_biases] = ["SKIPS", "SPARES_BIASES"].map(|n| args.constant(n, 0) == 1);
    let [parameters, gradients, velocity, weight_blocks, hyper, scalars, norm_parts] = args.operands();
    let (parameters, gradients, velocity) = (parameters.write(), gradients.read(), velocity.write());
    let (blocks, shared) = (weight_blocks.read_u32(), [hyper.read(), scalars.read(), norm_parts.read()]);
    for (model, first, len) in rules::pieces(&p, None) {
        let rules = Rules::of_model(model, &p, [clip, penalty, spares_biases], shared, blocks);
        if rules.is_skipped(skips) {
            continue;
        }
        let rate = rules.learning_rate();
        let factor = rules.hyper[state::MOMENTUM].to_f64();
        for i in first..first + len {
            let parameter = parameters[i];
            let element = p.first as usize + i;
            let decay = rules.decay(element).to_f64();
            let mut step = rules.gradient(element, gradients[i], parameter) + decay * parameter.to_f64();
            if momentum {
                let v = factor * velocity[i].to_f64() + step;
                velocity[i] = T::from_f64(v);
                step = if nesterov { step + factor * v } else { v };
            }
            parameters[i] = T::from_f64(parameter.to_f64() - rate * step);
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
        for variant in 0..8 {
            let terms = Terms {
                momentum: variant > 0,
                nesterov: variant == 2,
                clip: (3..7).contains(&variant),
                penalty: (4..7).contains(&variant),
                skips: variant == 5,
                spares_biases: variant > 5,
            };
            let norm_parts = 3;
            let [blocks, hyper, scalars, norms] = rules::case_state(models, stride, norm_parts);
            let contents = vec![
                Contents::random(len, 1.0, 1),
                Contents::random(len, if variant == 1 { 1000.0 } else { 1.0 }, 2),
                Contents::random(len, 1.0, 3),
                blocks,
                hyper,
                scalars,
                norms,
            ];
            let s = Case::slices(&contents);
            let operands = Operands {
                parameters: s[0],
                gradients: s[1],
                velocity: s[2],
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
            let dispatch = Sgd { label: "case".into(), shape, terms, operands }.lower();
            cases.push(Case { name: format!("{len} of {models}x{stride}, {terms:?}"), dispatch, contents });
        }
    }
    cases
}
