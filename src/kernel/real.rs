//! The numbers that kernels compute with on the CPU.

use half::f16;
use half::slice::HalfFloatSliceExt;

/// Scalar type that buffers of [`Element::F32`](crate::ir::Element::F32) hold on the CPU: f32 in training, f64 in gradient checks.
pub trait Real: Copy + Default + Send + Sync + std::fmt::Debug + 'static {
    /// Widens.
    fn to_f64(self) -> f64;
    /// Rounds to nearest.
    fn from_f64(value: f64) -> Self;
    /// All of them rounded to f16.
    fn rounded_to_f16(values: &[Self]) -> Vec<Self> {
        values.iter().map(|value| rounded(*value)).collect()
    }
}

impl Real for f32 {
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    fn from_f64(value: f64) -> Self {
        value as f32
    }
    fn rounded_to_f16(values: &[f32]) -> Vec<f32> {
        round_all(values)
    }
}

impl Real for f64 {
    fn to_f64(self) -> f64 {
        self
    }
    fn from_f64(value: f64) -> Self {
        value
    }
}

/// A number rounded to f16, to nearest and ties to even: infinite from 65,520 on, a multiple of 2^-24 below 2^-14.
fn rounded<T: Real>(value: T) -> T {
    T::from_f64(f16::from_f64(value.to_f64()).to_f64())
}

/// Numbers rounded to f16, with the processor's conversions where it has them.
fn round_all(values: &[f32]) -> Vec<f32> {
    let mut rounded = vec![0.0; values.len()];
    let mut block = [f16::ZERO; 1024];
    for (values, rounded) in values.chunks(block.len()).zip(rounded.chunks_mut(block.len())) {
        let block = &mut block[..values.len()];
        block.convert_from_f32_slice(values);
        block.convert_to_f32_slice(rounded);
    }
    rounded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_to_nearest_even_and_overflow_to_infinity() {
        let cases = [
            (1.0, 1.0),
            (2049.0, 2048.0),
            (2051.0, 2052.0),
            (65_519.0, 65_504.0),
            (65_520.0, f32::INFINITY),
            (-1e9, f32::NEG_INFINITY),
            (2f32.powi(-24), 2f32.powi(-24)),
            (2f32.powi(-26), 0.0),
        ];
        for (value, expected) in cases {
            assert_eq!(rounded(value), expected, "{value}");
            assert_eq!(rounded(f64::from(value)), f64::from(expected), "{value}");
        }
        let values: Vec<f32> = cases.iter().cycle().take(2000).map(|(value, _)| *value).collect();
        let expected: Vec<f32> = values.iter().map(|value| rounded(*value)).collect();
        assert_eq!(round_all(&values), expected);
        assert!(round_all(&[f32::NAN])[0].is_nan());
    }
}
