//! Factors rounded to f16, as the kernels of mixed precision multiply them: on their way into workgroup memory. Sums, and everything
//! that is stored, stay f32.

use crate::kernel::{Args, Operand, Real};

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
