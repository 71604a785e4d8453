//! How a product is cut into tiles and what multiplies them: the shader constants of `shaders/lib/matmul_tile.wgsl`, their
//! choice, and every variant.

use super::matrix_units::{MatrixTile, takes_vectors, tiles_of};
use crate::ir::{Demands, Kernel, Limits, MatrixUnits, Needs, Workgroup, linear_grid};
use crate::kernel::Launch;
use std::sync::Arc;

/// A tile whose sums are kept in registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tile {
    /// Rows of the result.
    pub rows: u32,
    /// Columns of the result.
    pub columns: u32,
    /// Terms of the sums that are staged in workgroup memory at a time.
    pub depth: u32,
    /// Rows of one thread.
    pub thread_rows: u32,
    /// Columns of one thread.
    pub thread_columns: u32,
}

const fn tile(rows: u32, columns: u32, depth: u32, per_thread: u32) -> Tile {
    Tile { rows, columns, depth, thread_rows: per_thread, thread_columns: per_thread }
}

/// Every tile that the planner can choose, the smallest first; `verify` runs them all.
pub const TILES: [Tile; 4] = [tile(16, 16, 16, 1), tile(32, 32, 16, 2), tile(64, 64, 16, 4), tile(128, 128, 8, 8)];

/// Sums per thread from which the inner loops are written out: smaller ones are quick either way, and quick to compile.
const UNROLL_FROM: u32 = 16;

impl Tile {
    /// Threads of a workgroup.
    pub fn threads(&self) -> u32 {
        (self.rows / self.thread_rows) * (self.columns / self.thread_columns)
    }

    /// Whether its inner loops are written out. Such a tile may also fill one part of the workgroup memory while it multiplies
    /// another, and load four factors at a time.
    fn is_unrolled(&self) -> bool {
        self.thread_rows * self.thread_columns >= UNROLL_FROM
    }

    /// Height and width.
    pub fn sides(&self) -> [u32; 2] {
        [self.rows, self.columns]
    }

    /// The tile for an m x n result of `models` models on a device that `busy_workgroups` keep busy: the largest that still gives
    /// so many. Small results are bound by latency, where many small tiles win. A tile that is mostly padding is no use anywhere.
    pub fn choose([m, n]: [usize; 2], models: usize, busy_workgroups: usize) -> Tile {
        let fits = |tile: &Tile| fits(tile.sides(), [m, n], models, busy_workgroups);
        TILES.into_iter().rev().find(fits).unwrap_or(TILES[0])
    }

    /// The tile as shader constants, for threads that load so many factors at a time.
    pub fn constants(&self, width: u32) -> Vec<(&'static str, u32)> {
        let loads = |side: u32| side * self.depth / self.threads() / width;
        vec![
            ("TILE_M", self.rows),
            ("TILE_N", self.columns),
            ("TILE_K", self.depth),
            ("THREAD_M", self.thread_rows),
            ("THREAD_N", self.thread_columns),
            ("LOADS_A", loads(self.rows)),
            ("LOADS_B", loads(self.columns)),
            ("UNROLL", self.is_unrolled().into()),
        ]
    }
}

/// Whether tiles of these sides keep a device busy and are not mostly padding.
fn fits([height, width]: [u32; 2], [m, n]: [usize; 2], models: usize, busy_workgroups: usize) -> bool {
    let (rows, columns) = (m.div_ceil(height as usize), n.div_ceil(width as usize));
    let padded = rows * height as usize * columns * width as usize;
    rows * columns * models >= busy_workgroups && padded <= 2 * m * n
}

/// What multiplies a product's tiles, and how they are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tiling {
    /// Threads, with sums in registers.
    Registers {
        /// The tile.
        tile: Tile,
        /// Whether the factors are rounded to f16.
        half: bool,
        /// Parts of the workgroup memory: 2 if one is filled while the other is multiplied.
        stages: u32,
        /// Factors loaded at a time: 1 or 4.
        width: u32,
    },
    /// Matrix units, with factors rounded to f16.
    Units {
        /// The units.
        units: MatrixUnits,
        /// The tile.
        tile: MatrixTile,
        /// Factors loaded at a time: 1 or 4.
        width: u32,
    },
}

/// Elements between the lines of a tile beyond its own: in `shaders/lib/matmul_registers.wgsl`, and in `matmul_cooperative.wgsl`.
const PAD: u32 = 4;
const UNIT_PAD: u32 = 8;

