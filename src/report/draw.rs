//! Draws a line chart: the title, the legend, the marks' labels, and the plot between them.

use std::path::Path;

use super::ReportError;
use super::chart::{Axis, Chart, Layout, Look};
use super::colour::MUTED;
use super::html::Block;
use super::plot;
use super::raster::{fit_text, save_drawing, text_width};
use super::svg::{Anchor, Stroke, Svg, Type};
use super::ticks::{Scale, Wish};

/// The width a chart has in a report, in pixels.
pub(crate) const WIDTH: u32 = 720;
/// The height a chart has in a report, in pixels.
pub(crate) const HEIGHT: u32 = 420;
/// The size of a chart on a narrow screen, where a wide one would be too small to read.
const NARROW: (u32, u32) = (330, 300);

const MIN_WIDTH: u32 = 240;
const MIN_HEIGHT: u32 = 180;
const MARGIN: f64 = 18.0;
const LEGEND_ROW: f64 = 20.0;
const EVENT_ROW: f64 = 15.0;
const MAX_EVENT_ROWS: usize = 3;

const TITLE_FACE: Type = Type::new(16.0).bold();

/// How the names of series are written.
const LEGEND_FACE: Type = Type::new(12.5);

/// The names of series: (series, text, how wide it is with its key), row by row.
struct Legend {
    entries: Vec<(usize, String, f64)>,
    columns: usize,
    /// How wide a column is; none where all stand in one row.
    column: Option<f64>,
}

impl Chart {
    /// The chart as SVG text, `width` by `height` pixels.
    pub fn svg(&self, width: u32, height: u32) -> Result<String, ReportError> {
        let (wide, high) = (f64::from(width), f64::from(height));
        if width < MIN_WIDTH || height < MIN_HEIGHT {
            return Err(ReportError::Shape {
                what: format!("the chart \"{}\"", self.title),
                expected: format!("at least {MIN_WIDTH} x {MIN_HEIGHT} pixels"),
                found: format!("{width} x {height}"),
            });
        }
        let mut svg = Svg::new(wide, high, &self.title);
        let mut top = MARGIN;
        let lines = self.title_lines(wide);
        for line in &lines {
            top += 12.0;
            svg.text(MARGIN, top, line, TITLE_FACE);
            top += 8.0;
        }
        top += if lines.is_empty() { 0.0 } else { 4.0 };
        top = self.draw_legend(&mut svg, top, (wide, high));
        let mut layout = self.layout(top, wide, high);
        let labels = self.place_events(&layout);
        let rows = labels.iter().map(|(row, ..)| row + 1).max().unwrap_or(0);
        layout.top += rows as f64 * EVENT_ROW;
        layout.y = self.y_scale(layout.bottom - layout.top);

        plot::draw(&mut svg, self, &layout, (width, height))?;
        for (row, x, label) in labels {
            let y = layout.top - 5.0 - row as f64 * EVENT_ROW;
            svg.text(x, y, &label, Type::new(11.0).colour(MUTED).anchor(Anchor::Middle));
        }
        if !self.has_points() {
            let middle = ((layout.left + layout.right) / 2.0, (layout.top + layout.bottom) / 2.0);
            svg.text(middle.0, middle.1, "no data", Type::new(14.0).colour(MUTED).anchor(Anchor::Middle));
        }
        Ok(svg.finish())
    }

    /// The chart as a part of a page: `size` pixels, and drawn once more for narrow screens.
    pub fn block(&self, size: (u32, u32), caption: &str) -> Result<Block, ReportError> {
        let svg = self.svg(size.0, self.height_for(size))?;
        let narrow = self.svg(NARROW.0, self.height_for(NARROW))?;
        Ok(Block::Drawing { svg, narrow: Some(narrow), caption: caption.to_string() })
    }

