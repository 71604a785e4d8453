//! Checks a plan before anything is allocated: internal consistency, and the limits of a device.

use super::{Access, Dispatch, Limits, Plan, SLICE_ALIGNMENT};
use std::collections::HashMap;

/// Why a plan cannot run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A buffer, or the part of it that a kernel sees, is larger than the device allows.
    #[error(
        "{tensor} needs {needed} bytes{at}, but this device allows {limit} bytes per {what}; \
         use a smaller batch, layer or data set{}",
        if *limit < Limits::UNLIMITED.binding_bytes { ", or --backend cpu, which allows more" } else { "" }
    )]
    TooLarge {
        /// The buffer's name.
        tensor: String,
        /// Bytes asked for.
        needed: u64,
        /// Bytes allowed.
        limit: u64,
        /// `buffer` or `binding`.
        what: &'static str,
        /// Where: empty, or ` in LABEL`.
        at: String,
    },
    /// A dispatch needs more workgroups than the device allows along one dimension.
    #[error(
        "{label} ({kernel}) needs a grid of {grid:?} workgroups, more than this device's {limit} along one side; \
         use {}",
        if grid[2] > *limit { "fewer models side by side" } else { "a smaller batch or layer" }
    )]
    GridTooLarge {
        /// What the dispatch computes.
        label: String,
        /// Its kernel.
        kernel: &'static str,
        /// Its grid.
        grid: [u32; 3],
        /// Allowed along one side.
        limit: u32,
    },
    /// A plan of launches alone.
    #[error(
        "the plan says neither where its examples nor where its parameters are: it is none of training or evaluation"
    )]
    NoIo,
    /// The plan contradicts itself: a bug in the planner, never the user's doing.
    #[error("the plan is inconsistent (a bug in gputrain): {label} ({kernel}): {problem}")]
    Inconsistent {
        /// What the dispatch computes.
        label: String,
        /// Its kernel.
        kernel: &'static str,
        /// What is wrong.
        problem: String,
    },
}

impl Plan {
    /// Checks every dispatch against its kernel's declaration, the aliasing rule (a buffer that a dispatch writes is
    /// bound once in it) and the device's limits.
    pub fn check(&self, limits: &Limits) -> Result<(), PlanError> {
        for buffer in &self.buffers {
            if buffer.bytes() > limits.buffer_bytes {
                let (tensor, needed) = (buffer.name.clone(), buffer.bytes());
                let limit = limits.buffer_bytes;
                return Err(PlanError::TooLarge { tensor, needed, limit, what: "buffer", at: String::new() });
            }
        }
        self.dispatches().try_for_each(|d| self.check_dispatch(d, limits))
    }

    fn check_dispatch(&self, dispatch: &Dispatch, limits: &Limits) -> Result<(), PlanError> {
        let kernel = dispatch.kernel.name;
        let wrong = |problem: String| Err(PlanError::Inconsistent { label: dispatch.label.clone(), kernel, problem });
        if dispatch.slices.len() != dispatch.kernel.bindings.len() {
            return wrong(format!("{} slices for {} bindings", dispatch.slices.len(), dispatch.kernel.bindings.len()));
        }
        if dispatch.params.len() != dispatch.kernel.params.len() {
            return wrong(format!("{} parameter words, not {}", dispatch.params.len(), dispatch.kernel.params.len()));
        }
        let mut seen = HashMap::new();
        for (slice, binding) in dispatch.slices.iter().zip(dispatch.kernel.bindings) {
            let Some(buffer) = self.buffers.get(slice.buffer.0) else {
                return wrong(format!("binding {} names no buffer", binding.name));
            };
            if buffer.element != binding.element {
                return wrong(format!(
                    "{} holds {:?}, {} wants {:?}",
                    buffer.name, buffer.element, binding.name, binding.element
                ));
            }
            if slice.len == 0
                || slice.offset.checked_add(slice.len).is_none_or(|end| end > buffer.len)
                || !slice.offset.is_multiple_of(SLICE_ALIGNMENT)
            {
                return wrong(format!(
                    "slice {}+{} of {} ({} elements)",
                    slice.offset, slice.len, buffer.name, buffer.len
                ));
            }
            let written = binding.access == Access::ReadWrite;
            if seen.insert(slice.buffer, written).is_some_and(|before| before || written) {
                return wrong(format!("{} is written and bound twice", buffer.name));
            }
            let needed = slice.len as u64 * 4;
            if needed > limits.binding_bytes {
                let (tensor, limit, at) =
                    (buffer.name.clone(), limits.binding_bytes, format!(" in {}", dispatch.label));
                return Err(PlanError::TooLarge { tensor, needed, limit, what: "binding", at });
            }
        }
        if dispatch.grid.iter().any(|&n| n == 0 || n > limits.workgroups) {
            let (label, grid, limit) = (dispatch.label.clone(), dispatch.grid, limits.workgroups);
            return Err(PlanError::GridTooLarge { label, kernel, grid, limit });
        }
        Ok(())
    }
}
