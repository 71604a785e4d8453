//! Matrix units, and the tiles that the kernels `*_cooperative` give them.

/// Units that multiply square matrices of f16 into sums of f32, the threads of a subgroup together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatrixUnits {
    /// Rows and columns of a matrix: 8 or 16.
    pub matrix: u32,
    /// Threads of a subgroup.
    pub subgroup: u32,
}

/// A tile, and how the subgroups of a workgroup share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnitTile {
    /// Subgroups, two beside each other.
    subgroups: u32,
    /// Matrices of a subgroup: below, and beside each other.
    fragments: [u32; 2],
    /// Matrices of a subgroup along the sum, from one step to the next.
    depth: u32,
    /// Parts of the workgroup memory: 2 if one is filled while the other is multiplied.
    stages: u32,
}

const fn tile(subgroups: u32, fragments: [u32; 2], depth: u32, stages: u32) -> UnitTile {
    UnitTile { subgroups, fragments, depth, stages }
}

/// The tiles among which the planner chooses, the smallest first.
const PLANNED: [UnitTile; 3] = [tile(4, [1, 1], 2, 1), tile(4, [2, 2], 2, 1), tile(4, [4, 4], 2, 1)];

/// Those that only the tuner tries.
const TUNED: [UnitTile; 9] = [
    tile(4, [2, 2], 4, 1),
    tile(4, [2, 2], 2, 2),
    tile(4, [4, 4], 1, 2),
    tile(4, [4, 4], 2, 2),
    tile(4, [4, 4], 4, 1),
    tile(8, [2, 4], 2, 1),
    tile(8, [2, 4], 2, 2),
    tile(8, [4, 4], 2, 1),
    tile(8, [4, 4], 1, 2),
];

impl MatrixUnits {
    /// The units that the cases are made for: of the devices whose drivers list such.
    pub(super) const KNOWN: [MatrixUnits; 4] = [
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

    /// Whether they load from arrays of vectors: Metal's, which these are, know arrays of numbers only.
    pub(super) fn take_vectors(&self) -> bool {
        *self != MatrixUnits { matrix: 8, subgroup: 32 }
    }

    /// The tiles among which the planner chooses, the smallest first.
    pub(super) fn planned(&self) -> impl Iterator<Item = UnitTile> + use<> {
        let units = *self;
        PLANNED.into_iter().filter(move |tile| units.can(*tile))
    }

    /// Every tile that they can work on.
    pub(super) fn tiles(&self) -> impl Iterator<Item = UnitTile> + use<> {
        let units = *self;
        self.planned().chain(TUNED.into_iter().filter(move |tile| units.can(*tile)))
    }

    /// Whether every row of the tile has a thread, to sum it.
    fn can(&self, tile: UnitTile) -> bool {
        self.sides(tile)[0] <= tile.subgroups * self.subgroup
    }

    /// Rows and columns of a tile.
    pub(super) fn sides(&self, tile: UnitTile) -> [u32; 2] {
        let [m, n] = tile.fragments;
        [tile.subgroups / 2 * m * self.matrix, 2 * n * self.matrix]
    }

    /// A tile as shader constants, for threads that load so many elements at a time.
    pub(super) fn constants(&self, tile: UnitTile, width: u32) -> Vec<(&'static str, u32)> {
        let ([m, n], k) = (self.sides(tile), tile.depth * self.matrix);
        let threads = tile.subgroups * self.subgroup;
        let loads = |side: u32| side * k / (threads * width);
        let [fragments_m, fragments_n] = tile.fragments;
        vec![
            ("TILE_M", m),
            ("TILE_N", n),
            ("TILE_K", k),
            ("WIDTH", width),
            ("LOADS_A", loads(m)),
            ("LOADS_B", loads(n)),
            ("UNROLL", 1),
            ("STAGES", tile.stages),
            ("MATRIX", self.matrix),
            ("SUBGROUP", self.subgroup),
            ("SUBGROUPS", tile.subgroups),
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
        for units in MatrixUnits::KNOWN {
            assert!(units.planned().count() >= 2, "{units:?}");
            for tile in units.tiles() {
                let ([m, n], k) = (units.sides(tile), tile.depth * units.matrix);
                let threads = tile.subgroups * units.subgroup;
                for width in if units.take_vectors() { vec![1, 4] } else { vec![1] } {
                    let round = threads * width;
                    assert!((m * k).is_multiple_of(round) && (n * k).is_multiple_of(round), "{units:?}, {tile:?}");
                }
                assert!(threads >= m, "{units:?}, {tile:?}: the rows' sums take a thread each");
            }
        }
    }
}
