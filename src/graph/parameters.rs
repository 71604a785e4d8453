//! Where each parameter lives: one flat buffer of all models' parameters, and the same layout for gradients and moments.

use crate::ir::{BufferId, SLICE_ALIGNMENT, Slice};
use crate::model::{Model, ParameterKind};

/// The flat layout: model after model, `stride` elements each; in a model, parameter after parameter in the model's order,
/// each starting at a multiple of [`SLICE_ALIGNMENT`]. The gaps stay zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterLayout {
    /// First element of each parameter in its model.
    pub offsets: Vec<usize>,
    /// Elements of each parameter.
    pub lens: Vec<usize>,
    /// Elements from one model to the next.
    pub stride: usize,
    /// Models side by side.
    pub models: usize,
}

impl ParameterLayout {
    /// The layout for `models` copies of a model.
    pub fn new(model: &Model, models: usize) -> ParameterLayout {
        let lens: Vec<usize> = model.parameters.iter().map(|p| p.len()).collect();
        let mut stride = 0;
        let offsets = lens
            .iter()
            .map(|len| {
                let offset = stride;
                stride += len.next_multiple_of(SLICE_ALIGNMENT);
                offset
            })
            .collect();
        ParameterLayout { offsets, lens, stride: stride.max(SLICE_ALIGNMENT), models }
    }

    /// Elements of all models.
    pub fn len(&self) -> usize {
        self.stride * self.models
    }

    /// True for a model without parameters.
    pub fn is_empty(&self) -> bool {
        self.lens.is_empty()
    }

    /// The slice from the start of parameter `first` of the first model to the end of parameter `last` of the last: what
    /// a kernel sees that finds model z's at `z * stride`.
    pub fn slice(&self, buffer: BufferId, first: usize, last: usize) -> Slice {
        let offset = self.offsets[first];
        let end = (self.models - 1) * self.stride + self.offsets[last] + self.lens[last];
        Slice { buffer, offset, len: end - offset }
    }

    /// The whole flat range cut into slices that fit a binding of `binding_bytes`.
    pub fn ranges(&self, binding_bytes: u64) -> impl Iterator<Item = (usize, usize)> + use<> {
        let most = usize::try_from(binding_bytes / 4).unwrap_or(usize::MAX);
        let step = (most / SLICE_ALIGNMENT * SLICE_ALIGNMENT).max(SLICE_ALIGNMENT);
        let len = self.len();
        (0..len.div_ceil(step)).map(move |i| (i * step, step.min(len - i * step)))
    }

    /// One word per 64 elements of a model: 1 where they are weights, 0 where they are biases.
    pub fn weight_blocks(&self, model: &Model) -> Vec<u32> {
        let mut blocks = vec![0; self.stride / SLICE_ALIGNMENT];
        for (parameter, (offset, len)) in model.parameters.iter().zip(self.offsets.iter().zip(&self.lens)) {
            let is_weight = u32::from(parameter.kind == ParameterKind::Weight);
            let first = offset / SLICE_ALIGNMENT;
            blocks[first..first + len.div_ceil(SLICE_ALIGNMENT)].fill(is_weight);
        }
        blocks
    }
}
