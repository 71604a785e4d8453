//! Normalisation: of each example's groups of channels (layer norm, group norm), and of each channel over the batch (batch
//! norm).
//!
//! Layer and group norm: [`RowForward`](row_forward::RowForward), then backward
//! [`backward_weight::launches`] and [`RowBackwardInput`](row_backward_input::RowBackwardInput). Batch norm in training:
//! [`batch_statistics::launches`], [`BatchForward`](batch_forward::BatchForward), then backward
//! [`backward_weight::launches`] and [`BatchBackwardInput`](batch_backward_input::BatchBackwardInput); in evaluation
//! [`BatchForward`](batch_forward::BatchForward) alone, with the running statistics. Where ranks share a batch, they meet before the two
//! last of training ([`over_ranks`]).

mod row_shape;

pub use row_shape::RowShape;

pub mod backward_weight;
pub mod batch_backward_input;
pub mod batch_forward;
pub mod batch_moments;
pub mod batch_statistics;
pub mod channel_sums;
pub mod over_ranks;
pub mod row_backward_input;
pub mod row_forward;
