//! How a set of examples lies on a device, and whether it is streamed.

use crate::ir::{Batches, DataLayout, Element, Limits, Role, SourceBuffers, TargetLayout, Window};
use crate::kernel::LaunchPlan;
use crate::kernel::step::gather;

/// Most bytes of a window. Packing so many takes milliseconds: long beside the call that writes them, short beside a run.
const WINDOW_BYTES: u64 = 16 << 20;
/// Part of the memory for examples that a window takes at most, if that is enough for a batch.
const WINDOW_SHARE: u64 = 8;

impl Window {
    /// The window of a set for which there are `room` bytes: nothing where the set has room, or a window would need no less.
    fn of(layout: &DataLayout, batches: Batches, models: usize, room: u64, limits: &Limits) -> Option<Window> {
        let binding = limits.binding_bytes.min(limits.buffer_bytes);
        let whole = layout.bytes_of(layout.rows());
        if whole <= room.min(binding) {
            return None;
        }
        let orders = if batches.shuffle { models } else { layout.folds };
        let aim = WINDOW_BYTES.min(limits.data_bytes / WINDOW_SHARE).min(binding);
        let count = aim / layout.bytes_of(orders * batches.size).max(1);
        let rows = batches.size * usize::try_from(count).unwrap_or(usize::MAX).max(1);
        (layout.bytes_of(orders * rows) < whole).then_some(Window { rows, orders })
    }
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
        let rows = window.map_or(layout.rows(), |window| window.orders * window.rows);
        let data = plan.buffer(format!("{name}.{what}"), Element::U32, rows * layout.row_words(), Role::Data);
        let targets = match layout.targets {
            TargetLayout::Classes => plan.buffer(format!("{name}.labels"), Element::U32, layout.rows(), Role::Data),
            TargetLayout::Values(n) => {
                plan.buffer(format!("{name}.targets"), Element::F32, layout.rows() * n, Role::Data)
            }
        };
        let weights =
            layout.weighted.then(|| plan.buffer(format!("{name}.weights"), Element::F32, layout.rows(), Role::Data));
        SourceBuffers { name: name.into(), layout, batches, window, data, targets, weights }
    }

    /// Rows of a window, as kernels want them; of no meaning where there is none.
    pub(crate) fn window_rows(&self) -> u32 {
        self.window.map_or(self.layout.examples, |window| window.rows) as u32
    }

    /// How kernels read the examples.
    pub(crate) fn variant(&self) -> gather::Variant {
        let (DataLayout { bytes, folds, .. }, shuffle) = (self.layout, self.batches.shuffle);
        gather::Variant { bytes, shuffle, streamed: self.window.is_some(), folds: folds as u32 }
    }
}
