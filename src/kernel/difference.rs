//! For tests: runs kernels on plain vectors, and takes slopes by differences.

use crate::ir::{Access, Binding, Dispatch, Element};
use crate::kernel::{Args, Contents, Operand, Real, Specification};

/// One binding's memory.
#[derive(Debug, Clone)]
pub enum Data<T> {
    /// Floats.
    Floats(Vec<T>),
    /// Integers.
    Words(Vec<u32>),
}

impl<T: Real> Data<T> {
    /// A case's contents, widened.
    pub fn of(contents: &[Contents]) -> Vec<Data<T>> {
        let one = |contents: &Contents| match contents {
            Contents::F32(values) => Data::Floats(values.iter().map(|&v| T::from_f64(v.into())).collect()),
            Contents::U32(values) => Data::Words(values.clone()),
        };
        contents.iter().map(one).collect()
    }

    /// The floats.
    pub fn floats(&self) -> &[T] {
        match self {
            Data::Floats(values) => values,
            Data::Words(_) => panic!("integers"),
        }
    }

    /// The floats, to change.
    pub fn floats_mut(&mut self) -> &mut [T] {
        match self {
            Data::Floats(values) => values,
            Data::Words(_) => panic!("integers"),
        }
    }
}

fn operand<'a, T>((data, binding): (&'a mut Data<T>, &Binding)) -> Operand<'a, T> {
    assert_eq!(matches!(data, Data::Words(_)), binding.element == Element::U32, "{}", binding.name);
    match (data, binding.access) {
        (Data::Floats(values), Access::Read) => Operand::Read(values),
        (Data::Floats(values), Access::ReadWrite) => Operand::Write(values),
        (Data::Words(values), Access::Read) => Operand::ReadU32(values),
        (Data::Words(values), Access::ReadWrite) => Operand::WriteU32(values),
    }
}

fn run_with<T: Real>(code: fn(&mut Args<T>), dispatch: &Dispatch, memory: &mut [Data<T>]) {
    let operands = memory.iter_mut().zip(dispatch.kernel.bindings).map(operand).collect();
    let (params, constants, grid) = (&dispatch.params[..], &dispatch.constants[..], dispatch.grid);
    code(&mut Args { params, constants, grid, operands });
}

/// Runs the f64 reference of a dispatch.
pub fn run(dispatch: &Dispatch, memory: &mut [Data<f64>]) {
    run_with(Specification::of(dispatch.kernel).reference_f64, dispatch, memory);
}

/// Runs an f32 implementation on a case's contents and widens what it leaves.
pub fn run_f32(code: fn(&mut Args<f32>), dispatch: &Dispatch, contents: &[Contents]) -> Vec<Data<f64>> {
    let mut memory = Data::of(contents);
    run_with(code, dispatch, &mut memory);
    let widen = |data: Data<f32>| match data {
        Data::Floats(values) => Data::Floats(values.into_iter().map(f64::from).collect()),
        Data::Words(words) => Data::Words(words),
    };
    memory.into_iter().map(widen).collect()
}

/// The derivative of `f` at 0, by central differences of the fourth order.
pub fn slope(mut f: impl FnMut(f64) -> f64) -> f64 {
    let h = 1e-3;
    (8.0 * (f(h) - f(-h)) - (f(2.0 * h) - f(-2.0 * h))) / (12.0 * h)
}
