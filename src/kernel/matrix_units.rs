//! Matrix units, and the tiles that the kernels `*_cooperative` give them.

use super::matmul;

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

/// A tile: so many matrices along each side of a subgroup's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnitTile {
    fragments: u32,
}

/// The tiles among which the planner chooses, the smallest first.
const PLANNED: [UnitTile; 3] = [UnitTile { fragments: 1 }, UnitTile { fragments: 2 }, UnitTile { fragments: 4 }];

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

    /// The tiles that they can work on. A row of the tile must have a thread.
    pub(super) fn tiles(&self) -> impl DoubleEndedIterator<Item = UnitTile> + use<> {
        let units = *self;
        PLANNED.into_iter().filter(move |tile| 2 * tile.fragments * units.matrix <= SUBGROUPS * units.subgroup)
    }

    /// A tile's sizes, as of one that is summed in registers.
    pub(super) fn sizes(&self, tile: UnitTile) -> matmul::Tiles {
        let side = 2 * tile.fragments * self.matrix;
        let share = self.matrix * self.matrix / self.subgroup;
        [side, side, 2 * self.matrix, tile.fragments * share, tile.fragments]
    }

    pub(super) fn constants(&self, tile: UnitTile) -> Vec<(&'static str, u32)> {
        let share = self.matrix * self.matrix / self.subgroup;
        let mut constants = matmul::constants(self.sizes(tile));
        constants.retain(|(name, _)| *name != "UNROLL");
        constants.extend([("UNROLL", 1), ("MATRIX", self.matrix), ("SUBGROUP", self.subgroup)]);
        constants.extend([("FRAGMENTS", tile.fragments), ("SHARE", share)]);
        constants
    }
}

/// What a workgroup on matrix units takes of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitWorkgroup {
    /// Its threads.
    pub threads: u32,
    /// Its workgroup memory.
    pub bytes: u32,
}

impl UnitWorkgroup {
    /// Of a dispatch with these constants; `None` if it uses no matrix units.
    pub fn of(constants: &[(&'static str, u32)]) -> Option<UnitWorkgroup> {
        let constant = |name| constants.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
        let (matrix, subgroup) = (constant("MATRIX")?, constant("SUBGROUP")?);
        let staged = (constant("TILE_M")? + constant("TILE_N")?) * constant("TILE_K")?;
        let handed = SUBGROUPS * matrix * matrix;
        Some(UnitWorkgroup { threads: SUBGROUPS * subgroup, bytes: 2 * staged + 4 * handed })
    }
}
