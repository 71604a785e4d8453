//! The inside of a chart, drawn with plotters: axes, mesh, bands, lines and marks.

use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;

use super::ReportError;
use super::chart::{Chart, Layout, Look, Marker, Series};
use super::colour::{GRID, INK, MARK, MUTED, Rgb};
use super::svg::Svg;
use super::ticks::Scale;

/// plotters counts in whole pixels, which makes lines jagged: it draws ten times too large, and the SVG scales it down.
const FINE: f64 = 10.0;

/// Lines with few points show them.
const MAX_MARKERS: usize = 30;

/// Of many points, so many bear a marker where a colour alone does not tell a line.
const SPARSE_MARKERS: usize = 12;

/// Lines with more points than this are never dashed.
const MAX_DASHED: usize = 1000;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Context<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Scale, Scale>>;

/// plotters asks a scale where values lie and where the mesh is.
impl Ranged for Scale {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value - self.low) / (self.high - self.low);
        (f64::from(limit.0) + share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // The lighter mesh between the ticks stays empty.
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.low..self.high
    }
}

fn fine(pixels: f64) -> i32 {
    (pixels * FINE).round() as i32
}

fn colour(rgb: Rgb) -> RGBColor {
    RGBColor(rgb.0, rgb.1, rgb.2)
}

fn line(rgb: Rgb, width: f64) -> ShapeStyle {
    colour(rgb).stroke_width(fine(width) as u32)
}

/// Draws axes, series and events of a chart into the drawing at the place the layout gives them.
pub(crate) fn draw(svg: &mut Svg, chart: &Chart, layout: &Layout, size: (u32, u32)) -> Result<(), ReportError> {
    let mut text = String::new();
    {
        let size = (fine(f64::from(size.0)) as u32, fine(f64::from(size.1)) as u32);
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        draw_on(&area, chart, layout)
            .map_err(|message| ReportError::Draw { what: format!("the chart \"{}\"", chart.title), message })?;
    }
    let start = text.find(">\n").map_or(0, |end| end + 2);
    let end = text.rfind("</svg>").unwrap_or(text.len());
    svg.insert_scaled(text.get(start..end).unwrap_or_default(), FINE);
    Ok(())
}

fn draw_on(area: &Area, chart: &Chart, layout: &Layout) -> Result<(), String> {
    let (width, height) = area.dim_in_pixel();
    let mut context = ChartBuilder::on(area)
        .margin_top(fine(layout.top))
        .margin_right(width as i32 - fine(layout.right))
        .margin_bottom(fine(10.0))
        .margin_left(fine(10.0))
        .set_label_area_size(LabelAreaPosition::Left, fine(layout.left - 10.0))
        .set_label_area_size(LabelAreaPosition::Bottom, height as i32 - fine(layout.bottom + 10.0))
        .build_cartesian_2d(layout.x.clone(), layout.y.clone())
        .map_err(|error| error.to_string())?;
    draw_axes(&mut context, chart, layout).map_err(|error| error.to_string())?;
    draw_events(&mut context, chart, layout).map_err(|error| error.to_string())?;
    for index in 0..chart.series.len() {
        draw_band(&mut context, chart, layout, index).map_err(|error| error.to_string())?;
    }
    for index in 0..chart.series.len() {
        draw_series(&mut context, chart, layout, index).map_err(|error| error.to_string())?;
    }
    area.present().map_err(|error| error.to_string())
}

type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn draw_axes(context: &mut Context, chart: &Chart, layout: &Layout) -> Drawn {
    // plotters' SVG writer divides font sizes by 1.24.
    let face = |size: f64, rgb: Rgb| ("sans-serif", size * FINE * 1.24).into_font().color(&colour(rgb));
    context
        .configure_mesh()
        .bold_line_style(line(GRID, 1.0))
        .axis_style(line(MUTED, 1.0))
        .label_style(face(12.0, MUTED))
        .axis_desc_style(face(13.0, INK))
        .set_all_tick_mark_size(fine(4.0))
        .x_label_formatter(&|tick| layout.x.label(*tick))
        .y_label_formatter(&|tick| layout.y.label(*tick))
        .x_desc(chart.x.text())
        .y_desc(chart.y.text())
        .draw()
}

fn draw_events(context: &mut Context, chart: &Chart, layout: &Layout) -> Drawn {
    for event in &chart.events {
        let Some(x) = layout.x.place(event.x).filter(|x| (layout.x.low..=layout.x.high).contains(x)) else {
            continue;
        };
        let ends = [(x, layout.y.high), (x, layout.y.low)];
        context.draw_series(DashedLineSeries::new(ends, fine(4.0), fine(3.0), line(MARK, 1.0)))?;
    }
    Ok(())
}

