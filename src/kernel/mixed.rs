//! Mixed precision: matrix products whose factors are rounded to f16 and whose sums are f32. Everything else, the stored
//! weights and activations among it, stays f32; a factor is rounded on its way into workgroup memory.

use super::matrix_units::UnitTile;
use super::{Args, Case, Contents, Kernel, MatrixUnits, Needs, Operand, Real, matmul};
use super::{dense_backward_input, dense_backward_input_cooperative, dense_backward_input_f16};
use super::{dense_backward_weight, dense_backward_weight_cooperative, dense_backward_weight_f16};
use super::{dense_forward, dense_forward_cooperative, dense_forward_f16};
use crate::plan::{Dispatch, Limits};
use half::f16;
use half::slice::HalfFloatSliceExt;

/// A launch in f32, or on matrix units, as one of these units on a tile.
fn on_units(launch: &Dispatch, units: MatrixUnits, tile: UnitTile) -> Option<Dispatch> {
    let kernel = of(launch.kernel, Needs::MatrixUnits)?;
    let width = if units.take_vectors() && matmul::is_in_vectors(launch) { 4 } else { 1 };
    let mut constants = units.constants(tile, width);
    let others: Vec<_> = launch.constants.iter().copied().filter(|(name, _)| !is_tiling(name)).collect();
    constants.extend(others);
    let grid = matmul::grid(units.sides(tile), results(launch), launch.grid[2] as usize);
    Some(Dispatch { kernel, constants, grid, ..launch.clone() })
}

/// A launch in f32 on the device's matrix units: on the largest tile that the device allows, that keeps it busy and that is
/// not mostly padding.
fn planned_on_units(launch: &Dispatch, limits: &Limits) -> Option<Dispatch> {
    let units = limits.matrix_units?;
    let on_tile = |tile| Some((tile, on_units(launch, units, tile)?));
    let allowed = |(_, launch): &(UnitTile, Dispatch)| limits.allow(launch.kernel, &launch.constants);
    let mut tiles: Vec<_> = units.planned().filter_map(on_tile).filter(allowed).collect();
    let [m, n, _] = results(launch);
    let models = launch.grid[2] as usize;
    let fits =
        |(tile, _): &(UnitTile, Dispatch)| matmul::fits(units.sides(*tile), m, n, models, limits.busy_workgroups);
    let chosen = tiles.iter().rposition(fits).unwrap_or(0);
    (chosen < tiles.len()).then(|| tiles.swap_remove(chosen).1)
}

/// The constants of a tile, whatever multiplies it.
fn is_tiling(name: &str) -> bool {
    ["UNROLL", "WIDTH", "STAGES", "MATRIX"].contains(&name)
        || ["TILE_", "THREAD_", "LOADS_", "SUBGROUP", "FRAGMENTS_"].iter().any(|start| name.starts_with(start))
}

/// The kernels that compute one product: in f32, with rounded factors in registers, and on matrix units.
fn forms(kernel: &Kernel) -> Option<[&'static Kernel; 3]> {
    let forms: [[&'static Kernel; 3]; 3] = [
        [&dense_forward::KERNEL, &dense_forward_f16::KERNEL, &dense_forward_cooperative::KERNEL],
        [&dense_backward_input::KERNEL, &dense_backward_input_f16::KERNEL, &dense_backward_input_cooperative::KERNEL],
        [
            &dense_backward_weight::KERNEL,
            &dense_backward_weight_f16::KERNEL,
            &dense_backward_weight_cooperative::KERNEL,
        ],
    ];
    forms.into_iter().find(|forms| forms.iter().any(|form| form.name == kernel.name))
}

/// The form of a kernel that needs this of a device; `None` where there is none.
fn of(kernel: &Kernel, needs: Needs) -> Option<&'static Kernel> {
    forms(kernel)?.into_iter().find(|form| form.needs == needs)
}

/// Rows and columns of a launch's results for a model, and how many there are.
fn results(launch: &Dispatch) -> [usize; 3] {
    let [rows, inputs, outputs] = [0, 1, 2].map(|i| launch.params[i] as usize);
    match of(launch.kernel, Needs::Nothing).map_or(launch.kernel.name, |plain| plain.name) {
        "dense_forward" => [rows, outputs, 1],
        "dense_backward_input" => [rows, inputs, 1],
        _ => [outputs, inputs, launch.shape::<dense_backward_weight::Params>().splits()],
    }
}

/// A launch in mixed precision, by the best way that the device has; one that has no such form is left as it is.
pub fn dispatch(launch: Dispatch, limits: &Limits) -> Dispatch {
    let Some(kernel) = of(launch.kernel, Needs::F16) else { return launch };
    planned_on_units(&launch, limits).unwrap_or(Dispatch { kernel, ..launch })
}

