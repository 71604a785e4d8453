//! How a set of examples lies on a device.

use crate::ir::{BufferId, Element, Limits, Role};
use crate::kernel::LaunchPlan;
use crate::kernel::step::gather;

/// How the targets of a set are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetLayout {
    /// One class per example.
    Classes,
    /// So many floats per example.
    Values(usize),
}

/// What a plan needs to know of a set of examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataLayout {
    /// Number of examples.
    pub examples: usize,
    /// Scalars per example.
    pub features: usize,
    /// Stored as bytes, four to a word; otherwise as floats.
    pub bytes: bool,
    /// The targets.
    pub targets: TargetLayout,
}

impl DataLayout {
    /// Words per example.
    pub fn row_words(&self) -> usize {
        if self.bytes { self.features.div_ceil(4) } else { self.features }
    }

    /// Bytes of so many examples on a device.
    fn bytes_of(&self, rows: usize) -> u64 {
        rows as u64 * self.row_words() as u64 * 4
    }
}

/// How the steps over a set take its examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batches {
    /// Examples in a batch.
    pub size: usize,
    /// Whether each model takes them in an order of its own, another in every epoch; otherwise all take the files' order.
    pub shuffle: bool,
}

/// The part of a streamed set that is on the device: whole batches that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Examples of one order.
    pub rows: usize,
    /// Orders side by side: one for each model where batches are shuffled, else one for all.
    pub orders: usize,
}

/// Most bytes of a window. Packing so many takes milliseconds: long beside the call that writes them, short beside a run.
const WINDOW_BYTES: u64 = 16 << 20;
/// Part of the memory for examples that a window takes at most, if that is enough for a batch.
const WINDOW_SHARE: u64 = 8;

impl Window {
    /// The window of a set for which there are `room` bytes: nothing where the set has room, or a window would need no less.
    fn of(layout: &DataLayout, batches: Batches, models: usize, room: u64, limits: &Limits) -> Option<Window> {
        let binding = limits.binding_bytes.min(limits.buffer_bytes);
        let whole = layout.bytes_of(layout.examples);
        if whole <= room.min(binding) {
            return None;
        }
        let orders = if batches.shuffle { models } else { 1 };
        let aim = WINDOW_BYTES.min(limits.data_bytes / WINDOW_SHARE).min(binding);
        let count = aim / layout.bytes_of(orders * batches.size).max(1);
        let rows = batches.size * usize::try_from(count).unwrap_or(usize::MAX).max(1);
        (layout.bytes_of(orders * rows) < whole).then_some(Window { rows, orders })
    }
}

/// The buffers of a set of examples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceBuffers {
    /// What the set holds.
    pub layout: DataLayout,
    /// How steps take it.
    pub batches: Batches,
    /// The rows that `data` holds of a streamed set; nothing where it holds all of the set.
    pub window: Option<Window>,
    /// The examples, or a window of them: (orders, rows, row_words).
    pub data: BufferId,
    /// The classes (integers) or values (floats) of all examples.
    pub targets: BufferId,
}

impl SourceBuffers {
    /// Declares the buffers of the set called `name` for a plan of so many models, where there are `room` bytes for its
    /// examples.
    pub(crate) fn declare(
        plan: &mut LaunchPlan,
        name: &str,
        layout: DataLayout,
        batches: Batches,
        models: usize,
        room: u64,
        limits: &Limits,
    ) -> SourceBuffers {
        let window = Window::of(&layout, batches, models, room, limits);
        let what = if window.is_some() { "window" } else { "examples" };
        let rows = window.map_or(layout.examples, |window| window.orders * window.rows);
        let data = plan.buffer(format!("{name}.{what}"), Element::U32, rows * layout.row_words(), Role::Data);
        let targets = match layout.targets {
            TargetLayout::Classes => plan.buffer(format!("{name}.labels"), Element::U32, layout.examples, Role::Data),
            TargetLayout::Values(n) => {
                plan.buffer(format!("{name}.targets"), Element::F32, layout.examples * n, Role::Data)
            }
        };
        SourceBuffers { layout, batches, window, data, targets }
    }

    /// Bytes of the set's examples: on the device where it holds them all, else in the host's memory.
    pub fn bytes(&self) -> u64 {
        self.layout.bytes_of(self.layout.examples)
    }

    /// Bytes that the examples take on the device.
    pub fn resident_bytes(&self) -> u64 {
        self.window.map_or(self.bytes(), |window| self.layout.bytes_of(window.orders * window.rows))
    }

    /// Rows of a window, as kernels want them; of no meaning where there is none.
    pub(crate) fn window_rows(&self) -> u32 {
        self.window.map_or(self.layout.examples, |window| window.rows) as u32
    }

    /// How kernels read the examples.
    pub(crate) fn variant(&self) -> gather::Variant {
        gather::Variant { bytes: self.layout.bytes, shuffle: self.batches.shuffle, streamed: self.window.is_some() }
    }
}
