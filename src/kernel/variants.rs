//! Every way to launch what a dispatch computes: what the tuner measures.

use super::{conv2d_backward_input, conv2d_forward, dense_backward_input, dense_backward_weight, dense_forward};
use crate::plan::Dispatch;

/// The variants among which the planner chose this dispatch, itself included; nothing if it had no choice. All compute the
/// same from the same slices.
pub fn variants(dispatch: &Dispatch) -> Vec<Dispatch> {
    match dispatch.kernel.name {
        "dense_forward" => dense_forward::variants(dispatch),
        "dense_backward_input" => dense_backward_input::variants(dispatch),
        "dense_backward_weight" => dense_backward_weight::variants(dispatch),
        "conv2d_forward" | "conv2d_forward_direct" => conv2d_forward::variants(dispatch),
        "conv2d_backward_input" | "conv2d_backward_input_direct" => conv2d_backward_input::variants(dispatch),
        _ => Vec::new(),
    }
}
