//! Losses with their gradients.

pub mod absolute_error;
pub mod binary_cross_entropy;
pub mod rows;
pub mod softmax_cross_entropy;
pub mod squared_error;
pub mod sum_weights;
pub mod weigh_epoch;
pub mod weigh_rows;
pub mod weights;

pub use absolute_error::AbsoluteError;
pub use binary_cross_entropy::BinaryCrossEntropy;
pub use softmax_cross_entropy::SoftmaxCrossEntropy;
pub use squared_error::SquaredError;
pub use sum_weights::SumWeights;
pub use weigh_epoch::WeighEpoch;
pub use weigh_rows::WeighRows;

use super::formula::activation::Activation;
use crate::keys::keywords;

keywords! {
    /// What training makes small; always a mean over the batch.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Loss = SoftmaxCrossEntropy {
        /// -log softmax(logits) of the true class.
        "softmax_cross_entropy" => SoftmaxCrossEntropy,
        /// Mean of (output - target)².
        "mse" => Mse,
        /// Half of `mse`.
        "half_mse" => HalfMse,
        /// Mean of |output - target|.
        "mae" => Mae,
        /// Mean of (output - target)² / 2 up to a difference of `delta`, and linear beyond.
        "huber" => Huber,
        /// -t log p - (1 - t) log(1 - p), mean over all elements.
        "binary_cross_entropy" => BinaryCrossEntropy,
    }
}

impl Loss {
    /// True when the labels must be classes; the others also take float targets of shape (N, outputs).
    pub fn uses_classes(&self) -> bool {
        matches!(self, Loss::SoftmaxCrossEntropy)
    }

    /// True when the targets may be any values, which outputs come near rather than meet.
    pub fn takes_values(&self) -> bool {
        matches!(self, Loss::Mse | Loss::HalfMse | Loss::Mae | Loss::Huber)
    }

    /// True when the loss of a mixed target is the mixed loss of the targets.
    pub fn is_linear_in_targets(&self) -> bool {
        matches!(self, Loss::SoftmaxCrossEntropy | Loss::BinaryCrossEntropy)
    }

    /// What turns the network's outputs into what eval and predict report: the network itself ends in logits for the
    /// two cross entropies, because the loss is exact and finite only on those.
    pub fn output_activation(&self) -> Activation {
        match self {
            Loss::SoftmaxCrossEntropy => Activation::Softmax,
            Loss::BinaryCrossEntropy => Activation::Sigmoid,
            Loss::Mse | Loss::HalfMse | Loss::Mae | Loss::Huber => Activation::Linear,
        }
    }
}
