//! How a set of examples lies on a device.

use super::BuildError;
use crate::kernel::Element;
use crate::plan::{BufferId, Limits, Plan, Role};

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
}

/// The buffers of a set of examples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceBuffers {
    /// How they are filled.
    pub layout: DataLayout,
    /// The examples in parts that fit a binding: buffer, first example, number of examples.
    pub parts: Vec<(BufferId, usize, usize)>,
    /// The classes (integers) or values (floats).
    pub targets: BufferId,
}

impl SourceBuffers {
    /// Declares the buffers of the set called `name`.
    pub(super) fn declare(
        plan: &mut Plan,
        name: &str,
        layout: DataLayout,
        limits: &Limits,
    ) -> Result<SourceBuffers, BuildError> {
        let row_bytes = layout.row_words() as u64 * 4;
        let most = limits.binding_bytes.min(limits.buffer_bytes);
        let per_part = usize::try_from(most / row_bytes).unwrap_or(usize::MAX).min(layout.examples);
        if per_part == 0 {
            return Err(BuildError::ExampleTooLarge { set: name.into(), needed: row_bytes, limit: most });
        }
        let mut parts = Vec::new();
        for first in (0..layout.examples).step_by(per_part) {
            let count = per_part.min(layout.examples - first);
            let label = format!("{name}.images.{}", parts.len());
            parts.push((plan.buffer(label, Element::U32, count * layout.row_words(), Role::Data), first, count));
        }
        let targets = match layout.targets {
            TargetLayout::Classes => plan.buffer(format!("{name}.labels"), Element::U32, layout.examples, Role::Data),
            TargetLayout::Values(n) => {
                plan.buffer(format!("{name}.targets"), Element::F32, layout.examples * n, Role::Data)
            }
        };
        Ok(SourceBuffers { layout, parts, targets })
    }
}
