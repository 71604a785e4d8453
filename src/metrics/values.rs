//! Measures of values.

use super::{Measure, mean};

/// A measure of outputs (rows of `width`) against values; none where it is undefined, or not of values.
pub(super) fn measure(outputs: &[f32], targets: &[f32], width: usize, measure: Measure) -> Option<f64> {
    let of = match measure {
        Measure::Mae => |pairs: &[(f64, f64)]| mean(pairs.iter().map(|(output, target)| Some((output - target).abs()))),
        Measure::Rmse => |pairs: &[(f64, f64)]| squared(pairs).map(f64::sqrt),
        Measure::R2 => r2,
        Measure::MaxError => {
            let errors =
                outputs.iter().zip(targets).map(|(output, target)| (f64::from(*output) - f64::from(*target)).abs());
            return errors.reduce(f64::max);
        }
        _ => return None,
    };
    let column = |number: usize| {
        let pairs = outputs.iter().zip(targets).skip(number).step_by(width);
        of(&pairs.map(|(output, target)| (f64::from(*output), f64::from(*target))).collect::<Vec<_>>())
    };
    mean((0..width).map(column))
}

fn squared(pairs: &[(f64, f64)]) -> Option<f64> {
    mean(pairs.iter().map(|(output, target)| Some((output - target).powi(2))))
}

fn r2(pairs: &[(f64, f64)]) -> Option<f64> {
    let middle = mean(pairs.iter().map(|(_, target)| Some(*target)))?;
    let spread = mean(pairs.iter().map(|(_, target)| Some((target - middle).powi(2))))?;
    let error = squared(pairs)?;
    if pairs.len() < 2 {
        return None;
    }
    // A constant truth is met or not. Its mean may be a rounding beside it.
    if pairs.iter().all(|(_, target)| *target == pairs[0].1) {
        return Some(f64::from(u8::from(error == 0.0)));
    }
    Some(1.0 - error / spread)
}