fn draw_band(context: &mut Context, chart: &Chart, layout: &Layout, index: usize) -> Drawn {
    let Some(band) = &chart.series[index].band else { return Ok(()) };
    let rgb = chart.colour(index);
    let placed: Vec<Option<(f64, f64, f64)>> = band
        .iter()
        .map(|&(x, low, high)| {
            Some((layout.x.place(x)?, layout.y.place(low).unwrap_or(layout.y.low), layout.y.place(high)?))
        })
        .collect();
    for run in placed.split(Option::is_none) {
        let run: Vec<_> = run.iter().flatten().collect();
        let upper = run.iter().map(|part| (part.0, part.2));
        let lower = run.iter().rev().map(|part| (part.0, part.1));
        let outline: Vec<(f64, f64)> = upper.chain(lower).collect();
        context.draw_series([Polygon::new(outline, colour(rgb).mix(0.18).filled())])?;
    }
    Ok(())
}

fn draw_series(context: &mut Context, chart: &Chart, layout: &Layout, index: usize) -> Drawn {
    let (rgb, marker) = (chart.colour(index), chart.marker(index));
    let series = &chart.series[index];
    if series.look == Look::Dots {
        let points: Vec<(f64, f64)> = runs(series, layout).concat();
        let look = colour(rgb).mix(0.55).filled();
        return context.draw_series(points.iter().map(|&point| Circle::new(point, fine(2.6), look))).map(|_| ());
    }
    let style = line(rgb, 1.8);
    for run in runs(series, layout) {
        if run.len() > 1 {
            let thinned = thin(&run, layout);
            // Dashes cannot be seen in a line that goes up and down at every pixel.
            let dashed = series.dashed || series.look == Look::Reference;
            if dashed && thinned.len() < MAX_DASHED {
                context.draw_series(DashedLineSeries::new(thinned, fine(6.0), fine(4.0), style))?;
            } else {
                context.draw_series(LineSeries::new(thinned, style))?;
            }
        }
        if series.look == Look::Line {
            draw_markers(context, &run, series.points.len(), (marker, rgb))?;
        }
    }
    Ok(())
}

/// Marks the points of a stretch of a series with `all` points.
fn draw_markers(context: &mut Context, run: &[(f64, f64)], all: usize, (marker, rgb): (Marker, Rgb)) -> Drawn {
    let few = run.len() == 1 || all <= MAX_MARKERS;
    let look = colour(rgb).filled();
    if marker == Marker::Dot {
        let radius = fine(if run.len() == 1 { 3.0 } else { 2.4 });
        let shown = if few { run } else { &[] };
        return context.draw_series(shown.iter().map(|&point| Circle::new(point, radius, look))).map(|_| ());
    }
    let every = if few { 1 } else { all.div_ceil(SPARSE_MARKERS) };
    let corners: Vec<(i32, i32)> = marker.corners(3.4).into_iter().map(|(x, y)| (fine(x), fine(y))).collect();
    let shape = |&point: &(f64, f64)| EmptyElement::at(point) + Polygon::new(corners.clone(), look);
    context.draw_series(run.iter().step_by(every).map(shape)).map(|_| ())
}

/// The stretches of a series between its gaps, in the axes' scales.
fn runs(series: &Series, layout: &Layout) -> Vec<Vec<(f64, f64)>> {
    let placed: Vec<Option<(f64, f64)>> =
        series.points.iter().map(|&(x, y)| Some((layout.x.place(x)?, layout.y.place(y)?))).collect();
    let stretches = placed.split(Option::is_none).map(|run| run.iter().copied().flatten().collect());
    stretches.filter(|run: &Vec<_>| !run.is_empty()).collect()
}

/// Keeps the first, lowest, highest and last of the points that fall on one column of pixels: thousands of points look
/// the same and weigh a fraction.
fn thin(run: &[(f64, f64)], layout: &Layout) -> Vec<(f64, f64)> {
    let columns = (layout.right - layout.left).max(1.0);
    if (run.len() as f64) < 2.0 * columns {
        return run.to_vec();
    }
    let column = |x: f64| ((x - layout.x.low) / (layout.x.high - layout.x.low) * columns) as i64;
    let mut kept = Vec::new();
    for part in run.chunk_by(|a, b| column(a.0) == column(b.0)) {
        let by_height = |a: &usize, b: &usize| part[*a].1.total_cmp(&part[*b].1);
        let low = (0..part.len()).min_by(by_height).unwrap_or(0);
        let high = (0..part.len()).max_by(by_height).unwrap_or(0);
        let mut chosen = [0, low, high, part.len() - 1].to_vec();
        chosen.sort_unstable();
        chosen.dedup();
        kept.extend(chosen.into_iter().map(|index| part[index]));
    }
    kept
}
