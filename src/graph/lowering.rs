//! What operations need to know to become launches.

use super::ParameterLayout;
use super::mixup::Mixing;
use crate::ir::{BufferId, Limits, Slice, SourceBuffers};
use crate::kernel::dense::Tiling;
use crate::kernel::dense::tiling::Tile;
use crate::kernel::loss::weights::Updates;
use crate::kernel::pointwise::dropout::Masks;

/// Where the operations of one graph run.
#[derive(Debug, Clone, Copy)]
pub struct Lowering<'a> {
    /// Rows of a batch.
    pub rows: usize,
    /// Models side by side.
    pub models: usize,
    /// What the device allows.
    pub limits: &'a Limits,
    /// Where each parameter lives in the two buffers.
    pub layout: &'a ParameterLayout,
    /// Flat parameters of all models.
    pub parameters: BufferId,
    /// Their gradients.
    pub gradients: BufferId,
    /// Where each statistic lives in its buffer.
    pub statistics_layout: &'a ParameterLayout,
    /// Flat statistics of all models, where there are any.
    pub statistics: Option<BufferId>,
    /// For sums that are split over workgroups.
    pub scratch: Option<BufferId>,
    /// (models, 2, channels) of the widest norm, where ranks share the batch: what they have agreed on of a gradient's sums.
    pub norm_sums: Option<Slice>,
    /// The step state.
    pub counters: Slice,
    /// The examples of the batch: (models, rows).
    pub indices: Slice,
    /// The set that the batch is taken from.
    pub source: &'a SourceBuffers,
    /// Its examples and its targets.
    pub data: Slice,
    /// Its classes or values.
    pub targets: Slice,
    /// How examples are weighed, where they are.
    pub weighing: Option<Weighing>,
    /// How the examples of the batch are mixed, where they are.
    pub mixing: Option<Mixing>,
    /// How features are scaled.
    pub scaling: Scaling,
    /// Whether the loss's gradient is scaled for f16.
    pub scaled_loss: bool,
    /// How the masks of dropout are drawn.
    pub masks: Masks,
    /// For bindings that a variant leaves untouched.
    pub unused: Slice,
}

/// How the examples of a set count in its loss.
#[derive(Debug, Clone, Copy)]
pub struct Weighing {
    /// A weight for each example of the set.
    pub weights: Slice,
    /// (models, WEIGHT_SUMS).
    pub weight_sums: Slice,
    /// The batches over which gradients are weighed together.
    pub updates: Updates,
}

/// `(x - subtract) / divide + add`.
#[derive(Debug, Clone, Copy)]
pub struct Scaling {
    /// Subtracted from each feature.
    pub subtract: Slice,
    /// Divides each feature.
    pub divide: Slice,
    /// Added at last.
    pub add: f32,
}

impl Lowering<'_> {
    /// How a product with results of so many rows and columns is cut.
    pub fn tiling(&self, results: [usize; 2]) -> Tiling {
        Tiling::plain(Tile::choose(results, self.models, self.limits.busy_workgroups))
    }

    /// A parameter.
    pub fn parameter(&self, index: usize) -> Slice {
        self.layout.slice(self.parameters, index, index)
    }

    /// Statistics from one to another, and the elements from the start of the one to that of the other.
    pub fn statistics_between(&self, first: usize, last: usize) -> (Slice, usize) {
        let Some(buffer) = self.statistics else {
            unreachable!("a model whose layers have statistics has a buffer of them")
        };
        let layout = self.statistics_layout;
        (layout.slice(buffer, first, last), layout.offsets[last] - layout.offsets[first])
    }

    /// The gradients of a layer's weight and, if it has one, its bias behind it.
    pub fn gradient(&self, weight: usize, bias: Option<usize>) -> Slice {
        self.layout.slice(self.gradients, weight, bias.unwrap_or(weight))
    }

    /// Elements from the start of a weight to that of its bias; 0 without one.
    pub fn offset_from(&self, weight: usize, bias: Option<usize>) -> usize {
        bias.map_or(0, |bias| self.layout.offsets[bias] - self.layout.offsets[weight])
    }

    /// Scratch memory of so many elements; none where none is needed.
    pub fn scratch(&self, len: usize) -> Option<Slice> {
        self.scratch.filter(|_| len > 0).map(|buffer| Slice { buffer, offset: 0, len })
    }

    /// Elements of one example in a slice of all models' batches.
    pub fn per_row(&self, slice: Slice) -> u32 {
        (slice.len / (self.models * self.rows)) as u32
    }

    /// Elements of one model in a slice of all models.
    pub fn per_model(&self, slice: Slice) -> u32 {
        (slice.len / self.models) as u32
    }
}
