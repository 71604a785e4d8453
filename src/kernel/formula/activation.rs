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
/// `y = x` above 0, `exp(x) - 1` below.
pub const ELU: u32 = 8;
/// `y = ln(1 + exp(x))`.
pub const SOFTPLUS: u32 = 9;
/// `y = x * min(max(x + 3, 0), 6) / 6`.
pub const HARD_SWISH: u32 = 10;
/// `y = x * tanh(ln(1 + exp(x)))`.
pub const MISH: u32 = 11;
/// `y = min(max(x, 0), 6)`.
pub const RELU6: u32 = 12;

/// Every code there is: each a function of one value.
pub const ALL: [u32; 12] =
    [LINEAR, RELU, LEAKY_RELU, TANH, SIGMOID, GELU, SILU, ELU, SOFTPLUS, HARD_SWISH, MISH, RELU6];

/// The codes of the activations whose derivative follows from their output: those that other kernels do in passing.
pub const FROM_OUTPUT: [u32; 7] = [LINEAR, RELU, LEAKY_RELU, TANH, SIGMOID, ELU, RELU6];

/// Slope of leaky ReLU below 0, PyTorch's default.
pub const LEAKY_SLOPE: f64 = 0.01;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

/// `ln(1 + exp(x))`, whose exponential cannot overflow.
fn softplus(x: f64) -> f64 {
    // Not `max`, which would turn NaN into 0 and hide it.
    let linear = if x <= 0.0 { 0.0 } else { x };
    linear + libm::log1p(libm::exp(-x.abs()))
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
        ELU => {
            if x <= 0.0 {
                libm::expm1(x)
            } else {
                x
            }
        }
        SOFTPLUS => softplus(x),
        HARD_SWISH => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        MISH => x * libm::tanh(softplus(x)),
        // NaN stays NaN.
        RELU6 => x.clamp(0.0, 6.0),
        _ => x,
    }
}

/// The derivative, from what the forward pass saved: the output for those [`FROM_OUTPUT`], the input for the others. At a
/// kink it is PyTorch's.
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
        ELU => {
            if saved > 0.0 {
                1.0
            } else {
                saved + 1.0
            }
        }
        SOFTPLUS => sigmoid(saved),
        HARD_SWISH => {
            if saved <= -3.0 {
                0.0
            } else if saved >= 3.0 {
                1.0
            } else {
                saved / 3.0 + 0.5
            }
        }
        MISH => {
            let t = libm::tanh(softplus(saved));
            t + saved * sigmoid(saved) * (1.0 - t * t)
        }
        RELU6 => f64::from(saved > 0.0 && saved < 6.0),
        _ => 1.0,
    }
}

keywords! {
    /// An activation function.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Activation = Linear {
        /// x
        "linear" => Linear,
        /// max(x, 0)
        "relu" => Relu,
        /// x where positive, 0.01 x elsewhere
        "leaky_relu" => LeakyRelu,
        /// tanh(x)
        "tanh" => Tanh,
        /// 1 / (1 + exp(-x))
        "sigmoid" => Sigmoid,
        /// x Φ(x), the exact form with erf
        "gelu" => Gelu,
        /// x / (1 + exp(-x))
        "silu" => Silu,
        /// exp(x) / Σ exp(x), over the outputs of one example
        "softmax" => Softmax,
        /// x where positive, exp(x) - 1 elsewhere
        "elu" => Elu,
        /// ln(1 + exp(x))
        "softplus" => Softplus,
        /// x min(max(x + 3, 0), 6) / 6
        "hard_swish" => HardSwish,
        /// x tanh(ln(1 + exp(x)))
        "mish" => Mish,
        /// min(max(x, 0), 6)
        "relu6" => Relu6,
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Values to 16 digits, computed with 40 from the definitions in PyTorch's documentation.
    #[test]
    fn the_younger_activations_are_pytorchs() {
        for (kind, x, value, slope) in [
            (ELU, -20.0, -0.9999999979388464, 2.061153622438558e-09),
            (ELU, -2.5, -0.9179150013761012, 0.0820849986238988),
            (ELU, -0.001, -0.0009995001666250082, 0.999000499833375),
            (ELU, 0.5, 0.5, 1.0),
            (ELU, 5.0, 5.0, 1.0),
            (ELU, 7.0, 7.0, 1.0),
            (SOFTPLUS, -20.0, 2.061153620314381e-09, 2.0611536181902037e-09),
            (SOFTPLUS, -2.5, 0.07888973429254963, 0.07585818002124355),
            (SOFTPLUS, -0.001, 0.6926473055599401, 0.4997500000208333),
            (SOFTPLUS, 0.5, 0.9740769841801067, 0.6224593312018546),
            (SOFTPLUS, 5.0, 5.006715348489118, 0.9933071490757152),
            (SOFTPLUS, 7.0, 7.000911466453775, 0.9990889488055994),
            (HARD_SWISH, -20.0, 0.0, 0.0),
            (HARD_SWISH, -2.5, -0.20833333333333334, -0.3333333333333333),
            (HARD_SWISH, -0.001, -0.0004998333333333334, 0.49966666666666665),
            (HARD_SWISH, 0.5, 0.2916666666666667, 0.6666666666666666),
            (HARD_SWISH, 5.0, 5.0, 1.0),
            (HARD_SWISH, 7.0, 7.0, 1.0),
            (MISH, -20.0, -4.122307240628761e-08, -3.916191874348969e-08),
            (MISH, -2.5, -0.19681620390653334, -0.10974357275018569),
            (MISH, -0.001, -0.0005996799840458663, 0.5993599521834647),
            (MISH, 0.5, 0.37524521130489513, 0.8864243753577272),
            (MISH, 5.0, 4.999552077529406, 1.0008002248320826),
            (MISH, 7.0, 6.999988379809741, 1.0000215591608885),
            (RELU6, -20.0, 0.0, 0.0),
            (RELU6, -2.5, 0.0, 0.0),
            (RELU6, -0.001, 0.0, 0.0),
            (RELU6, 0.5, 0.5, 1.0),
            (RELU6, 5.0, 5.0, 1.0),
            (RELU6, 7.0, 6.0, 0.0),
        ] {
            let y = activate(x, kind);
            assert!((y - value).abs() <= 1e-15 * value.abs(), "{kind} at {x}: {y}, not {value}");
            let d = gradient(if FROM_OUTPUT.contains(&kind) { y } else { x }, kind);
            assert!((d - slope).abs() <= 1e-15, "{kind} at {x}: slope {d}, not {slope}");
        }
    }

    #[test]
    fn codes_are_those_of_recipes() {
        use crate::keys::Keyword;
        let words = || Activation::WORDS.iter().map(|(_, activation)| *activation);
        let codes: Vec<u32> = words().filter(|a| *a != Activation::Softmax).map(|a| a.code()).collect();
        assert_eq!(codes, ALL);
        let from_output: Vec<u32> = words().filter(|a| a.derivative_from_output()).map(|a| a.code()).collect();
        assert_eq!(from_output, FROM_OUTPUT);
    }
}
