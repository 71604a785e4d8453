//! What the optimizers' CPU code shares, the twin of `shaders/lib/optimizer.wgsl`.

use crate::ir::params;
use crate::kernel::step::state;
use crate::kernel::{Args, Operand, Real};
use std::ops::Range;

params! {
    /// Shape of one launch over a range of the flat buffers of all models.
    Params {
        /// Elements in the range.
        len: u32,
        /// First element of the range.
        first: u32,
        /// Elements per model.
        parameter_stride: u32,
        /// Partial sums of the squared gradient per model, when clipping.
        norm_parts: u32,
    }
}

/// Terms that every update may have.
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

impl Terms {
    /// As the shaders' constants.
    pub fn constants(self) -> [(&'static str, u32); 4] {
        [
            ("CLIP", self.clip.into()),
            ("PENALTY", self.penalty.into()),
            ("SKIPS", self.skips.into()),
            ("SPARES_BIASES", self.spares_biases.into()),
        ]
    }

    fn of<T>(args: &Args<T>) -> Terms {
        let [clip, penalty, skips, spares_biases] =
            ["CLIP", "PENALTY", "SKIPS", "SPARES_BIASES"].map(|name| args.constant(name, 0) == 1);
        Terms { clip, penalty, skips, spares_biases }
    }
}

/// What every update's CPU code takes beside the parameters, the gradients and the optimizer's own state.
pub(crate) struct Shared<'a, T> {
    p: Params,
    terms: Terms,
    weight_blocks: &'a [u32],
    hyper: &'a [T],
    scalars: &'a [T],
    norm_parts: &'a [T],
}

impl<'a, T: Real> Shared<'a, T> {
    /// Takes it out of the arguments, which keep what is the optimizer's own.
    pub(crate) fn take(args: &mut Args<'a, T>) -> Self {
        let (p, terms) = (args.params(), Terms::of(args));
        let [weight_blocks, hyper, scalars, norm_parts] = args.last_operands();
        let [hyper, scalars, norm_parts] = [hyper, scalars, norm_parts].map(Operand::read);
        Shared { p, terms, weight_blocks: weight_blocks.read_u32(), hyper, scalars, norm_parts }
    }

    /// The launch's range, cut where models end; those whose step is left out are missing.
    pub(crate) fn models(&self) -> impl Iterator<Item = Piece<'a, T>> {
        self.pieces(None)
    }

    /// Cut where weights and other parameters meet, too.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Piece<'a, T>> {
        self.pieces(Some(self.weight_blocks))
    }

    /// Cut so that penalty and decay are the same for all elements of a piece.
    pub(crate) fn uniform(&self) -> impl Iterator<Item = Piece<'a, T>> {
        self.pieces((self.terms.penalty || self.terms.spares_biases).then_some(self.weight_blocks))
    }

    fn pieces(&self, weight_blocks: Option<&'a [u32]>) -> impl Iterator<Item = Piece<'a, T>> {
        let piece = |(model, first, len): (usize, usize, usize)| {
            let rules = self.rules(model);
            (!rules.is_skipped(self.terms.skips)).then_some(Piece { range: first..first + len, rules })
        };
        pieces(&self.p, weight_blocks).filter_map(piece)
    }

    fn rules(&self, model: usize) -> Rules<'a, T> {
        let hyper = &self.hyper[model * state::HYPER..][..state::HYPER];
        let scalars = &self.scalars[model * state::SCALARS..][..state::SCALARS];
        let clip_factor = if self.terms.clip {
            let parts = self.p.norm_parts as usize;
            let norm = self.norm_parts[model * parts..][..parts].iter().map(|x| x.to_f64()).sum::<f64>().sqrt();
            (hyper[state::CLIP_NORM].to_f64() / (norm + 1e-6)).min(1.0)
        } else {
            1.0
        };
        let l2 = if self.terms.penalty { hyper[state::L2].to_f64() } else { 0.0 };
        let (first, stride) = (self.p.first as usize, self.p.parameter_stride as usize);
        let spares_biases = self.terms.spares_biases;
        Rules { hyper, scalars, clip_factor, l2, spares_biases, weight_blocks: self.weight_blocks, first, stride }
    }
}

/// A part of a launch's range, of one model.
pub(crate) struct Piece<'a, T> {
    /// Elements, counted from the start of the launch.
    pub(crate) range: Range<usize>,
    pub(crate) rules: Rules<'a, T>,
}

/// One model's numbers, and how its gradients are turned into those that the update takes. Elements are counted from the start
/// of the launch.
pub(crate) struct Rules<'a, T> {
    pub(crate) hyper: &'a [T],
    pub(crate) scalars: &'a [T],
    clip_factor: f64,
    l2: f64,
    spares_biases: bool,
    weight_blocks: &'a [u32],
    first: usize,
    stride: usize,
}

impl<T: Real> Rules<'_, T> {
    pub(crate) fn learning_rate(&self) -> f64 {
        self.hyper[state::LEARNING_RATE].to_f64() * self.scalars[state::WARMUP].to_f64()
    }

    /// 2 * l2 where an element is a weight.
    pub(crate) fn l2_slope(&self, element: usize) -> f64 {
        if self.l2 != 0.0 && self.is_weight(element) { 2.0 * self.l2 } else { 0.0 }
    }

    /// The weight decay of an element.
    pub(crate) fn decay(&self, element: usize) -> T {
        if self.spares_biases && !self.is_weight(element) { T::default() } else { self.hyper[state::WEIGHT_DECAY] }
    }

    /// Whether an element is a weight.
    pub(crate) fn is_weight(&self, element: usize) -> bool {
        self.weight_blocks[(self.first + element) % self.stride / 64] == 1
    }

    /// Whether the step is left out, since a gradient is not finite.
    fn is_skipped(&self, skips: bool) -> bool {
        skips && self.scalars[state::SKIPPED].to_f64() != 0.0
    }

    pub(crate) fn gradient(&self, element: usize, gradient: T, parameter: T) -> f64 {
        (gradient.to_f64() + self.l2_slope(element) * parameter.to_f64()) * self.clip_factor
    }

    pub(crate) fn clip_factor(&self) -> f64 {
        self.clip_factor
    }
}

/// The range of a launch cut where models end, and with `weight_blocks` where weights and biases meet: (model, first
/// element in the launch, elements). Inside a piece every element is of one model and one kind.
fn pieces<'a>(p: &Params, weight_blocks: Option<&'a [u32]>) -> impl Iterator<Item = (usize, usize, usize)> + use<'a> {
    let (first, len, stride) = (p.first as usize, p.len as usize, p.parameter_stride as usize);
    let mut at = 0;
    std::iter::from_fn(move || {
        (at < len).then(|| {
            let element = first + at;
            let model_end = (element / stride + 1) * stride;
            let end = weight_blocks.map_or(model_end, |blocks| {
                let block = element % stride / 64;
                let same = blocks[block..].iter().take_while(|kind| **kind == blocks[block]).count();
                model_end.min((element / 64 + same) * 64)
            });
            let piece = (element / stride, at, (end - first).min(len) - at);
            at += piece.2;
            piece
        })
    })
}

/// The same cut where models end alone, of `[first, len, parameter_stride]`.
pub(crate) fn model_pieces([first, len, parameter_stride]: [u32; 3]) -> impl Iterator<Item = (usize, usize, usize)> {
    pieces(&Params { len, first, parameter_stride, norm_parts: 0 }, None)
}
