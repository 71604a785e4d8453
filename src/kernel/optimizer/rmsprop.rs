//! RMSprop, as torch.optim has it.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Needs, Slice, linear_grid, read, read_u32, write};
use crate::kernel::optimizer::rules::{self, Params, Rules};
use crate::kernel::step::state;
use crate::kernel::{Args, Case, Contents, Launch, Real, Specification};

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "rmsprop",
    wgsl: include_str!("../../../shaders/rmsprop.wgsl"),
    needs: Needs::Nothing,
    bindings: &[
        write("parameters"),
        read("gradients"),
        write("averages"),
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
    /// The same range of the averages: of each element that of its squared gradient and, centered, that of its gradient.
    pub averages: Slice,
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
    /// The variance of the gradient in the place of its mean square.
    pub centered: bool,
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
pub struct RmsProp {
    /// What it computes here.
    pub label: String,
    /// Its shape.
    pub shape: Params,
    /// Which terms the update has.
    pub terms: Terms,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for RmsProp {
    fn lower(&self) -> Dispatch {
        let RmsProp { label, shape, terms, operands } = self.clone();
        let o = operands;
        Dispatch {
            kernel: &KERNEL,
            label,
            constants: vec![
                ("WITH_MOMENTUM", terms.momentum.into()),
                ("CENTERED", terms.centered.into()),
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
                o.averages,
                o.velocity,
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

fn reference<T: Real>(args: &mut Args<T>) {
    let p: Params = args.params();
    let [momentum, centered, clip, penalty] =
        ["WITH_MOMENTUM", "CENTERED", "CLIP", "PENALTY"].map(|n| args.constant(n, 0) == 1);
    let [skips, spares_biases] = ["SKIPS", "SPARES_BIASES"].map(|n| args.constant(n, 0) == 1);
    let [parameters, gradients, averages, velocity, weight_blocks, hyper, scalars, norm_parts] = args.operands();
    let (parameters, gradients) = (parameters.write(), gradients.read());
    let (averages, velocity) = (averages.write(), velocity.write());
    let (blocks, shared) = (weight_blocks.read_u32(), [hyper.read(), scalars.read(), norm_parts.read()]);
    for (model, first, len) in rules::pieces(&p, None) {
        let rules = Rules::of_model(model, &p, [clip, penalty, spares_biases], shared, blocks);
        if rules.is_skipped(skips) {
            continue;
        }
        let rate = rules.learning_rate();
        let h = |slot: usize| rules.hyper[slot].to_f64();
        for i in first..first + len {
            let parameter = parameters[i].to_f64();
            let element = p.first as usize + i;
            let decay = rules.decay(element).to_f64();
            let gradient = rules.gradient(element, gradients[i], parameters[i]) + decay * parameter;
            let at = i * (1 + usize::from(centered));
            let mut square = h(state::BETA2) * averages[at].to_f64() + h(state::ONE_MINUS_BETA2) * gradient * gradient;
            averages[at] = T::from_f64(square);
            if centered {
                let before = averages[at + 1].to_f64();
                let mean = before + h(state::ONE_MINUS_BETA2) * (gradient - before);
                averages[at + 1] = T::from_f64(mean);
                square -= mean * mean;
                // Rounding may bring the difference below 0; not by f64::max, which would hide NaN.
                square = if square < 0.0 { 0.0 } else { square };
            }
            let mut step = gradient / (square.sqrt() + h(state::EPSILON));
            if momentum {
                step += h(state::MOMENTUM) * velocity[i].to_f64();
                velocity[i] = T::from_f64(step);
            }
            parameters[i] = T::from_f64(parameter - rate * step);
        }
    }
}

fn cost(params: &[u32]) -> Cost {
    let len = f64::from(params[0]);
    Cost { flops: 12.0 * len, bytes: 28.0 * len }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for [models, stride, first, len] in rules::CASE_RANGES {
        for variant in 0..7 {
            let terms = Terms {
                momentum: variant % 2 == 1,
                centered: variant > 1 && variant < 5,
                clip: (3..6).contains(&variant),
                penalty: (4..6).contains(&variant),
                skips: variant == 5,
                spares_biases: variant == 6,
            };
            let norm_parts = 3;
            let [blocks, hyper, scalars, norms] = rules::case_state(models, stride, norm_parts);
            let width = 1 + usize::from(terms.centered);
            let Contents::F32(mut averages) = Contents::random(len * width, 1.0, 3) else { continue };
            for (i, average) in averages.iter_mut().enumerate() {
                // Mean squares that the squared means stay well below: what nearly cancels keeps no digits.
                *average = if i % width == 0 { 1.0 + average.abs() } else { *average / 2.0 };
            }
            let contents = vec![
                Contents::random(len, 1.0, 1),
                Contents::random(len, if variant == 1 { 1000.0 } else { 1.0 }, 2),
                Contents::F32(averages),
                Contents::random(if terms.momentum { len } else { 1 }, 1.0, 4),
                blocks,
                hyper,
                scalars,
                norms,
            ];
            let s = Case::slices(&contents);
            let operands = Operands {
                parameters: s[0],
                gradients: s[1],
                averages: s[2],
                velocity: s[3],
                weight_blocks: s[4],
                hyper: s[5],
                scalars: s[6],
                norm_parts: s[7],
            };
            let (len, first, norm_parts) = (len as u32, first as u32, norm_parts as u32);
            let shape = Params { len, first, parameter_stride: stride as u32, norm_parts };
            let dispatch = RmsProp { label: "case".into(), shape, terms, operands }.lower();
            cases.push(Case { name: format!("{len} of {models}x{stride}, {terms:?}"), dispatch, contents });
        }
    }
    cases
}
