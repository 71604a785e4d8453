//! A loss landscape: as a filled contour map, and as a surface in space, both with the path the training took.

use super::chart::{Axis, Chart, Layout};
use super::colour::{ColourMap, INK, MUTED, Rgb, WHITE};
use super::contour::Grid;
use super::raster::{fit_text, text_width};
use super::space::Space;
use super::svg::{Anchor, Stroke, Svg, Type};
use super::ticks::{Scale, Wish};
use super::{ReportError, plot};

/// Values over a plane, such as the training loss in the plane of the two main components of the weights' path.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Landscape {
    /// The heading.
    pub title: String,
    /// What the first coordinate is; its unit can say how much of the variance it explains.
    pub x: Axis,
    /// What the second coordinate is.
    pub y: Axis,
    /// What the height is; logarithmic heights get logarithmic colours.
    pub z: Axis,
    /// The first coordinates of the grid, rising.
    pub xs: Vec<f64>,
    /// The second coordinates of the grid, rising.
    pub ys: Vec<f64>,
    /// The heights: a row of `xs.len()` for each of `ys`.
    pub heights: Vec<f64>,
    /// The path over the plane, first point first. It is drawn at the surface's height.
    pub path: Vec<(f64, f64)>,
}

const LEVELS: usize = 16;
const BAR_WIDTH: f64 = 16.0;
const PATH_COLOUR: Rgb = Rgb(0xd5, 0x1e, 0x2c);

impl Landscape {
    /// The landscape from above: filled contours, a colour bar, and the path.
    pub fn contour_svg(&self, width: u32, height: u32) -> Result<String, ReportError> {
        let heights = self.checked(width, height)?;
        let grid = Grid { xs: &self.xs, ys: &self.ys, values: &heights.placed };
        let mut svg = self.start(width, height);
        let (wide, high) = (f64::from(width), f64::from(height));
        let layout = self.layout(wide, high, heights.bar_room());
        let axes = Chart { x: self.x.clone(), y: self.y.clone(), ..Chart::default() };
        plot::draw(&mut svg, &axes, &layout, (width, height))?;

        let pixel = |x: f64, y: f64| (layout.x_pixel(x), layout.y_pixel(y));
        let mapped = |lines: &[Vec<(f64, f64)>]| -> Vec<Vec<(f64, f64)>> {
            lines.iter().map(|line| line.iter().map(|&(x, y)| pixel(x, y)).collect()).collect()
        };
        let mut edges = Vec::new();
        for level in 0..LEVELS {
            let share = level as f64 / LEVELS as f64;
            let region = grid.above(heights.low + share * (heights.high - heights.low));
            let colour = ColourMap::Sequential.at((level as f64 + 0.5) / LEVELS as f64);
            svg.path(&mapped(&region.polygons), true, Some(colour), None);
            if level > 0 {
                edges.extend(mapped(&region.edges));
            }
        }
        svg.path(&edges, false, None, Some(Stroke::new(WHITE, 0.5)));
        let path = self.path.iter().map(|&(x, y)| PathPoint { pixel: pixel(x, y), mark: true, hidden: false });
        draw_path(&mut svg, &path.collect::<Vec<_>>());
        heights.draw_bar(&mut svg, &self.z, layout.right + 22.0, (layout.top, layout.bottom));
        Ok(svg.finish())
    }

