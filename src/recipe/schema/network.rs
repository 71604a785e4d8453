//! `[model]`: the network, its loss and its initial weights.

use super::keywords;

/// The network as the recipe writes it.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSpec {
    /// `[features]` or `[height, width, channels]`; empty takes the data's own shape.
    pub input: Vec<usize>,
    /// The layers, from input to output.
    pub layers: Vec<LayerSpec>,
    /// What training makes small.
    pub loss: Loss,
    /// Initial weights of every layer that names none of its own.
    pub init: Init,
    /// Initial biases of every layer that names none of its own; `None` means zeros.
    pub bias_init: Option<Init>,
}

/// One layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LayerSpec {
    /// Fully connected; an image is flattened first, channel by channel.
    Dense {
        /// Number of outputs.
        units: usize,
        /// Applied to every output.
        activation: Activation,
        /// Whether a bias is added.
        bias: bool,
        /// Initial weights, where they differ from the model's.
        init: Option<Init>,
        /// Initial biases, where they differ from the model's.
        bias_init: Option<Init>,
    },
    /// Two-dimensional convolution (cross-correlation, as in PyTorch and Keras).
    Conv2d {
        /// Number of output channels.
        filters: usize,
        /// Height and width of the kernel.
        kernel: [usize; 2],
        /// Step down and across.
        stride: [usize; 2],
        /// What happens at the border.
        padding: Padding,
        /// Applied to every output.
        activation: Activation,
        /// Whether a bias per channel is added.
        bias: bool,
        /// Initial weights, where they differ from the model's.
        init: Option<Init>,
        /// Initial biases, where they differ from the model's.
        bias_init: Option<Init>,
    },
    /// The largest value of each window.
    MaxPool {
        /// Height and width of the window.
        size: [usize; 2],
        /// Step down and across.
        stride: [usize; 2],
        /// What happens at the border.
        padding: Padding,
    },
    /// The mean of each window; padding does not count as a value.
    AveragePool {
        /// Height and width of the window.
        size: [usize; 2],
        /// Step down and across.
        stride: [usize; 2],
        /// What happens at the border.
        padding: Padding,
    },
    /// The mean of each channel.
    GlobalAveragePool,
    /// An image to a vector, channel by channel.
    Flatten,
    /// While training, zeroes values at random and scales the others up by 1 / (1 - rate).
    Dropout {
        /// Probability of a zero, in 0..1.
        rate: f32,
    },
    /// An activation as a layer of its own.
    Activation(Activation),
}

impl LayerSpec {
    /// A dense layer with the defaults of a recipe.
    pub fn dense(units: usize, activation: Activation) -> LayerSpec {
        LayerSpec::Dense { units, activation, bias: true, init: None, bias_init: None }
    }

    /// The key that names the layer's kind in a recipe.
    pub fn kind(&self) -> &'static str {
        match self {
            LayerSpec::Dense { .. } => "dense",
            LayerSpec::Conv2d { .. } => "conv2d",
            LayerSpec::MaxPool { .. } => "max_pool",
            LayerSpec::AveragePool { .. } => "average_pool",
            LayerSpec::GlobalAveragePool => "global_average_pool",
            LayerSpec::Flatten => "flatten",
            LayerSpec::Dropout { .. } => "dropout",
            LayerSpec::Activation(_) => "activation",
        }
    }

    /// The layer's activation; `None` for kinds that have none.
    pub fn activation(&self) -> Option<Activation> {
        match *self {
            LayerSpec::Dense { activation, .. } | LayerSpec::Conv2d { activation, .. } => Some(activation),
            LayerSpec::Activation(activation) => Some(activation),
            _ => None,
        }
    }

    /// The same layer with another activation; kinds without one stay as they are.
    #[must_use]
    pub fn with_activation(mut self, new: Activation) -> LayerSpec {
        match &mut self {
            LayerSpec::Dense { activation, .. } | LayerSpec::Conv2d { activation, .. } => *activation = new,
            LayerSpec::Activation(activation) => *activation = new,
            _ => {}
        }
        self
    }
}

/// What a convolution or pooling window does at the border.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Padding {
    /// Windows stay inside the image.
    #[default]
    Valid,
    /// ceil(input / stride) outputs; where the padding is odd, the extra row or column is at the bottom or right.
    Same,
}

keywords!(Padding { "valid" => Valid, "same" => Same });

