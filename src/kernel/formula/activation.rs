//! The activations, and their formulas in f64: the specification of `shaders/lib/activation.wgsl`. Codes are those of
//! [`Activation::code`].

use crate::keys::keywords;

/// `y = x`.
pub const LINEAR: u32 = 0;
/// `y = max(x, 0)`.
pub const RELU: u32 = 1;
/// `y = x` above 0, `0.01 x` below.
pub const LEAKY_RELU: u32 = 2;
/// `y = tanh x`.
pub const TANH: u32 = 3;
/// `y = 1 / (1 + exp(-x))`.
pub const SIGMOID: u32 = 4;
/// `y = x * Phi(x)`, Phi the normal distribution (exact, by erf).
pub const GELU: u32 = 5;
/// `y = x * sigmoid(x)`.
pub const SILU: u32 = 6;

/// Slope of leaky ReLU below 0, PyTorch's default.
pub const LEAKY_SLOPE: f64 = 0.01;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

/// The standard normal distribution function.
fn phi(x: f64) -> f64 {
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

/// The activation with the given code.
pub fn activate(x: f64, kind: u32) -> f64 {
    match kind {
        // Not `max`, which would turn NaN into 0 and hide it.
        RELU => {
            if x <= 0.0 {
                0.0
            } else {
                x
            }
        }
        LEAKY_RELU => {
            if x <= 0.0 {
                LEAKY_SLOPE * x
            } else {
                x
            }
        }
        TANH => libm::tanh(x),
        SIGMOID => sigmoid(x),
        GELU => x * phi(x),
        SILU => x * sigmoid(x),
        _ => x,
    }
}

/// The derivative, from what the forward pass saved: the output for [`LINEAR`] to [`SIGMOID`], the input for the others.
pub fn gradient(saved: f64, kind: u32) -> f64 {
    match kind {
        RELU => f64::from(saved > 0.0),
        LEAKY_RELU => {
            if saved > 0.0 {
                1.0
            } else {
                LEAKY_SLOPE
            }
        }
        TANH => 1.0 - saved * saved,
        SIGMOID => saved * (1.0 - saved),
        GELU => {
            let density = libm::exp(-0.5 * saved * saved) / (2.0 * std::f64::consts::PI).sqrt();
            phi(saved) + saved * density
        }
        SILU => {
            let s = sigmoid(saved);
            s * (1.0 + saved * (1.0 - s))
        }
        _ => 1.0,
    }
}

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
});

impl Activation {
    /// True when the derivative can be computed from the output alone, so that the input need not be kept.
    pub fn derivative_from_output(&self) -> bool {
        match self {
            Activation::Linear | Activation::Relu | Activation::LeakyRelu | Activation::Tanh | Activation::Sigmoid => {
                true
            }
            Activation::Gelu | Activation::Silu | Activation::Softmax => false,
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
        }
    }
}
