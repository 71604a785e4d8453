//! Optimizers, and the scale of the loss in mixed precision.

pub mod adam;
pub mod adjust_loss_scale;
pub mod rules;
pub mod sgd;
pub mod unscale_gradients;