impl Tiling {
    /// A tile of f32 factors in registers, loaded one at a time.
    pub fn plain(tile: Tile) -> Tiling {
        Tiling::Registers { tile, half: false, stages: 1, width: 1 }
    }

    /// Height and width of a tile.
    pub fn sides(&self) -> [u32; 2] {
        match self {
            Tiling::Registers { tile, .. } => tile.sides(),
            Tiling::Units { units, tile, .. } => tile.sides(*units),
        }
    }

    /// What the kernels ask of a device.
    pub fn needs(&self) -> Needs {
        match self {
            Tiling::Registers { half: false, .. } => Needs::Nothing,
            Tiling::Registers { half: true, .. } => Needs::F16,
            Tiling::Units { .. } => Needs::MatrixUnits,
        }
    }

    /// Shader constants.
    pub fn constants(&self) -> Vec<(&'static str, u32)> {
        match *self {
            Tiling::Registers { tile, stages, width, .. } => {
                let mut constants = tile.constants(width);
                if (stages, width) != (1, 1) {
                    constants.extend([("STAGES", stages), ("WIDTH", width)]);
                }
                constants
            }
            Tiling::Units { units, tile, width } => tile.constants(units, width),
        }
    }

    /// What a workgroup asks of a device; `contiguous` tells of each factor whether its terms of one sum lie next to each other.
    pub fn demands(&self, contiguous: [bool; 2]) -> Demands {
        match *self {
            Tiling::Registers { tile, half, stages, width } => {
                let element = if half { 2 } else { 4 };
                let bytes = stages * element * tile.depth * (tile.rows + PAD + tile.columns + PAD);
                let workgroup = Workgroup { threads: tile.threads(), bytes };
                Demands { workgroup, units: None, vectors: width > 1 }
            }
            Tiling::Units { units, tile, width } => {
                let depth = tile.depth(units);
                let staged = |side: u32, contiguous| match contiguous {
                    false => depth * (side + UNIT_PAD),
                    true => side * (depth + UNIT_PAD),
                };
                let [rows, columns] = tile.sides(units);
                let staged = staged(rows, contiguous[0]) + staged(columns, contiguous[1]);
                let sums = tile.subgroups * units.matrix * units.matrix;
                let workgroup = Workgroup { threads: tile.threads(units), bytes: tile.stages * 2 * staged + sums * 4 };
                Demands { workgroup, units: Some(units), vectors: width > 1 }
            }
        }
    }

    /// Grid for `splits` m x n results of each model.
    pub fn grid(&self, [m, n, splits]: [usize; 3], models: usize) -> [u32; 3] {
        grid(self.sides(), [m, n, splits], models)
    }

    /// The plain tilings of f32 or f16 factors in registers, and the forms of large tiles.
    fn all_in_registers(half: bool, in_fours: bool) -> Vec<Tiling> {
        TILES.into_iter().flat_map(|tile| Tiling::forms(tile, half, in_fours)).collect()
    }

    /// The forms of one tile in registers, the plain one first.
    pub(super) fn forms(tile: Tile, half: bool, in_fours: bool) -> Vec<Tiling> {
        let form = |(stages, width)| Tiling::Registers { tile, half, stages, width };
        let forms: &[(u32, u32)] = match (tile.is_unrolled(), in_fours) {
            (false, _) => &[(1, 1)],
            (true, false) => &[(1, 1), (2, 1)],
            (true, true) => &[(1, 1), (2, 1), (1, 4), (2, 4)],
        };
        forms.iter().copied().map(form).collect()
    }
}

/// Grid for tiles of these sides over `splits` m x n results of each model.
pub fn grid([height, width]: [u32; 2], [m, n, splits]: [usize; 3], models: usize) -> [u32; 3] {
    linear_grid(m.div_ceil(height as usize) * n.div_ceil(width as usize) * splits, models as u32)
}

