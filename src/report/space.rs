//! A box in space seen from above and aside, without perspective.

use super::chart::{Axis, Layout};
use super::colour::{GRID, INK, MUTED, Rgb};
use super::contour::{Crossing, Grid};
use super::svg::{Anchor, Stroke, Svg, Type};
use super::ticks::Scale;

/// How steeply one looks down, in degrees.
const ELEVATION: f64 = 40.0;
/// The height of the box when its floor is 2 by 2.
const BOX_HEIGHT: f64 = 1.15;
/// The room around the box for tick labels and axis titles, in pixels.
const FRAME: f64 = 62.0;

/// How far an axis' title is from its edge, in pixels.
const TITLE_DISTANCE: f64 = 42.0;

/// A view of the box: places on the three scales become pixels.
pub(crate) struct Space<'a> {
    plane: &'a Layout,
    z: &'a Scale,
    azimuth: f64,
    scale: f64,
    centre: (f64, f64),
}

impl<'a> Space<'a> {
    /// A view that fills (left, top, right, bottom), from the corner that hides least of a path over the grid, and of
    /// those the one behind which the surface is highest.
    pub(super) fn new(
        plane: &'a Layout,
        z: &'a Scale,
        grid: &Grid,
        path: &[(f64, f64)],
        frame: (f64, f64, f64, f64),
    ) -> Space<'a> {
        let mut space = Space { plane, z, azimuth: 0.0, scale: 1.0, centre: (0.0, 0.0) };
        space.azimuth = space.best_azimuth(grid, path);
        let corners = [-1.0, 1.0].into_iter().flat_map(|u| [-1.0, 1.0].into_iter().map(move |v| (u, v)));
        let points: Vec<(f64, f64)> = corners
            .flat_map(|(u, v)| [0.0, BOX_HEIGHT].map(|w| space.turned(u, v, w)))
            .map(|(x, y, _)| (x, y))
            .collect();
        let span = |pick: fn(&(f64, f64)) -> f64| {
            let values = points.iter().map(pick);
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
        };
        let (horizontal, vertical) = (span(|point| point.0), span(|point| point.1));
        let (left, top, right, bottom) = frame;
        let fit_x = (right - left - 2.0 * FRAME) / (horizontal.1 - horizontal.0);
        let fit_y = (bottom - top - 1.2 * FRAME) / (vertical.1 - vertical.0);
        space.scale = fit_x.min(fit_y);
        let middle = ((horizontal.0 + horizontal.1) / 2.0, (vertical.0 + vertical.1) / 2.0);
        let target = ((left + right) / 2.0, (top + bottom) / 2.0 - 0.35 * FRAME);
        space.centre = (target.0 - middle.0 * space.scale, target.1 + middle.1 * space.scale);
        space
    }

    /// Of four views, the one that hides least of the path; of equals, the one with the lowest surface in front.
    fn best_azimuth(&self, grid: &Grid, path: &[(f64, f64)]) -> f64 {
        let hidden = |azimuth: &f64| {
            let view = Space { azimuth: *azimuth, ..*self };
            path.iter().filter(|&&(x, y)| view.hides(grid, x, y)).count()
        };
        let front = |azimuth: &f64| {
            let (sin, cos) = azimuth.sin_cos();
            let (mut sum, mut count) = (0.0, 0.0);
            for (row, &y) in grid.ys.iter().enumerate() {
                for (column, &x) in grid.xs.iter().enumerate() {
                    let (u, v) = self.floor(x, y);
                    let value = grid.at(row, column);
                    if u * sin + v * cos < 0.0 && value.is_finite() {
                        (sum, count) = (sum + value, count + 1.0);
                    }
                }
            }
            if count > 0.0 { sum / count } else { f64::INFINITY }
        };
        let views = [-60.0_f64, 30.0, 120.0, 210.0].map(f64::to_radians);
        let rank = |view: &f64| (hidden(view), front(view));
        let mut ranked: Vec<((usize, f64), f64)> = views.map(|view| (rank(&view), view)).into();
        ranked.sort_by(|(a, _), (b, _)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        ranked[0].1
    }

    /// A place on the floor, -1 to 1 along both axes.
    fn floor(&self, x: f64, y: f64) -> (f64, f64) {
        let share = |scale: &Scale, value: f64| 2.0 * (value - scale.low) / (scale.high - scale.low) - 1.0;
        (share(&self.plane.x, x), share(&self.plane.y, y))
    }

    fn level(&self, z: f64) -> f64 {
        BOX_HEIGHT * (z - self.z.low) / (self.z.high - self.z.low)
    }

    /// Right, up and towards the viewer, before scaling.
    fn turned(&self, u: f64, v: f64, w: f64) -> (f64, f64, f64) {
        let (sin, cos) = self.azimuth.sin_cos();
        let (lift_sin, lift_cos) = ELEVATION.to_radians().sin_cos();
        let (right, away) = (u * cos - v * sin, u * sin + v * cos);
        (right, w * lift_cos + away * lift_sin, w * lift_sin - away * lift_cos)
    }

    fn pixel(&self, u: f64, v: f64, w: f64) -> (f64, f64) {
        let (right, up, _) = self.turned(u, v, w);
        (self.centre.0 + right * self.scale, self.centre.1 - up * self.scale)
    }

    /// The pixel of a place; `z` is on the height's scale.
    pub(super) fn project(&self, x: f64, y: f64, z: f64) -> (f64, f64) {
        let (u, v) = self.floor(x, y);
        self.pixel(u, v, self.level(z))
    }

    /// The sides of the floor that face the viewer: the signs of u and v.
    fn front(&self) -> (f64, f64) {
        let (sin, cos) = self.azimuth.sin_cos();
        (-sin.signum(), -cos.signum())
    }

    /// The floor, the two walls at the back, their mesh, and the axes with ticks and titles.
    pub(super) fn draw_box(&self, svg: &mut Svg, x: &Axis, y: &Axis, z: &Axis) {
        let (near_u, near_v) = self.front();
        let (far_u, far_v) = (-near_u, -near_v);
        let top = BOX_HEIGHT;
        let mut mesh = Vec::new();
        let mut line = |from: (f64, f64, f64), to: (f64, f64, f64)| {
            mesh.push(vec![self.pixel(from.0, from.1, from.2), self.pixel(to.0, to.1, to.2)]);
        };
        for &tick in &self.plane.x.ticks {
            let u = self.floor(tick, 0.0).0;
            line((u, near_v, 0.0), (u, far_v, 0.0));
            line((u, far_v, 0.0), (u, far_v, top));
        }
        for &tick in &self.plane.y.ticks {
            let v = self.floor(0.0, tick).1;
            line((near_u, v, 0.0), (far_u, v, 0.0));
            line((far_u, v, 0.0), (far_u, v, top));
        }
        for &tick in &self.z.ticks {
            let w = self.level(tick);
            line((near_u, far_v, w), (far_u, far_v, w));
            line((far_u, far_v, w), (far_u, near_v, w));
        }
        svg.path(&mesh, false, None, Some(Stroke::new(GRID, 1.0)));

        let left = self.leftmost();
        let axes = [
            self.floor_edge((-1.0, near_v), (1.0, near_v)),
            self.floor_edge((near_u, -1.0), (near_u, 1.0)),
            vec![self.pixel(left.0, left.1, 0.0), self.pixel(left.0, left.1, top)],
        ];
        svg.path(&axes, false, None, Some(Stroke::new(MUTED, 1.0)));
        let ticks = |scale: &Scale| scale.ticks.iter().map(|&tick| (tick, scale.label(tick))).collect::<Vec<_>>();
        for (tick, label) in ticks(&self.plane.x) {
            self.floor_label(svg, (self.floor(tick, 0.0).0, near_v), (0.0, near_v), &label);
        }
        for (tick, label) in ticks(&self.plane.y) {
            self.floor_label(svg, (near_u, self.floor(0.0, tick).1), (near_u, 0.0), &label);
        }
        for (tick, label) in ticks(self.z) {
            let (px, py) = self.pixel(left.0, left.1, self.level(tick));
            svg.line((px - 4.0, py), (px, py), Stroke::new(MUTED, 1.0));
            svg.text(px - 7.0, py + 4.3, &label, Type::new(12.0).colour(MUTED).anchor(Anchor::End));
        }
        self.edge_title(svg, &axes[0], (0.0, near_v), &x.text());
        self.edge_title(svg, &axes[1], (near_u, 0.0), &y.text());
        let (px, py) = self.pixel(left.0, left.1, top);
        svg.text(px, py - 12.0, &z.text(), Type::new(13.0).colour(INK).anchor(Anchor::Middle));
    }

    fn floor_edge(&self, from: (f64, f64), to: (f64, f64)) -> Vec<(f64, f64)> {
        vec![self.pixel(from.0, from.1, 0.0), self.pixel(to.0, to.1, 0.0)]
    }

    /// The corner of the floor that is furthest to the left.
    fn leftmost(&self) -> (f64, f64) {
        let corners = [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)];
        let right = |corner: &(f64, f64)| self.turned(corner.0, corner.1, 0.0).0;
        corners.into_iter().min_by(|a, b| right(a).total_cmp(&right(b))).unwrap_or((-1.0, -1.0))
    }

    /// The direction in pixels, of length one, in which something lies outside the box.
    fn outwards(&self, side: (f64, f64)) -> (f64, f64) {
        let (from, to) = (self.pixel(0.0, 0.0, 0.0), self.pixel(side.0, side.1, 0.0));
        let length = (to.0 - from.0).hypot(to.1 - from.1).max(1e-9);
        ((to.0 - from.0) / length, (to.1 - from.1) / length)
    }

    fn floor_label(&self, svg: &mut Svg, place: (f64, f64), side: (f64, f64), label: &str) {
        let (px, py) = self.pixel(place.0, place.1, 0.0);
        let out = self.outwards(side);
        svg.line((px, py), (px + 4.0 * out.0, py + 4.0 * out.1), Stroke::new(MUTED, 1.0));
        let face = Type::new(12.0).colour(MUTED).anchor(Anchor::Middle);
        svg.text(px + 17.0 * out.0, py + 13.0 * out.1 + 4.3, label, face);
    }

    /// Writes an axis' title along its edge.
    fn edge_title(&self, svg: &mut Svg, edge: &[(f64, f64)], side: (f64, f64), title: &str) {
        let (from, to) = if edge[0].0 <= edge[1].0 { (edge[0], edge[1]) } else { (edge[1], edge[0]) };
        let angle = (to.1 - from.1).atan2(to.0 - from.0).to_degrees();
        // Perpendicular to the edge, on the outer side.
        let length = (to.0 - from.0).hypot(to.1 - from.1).max(1e-9);
        let normal = (-(to.1 - from.1) / length, (to.0 - from.0) / length);
        let out = self.outwards(side);
        let away = if normal.0 * out.0 + normal.1 * out.1 < 0.0 { -TITLE_DISTANCE } else { TITLE_DISTANCE };
        let (x, y) = ((from.0 + to.0) / 2.0 + away * normal.0, (from.1 + to.1) / 2.0 + away * normal.1);
        svg.text(x, y, title, Type::new(13.0).colour(INK).anchor(Anchor::Middle).turn(angle));
    }

    /// The surface's cells, furthest first, each in its colour, lit from the left above.
    pub(super) fn draw_cells(&self, svg: &mut Svg, grid: &Grid, colour: impl Fn(f64) -> Rgb) {
        let mut cells: Vec<(f64, [Crossing; 4])> = Vec::new();
        for row in 0..grid.ys.len() - 1 {
            for column in 0..grid.xs.len() - 1 {
                let corners = grid.corners(row, column);
                if corners.iter().all(|corner| corner.2.is_finite()) {
                    let (u, v) = self.floor((corners[0].0 + corners[2].0) / 2.0, (corners[0].1 + corners[2].1) / 2.0);
                    // Seen from outside the box, the distance on the floor alone decides what hides what.
                    cells.push((self.turned(u, v, 0.0).2, corners));
                }
            }
        }
        cells.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (_, corners) in cells {
            let outline = corners.iter().map(|corner| self.project(corner.0, corner.1, corner.2)).collect();
            let mean = corners.iter().map(|corner| corner.2).sum::<f64>() / 4.0;
            let fill = colour(mean).shade(self.light(&corners));
            svg.path(&[outline], true, Some(fill), Some(Stroke::new(fill.shade(0.82), 0.5)));
        }
    }

    /// Whether a part of the surface nearer to the viewer covers a place on it.
    pub(super) fn hides(&self, grid: &Grid, x: f64, y: f64) -> bool {
        let (u, v) = self.floor(x, y);
        let nearness = self.turned(u, v, 0.0).2;
        let pixel = self.project(x, y, grid.interpolate(x, y));
        let cells = (0..grid.ys.len() - 1).flat_map(|row| (0..grid.xs.len() - 1).map(move |column| (row, column)));
        cells.map(|(row, column)| grid.corners(row, column)).any(|corners| {
            // The cells around the place itself touch it; only those in front of it can cover it.
            let nearer = corners.iter().all(|corner| {
                let (u, v) = self.floor(corner.0, corner.1);
                self.turned(u, v, 0.0).2 > nearness + 1e-9
            });
            nearer && encloses(&corners.map(|corner| self.project(corner.0, corner.1, corner.2)), pixel)
        })
    }

    /// How bright a cell is, around 1.
    fn light(&self, corners: &[Crossing; 4]) -> f64 {
        let place = |corner: Crossing| {
            let (u, v) = self.floor(corner.0, corner.1);
            (u, v, self.level(corner.2))
        };
        let [a, b, c, d] = corners.map(place);
        let (p, q) = ((c.0 - a.0, c.1 - a.1, c.2 - a.2), (d.0 - b.0, d.1 - b.1, d.2 - b.2));
        let normal = (p.1 * q.2 - p.2 * q.1, p.2 * q.0 - p.0 * q.2, p.0 * q.1 - p.1 * q.0);
        let length = (normal.0.powi(2) + normal.1.powi(2) + normal.2.powi(2)).sqrt().max(1e-12);
        let (sin, cos) = self.azimuth.sin_cos();
        // The light comes from the left of the viewer, turned with the box.
        let sun = (-0.5 * cos, 0.5 * sin, 0.8);
        let cosine = (normal.0 * sun.0 + normal.1 * sun.1 + normal.2 * sun.2) / length;
        0.86 + 0.2 * cosine
    }
}

/// Whether a polygon encloses a point: a ray to the right crosses its outline an odd number of times.
fn encloses(polygon: &[(f64, f64)], point: (f64, f64)) -> bool {
    let edges = (0..polygon.len()).map(|index| (polygon[index], polygon[(index + 1) % polygon.len()]));
    let crossings = edges.filter(|(a, b)| {
        (a.1 > point.1) != (b.1 > point.1) && point.0 < a.0 + (point.1 - a.1) / (b.1 - a.1) * (b.0 - a.0)
    });
    crossings.count() % 2 == 1
}
