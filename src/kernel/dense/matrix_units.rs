//! Matrix units, and the tiles that the kernels `*_cooperative` give them.

use crate::ir::MatrixUnits;

/// A tile, and how the subgroups of a workgroup share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatrixTile {
    /// Subgroups, two beside each other.
    pub subgroups: u32,
    /// Matrices of a subgroup: below, and beside each other.
    pub fragments: [u32; 2],
    /// Matrices of a subgroup along the sum, from one step to the next.
    pub steps: u32,
    /// Parts of the workgroup memory: 2 if one is filled while the other is multiplied.
    pub stages: u32,
}

const fn tile(subgroups: u32, fragments: [u32; 2], steps: u32, stages: u32) -> MatrixTile {
    MatrixTile { subgroups, fragments, steps, stages }
}

/// The small tiles among which the planner chooses.
const SMALL: [MatrixTile; 2] = [tile(4, [1, 1], 2, 1), tile(4, [2, 2], 2, 1)];

/// The large one, shared by fewer subgroups or by more.
const LARGE: [MatrixTile; 2] = [tile(4, [4, 4], 2, 1), tile(8, [2, 4], 2, 1)];

/// Those that only the tuner tries.
const TUNED: [MatrixTile; 8] = [
    tile(4, [2, 2], 4, 1),
    tile(4, [2, 2], 2, 2),
    tile(4, [4, 4], 1, 2),
    tile(4, [4, 4], 2, 2),
    tile(4, [4, 4], 4, 1),
    tile(8, [2, 4], 2, 2),
    tile(8, [4, 4], 2, 1),
    tile(8, [4, 4], 1, 2),
];

/// The units that the cases are made for: of the devices whose drivers list such.
pub(super) const KNOWN: [MatrixUnits; 4] = [
    MatrixUnits { matrix: 8, subgroup: 8 },
    MatrixUnits { matrix: 8, subgroup: 32 },
    MatrixUnits { matrix: 16, subgroup: 32 },
    MatrixUnits { matrix: 16, subgroup: 64 },
];

impl MatrixUnits {
    /// Whether the kernels are made for these units.
    pub fn is_usable(&self) -> bool {
        KNOWN.contains(self)
    }
}

/// Whether units load from arrays of vectors: Metal's, which these are, know arrays of numbers only.
pub(super) fn takes_vectors(units: MatrixUnits) -> bool {
    units != MatrixUnits { matrix: 8, subgroup: 32 }
}

/// The tiles among which the planner chooses for threads that load so many factors at a time, the smallest first.
pub(super) fn planned(units: MatrixUnits, width: u32) -> impl Iterator<Item = MatrixTile> {
    // With more sums in a thread's registers drivers for AMD and NVIDIA spill (benches/COMPILERS.md).
    let most = if width > 1 { 64 } else { 32 };
    let large = LARGE.into_iter().find(|tile| tile.sums(units) <= most);
    SMALL.into_iter().chain(large).filter(move |tile| tile.sums_rows(units))
}

/// Every tile that units can work on.
pub(super) fn tiles_of(units: MatrixUnits) -> impl Iterator<Item = MatrixTile> {
    SMALL.into_iter().chain(LARGE).chain(TUNED).filter(move |tile| tile.sums_rows(units))
}

impl MatrixTile {
    /// Sums that a thread keeps.
    fn sums(&self, units: MatrixUnits) -> u32 {
        self.fragments[0] * self.fragments[1] * units.matrix * units.matrix / units.subgroup
    }

    /// Whether every row of the tile has a thread, to sum it.
    fn sums_rows(&self, units: MatrixUnits) -> bool {
        self.sides(units)[0] <= self.threads(units)
    }

    /// Threads of a workgroup.
    pub fn threads(&self, units: MatrixUnits) -> u32 {
        self.subgroups * units.subgroup
    }

    /// Rows and columns.
    pub fn sides(&self, units: MatrixUnits) -> [u32; 2] {
        let [m, n] = self.fragments;
        [self.subgroups / 2 * m * units.matrix, 2 * n * units.matrix]
    }

    /// Terms of the sums that are staged in workgroup memory at a time.
    pub fn depth(&self, units: MatrixUnits) -> u32 {
        self.steps * units.matrix
    }

    /// The tile as shader constants, for threads that load so many elements at a time.
    pub fn constants(&self, units: MatrixUnits, width: u32) -> Vec<(&'static str, u32)> {
        let ([m, n], k) = (self.sides(units), self.depth(units));
        let loads = |side: u32| side * k / (self.threads(units) * width);
        let [fragments_m, fragments_n] = self.fragments;
        vec![
            ("TILE_M", m),
            ("TILE_N", n),
            ("TILE_K", k),
            ("WIDTH", width),
            ("LOADS_A", loads(m)),
            ("LOADS_B", loads(n)),
            ("UNROLL", 1),
            ("STAGES", self.stages),
            ("MATRIX", units.matrix),
            ("SUBGROUP", units.subgroup),
            ("SUBGROUPS", self.subgroups),
            ("FRAGMENTS_M", fragments_m),
            ("FRAGMENTS_N", fragments_n),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_loaded_in_whole_rounds() {
        for units in KNOWN {
            assert!(planned(units, 1).count() >= 2 && planned(units, 4).count() >= 2, "{units:?}");
            for tile in tiles_of(units) {
                let ([m, n], k) = (tile.sides(units), tile.depth(units));
                let threads = tile.threads(units);
                for width in if takes_vectors(units) { vec![1, 4] } else { vec![1] } {
                    let round = threads * width;
                    assert!((m * k).is_multiple_of(round) && (n * k).is_multiple_of(round), "{units:?}, {tile:?}");
                }
                assert!(threads >= m, "{units:?}, {tile:?}: the rows' sums take a thread each");
            }
        }
    }
}
