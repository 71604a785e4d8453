//! Where each parameter lives: one flat buffer of all models' parameters, and the same layout for gradients and moments.

use crate::ir::{BufferId, SLICE_ALIGNMENT, Slice};

/// The flat layout: model after model, `stride` elements each; in a model, parameter after parameter in the model's order, those that
/// are frozen behind the others, each starting at a multiple of [`SLICE_ALIGNMENT`]. The gaps stay zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterLayout {
    /// First element of each parameter in its model.
    pub offsets: Vec<usize>,
    /// Elements of each parameter.
    pub lens: Vec<usize>,
    /// Elements from one model to the next.
    pub stride: usize,
    /// Elements of a model before the first frozen one: what updates go through.
    pub trained: usize,
    /// Models side by side.
    pub models: usize,
}

impl ParameterLayout {
    /// The layout of parameters of these sizes, for so many models.
    pub fn new(lens: Vec<usize>, models: usize) -> ParameterLayout {
        let frozen = vec![false; lens.len()];
        ParameterLayout::with_frozen(lens, &frozen, models)
    }

    /// The same, where some of them are frozen.
    pub fn with_frozen(lens: Vec<usize>, frozen: &[bool], models: usize) -> ParameterLayout {
        let (mut stride, mut offsets) = (0, vec![0; lens.len()]);
        let mut place = |wanted: bool| {
            for (index, len) in lens.iter().enumerate().filter(|(index, _)| frozen[*index] == wanted) {
                offsets[index] = stride;
                stride += len.next_multiple_of(SLICE_ALIGNMENT);
            }
            stride.max(SLICE_ALIGNMENT)
        };
        let (trained, stride) = (place(false), place(true));
        ParameterLayout { offsets, lens, stride, trained, models }
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

    /// The trained elements as flat ranges, first and length, that fit a binding of `binding_bytes` each: of all models together, or
    /// where some parameters are frozen, of each model by itself.
    pub fn ranges(&self, binding_bytes: u64) -> impl Iterator<Item = (usize, usize)> + use<> {
        let most = usize::try_from(binding_bytes / 4).unwrap_or(usize::MAX);
        let step = (most / SLICE_ALIGNMENT * SLICE_ALIGNMENT).max(SLICE_ALIGNMENT);
        let parts = if self.trained == self.stride { 1 } else { self.models };
        let (len, stride) = (self.models / parts * self.trained, self.stride);
        let of_part = move |i: usize| (i * step, step.min(len - i * step));
        (0..parts).flat_map(move |part| {
            (0..len.div_ceil(step)).map(of_part).map(move |(first, len)| (part * stride + first, len))
        })
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