    /// The landscape in space, seen from the side that hides least of it.
    pub fn surface_svg(&self, width: u32, height: u32) -> Result<String, ReportError> {
        let heights = self.checked(width, height)?;
        let mut svg = self.start(width, height);
        let (wide, high) = (f64::from(width), f64::from(height));
        let bar = heights.bar_room();
        let plane = Layout {
            left: 0.0,
            top: 0.0,
            right: 0.0,
            bottom: 0.0,
            x: self.plane_scale(&self.xs, 6),
            y: self.plane_scale(&self.ys, 6),
        };
        let grid = Grid { xs: &self.xs, ys: &self.ys, values: &heights.placed };
        let inside = |x: f64, y: f64| {
            (self.xs[0]..=self.xs[self.xs.len() - 1]).contains(&x)
                && (self.ys[0]..=self.ys[self.ys.len() - 1]).contains(&y)
        };
        let path: Vec<(f64, f64, bool)> = self.fine_path().into_iter().filter(|&(x, y, _)| inside(x, y)).collect();
        let places: Vec<(f64, f64)> = path.iter().map(|&(x, y, _)| (x, y)).collect();
        let space = Space::new(&plane, &heights.scale, &grid, &places, (10.0, 40.0, wide - bar - 10.0, high - 10.0));
        space.draw_box(&mut svg, &self.x, &self.y, &self.z);
        space.draw_cells(&mut svg, &grid, |value| ColourMap::Sequential.at(heights.share(value)));
        let path = path.into_iter().map(|(x, y, mark)| PathPoint {
            pixel: space.project(x, y, grid.interpolate(x, y)),
            mark,
            hidden: space.hides(&grid, x, y),
        });
        draw_path(&mut svg, &path.collect::<Vec<_>>());
        heights.draw_bar(&mut svg, &self.z, wide - bar, (high * 0.22, high * 0.8));
        Ok(svg.finish())
    }

    fn start(&self, width: u32, height: u32) -> Svg {
        let mut svg = Svg::new(f64::from(width), f64::from(height), &self.title);
        let face = Type::new(16.0).bold();
        svg.text(18.0, 30.0, &fit_text(&self.title, face, f64::from(width) - 36.0), face);
        svg
    }

    /// The path with points between, as (x, y, whether it is a point of the path): a straight line on the plane is a
    /// curve on the surface.
    fn fine_path(&self) -> Vec<(f64, f64, bool)> {
        const BETWEEN: usize = 8;
        let mut fine = Vec::new();
        for (index, &(x, y)) in self.path.iter().enumerate() {
            fine.push((x, y, true));
            if let Some(&(next_x, next_y)) = self.path.get(index + 1) {
                fine.extend((1..BETWEEN).map(|step| {
                    let share = step as f64 / BETWEEN as f64;
                    (x + share * (next_x - x), y + share * (next_y - y), false)
                }));
            }
        }
        fine
    }

    fn plane_scale(&self, places: &[f64], ticks: usize) -> Scale {
        Scale::new(places[0], places[places.len() - 1], Wish { ticks, ..Wish::default() })
    }

    fn layout(&self, width: f64, height: f64, bar: f64) -> Layout {
        let y = self.plane_scale(&self.ys, (height / 60.0) as usize);
        let widest = y.ticks.iter().map(|&tick| text_width(&y.label(tick), Type::new(12.0))).fold(0.0, f64::max);
        let (left, right) = (48.0 + 1.15 * widest, width - bar - 24.0);
        let x = self.plane_scale(&self.xs, ((right - left) / 85.0) as usize);
        Layout { left, top: 48.0, right, bottom: height - 50.0, x, y }
    }

    /// Checks that the parts fit together, and gives the heights on their scale.
    fn checked(&self, width: u32, height: u32) -> Result<Heights, ReportError> {
        let wrong = |expected: String, found: String| ReportError::Shape {
            what: format!("the landscape \"{}\"", self.title),
            expected,
            found,
        };
        let rising = |list: &[f64]| {
            list.len() >= 2 && list.iter().all(|x| x.is_finite()) && list.windows(2).all(|pair| pair[0] < pair[1])
        };
        if !rising(&self.xs) || !rising(&self.ys) {
            let found = format!("{} and {} coordinates", self.xs.len(), self.ys.len());
            return Err(wrong("two or more rising coordinates along each axis".to_string(), found));
        }
        if self.heights.len() != self.xs.len() * self.ys.len() {
            let expected = format!("{} x {} heights", self.ys.len(), self.xs.len());
            return Err(wrong(expected, self.heights.len().to_string()));
        }
        if width < 320 || height < 240 {
            return Err(wrong("at least 320 x 240 pixels".to_string(), format!("{width} x {height}")));
        }
        Ok(Heights::new(&self.heights, self.z.log))
    }
}

/// The heights on their scale.
struct Heights {
    placed: Vec<f64>,
    low: f64,
    high: f64,
    scale: Scale,
}

