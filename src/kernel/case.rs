//! A verification case: one dispatch with the contents of its bindings.

use crate::ir::{BufferId, Dispatch, Element, Slice};

/// What a binding holds before the dispatch.
#[derive(Debug, Clone, PartialEq)]
pub enum Contents {
    /// Floats.
    F32(Vec<f32>),
    /// Integers.
    U32(Vec<u32>),
}

impl Contents {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Contents::F32(values) => values.len(),
            Contents::U32(values) => values.len(),
        }
    }

    /// True when there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Element type.
    pub fn element(&self) -> Element {
        match self {
            Contents::F32(_) => Element::F32,
            Contents::U32(_) => Element::U32,
        }
    }

    /// Floats rounded to multiples of `step`, a power of two: sums of their products are exact while they fit in 24 bits,
    /// so that steep functions of large sums can be compared.
    pub fn rounded(self, step: f32) -> Contents {
        match self {
            Contents::F32(values) => Contents::F32(values.into_iter().map(|x| (x / step).round() * step).collect()),
            integers => integers,
        }
    }

    /// Floats from a simple generator (xorshift), uniform in ±`scale`: cases need variety, not statistics.
    pub fn random(len: usize, scale: f32, seed: u32) -> Contents {
        let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state
        };
        Contents::F32((0..len).map(|_| (next() as f32 / u32::MAX as f32 * 2.0 - 1.0) * scale).collect())
    }
}

/// One dispatch and its data.
#[derive(Debug, Clone)]
pub struct Case {
    /// Shapes and variant, such as `17x65x3 relu`.
    pub name: String,
    /// The dispatch; its slices are those of [`Case::slices`].
    pub dispatch: Dispatch,
    /// One per binding.
    pub contents: Vec<Contents>,
}

impl Case {
    /// The same launch in lines of two workgroups, the last of them past the end; `None` where it has no more than one line.
    pub(super) fn folded(&self) -> Option<Case> {
        let [columns, rows, models] = self.dispatch.grid;
        let groups = columns * rows;
        let mut folded = self.clone();
        folded.dispatch.grid = [2, groups.div_ceil(2) + 1, models];
        folded.name.push_str(", in lines of two workgroups");
        (groups > 2).then_some(folded)
    }

    /// Slices for contents: binding i is the whole of buffer i.
    pub fn slices(contents: &[Contents]) -> Vec<Slice> {
        let whole = |(i, c): (usize, &Contents)| Slice { buffer: BufferId(i), offset: 0, len: c.len() };
        contents.iter().enumerate().map(whole).collect()
    }
}
