//! Where each parameter lives: one flat buffer of all models' parameters, and the same layout for gradients and moments.

use crate::ir::{BufferId, SLICE_ALIGNMENT, Slice};

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
    /// The layout of parameters of these sizes, for so many models.
    pub fn new(lens: Vec<usize>, models: usize) -> ParameterLayout {
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

    /// One word per 64 elements of a model: 1 where the parameter is one to which the L2 penalty applies, 0 elsewhere.
    pub fn weight_blocks(&self, is_weight: impl IntoIterator<Item = bool>) -> Vec<u32> {
        let mut blocks = vec![0; self.stride / SLICE_ALIGNMENT];
        for (is_weight, (offset, len)) in is_weight.into_iter().zip(self.offsets.iter().zip(&self.lens)) {
            let first = offset / SLICE_ALIGNMENT;
            blocks[first..first + len.div_ceil(SLICE_ALIGNMENT)].fill(u32::from(is_weight));
        }
        blocks
    }
}