    /// The title in as many lines as it needs in a drawing so wide, but no more than three.
    fn title_lines(&self, width: f64) -> Vec<String> {
        const MOST: usize = 3;
        // Browsers may show a wider font than the bundled one.
        let room = (width - 2.0 * MARGIN) / 1.15;
        let mut lines: Vec<String> = Vec::new();
        for word in self.title.split_whitespace() {
            let full = lines.len() == MOST;
            match lines.last_mut() {
                Some(line) if full || text_width(&format!("{line} {word}"), TITLE_FACE) <= room => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => lines.push(word.to_string()),
            }
        }
        lines.iter().map(|line| fit_text(line, TITLE_FACE, room)).collect()
    }

    /// The height at which the legend has room for all of its rows, if they are not too many.
    fn height_for(&self, (width, height): (u32, u32)) -> u32 {
        const MOST_ROWS: usize = 16;
        let Legend { entries, columns, .. } = self.legend(f64::from(width));
        let rows = entries.len().div_ceil(columns).min(MOST_ROWS);
        let title = 20 * self.title_lines(f64::from(width)).len() as u32;
        // Half of it, below the title.
        height.max((2.0 * (rows as f64 * LEGEND_ROW + MARGIN + 6.0)).ceil() as u32 + 2 * title)
    }

    /// Writes the chart to a .svg or .png file, atomically.
    pub fn save(&self, path: &Path) -> Result<(), ReportError> {
        save_drawing(path, &self.svg(WIDTH, HEIGHT)?)
    }

    fn has_points(&self) -> bool {
        let shown = |axis: &Axis, value: f64| value.is_finite() && (!axis.log || value > 0.0);
        let mut points = self.series.iter().flat_map(|series| &series.points);
        points.any(|&(x, y)| shown(&self.x, x) && shown(&self.y, y))
    }

    /// The smallest and largest value an axis can show.
    fn extent(axis: &Axis, values: impl Iterator<Item = f64>) -> (f64, f64) {
        values
            .filter(|value| value.is_finite() && (!axis.log || *value > 0.0))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
    }

    fn y_scale(&self, height: f64) -> Scale {
        let points = self.series.iter().flat_map(|series| series.points.iter().map(|point| point.1));
        let bands = self.series.iter().flat_map(|series| series.band.iter().flatten());
        let values = points.chain(bands.flat_map(|&(_, low, high)| [low, high]));
        let (low, high) = Chart::extent(&self.y, values);
        Scale::new(low, high, Wish { log: self.y.log, room: true, whole: false, ticks: (height / 48.0) as usize })
    }

    fn x_scale(&self, width: f64) -> Scale {
        let points = self.series.iter().flat_map(|series| series.points.iter().map(|point| point.0));
        let bands = self.series.iter().flat_map(|series| series.band.iter().flatten()).map(|part| part.0);
        let (low, high) = Chart::extent(&self.x, points.clone().chain(bands));
        let whole = points.filter(|x| x.is_finite()).all(|x| x.fract() == 0.0);
        Scale::new(low, high, Wish { log: self.x.log, room: false, whole, ticks: (width / 85.0).max(3.0) as usize })
    }

    fn layout(&self, top: f64, width: f64, height: f64) -> Layout {
        let axis_text = |axis: &Axis| if axis.text().is_empty() { 0.0 } else { 20.0 };
        let (top, bottom) = (top + 8.0, height - MARGIN - 12.0 - axis_text(&self.x));
        let y = self.y_scale(bottom - top);
        let face = Type::new(12.0);
        let widest = y.ticks.iter().map(|&tick| text_width(&y.label(tick), face)).fold(0.0, f64::max);
        // Browsers may show a wider font than the bundled one.
        let left = MARGIN + axis_text(&self.y) + 1.15 * widest + 10.0;
        let right = width - MARGIN - 8.0;
        Layout { left, top, right, bottom, x: self.x_scale(right - left), y }
    }