/// The variants of a launch in mixed precision: those that multiply as it does, in registers or on the same matrix units. The
/// two round their sums differently, and a tuned run must end with the bits that it would have had.
pub(super) fn variants(launch: &Dispatch) -> Vec<Dispatch> {
    let [Some(plain), Some(kernel)] = [Needs::Nothing, launch.kernel.needs].map(|needs| of(launch.kernel, needs))
    else {
        return Vec::new();
    };
    let units = MatrixUnits::KNOWN.into_iter().find(|units| units.fit(&launch.constants));
    match units {
        Some(units) => units.tiles().filter_map(|tile| on_units(launch, units, tile)).collect(),
        None => {
            let variants = super::variants(&Dispatch { kernel: plain, ..launch.clone() });
            variants.into_iter().map(|variant| Dispatch { kernel, ..variant }).collect()
        }
    }
}

/// A number rounded to f16, to nearest and ties to even: infinite from 65,520 on, a multiple of 2^-24 below 2^-14.
pub fn rounded<T: Real>(value: T) -> T {
    T::from_f64(f16::from_f64(value.to_f64()).to_f64())
}

/// Runs a kernel's code with its first two operands, the factors of its product, rounded to f16.
pub(super) fn on_rounded<T: Real>(args: &mut Args<T>, code: fn(&mut Args<T>)) {
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
pub(super) fn round_all(values: &[f32]) -> Vec<f32> {
    let mut rounded = vec![0.0; values.len()];
    let mut block = [f16::ZERO; 1024];
    for (values, rounded) in values.chunks(block.len()).zip(rounded.chunks_mut(block.len())) {
        let block = &mut block[..values.len()];
        block.convert_from_f32_slice(values);
        block.convert_to_f32_slice(rounded);
    }
    rounded
}

/// The cases of a kernel in f32 for its mixed form: in all its tiles, or for all known units.
pub(super) fn cases(kernel: &Kernel, needs: Needs) -> Vec<Case> {
    let cases = (kernel.cases)().into_iter().flat_map(|case| [beyond(&case), Some(case)]).flatten();
    if needs == Needs::F16 {
        let with =
            |case: Case| Some(Case { dispatch: Dispatch { kernel: of(kernel, needs)?, ..case.dispatch }, ..case });
        return cases.filter_map(with).collect();
    }
    let with = |case: &Case, units: MatrixUnits, tile| {
        let name = format!("{}, as {units:?}, {tile:?}", case.name);
        Some(Case { name, dispatch: on_units(&case.dispatch, units, tile)?, contents: case.contents.clone() })
    };
    // Each shape once for each tile: the tiles of the case itself play no part.
    let each = |(index, case): (usize, Case)| {
        let one = |units: MatrixUnits| {
            let tiles: Vec<_> = units.tiles().collect();
            with(&case, units, tiles[index % tiles.len()])
        };
        MatrixUnits::KNOWN.into_iter().filter_map(one).collect::<Vec<_>>()
    };
    cases.enumerate().flat_map(each).collect()
}

/// A copy of a case with numbers at the ends of what f16 holds; `None` where its activation would hide them.
fn beyond(case: &Case) -> Option<Case> {
    if case.dispatch.constant("ACTIVATION", 0) != 0 || case.contents[0].len() > 2000 {
        return None;
    }
    let mut case = case.clone();
    let Contents::F32(values) = &mut case.contents[0] else { return None };
    let ends = [65_519.0, -7e4, 6.1e-5, 3e-8, 65_503.0];
    values.iter_mut().rev().step_by(3).zip(ends).for_each(|(value, end)| *value = end);
    case.name.push_str(", numbers at the ends of f16");
    Some(case)
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

    #[test]
    fn every_tile_of_known_units_is_in_the_cases() {
        let kernels = [
            &dense_forward_cooperative::KERNEL,
            &dense_backward_input_cooperative::KERNEL,
            &dense_backward_weight_cooperative::KERNEL,
        ];
        for kernel in kernels {
            let cases = (kernel.cases)();
            for units in MatrixUnits::KNOWN {
                for (tile, width) in units.tiles().flat_map(|tile| [(tile, 1), (tile, 4)]) {
                    if width == 1 || units.take_vectors() {
                        let wanted = units.constants(tile, width);
                        let has = |case: &Case| wanted.iter().all(|c| case.dispatch.constants.contains(c));
                        assert!(cases.iter().any(has), "{kernel:?}: {units:?}, {tile:?}, loads of {width}");
                    }
                }
            }
        }
    }
}