/// A product of a dense layer or a convolution.
pub(crate) trait Product: Launch + Clone + 'static {
    /// Its kernels: in f32, with f16 factors in registers, and on matrix units.
    const KERNELS: [&'static Kernel; 3];

    /// How it is tiled.
    fn tiling(&self) -> Tiling;

    /// The same product, tiled otherwise.
    fn tiled(&self, tiling: Tiling) -> Self;

    /// Rows and columns of a model's results, and how many there are.
    fn results(&self) -> [usize; 3];

    /// How many results keep a device busy at the same time.
    fn side_by_side(&self) -> usize;

    /// Whether its factors can be loaded four at a time: those that lie next to each other, and the steps from one model's to the
    /// next's, come in fours.
    fn comes_in_fours(&self) -> bool;

    /// The kernel that computes it as it is tiled.
    fn kernel(&self) -> &'static Kernel {
        let [plain, half, units] = Self::KERNELS;
        match self.tiling().needs() {
            Needs::Nothing => plain,
            Needs::F16 => half,
            Needs::MatrixUnits => units,
        }
    }

    /// Factors that matrix units load at a time.
    fn width_on(&self, units: MatrixUnits) -> u32 {
        if takes_vectors(units) && self.comes_in_fours() { 4 } else { 1 }
    }

    /// The same product on a tile of matrix units.
    fn on_units(&self, units: MatrixUnits, tile: MatrixTile) -> Self {
        self.tiled(Tiling::Units { units, tile, width: self.width_on(units) })
    }

    /// The same product as it is planned: on a large tile with factors in fours, if they come so. That takes fewer registers and
    /// instructions of every compiler that was asked (benches/COMPILERS.md).
    fn planned(self) -> Self {
        match self.tiling() {
            Tiling::Registers { tile, half, stages, width: 1 } if tile.is_unrolled() && self.comes_in_fours() => {
                self.tiled(Tiling::Registers { tile, half, stages, width: 4 })
            }
            _ => self,
        }
    }
}

/// Every tiling with which a product has the same bits: those that multiply as it does, in registers or on the same matrix
/// units. The two round their sums differently, and a tuned run must end with the bits that it would have had.
pub(crate) fn variants<P: Product>(product: &P) -> Vec<Arc<dyn Launch>> {
    let variants: Vec<P> = match product.tiling() {
        Tiling::Registers { half, .. } => {
            let tilings = Tiling::all_in_registers(half, product.comes_in_fours());
            tilings.into_iter().map(|tiling| product.tiled(tiling)).collect()
        }
        Tiling::Units { units, .. } => tiles_of(units).map(|tile| product.on_units(units, tile)).collect(),
    };
    variants.into_iter().map(|variant| Arc::new(variant) as Arc<dyn Launch>).collect()
}

/// A product in f32 in mixed precision: on the device's matrix units, on the largest tile that the device allows, that keeps it
/// busy and that is not mostly padding; in registers where it has no such units.
pub(crate) fn mixed<P: Product>(product: &P, limits: &Limits) -> Arc<dyn Launch> {
    if let Some(launch) = planned_on_units(product, limits) {
        return Arc::new(launch);
    }
    Arc::new(match product.tiling() {
        Tiling::Registers { tile, stages, width, .. } => {
            product.tiled(Tiling::Registers { tile, half: true, stages, width })
        }
        Tiling::Units { .. } => product.clone(),
    })
}

fn planned_on_units<P: Product>(product: &P, limits: &Limits) -> Option<P> {
    let units = limits.matrix_units?;
    let on_tile = |tile| (tile, product.on_units(units, tile));
    let mut tiles: Vec<_> = super::matrix_units::planned(units, product.width_on(units)).map(on_tile).collect();
    tiles.retain(|(_, product)| limits.allow(&product.lower()));
    let [m, n, _] = product.results();
    let keeps_busy =
        |(tile, _): &(MatrixTile, P)| fits(tile.sides(units), [m, n], product.side_by_side(), limits.busy_workgroups);
    let chosen = tiles.iter().rposition(keeps_busy).unwrap_or(0);
    (chosen < tiles.len()).then(|| tiles.swap_remove(chosen).1)
}

/// Awkward shapes for cases: (rows, inputs, outputs, models). The last three come in fours.
pub const AWKWARD: [[usize; 4]; 12] = [
    [1, 1, 1, 1],
    [3, 17, 5, 1],
    [17, 65, 3, 2],
    [65, 3, 67, 1],
    [31, 129, 65, 1],
    [128, 64, 10, 3],
    [5, 1, 130, 1],
    [130, 37, 131, 2],
    [1, 257, 19, 1],
    [66, 68, 36, 2],
    [5, 132, 12, 1],
    [129, 4, 76, 1],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threads_of_a_tile_load_it_in_whole_rounds() {
        for tile in TILES {
            // Large tiles also in vectors.
            let round = if tile.is_unrolled() { 4 * tile.threads() } else { tile.threads() };
            let Tile { rows, columns, depth, .. } = tile;
            assert!((rows * depth).is_multiple_of(round) && (columns * depth).is_multiple_of(round), "{tile:?}");
            assert!(tile.threads() >= rows, "the rows' sums take a thread each");
        }
    }
}
