//! All cases of a kernel in one plan: binding i of every case lies in buffer i, between canaries.

use crate::ir::{Access, Binding, BufferId, Element, Kernel, Plan, ProgramId, Role, SLICE_ALIGNMENT, Slice};
use crate::kernel::{Case, Contents};
use std::ops::Range;

/// Words before and after each case's contents. The ones after lie inside the binding as well as behind it, because a
/// device that checks bounds lets no shader leave its binding, and would hide an overrun from us.
const GUARD: usize = SLICE_ALIGNMENT;

/// What surrounds a binding's contents. A NaN in floats that are only read, so that reading it shows too; in floats that
/// are written a number that arithmetic does not keep, as it would a NaN; in integers an impossible index.
pub(super) const fn canary(binding: &Binding) -> u32 {
    match (binding.element, binding.access) {
        (Element::F32, Access::Read) => 0x7fc0_cafe,
        (Element::F32, Access::ReadWrite) => 0xfe59_cafe,
        (Element::U32, _) => 0xdead_beef,
    }
}

/// A kernel's cases as a plan.
pub(super) struct Layout {
    pub(super) plan: Plan,
    pub(super) program: ProgramId,
    /// The words of each buffer before the run.
    pub(super) words: Vec<Vec<u32>>,
    /// For each case, where each binding's contents lie in its buffer.
    pub(super) ranges: Vec<Vec<Range<usize>>>,
}

impl Layout {
    /// Lays out cases that fit the kernel's declaration; otherwise says which does not.
    pub(super) fn new(kernel: &'static Kernel, cases: &[Case]) -> Result<Layout, String> {
        let bindings = kernel.bindings;
        let mut words: Vec<Vec<u32>> = vec![Vec::new(); bindings.len()];
        let mut ranges = Vec::new();
        let mut dispatches = Vec::new();
        for case in cases {
            let fits = case.contents.len() == bindings.len()
                && case.contents.iter().zip(bindings).all(|(c, b)| c.element() == b.element && !c.is_empty());
            if !fits {
                return Err(format!("case {}: its contents do not fit the kernel's bindings", case.name));
            }
            let places: Vec<_> =
                words.iter_mut().zip(bindings).zip(&case.contents).map(|((w, b), c)| append(w, c, canary(b))).collect();
            let mut dispatch = case.dispatch.clone();
            dispatch.kernel = kernel;
            dispatch.label.clone_from(&case.name);
            dispatch.slices = places.iter().enumerate().map(binding_slice).collect();
            dispatches.push(dispatch);
            ranges.push(places);
        }
        let mut plan = Plan::default();
        for (binding, words) in bindings.iter().zip(&words) {
            plan.buffer(binding.name, binding.element, words.len(), Role::Data);
        }
        let program = plan.program(kernel.name, dispatches);
        Ok(Layout { plan, program, words, ranges })
    }
}

/// Appends guard, contents and guards that end at a slice's alignment; returns where the contents are.
fn append(words: &mut Vec<u32>, contents: &Contents, guard: u32) -> Range<usize> {
    words.resize(words.len() + GUARD, guard);
    let start = words.len();
    match contents {
        Contents::F32(values) => words.extend(values.iter().map(|x| x.to_bits())),
        Contents::U32(values) => words.extend(values),
    }
    let end = words.len();
    words.resize((end + 2 * GUARD).next_multiple_of(SLICE_ALIGNMENT), guard);
    start..end
}

/// What the dispatch sees: the contents and one guard behind them.
fn binding_slice((index, range): (usize, &Range<usize>)) -> Slice {
    Slice { buffer: BufferId(index), offset: range.start, len: range.len() + GUARD }
}
