//! Every way to launch what a dispatch computes: what the tuner measures.

use super::{Needs, conv2d_backward_input, conv2d_forward, mixed};
use super::{dense_backward_input, dense_backward_weight, dense_forward};
use crate::plan::Dispatch;

/// The variants among which the planner chose this dispatch, itself included; nothing if it had no choice. All compute the
/// same bits from the same slices. A device may not allow all of them: see [`Limits::allow`](crate::plan::Limits::allow).
pub fn variants(dispatch: &Dispatch) -> Vec<Dispatch> {
    match dispatch.kernel.name {
        _ if dispatch.kernel.needs != Needs::Nothing => mixed::variants(dispatch),
        "dense_forward" => dense_forward::variants(dispatch),
        "dense_backward_input" => dense_backward_input::variants(dispatch),
        "dense_backward_weight" => dense_backward_weight::variants(dispatch),
        "conv2d_forward" | "conv2d_forward_direct" => conv2d_forward::variants(dispatch),
        "conv2d_backward_input" | "conv2d_backward_input_direct" => conv2d_backward_input::variants(dispatch),
        _ => Vec::new(),
    }
}
