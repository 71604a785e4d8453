//! Optimizers, what they take and leave: gradients of several batches, the average of the weights, and the scale of the loss in
//! mixed precision.

pub mod accumulate_gradients;
pub mod adam;
pub mod adjust_loss_scale;
pub mod average_weights;
pub mod lion;
pub mod muon;
pub mod muon_apply;
pub mod muon_normalise;
pub mod muon_polynomial;
pub mod rmsprop;
pub mod rules;
pub mod sgd;
pub mod unscale_gradients;
pub mod update;
