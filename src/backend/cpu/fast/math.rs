//! Elementary functions in f32 without branches, so that loops over them become vector instructions: the twins of
//! `shaders/lib/math.wgsl`. Within 2e-7 of the exact value (relative), NaN for NaN, and finite for every finite input.
//!
//! Multiplications and additions stay separate: a fused one is a library call on processors without the instruction, and
//! this way every processor gives the same bits. The polynomials are minimax fits; their errors are below 2e-8.

use crate::backend::cpu::fast::simd;
use crate::kernel::formula::activation::{
    ELU, GELU, HARD_SWISH, LEAKY_RELU, LEAKY_SLOPE, MISH, RELU, RELU6, SIGMOID, SILU, SOFTPLUS, TANH,
};

/// Adding and subtracting 1.5 * 2^23 rounds a small float to an integer, and leaves that integer in its low bits.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts; the first has few enough bits that its product with an exponent is exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// Beyond these, exp is below the smallest normal number (and counts as 0) or leaves the range of f32.
const EXP_MIN: f32 = -87.33;
const EXP_MAX: f32 = 88.37;

/// exp(x + correction) = (1 + a) * b, b a power of two, as (a, b); see [`exp_sum`].
#[inline(always)]
fn exp_parts(x: f32, correction: f32) -> (f32, f32) {
    let low = if x < EXP_MIN { EXP_MIN } else { x };
    let clamped = if low > EXP_MAX { EXP_MAX } else { low };
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = clamped - n * LN2_HIGH - n * LN2_LOW + correction;
    let p = 0.499_999_7 + r * (0.166_662_54 + r * (0.041_671_52 + r * (0.008_392_86 + r * 0.001_376_502_1)));
    (r + r * r * p, f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000)))
}

/// exp(x + correction) for a correction of at most 0.1, which may carry digits that `x` has no room for.
#[inline(always)]
fn exp_sum(x: f32, correction: f32) -> f32 {
    let (part, scale) = exp_parts(x, correction);
    let y = (1.0 + part) * scale;
    if x < EXP_MIN { 0.0 } else { y }
}

/// `exp(x)`: 0 below the smallest normal number, and 2.4e38 from 88.37 on.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    exp_sum(x, 0.0)
}

/// `exp(x) - 1` for `x <= 0`.
#[inline(always)]
pub(super) fn expm1(x: f32) -> f32 {
    let (part, scale) = exp_parts(x, 0.0);
    part * scale + (scale - 1.0)
}

/// `ln(1 + x)` for `x >= 0`.
#[inline(always)]
pub(super) fn log1p(x: f32) -> f32 {
    // Small x: 2 atanh(x / (2 + x)). Else 1 + x = m * 2^e with m around 1, and the same series for m.
    let large = x > 1.0;
    let bits = (1.0 + x).to_bits().wrapping_sub(0x3f35_04f3);
    let e = (bits as i32 >> 23) as f32;
    let m = f32::from_bits((bits & 0x007f_ffff).wrapping_add(0x3f35_04f3));
    let t = if large { (m - 1.0) / (m + 1.0) } else { x / (2.0 + x) };
    let z = t * t;
    let series = t + t * z * (0.333_332_03 + z * (0.200_109_74 + z * (0.139_973_3 + z * 0.140_241_64)));
    let (high, low) = if large { (e * LN2_HIGH, e * LN2_LOW) } else { (0.0, 0.0) };
    high + (low + 2.0 * series)
}

/// `1 / (1 + exp(-x))`, and 1 minus it.
#[inline(always)]
pub(super) fn sigmoid_pair(x: f32) -> (f32, f32) {
    // From exp(-|x|), which cannot overflow; both keep their relative accuracy when small.
    let e = exp(-x.abs());
    let (large, small) = (1.0 / (1.0 + e), e / (1.0 + e));
    if x < 0.0 { (small, large) } else { (large, small) }
}

/// `1 / (1 + exp(-x))`.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    sigmoid_pair(x).0
}

/// `tanh x`.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    let e = exp(-2.0 * x.abs());
    let z = x * x;
    let series =
        z * (-0.333_332_6 + z * (0.133_308_3 + z * (-0.053_688_02 + z * (0.020_469_41 + z * -0.005_515_154_5))));
    let large = (1.0 - 2.0 * e / (1.0 + e)).copysign(x);
    if x.abs() > 0.64 { large } else { x * (1.0 + series) }
}