impl Heights {
    fn new(heights: &[f64], log: bool) -> Heights {
        let shown = heights.iter().copied().filter(|height| height.is_finite() && (!log || *height > 0.0));
        let (low, high) = shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), z| (low.min(z), high.max(z)));
        let scale = Scale::new(low, high, Wish { log, ticks: 7, ..Wish::default() });
        let placed = heights.iter().map(|&height| scale.place(height).unwrap_or(f64::NAN)).collect();
        Heights { placed, low: scale.low, high: scale.high, scale }
    }

    fn share(&self, placed: f64) -> f64 {
        (placed - self.low) / (self.high - self.low)
    }

    /// The width the colour bar and its numbers need.
    fn bar_room(&self) -> f64 {
        let face = Type::new(12.0);
        let labels = self.scale.ticks.iter().map(|&tick| text_width(&self.scale.label(tick), face));
        BAR_WIDTH + 1.15 * labels.fold(0.0, f64::max) + 50.0
    }

    fn draw_bar(&self, svg: &mut Svg, axis: &Axis, left: f64, (top, bottom): (f64, f64)) {
        let step = (bottom - top) / LEVELS as f64;
        for level in 0..LEVELS {
            let colour = ColourMap::Sequential.at((level as f64 + 0.5) / LEVELS as f64);
            // Half a pixel of overlap hides the seams between the rectangles.
            let overlap = if level == 0 { 0.0 } else { 0.5 };
            svg.rect(left, bottom - (level + 1) as f64 * step, BAR_WIDTH, step + overlap, colour);
        }
        svg.frame(left, top, BAR_WIDTH, bottom - top, Stroke::new(MUTED, 0.8));
        let face = Type::new(12.0).colour(MUTED);
        let mut widest: f64 = 0.0;
        for &tick in &self.scale.ticks {
            let y = bottom - self.share(tick) * (bottom - top);
            let label = self.scale.label(tick);
            svg.line((left + BAR_WIDTH, y), (left + BAR_WIDTH + 4.0, y), Stroke::new(MUTED, 0.8));
            svg.text(left + BAR_WIDTH + 7.0, y + 4.3, &label, face);
            widest = widest.max(1.1 * text_width(&label, face));
        }
        let (x, y) = (left + BAR_WIDTH + 7.0 + widest + 14.0, (top + bottom) / 2.0);
        svg.text(x, y, &axis.text(), Type::new(13.0).anchor(Anchor::Middle).turn(-90.0));
    }
}

/// A point of the drawn path.
struct PathPoint {
    pixel: (f64, f64),
    /// Whether it gets a dot: points between others do not.
    mark: bool,
    /// Whether the surface covers it.
    hidden: bool,
}

/// The path with a white halo, dashed where it is hidden, with its points and its two ends.
fn draw_path(svg: &mut Svg, path: &[PathPoint]) {
    let (Some(start), Some(end)) = (path.first(), path.last()) else { return };
    let mut seen = Vec::new();
    let mut covered = Vec::new();
    let mut next = 0;
    for part in path.chunk_by(|a, b| a.hidden == b.hidden) {
        next += part.len();
        // A part reaches to the first point of the next one.
        let line = part.iter().chain(path.get(next)).map(|point| point.pixel).collect();
        if part[0].hidden { covered.push(line) } else { seen.push(line) }
    }
    svg.path(&covered, false, None, Some(Stroke::new(WHITE, 1.5).dashed("3 3")));
    svg.path(&seen, false, None, Some(Stroke::new(WHITE, 4.0)));
    svg.path(&seen, false, None, Some(Stroke::new(PATH_COLOUR, 2.0)));
    if path.iter().filter(|point| point.mark).count() <= 100 {
        for point in path.iter().filter(|point| point.mark && !point.hidden) {
            svg.circle(point.pixel.0, point.pixel.1, 2.2, PATH_COLOUR, WHITE);
        }
    }
    for (point, label, fill) in [(start, "start", WHITE), (end, "end", PATH_COLOUR)] {
        let (x, y) = point.pixel;
        svg.circle(x, y, 5.0, fill, INK);
        // A halo keeps the word readable on any colour.
        svg.halo_text(x + 9.0, y - 7.0, label, Type::new(12.0).bold());
    }
}
