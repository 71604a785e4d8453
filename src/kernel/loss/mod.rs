//! Losses with their gradients.

pub mod binary_cross_entropy;
pub mod rows;
pub mod softmax_cross_entropy;
pub mod squared_error;

pub use binary_cross_entropy::BinaryCrossEntropy;
pub use softmax_cross_entropy::SoftmaxCrossEntropy;
pub use squared_error::SquaredError;
