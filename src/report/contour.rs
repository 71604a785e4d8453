//! The part of a grid of values that lies above a level, as polygons, and its edge.

/// Values at the crossings of a rectangular grid, row by row.
pub(crate) struct Grid<'a> {
    pub xs: &'a [f64],
    pub ys: &'a [f64],
    pub values: &'a [f64],
}

/// A crossing of the grid: x, y and the value there.
pub(crate) type Crossing = (f64, f64, f64);

/// Where a grid is at a level or above.
#[derive(Default)]
pub(crate) struct Region {
    /// Polygons that do not overlap.
    pub polygons: Vec<Vec<(f64, f64)>>,
    /// Pieces of the line on which the values cross the level.
    pub edges: Vec<Vec<(f64, f64)>>,
}

impl Grid<'_> {
    pub(super) fn at(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.xs.len() + column]
    }

    /// The value at a place, linear between the crossings; the edge's value beyond the edge.
    pub(super) fn interpolate(&self, x: f64, y: f64) -> f64 {
        let (column, u) = position(self.xs, x);
        let (row, v) = position(self.ys, y);
        let along = |row: usize| self.at(row, column) * (1.0 - u) + self.at(row, column + 1) * u;
        along(row) * (1.0 - v) + along(row + 1) * v
    }

    /// The region at `level` or above. Cells with a corner that is not finite belong to no region.
    pub(super) fn above(&self, level: f64) -> Region {
        let mut region = Region::default();
        for row in 0..self.ys.len() - 1 {
            let (low, high) = (self.ys[row], self.ys[row + 1]);
            // Whole cells beside each other become one rectangle.
            let mut start = None;
            for column in 0..self.xs.len() {
                let whole =
                    column + 1 < self.xs.len() && self.corners(row, column).iter().all(|corner| corner.2 >= level);
                match (whole, start) {
                    (true, None) => start = Some(self.xs[column]),
                    (false, Some(left)) => {
                        let right = self.xs[column];
                        region.polygons.push(vec![(left, low), (right, low), (right, high), (left, high)]);
                        start = None;
                    }
                    _ => {}
                }
                if !whole && column + 1 < self.xs.len() {
                    clip(self.corners(row, column), level, &mut region);
                }
            }
        }
        region
    }

    /// The corners of a cell in order around it, with their values.
    pub(super) fn corners(&self, row: usize, column: usize) -> [Crossing; 4] {
        let corner = |row: usize, column: usize| (self.xs[column], self.ys[row], self.at(row, column));
        [corner(row, column), corner(row, column + 1), corner(row + 1, column + 1), corner(row + 1, column)]
    }
}

/// Adds the part of a cell that is above the level.
fn clip(corners: [Crossing; 4], level: f64, region: &mut Region) {
    if corners.iter().any(|corner| !corner.2.is_finite()) || corners.iter().all(|corner| corner.2 < level) {
        return;
    }
    let mut polygon = Vec::new();
    let mut exits = Vec::new();
    let mut entries = Vec::new();
    for (index, &from) in corners.iter().enumerate() {
        let to = corners[(index + 1) % 4];
        if from.2 >= level {
            polygon.push((from.0, from.1));
        }
        if (from.2 >= level) != (to.2 >= level) {
            let share = (level - from.2) / (to.2 - from.2);
            let crossing = (from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1));
            polygon.push(crossing);
            if from.2 >= level { exits.push(crossing) } else { entries.push(crossing) }
        }
    }
    region.polygons.push(polygon);
    // Around the cell, each exit is followed by an entry; when the first crossing is an entry, it belongs to the last exit.
    let shift = usize::from(corners[0].2 < level);
    for (index, exit) in exits.iter().enumerate() {
        region.edges.push(vec![*exit, entries[(index + shift) % entries.len()]]);
    }
}

/// The interval of a rising list that holds a value, and the value's share of it.
fn position(list: &[f64], value: f64) -> (usize, f64) {
    let index = list.partition_point(|&start| start <= value).clamp(1, list.len() - 1) - 1;
    let share = (value - list[index]) / (list[index + 1] - list[index]);
    (index, share.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(polygon: &[(f64, f64)]) -> f64 {
        let pairs = (0..polygon.len()).map(|index| (polygon[index], polygon[(index + 1) % polygon.len()]));
        pairs.map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum::<f64>().abs() / 2.0
    }

    #[test]
    fn the_region_above_a_level_of_a_slope_has_the_right_area_and_edge() {
        // z = x on [0, 2] x [0, 2]
        let (xs, ys) = ([0.0, 1.0, 2.0], [0.0, 1.0, 2.0]);
        let values = [0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 0.0, 1.0, 2.0];
        let region = Grid { xs: &xs, ys: &ys, values: &values }.above(0.5);
        let total: f64 = region.polygons.iter().map(|polygon| area(polygon)).sum();
        assert!((total - 3.0).abs() < 1e-12, "{total}");
        assert_eq!(region.edges.len(), 2);
        assert!(region.edges.iter().flatten().all(|point| (point.0 - 0.5).abs() < 1e-12));
    }

    #[test]
    fn the_edges_of_a_saddle_do_not_cross() {
        let (xs, ys) = ([0.0, 1.0], [0.0, 1.0]);
        for values in [[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]] {
            let region = Grid { xs: &xs, ys: &ys, values: &values }.above(0.5);
            assert_eq!(region.edges.len(), 2);
            for edge in &region.edges {
                // Each cuts off one of the low corners.
                let length = (edge[0].0 - edge[1].0).hypot(edge[0].1 - edge[1].1);
                assert!((length - 0.5_f64.sqrt()).abs() < 1e-12, "{edge:?}");
            }
        }
    }

    #[test]
    fn cells_without_a_number_are_left_out() {
        let (xs, ys) = ([0.0, 1.0, 2.0], [0.0, 1.0]);
        let values = [1.0, 1.0, f64::NAN, 1.0, 1.0, 1.0];
        let region = Grid { xs: &xs, ys: &ys, values: &values }.above(0.5);
        assert_eq!(region.polygons.len(), 1);
        assert_eq!(area(&region.polygons[0]), 1.0);
    }

    #[test]
    fn interpolation_is_exact_on_a_plane_and_stops_at_the_edge() {
        let (xs, ys) = ([0.0, 1.0, 3.0], [0.0, 2.0]);
        let values = [0.0, 1.0, 3.0, 20.0, 21.0, 23.0];
        let grid = Grid { xs: &xs, ys: &ys, values: &values };
        assert!((grid.interpolate(2.0, 1.0) - 12.0).abs() < 1e-12);
        assert!((grid.interpolate(9.0, -5.0) - 3.0).abs() < 1e-12);
    }
}
