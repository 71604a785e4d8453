//! Mixed precision: matrix products whose factors are rounded to f16 and whose sums are f32. Everything else, the stored
//! weights and activations among it, stays f32; a factor is rounded on its way into workgroup memory.

use super::{Args, Case, Contents, Kernel, Needs, Operand, Real, matmul};
use super::{dense_backward_input_cooperative, dense_backward_input_f16};
use super::{dense_backward_weight_cooperative, dense_backward_weight_f16};
use super::{dense_forward_cooperative, dense_forward_f16};
use crate::plan::{Dispatch, Limits};
use half::f16;
use half::slice::HalfFloatSliceExt;

/// Units that multiply square matrices of f16 into sums of f32, the threads of a subgroup together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatrixUnits {
    /// Rows and columns of a matrix: 8 or 16.
    pub matrix: u32,
    /// Threads of a subgroup.
    pub subgroup: u32,
}

/// Subgroups of a workgroup, two by two.
const SUBGROUPS: u32 = 4;

impl MatrixUnits {
    /// The units that the cases are made for: of the devices whose drivers list such.
    const KNOWN: [MatrixUnits; 4] = [
        MatrixUnits { matrix: 8, subgroup: 8 },
        MatrixUnits { matrix: 8, subgroup: 32 },
        MatrixUnits { matrix: 16, subgroup: 32 },
        MatrixUnits { matrix: 16, subgroup: 64 },
    ];

    /// Whether the kernels are made for these units.
    pub fn is_usable(&self) -> bool {
        MatrixUnits::KNOWN.contains(self)
    }

    /// Whether a dispatch with these constants uses them.
    pub fn fit(&self, constants: &[(&'static str, u32)]) -> bool {
        constants.contains(&("MATRIX", self.matrix)) && constants.contains(&("SUBGROUP", self.subgroup))
    }

    /// The tiles that they can work on: so many matrices along each side of a subgroup's part, and the tile. A row of the
    /// tile must have a thread.
    fn tiles(&self) -> impl Iterator<Item = (u32, matmul::Tiles)> {
        let MatrixUnits { matrix, subgroup } = *self;
        let tile = move |fragments: u32| {
            let side = 2 * fragments * matrix;
            let share = matrix * matrix / subgroup;
            (side <= SUBGROUPS * subgroup)
                .then_some((fragments, [side, side, 2 * matrix, fragments * share, fragments]))
        };
        [1, 2, 4].into_iter().filter_map(tile)
    }

    fn constants(&self, fragments: u32, tiles: matmul::Tiles) -> Vec<(&'static str, u32)> {
        let share = self.matrix * self.matrix / self.subgroup;
        let mut constants = matmul::constants(tiles);
        constants.retain(|(name, _)| *name != "UNROLL");
        constants.extend([("UNROLL", 1), ("MATRIX", self.matrix), ("SUBGROUP", self.subgroup)]);
        constants.extend([("FRAGMENTS", fragments), ("SHARE", share)]);
        constants
    }

    /// A launch in f32 as one of these units, on a tile.
    fn dispatch(&self, launch: &Dispatch, (fragments, tiles): (u32, matmul::Tiles)) -> Option<Dispatch> {
        let kernel = of(launch.kernel, Needs::MatrixUnits)?;
        let mut constants = self.constants(fragments, tiles);
        let kept = |(name, _): &(&str, u32)| constants.iter().all(|(n, _)| n != name);
        let others: Vec<_> = launch.constants.iter().copied().filter(kept).filter(|c| !is_tiling(c.0)).collect();
        constants.extend(others);
        let (m, n) = sides(launch);
        let splits = launch.grid[1] / (m as u32).div_ceil(launch.constant("TILE_M", 1));
        let [columns, rows, models] = matmul::grid(tiles, m, n, launch.grid[2] as usize);
        Some(Dispatch { kernel, constants, grid: [columns, rows * splits, models], ..launch.clone() })
    }

    /// The largest tile that keeps a device busy and is not mostly padding.
    fn choose(&self, launch: &Dispatch, busy_workgroups: usize) -> Option<(u32, matmul::Tiles)> {
        let (m, n) = sides(launch);
        let tiles: Vec<_> = self.tiles().collect();
        let fits =
            |(_, tiles): &&(u32, matmul::Tiles)| matmul::fits(tiles, m, n, launch.grid[2] as usize, busy_workgroups);
        tiles.iter().rev().find(fits).or(tiles.first()).copied()
    }
}

/// The constants of a tile in registers.
fn is_tiling(name: &str) -> bool {
    name == "UNROLL" || name.starts_with("TILE_") || name.starts_with("THREAD_") || name.starts_with("LOADS_")
}

/// Rows and columns of a launch's result.
fn sides(launch: &Dispatch) -> (usize, usize) {
    let [rows, inputs, outputs] = [0, 1, 2].map(|i| launch.params[i] as usize);
    match launch.kernel.name {
        "dense_forward" => (rows, outputs),
        "dense_backward_input" => (rows, inputs),
        _ => (outputs, inputs),
    }
}

/// The kernel that computes the same as one in f32 but with rounded factors; `None` where there is none.
fn of(kernel: &Kernel, needs: Needs) -> Option<&'static Kernel> {
    let [f16, units]: [&'static Kernel; 2] = match kernel.name {
        "dense_forward" => [&dense_forward_f16::KERNEL, &dense_forward_cooperative::KERNEL],
        "dense_backward_input" => [&dense_backward_input_f16::KERNEL, &dense_backward_input_cooperative::KERNEL],
        "dense_backward_weight" => [&dense_backward_weight_f16::KERNEL, &dense_backward_weight_cooperative::KERNEL],
        _ => return None,
    };
    Some(if needs == Needs::MatrixUnits { units } else { f16 })
}

/// A launch in mixed precision, by the best way that the device has; one that has no such form is left as it is.
pub fn dispatch(launch: Dispatch, limits: &Limits) -> Dispatch {
    let Some(kernel) = of(launch.kernel, Needs::F16) else { return launch };
    let by_units = |units: MatrixUnits| units.dispatch(&launch, units.choose(&launch, limits.busy_workgroups)?);
    match limits.matrix_units.and_then(by_units) {
        Some(mixed) => mixed,
        None => Dispatch { kernel, ..launch },
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
        let name = format!("{}, as {units:?}, tile {tile:?}", case.name);
        Some(Case { name, dispatch: units.dispatch(&case.dispatch, tile)?, contents: case.contents.clone() })
    };
    // Each shape once for each tile: the tiles of the case itself play no part.
    let each = |(index, case): (usize, Case)| {
        let tiles = move |units: MatrixUnits| {
            let tiles: Vec<_> = units.tiles().collect();
            (units, tiles[index % tiles.len()])
        };
        MatrixUnits::KNOWN
            .into_iter()
            .map(tiles)
            .filter_map(move |(units, tile)| with(&case, units, tile))
            .collect::<Vec<_>>()
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
    fn tiles_of_matrix_units_are_loaded_in_whole_rounds_by_four_subgroups() {
        for units in MatrixUnits::KNOWN {
            assert!(units.tiles().count() >= 2, "{units:?}");
            for (_, [m, n, k, thread_m, thread_n]) in units.tiles() {
                let threads = (m / thread_m) * (n / thread_n);
                assert_eq!(threads, SUBGROUPS * units.subgroup, "{units:?}");
                assert!(
                    (m * k).is_multiple_of(threads) && (n * k).is_multiple_of(threads) && threads >= m,
                    "{units:?}"
                );
            }
        }
    }
}