    /// What the legend holds, and how many columns it has in a drawing so wide.
    fn legend(&self, width: f64) -> Legend {
        let room = width - 2.0 * MARGIN;
        let entries: Vec<(usize, String, f64)> = (0..self.series.len())
            .filter(|&index| !self.series[index].name.is_empty())
            .map(|index| {
                let name = fit_text(&self.series[index].name, LEGEND_FACE, room - 60.0);
                let wide = 44.0 + 1.05 * text_width(&name, LEGEND_FACE);
                (index, name, wide)
            })
            .collect();
        let one_row = entries.iter().map(|entry| entry.2).sum::<f64>() <= room;
        let widest = entries.iter().map(|entry| entry.2).fold(1.0, f64::max);
        let columns = if one_row { entries.len() } else { (room / widest) as usize };
        Legend {
            entries,
            columns: columns.max(1),
            column: (!one_row).then(|| widest.max(room / columns.max(1) as f64)),
        }
    }

    /// Draws the legend in rows below `top`, in columns where it takes several, and returns where it ends. What would leave
    /// the plot less than half of the height is counted instead.
    fn draw_legend(&self, svg: &mut Svg, top: f64, (width, height): (f64, f64)) -> f64 {
        let Legend { entries, columns, column } = self.legend(width);
        if entries.is_empty() {
            return top;
        }
        let most_rows = ((height / 2.0 - top) / LEGEND_ROW).max(1.0) as usize;
        let (mut x, mut y) = (MARGIN, top + 10.0);
        for (place, (index, name, wide)) in entries.iter().enumerate() {
            if place > 0 && place % columns == 0 {
                (x, y) = (MARGIN, y + LEGEND_ROW);
            }
            if place + 1 == most_rows * columns && place + 1 < entries.len() {
                svg.text(x, y + 4.5, &format!("and {} more", entries.len() - place), LEGEND_FACE.colour(MUTED));
                break;
            }
            self.draw_key(svg, (x, y), *index);
            svg.text(x + 30.0, y + 4.5, name, LEGEND_FACE);
            x += column.unwrap_or(*wide);
        }
        y + 10.0
    }

    /// Draws what a series looks like, 24 units wide.
    fn draw_key(&self, svg: &mut Svg, (x, y): (f64, f64), index: usize) {
        let (series, colour) = (&self.series[index], self.colour(index));
        if series.look == Look::Dots {
            return svg.circle(x + 12.0, y, 3.5, colour, colour);
        }
        let stroke = Stroke::new(colour, 2.5);
        svg.line((x, y), (x + 24.0, y), if series.dashed { stroke.dashed("6 4") } else { stroke });
        let corners: Vec<(f64, f64)> =
            self.marker(index).corners(3.8).into_iter().map(|(dx, dy)| (x + 12.0 + dx, y + dy)).collect();
        svg.path(&[corners], true, Some(colour), None);
    }

    /// Gives every event's label a row above the plot, so that labels do not overlap: (row, centre, text). A label that
    /// finds no free row is left out, its mark stays.
    fn place_events(&self, layout: &Layout) -> Vec<(usize, f64, String)> {
        let face = Type::new(11.0);
        let mut events: Vec<(f64, &str)> = self
            .events
            .iter()
            .filter_map(|event| Some((layout.x_pixel(layout.x.place(event.x)?), event.label.as_str())))
            .filter(|(x, label)| !label.is_empty() && (layout.left - 0.5..=layout.right + 0.5).contains(x))
            .collect();
        events.sort_by(|a, b| a.0.total_cmp(&b.0));
        // At most a third of the plot gives way to labels.
        let rows = ((layout.bottom - layout.top) / 3.0 / EVENT_ROW) as usize;
        let rows = rows.min(MAX_EVENT_ROWS);
        let mut ends = [f64::NEG_INFINITY; MAX_EVENT_ROWS];
        let mut placed = Vec::new();
        for (x, label) in events {
            let half = 0.55 * text_width(label, face);
            let centre = x.clamp(layout.left + half, (layout.right - half).max(layout.left + half));
            if let Some(row) = ends[..rows].iter().position(|&end| centre - half > end) {
                ends[row] = centre + half + 8.0;
                placed.push((row, centre, label.to_string()));
            }
        }
        placed
    }
}
