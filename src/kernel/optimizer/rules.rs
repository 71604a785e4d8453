//! What the optimizers' CPU code shares, the twin of `shaders/lib/optimizer.wgsl`.

use crate::ir::params;
use crate::kernel::step::state;
use crate::kernel::{Contents, Real};

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

/// One model's numbers, and how its gradients are turned into those that the update takes.
pub(crate) struct Rules<'a, T> {
    pub(crate) hyper: &'a [T],
    pub(crate) scalars: &'a [T],
    clip_factor: f64,
    l2: f64,
    spares_biases: bool,
    weight_blocks: &'a [u32],
    stride: usize,
}

impl<'a, T: Real> Rules<'a, T> {
    pub(crate) fn of_model(
        model: usize,
        p: &Params,
        [clip, penalty, spares_biases]: [bool; 3],
        [hyper, scalars, norm_parts]: [&'a [T]; 3],
        weight_blocks: &'a [u32],
    ) -> Self {
        let hyper = &hyper[model * state::HYPER..][..state::HYPER];
        let scalars = &scalars[model * state::SCALARS..][..state::SCALARS];
        let clip_factor = if clip {
            let parts = p.norm_parts as usize;
            let norm = norm_parts[model * parts..][..parts].iter().map(|x| x.to_f64()).sum::<f64>().sqrt();
            (hyper[state::CLIP_NORM].to_f64() / (norm + 1e-6)).min(1.0)
        } else {
            1.0
        };
        let l2 = if penalty { hyper[state::L2].to_f64() } else { 0.0 };
        Rules { hyper, scalars, clip_factor, l2, spares_biases, weight_blocks, stride: p.parameter_stride as usize }
    }

    pub(crate) fn learning_rate(&self) -> f64 {
        self.hyper[state::LEARNING_RATE].to_f64() * self.scalars[state::WARMUP].to_f64()
    }

    /// 2 * l2 where `element` (counted over all models) is a weight.
    pub(crate) fn l2_slope(&self, element: usize) -> f64 {
        if self.l2 != 0.0 && self.is_weight(element) { 2.0 * self.l2 } else { 0.0 }
    }

    /// The weight decay of `element` (counted over all models).
    pub(crate) fn decay(&self, element: usize) -> T {
        if self.spares_biases && !self.is_weight(element) { T::default() } else { self.hyper[state::WEIGHT_DECAY] }
    }

    /// Whether `element` (counted over all models) is a weight.
    pub(crate) fn is_weight(&self, element: usize) -> bool {
        self.weight_blocks[element % self.stride / 64] == 1
    }

    /// Whether the step is left out, since a gradient is not finite.
    pub(crate) fn is_skipped(&self, skips: bool) -> bool {
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
pub(crate) fn pieces<'a>(
    p: &Params,
    weight_blocks: Option<&'a [u32]>,
) -> impl Iterator<Item = (usize, usize, usize)> + use<'a> {
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

/// Contents that the optimizers' cases share: (weight_blocks, hyper, scalars, norm_parts) for `models` models.
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