/// An activation function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Activation {
    /// x
    #[default]
    Linear,
    /// max(x, 0)
    Relu,
    /// x where positive, 0.01 x elsewhere
    LeakyRelu,
    /// tanh(x)
    Tanh,
    /// 1 / (1 + exp(-x))
    Sigmoid,
    /// x Φ(x), the exact form with erf
    Gelu,
    /// x / (1 + exp(-x))
    Silu,
    /// exp(x) / Σ exp(x), over the outputs of one example
    Softmax,
    /// x where positive, exp(x) - 1 elsewhere
    Elu,
    /// ln(1 + exp(x))
    Softplus,
    /// x min(max(x + 3, 0), 6) / 6
    HardSwish,
    /// x tanh(ln(1 + exp(x)))
    Mish,
    /// min(max(x, 0), 6)
    Relu6,
}

keywords!(Activation {
    "linear" => Linear,
    "relu" => Relu,
    "leaky_relu" => LeakyRelu,
    "tanh" => Tanh,
    "sigmoid" => Sigmoid,
    "gelu" => Gelu,
    "silu" => Silu,
    "softmax" => Softmax,
    "elu" => Elu,
    "softplus" => Softplus,
    "hard_swish" => HardSwish,
    "mish" => Mish,
    "relu6" => Relu6,
});

impl Activation {
    /// True when the derivative can be computed from the output alone, so that the input need not be kept.
    pub fn derivative_from_output(&self) -> bool {
        match self {
            Activation::Linear
            | Activation::Relu
            | Activation::LeakyRelu
            | Activation::Tanh
            | Activation::Sigmoid
            | Activation::Elu
            | Activation::Relu6 => true,
            Activation::Gelu
            | Activation::Silu
            | Activation::Softmax
            | Activation::Softplus
            | Activation::HardSwish
            | Activation::Mish => false,
        }
    }

    /// The number that stands for this activation in shaders and saved files. Never renumber.
    pub fn code(&self) -> u32 {
        match self {
            Activation::Linear => 0,
            Activation::Relu => 1,
            Activation::LeakyRelu => 2,
            Activation::Tanh => 3,
            Activation::Sigmoid => 4,
            Activation::Gelu => 5,
            Activation::Silu => 6,
            Activation::Softmax => 7,
            Activation::Elu => 8,
            Activation::Softplus => 9,
            Activation::HardSwish => 10,
            Activation::Mish => 11,
            Activation::Relu6 => 12,
        }
    }
}

/// What training makes small; always a mean over the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Loss {
    /// -log softmax(logits) of the true class.
    #[default]
    SoftmaxCrossEntropy,
    /// Mean of (output - target)².
    Mse,
    /// Half of [`Loss::Mse`].
    HalfMse,
    /// -t log p - (1 - t) log(1 - p), mean over all elements.
    BinaryCrossEntropy,
}

keywords!(Loss {
    "softmax_cross_entropy" => SoftmaxCrossEntropy,
    "mse" => Mse,
    "half_mse" => HalfMse,
    "binary_cross_entropy" => BinaryCrossEntropy,
});

impl Loss {
    /// True when the labels must be classes; the others also take float targets of shape (N, outputs).
    pub fn uses_classes(&self) -> bool {
        matches!(self, Loss::SoftmaxCrossEntropy)
    }

    /// What turns the network's outputs into what eval and predict report: the network itself ends in logits for the
    /// two cross entropies, because the loss is exact and finite only on those.
    pub fn output_activation(&self) -> Activation {
        match self {
            Loss::SoftmaxCrossEntropy => Activation::Softmax,
            Loss::BinaryCrossEntropy => Activation::Sigmoid,
            Loss::Mse | Loss::HalfMse => Activation::Linear,
        }
    }
}

/// Initial values of a parameter. `fan_in` and `fan_out` are the layer's, for its weights and its biases alike.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Init {
    /// Uniform in ± sqrt(6 / (fan_in + fan_out)).
    #[default]
    GlorotUniform,
    /// Normal with variance 2 / (fan_in + fan_out).
    GlorotNormal,
    /// Uniform in ± sqrt(6 / fan_in).
    HeUniform,
    /// Normal with variance 2 / fan_in.
    HeNormal,
    /// Uniform in ± 1 / sqrt(fan_in), PyTorch's default.
    FanInUniform,
    /// Normal with this standard deviation.
    Normal(f64),
    /// Uniform in ± this bound.
    Uniform(f64),
    /// All zero.
    Zeros,
    /// All this value.
    Constant(f64),
}
