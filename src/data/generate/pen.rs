//! Draws strokes onto a small grey image. Only +, -, *, / and square roots, so every machine draws the same bytes.

use super::glyphs::Point;

/// Rows and columns of an image.
pub(super) const SIDE: usize = 28;

/// Straight pieces per span between two control points: finer is not visible at this size.
const PIECES: usize = 5;

/// The ink on an image, row by row, 0 (paper) to 1.
pub(super) struct Ink(pub(super) [f32; SIDE * SIDE]);

impl Ink {
    /// Blank paper.
    pub(super) fn blank() -> Ink {
        Ink([0.0; SIDE * SIDE])
    }

    /// Draws a smooth curve through `points` (in pixels). The pen's radius goes from `radius.0` to `radius.1`.
    pub(super) fn draw(&mut self, points: &[Point], radius: (f32, f32)) {
        let spans = points.len().saturating_sub(1);
        let total = (spans * PIECES) as f32;
        for span in 0..spans {
            let mut from = points[span];
            for piece in 1..=PIECES {
                let to = along(points, span, piece as f32 / PIECES as f32);
                let travelled = (span * PIECES + piece) as f32 / total;
                self.line(from, to, radius.0 + (radius.1 - radius.0) * travelled);
                from = to;
            }
        }
    }

    /// Inks every pixel by how far its centre is from the line: full within the radius, none one pixel further out.
    fn line(&mut self, from: Point, to: Point, radius: f32) {
        let reach = radius + 0.5;
        let (rows, columns) = (pixels(from.1, to.1, reach), pixels(from.0, to.0, reach));
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length_squared = dx * dx + dy * dy;
        for row in rows {
            for column in columns.clone() {
                let (px, py) = (column as f32 - from.0, row as f32 - from.1);
                // The nearest point of the line is this share of the way along it.
                let share = if length_squared > 0.0 { (px * dx + py * dy) / length_squared } else { 0.0 };
                let share = share.clamp(0.0, 1.0);
                let (ex, ey) = (px - share * dx, py - share * dy);
                let cover = (reach - (ex * ex + ey * ey).sqrt()).clamp(0.0, 1.0);
                let pixel = &mut self.0[row * SIDE + column];
                *pixel = pixel.max(cover);
            }
        }
    }
}

/// The pixels whose centres lie within `reach` of the interval between `a` and `b`, cut off at the image's edges.
fn pixels(a: f32, b: f32, reach: f32) -> std::ops::Range<usize> {
    // A cast from a float saturates: what lies left of the image becomes 0.
    let first = (a.min(b) - reach).max(0.0) as usize;
    let end = ((a.max(b) + reach + 1.0).max(0.0) as usize).min(SIDE);
    first.min(end)..end
}

/// The point `t` (0 to 1) of the way from `points[span]` to the next one, on the Catmull-Rom curve through all of them.
/// A point that is repeated makes a corner, since the curve then has no direction to keep there.
fn along(points: &[Point], span: usize, t: f32) -> Point {
    let (p1, p2) = (points[span], points[span + 1]);
    let corner_before = span == 0 || points[span - 1] == p1;
    let corner_after = span + 2 >= points.len() || points[span + 2] == p2;
    // Beyond a corner or an end the curve goes on straight.
    let p0 = if corner_before { (2.0 * p1.0 - p2.0, 2.0 * p1.1 - p2.1) } else { points[span - 1] };
    let p3 = if corner_after { (2.0 * p2.0 - p1.0, 2.0 * p2.1 - p1.1) } else { points[span + 2] };
    let blend = |a: f32, b: f32, c: f32, d: f32| {
        let (linear, square, cube) = (c - a, 2.0 * a - 5.0 * b + 4.0 * c - d, 3.0 * b - a - 3.0 * c + d);
        0.5 * (2.0 * b + t * (linear + t * (square + t * cube)))
    };
    (blend(p0.0, p1.0, p2.0, p3.0), blend(p0.1, p1.1, p2.1, p3.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_inked_within_its_radius_and_fades_out() {
        let mut ink = Ink::blank();
        ink.draw(&[(4.0, 10.0), (20.0, 10.0)], (1.0, 1.0));
        assert_eq!(ink.0[10 * SIDE + 12], 1.0);
        assert_eq!(ink.0[11 * SIDE + 12], 0.5);
        assert_eq!(ink.0[12 * SIDE + 12], 0.0);
        assert_eq!(ink.0[10 * SIDE + 26], 0.0);
    }

    #[test]
    fn strokes_beyond_the_edges_are_cut_off() {
        let mut ink = Ink::blank();
        ink.draw(&[(-30.0, -30.0), (60.0, 60.0)], (1.0, 2.0));
        ink.draw(&[(-30.0, 5.0), (-20.0, 5.0)], (1.0, 1.0));
        ink.draw(&[(5.0, 90.0), (50.0, 90.0)], (1.0, 1.0));
        assert!(ink.0.iter().all(|&v| (0.0..=1.0).contains(&v)));
        assert_eq!(ink.0[14 * SIDE + 14], 1.0);
        assert_eq!(ink.0[5 * SIDE], 0.0);
    }

    #[test]
    fn the_curve_passes_through_its_points() {
        let points = [(0.0, 0.0), (5.0, 8.0), (9.0, 1.0), (9.0, 1.0), (14.0, 6.0)];
        for (span, point) in points.iter().enumerate().take(4) {
            assert_eq!(along(&points, span, 0.0), *point);
        }
        assert_eq!(along(&points, 3, 1.0), points[4]);
    }
}
