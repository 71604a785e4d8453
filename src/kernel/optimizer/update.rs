//! The launch of an optimizer's update over a range of the parameters, whichever the optimizer is.

use crate::ir::{Cost, Demands, Dispatch, Kernel, Slice, linear_grid};
use crate::kernel::optimizer::rules::{Params, Terms};
use crate::kernel::step::state;
use crate::kernel::{Case, Contents, Launch};

/// What is an optimizer's own.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its kernel, which binds the parameters, the gradients, its state, and the others of [`Operands`].
    pub kernel: &'static Kernel,
    /// Its variant.
    pub constants: Vec<(&'static str, u32)>,
    /// What it keeps from step to step: the launch's range of it.
    pub state: Vec<Slice>,
    /// Of one element.
    pub cost: Cost,
}

/// Slices that every update takes.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// The range of the parameters.
    pub parameters: Slice,
    /// The same range of the gradients.
    pub gradients: Slice,
    /// One word per 64 elements of a model: 1 where they are weights.
    pub weight_blocks: Slice,
    /// (models, HYPER).
    pub hyper: Slice,
    /// (models, SCALARS).
    pub scalars: Slice,
    /// (models, norm_parts); anything without clipping.
    pub norm_parts: Slice,
}

/// A launch over one range.
#[derive(Debug, Clone)]
pub struct Update {
    /// What it computes here.
    pub label: String,
    /// The optimizer.
    pub rule: Rule,
    /// Its shape.
    pub shape: Params,
    /// Which terms the update has.
    pub terms: Terms,
    /// Its slices.
    pub operands: Operands,
}

impl Launch for Update {
    fn lower(&self) -> Dispatch {
        let Update { label, rule, shape, terms, operands: o } = self.clone();
        let slices =
            [vec![o.parameters, o.gradients], rule.state, vec![o.weight_blocks, o.hyper, o.scalars, o.norm_parts]];
        Dispatch {
            kernel: rule.kernel,
            label,
            constants: rule.constants.into_iter().chain(terms.constants()).collect(),
            params: shape.words(),
            slices: slices.concat(),
            grid: linear_grid((shape.len as usize).div_ceil(128), 1),
            cost: rule.cost.times(shape.len as usize),
            demands: Demands::default(),
        }
    }
}

/// A variant of an optimizer in its cases.
pub(crate) struct Variant<R> {
    pub(crate) terms: Terms,
    pub(crate) gradients: Contents,
    pub(crate) state: Vec<Contents>,
    /// The rule, by the slices of its state.
    pub(crate) rule: R,
}

/// Gradients of a variant: those of variant 1 are large.
pub(crate) fn case_gradients(variant: usize, len: usize) -> Contents {
    Contents::random(len, if variant == 1 { 1000.0 } else { 1.0 }, 2)
}

/// Random numbers of one sign, as second moments are.
pub(crate) fn case_squares(len: usize) -> Contents {
    match Contents::random(len, 1.0, 4) {
        Contents::F32(values) => Contents::F32(values.iter().map(|v| v.abs()).collect()),
        integers => integers,
    }
}

/// The cases of an optimizer: each of its variants, given by number and length, over every range.
pub(crate) fn cases<R: Fn(&[Slice]) -> Rule>(
    variants: usize,
    variant: impl Fn(usize, usize) -> Variant<R>,
) -> Vec<Case> {
    let ranges = CASE_RANGES.into_iter().flat_map(|range| (0..variants).map(move |number| (range, number)));
    let case = |([models, stride, first, len], number): ([usize; 4], usize)| {
        let norm_parts = 3;
        let Variant { terms, gradients, state, rule } = variant(number, len);
        let contents: Vec<Contents> = [Contents::random(len, 1.0, 1), gradients]
            .into_iter()
            .chain(state)
            .chain(case_state(models, stride, norm_parts))
            .collect();
        let slices = Case::slices(&contents);
        let (state, shared) = slices[2..].split_at(contents.len() - 6);
        let operands = Operands {
            parameters: slices[0],
            gradients: slices[1],
            weight_blocks: shared[0],
            hyper: shared[1],
            scalars: shared[2],
            norm_parts: shared[3],
        };
        let shape = Params {
            len: len as u32,
            first: first as u32,
            parameter_stride: stride as u32,
            norm_parts: norm_parts as u32,
        };
        let rule = rule(state);
        let name = format!("{len} of {models}x{stride}, {:?}, {terms:?}", rule.constants);
        let dispatch = Update { label: "case".into(), rule, shape, terms, operands }.lower();
        Case { name, dispatch, contents }
    };
    ranges.map(case).collect()
}

/// Contents that the cases share: (weight_blocks, hyper, scalars, norm_parts) for `models` models.
pub(crate) fn case_state(models: usize, stride: usize, parts: usize) -> [Contents; 4] {
    let mut hyper = vec![0.0; models * state::HYPER];
    for (model, h) in hyper.chunks_mut(state::HYPER).enumerate() {
        h[state::LEARNING_RATE] = 0.1 + model as f32;
        h[state::MOMENTUM] = 0.9;
        h[state::BETA1] = 0.9;
        h[state::BETA2] = 0.999;
        h[state::ONE_MINUS_BETA1] = 0.1;
        h[state::ONE_MINUS_BETA2] = 0.001;
        h[state::EPSILON] = 1e-8 + 0.01 * model as f32;
        h[state::L2] = 0.01;
        h[state::ADAM_RATE] = 0.3;
        h[state::ONE_MINUS_MOMENTUM] = 0.1;
        h[state::WEIGHT_DECAY] = 0.02;
        // Below the first model's norm, above the others'.
        h[state::CLIP_NORM] = 0.7 + 3.0 * model as f32;
    }
    let mut scalars = vec![0.5; models * state::SCALARS];
    for (model, s) in scalars.chunks_mut(state::SCALARS).enumerate() {
        s[state::SKIPPED] = f32::from(u8::from(model % 2 == 1));
        s[state::BETA1_CORRECTION] = 0.271;
        s[state::BETA2_CORRECTION] = 0.002_997;
        s[state::WARMUP] = 0.75;
    }
    let Contents::F32(norms) = Contents::random(models * parts, 1.0, 9) else { unreachable!() };
    [
        Contents::U32((0..stride / 64).map(|b| u32::from(b % 3 != 1)).collect()),
        Contents::F32(hyper),
        Contents::F32(scalars),
        Contents::F32(norms.iter().map(|x| x.abs()).collect()),
    ]
}

/// Ranges for cases: (models, elements per model, first, len).
pub(crate) const CASE_RANGES: [[usize; 4]; 5] =
    [[1, 64, 0, 1], [1, 192, 64, 65], [3, 320, 0, 960], [2, 1024, 512, 1500], [1, 70_016, 0, 70_001]];
