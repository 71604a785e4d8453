//! Factors rounded to f16, as the kernels of mixed precision multiply them: on their way into workgroup memory. Sums, and everything
//! that is stored, stay f32.

use crate::kernel::{Args, Operand, Real};
use half::f16;
use half::slice::HalfFloatSliceExt;

/// A number rounded to f16, to nearest and ties to even: infinite from 65,520 on, a multiple of 2^-24 below 2^-14.
pub fn rounded<T: Real>(value: T) -> T {
    T::from_f64(f16::from_f64(value.to_f64()).to_f64())
}

/// Runs a kernel's code with its first two operands, the factors of its product, rounded to f16.
pub(crate) fn on_rounded<T: Real>(args: &mut Args<T>, code: fn(&mut Args<T>)) {
    let taken = std::mem::take(&mut args.operands);
    let copies: Vec<Vec<T>> = taken.iter().take(2).map(copy).collect();
    let one = |(index, operand)| copies.get(index).map_or(operand, |copy: &Vec<T>| Operand::Read(copy));
    let operands = taken.into_iter().enumerate().map(one).collect();
    let Args { params, constants, grid, .. } = *args;
    code(&mut Args { params, constants, grid, operands });
}

/// An operand's numbers, rounded.
fn copy<T: Real>(operand: &Operand<T>) -> Vec<T> {
    match operand {
        Operand::Read(values) => T::rounded_to_f16(values),
        _ => unreachable!("the factors of a product are floats that are only read"),
    }
}

/// Numbers rounded to f16, with the processor's conversions where it has them.
pub(crate) fn round_all(values: &[f32]) -> Vec<f32> {
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