/// The normal distribution function at x, and its density there. The function keeps its relative accuracy far into the
/// negative tail, where `1 + erf` would have cancelled to 0.
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    // Beyond 14 the tail is 0 in f32.
    let t = if x.abs() > 14.0 { 14.0 } else { x.abs() };
    // exp(-t^2 / 2), with t^2 in two parts: the square of the upper half of t's bits is exact.
    let high = f32::from_bits(t.to_bits() & 0xffff_f000);
    let bell = exp_sum(-0.5 * high * high, -0.5 * (t - high) * (t + high));
    // (1 + t) * tail / bell is smooth in (t - 3) / (t + 3).
    let u = (t - 3.0) / (t + 3.0);
    let mut ratio = -6.4928114e-05;
    ratio = -0.0004483679 + u * ratio;
    ratio = -0.0002624355 + u * ratio;
    ratio = 0.0029964026 + u * ratio;
    ratio = 0.0011278241 + u * ratio;
    ratio = -0.022729915 + u * ratio;
    ratio = 0.045168348 + u * ratio;
    ratio = -0.016432043 + u * ratio;
    ratio = -0.09652693 + u * ratio;
    ratio = 0.4860558 + u * ratio;
    let tail = bell * ratio / (1.0 + t);
    (if x < 0.0 { tail } else { 1.0 - tail }, bell * 0.398_942_3)
}

// `inline(always)` here and on the closures below is what makes long bodies wide: what is not inlined stays scalar.

#[inline(always)]
fn gelu(x: f32) -> f32 {
    x * normal(x).0
}

#[inline(always)]
fn gelu_gradient(x: f32) -> f32 {
    let (distribution, density) = normal(x);
    distribution + x * density
}

#[inline(always)]
fn silu_gradient(x: f32) -> f32 {
    let (s, complement) = sigmoid_pair(x);
    s * (1.0 + x * complement)
}

#[inline(always)]
fn softplus(x: f32) -> f32 {
    let linear = if x <= 0.0 { 0.0 } else { x };
    linear + log1p(exp(-x.abs()))
}

/// tanh(ln(1 + exp(x))), and its derivative.
#[inline(always)]
fn mish_pair(x: f32) -> (f32, f32) {
    // From exp(-|x|), which cannot overflow.
    let e = exp(-x.abs());
    let (low, high) = (2.0 + e * (2.0 + e), 1.0 + 2.0 * e * (1.0 + e));
    let below = (e * (2.0 + e) / low, 4.0 * e * (1.0 + e) / (low * low));
    let above = ((1.0 + 2.0 * e) / high, 4.0 * e * e * (1.0 + e) / (high * high));
    if x < 0.0 { below } else { above }
}

#[inline(always)]
fn mish_gradient(x: f32) -> f32 {
    let (t, slope) = mish_pair(x);
    t + x * slope
}

/// min(max(x, 0), 6), but NaN for NaN.
#[inline(always)]
fn clamp_to_six(x: f32) -> f32 {
    let low = if x <= 0.0 { 0.0 } else { x };
    if low >= 6.0 { 6.0 } else { low }
}

#[inline(always)]
fn hard_swish_gradient(x: f32) -> f32 {
    let slope = if x >= 3.0 { 1.0 } else { x / 3.0 + 0.5 };
    if x <= -3.0 { 0.0 } else { slope }
}

/// The activation with the given code, in place.
pub(super) fn activate(values: &mut [f32], kind: u32) {
    match kind {
        RELU => map(values, |x| if x <= 0.0 { 0.0 } else { x }),
        LEAKY_RELU => map(values, |x| if x <= 0.0 { LEAKY_SLOPE as f32 * x } else { x }),
        TANH => map(values, tanh),
        SIGMOID => map(values, sigmoid),
        GELU => map(values, gelu),
        SILU => map(values, |x| x * sigmoid(x)),
        ELU => map(values, |x| if x <= 0.0 { expm1(x) } else { x }),
        SOFTPLUS => map(values, softplus),
        HARD_SWISH => map(values, |x| x * (clamp_to_six(x + 3.0) / 6.0)),
        MISH => map(values, |x| x * mish_pair(x).0),
        RELU6 => map(values, clamp_to_six),
        _ => {}
    }
}

/// Multiplies each gradient by the activation's derivative, from what the forward pass saved (see
/// [`activation::gradient`](crate::kernel::formula::activation::gradient)).
pub(super) fn activation_gradient(gradients: &mut [f32], saved: &[f32], kind: u32) {
    match kind {
        RELU => map_with(gradients, saved, |s| if s > 0.0 { 1.0 } else { 0.0 }),
        LEAKY_RELU => map_with(gradients, saved, |s| if s > 0.0 { 1.0 } else { LEAKY_SLOPE as f32 }),
        TANH => map_with(gradients, saved, |s| 1.0 - s * s),
        SIGMOID => map_with(gradients, saved, |s| s * (1.0 - s)),
        GELU => map_with(gradients, saved, gelu_gradient),
        SILU => map_with(gradients, saved, silu_gradient),
        ELU => map_with(gradients, saved, |s| if s > 0.0 { 1.0 } else { s + 1.0 }),
        SOFTPLUS => map_with(gradients, saved, sigmoid),
        HARD_SWISH => map_with(gradients, saved, hard_swish_gradient),
        MISH => map_with(gradients, saved, mish_gradient),
        RELU6 => map_with(gradients, saved, |s| if (s > 0.0) & (s < 6.0) { 1.0 } else { 0.0 }),
        _ => {}
    }
}

#[inline(always)]
fn map(values: &mut [f32], f: impl Fn(f32) -> f32) {
    simd::vectorised(
        #[inline(always)]
        || {
            for value in values {
                *value = f(*value);
            }
        },
    );
}

#[inline(always)]
fn map_with(gradients: &mut [f32], saved: &[f32], derivative: impl Fn(f32) -> f32) {
    simd::vectorised(
        #[inline(always)]
        || {
            for (gradient, &saved) in gradients.iter_mut().zip(saved) {
                *gradient *= derivative(saved);
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::formula::activation;

    /// Largest relative error over a fine sweep of [from, to].
    fn worst(from: f32, to: f32, f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) -> (f64, f32) {
        let steps = 2_000_000;
        let error = |i: i32| {
            let x = from + (to - from) * (i as f32 / steps as f32);
            let want = exact(f64::from(x));
            // Results below the normal numbers may be flushed.
            (((f64::from(f(x)) - want).abs() - 2e-38).max(0.0) / want.abs().max(1e-300), x)
        };
        (0..=steps).map(error).fold((0.0, 0.0), |a, b| if b.0 > a.0 { b } else { a })
    }

    fn one(x: f32, kind: u32) -> f32 {
        let mut value = [x];
        activate(&mut value, kind);
        value[0]
    }

    #[track_caller]
    fn below(bound: f64, (error, x): (f64, f32)) {
        assert!(error < bound, "relative error {error} at {x}");
    }

    #[test]
    fn close_to_the_exact_functions() {
        below(1.6e-7, worst(-87.3, 88.3, exp, libm::exp));
        below(1.6e-7, worst(-1.0, 1.0, exp, libm::exp));
        below(2e-7, worst(1e-9, 2.0, log1p, libm::log1p));
        below(2e-7, worst(1.0, 1e6, log1p, libm::log1p));
        below(2e-7, worst(-87.0, 87.0, sigmoid, |x| activation::activate(x, SIGMOID)));
        below(2e-7, worst(-20.0, 20.0, tanh, libm::tanh));
        below(2e-7, worst(-1.0, 1.0, tanh, libm::tanh));
        below(2e-7, worst(1e-12, 1e-6, tanh, libm::tanh));
        below(5e-7, worst(-12.9, 20.0, |x| one(x, GELU), |x| activation::activate(x, GELU)));
        below(5e-7, worst(-1.0, 1.0, |x| one(x, GELU), |x| activation::activate(x, GELU)));
        below(4e-7, worst(-80.0, 80.0, |x| one(x, SILU), |x| activation::activate(x, SILU)));
        below(2e-7, worst(-90.0, 0.0, expm1, libm::expm1));
        below(2e-7, worst(-1.0, 0.0, expm1, libm::expm1));
        below(2e-7, worst(-1e-6, -1e-12, expm1, libm::expm1));
        for kind in [SOFTPLUS, MISH] {
            below(4e-7, worst(-86.0, 90.0, |x| one(x, kind), |x| activation::activate(x, kind)));
            below(4e-7, worst(-1.0, 1.0, |x| one(x, kind), |x| activation::activate(x, kind)));
        }
    }

    #[test]
    fn derivatives_are_close_on_the_scale_of_one() {
        for kind in activation::ALL {
            for i in -200_000..=200_000 {
                let saved = if matches!(kind, TANH | SIGMOID) { i as f32 / 200_000.0 } else { i as f32 / 10_000.0 };
                let mut gradient = [2.0];
                activation_gradient(&mut gradient, &[saved], kind);
                let want = 2.0 * activation::gradient(f64::from(saved), kind);
                assert!((f64::from(gradient[0]) - want).abs() < 8e-7, "{kind} at {saved}: {gradient:?}, not {want}");
            }
        }
    }

    #[test]
    fn extremes_are_finite_and_not_a_number_stays_one() {
        for kind in activation::ALL {
            for x in [0.0, -0.0, 1e-38, -1e-38, 1e-20, 1000.0, -1000.0, 1e30, -1e30, f32::MAX, f32::MIN] {
                let want = activation::activate(f64::from(x), kind);
                let error = (f64::from(one(x, kind)) - want).abs();
                assert!(error <= 2e-7 * want.abs() + 1e-33, "{kind} at {x}: {} not {want}", one(x, kind));
                let mut gradient = [1.0];
                activation_gradient(&mut gradient, &[x], kind);
                // tanh and sigmoid save their outputs, which stay within -1 and 1.
                assert!(gradient[0].is_finite() || matches!(kind, TANH | SIGMOID), "{kind} at {x}: {gradient:?}");
            }
            assert!(one(f32::NAN, kind).is_nan(), "{kind}");
            assert!(activation::activate(f64::NAN, kind).is_nan(), "{kind}");
        }
        assert_eq!(exp(-1000.0), 0.0);
        assert!(exp(1000.0).is_finite());
        assert!(exp(f32::NAN).is_nan() && log1p(f32::NAN).is_nan());
        assert_eq!(tanh(-0.0).to_bits(), (-0.0f32).to_bits());
    }
}
