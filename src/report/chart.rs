//! Line charts.

use super::colour::{COLOURS, MARK, Rgb, series_colour};
use super::ticks::Scale;

/// One axis of a chart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Axis {
    /// What is measured, such as "loss".
    pub label: String,
    /// The unit, written in parentheses after the label; empty for none.
    pub unit: String,
    /// Whether the axis is logarithmic. Values that are not positive are then gaps.
    pub log: bool,
}

impl Axis {
    /// A linear axis.
    pub fn new(label: &str, unit: &str) -> Axis {
        Axis { label: label.to_string(), unit: unit.to_string(), log: false }
    }

    /// The same axis, logarithmic.
    pub fn logarithmic(self) -> Axis {
        Axis { log: true, ..self }
    }

    pub(crate) fn text(&self) -> String {
        match (self.label.is_empty(), self.unit.is_empty()) {
            (_, true) => self.label.clone(),
            (true, false) => self.unit.clone(),
            (false, false) => format!("{} ({})", self.label, self.unit),
        }
    }
}

/// A line of a chart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// What the legend calls it.
    pub name: String,
    /// The points, in the order they are joined. A value that is not finite leaves a gap.
    pub points: Vec<(f64, f64)>,
    /// Whether the line is dashed.
    pub dashed: bool,
    /// The spread around the line, as (x, low, high): over trials, or over the steps a point stands for.
    pub band: Option<Vec<(f64, f64, f64)>>,
    /// Which colour of the palette the line has, and beyond its seven colours which markers; without one, the series' place in
    /// the chart decides.
    pub colour: Option<usize>,
    /// How the points are drawn.
    pub look: Look,
}

/// How the points of a series are drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Look {
    /// As a line, with markers where they are few.
    #[default]
    Line,
    /// Each by itself.
    Dots,
    /// As a line without markers, such as the outline of a histogram.
    Outline,
    /// As a grey dashed line without markers, which others are read against.
    Reference,
}

impl Series {
    /// A continuous line.
    pub fn new(name: &str, points: Vec<(f64, f64)>) -> Series {
        Series { name: name.to_string(), points, ..Series::default() }
    }
}

/// A vertical mark, such as an epoch at which the learning rate changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Where it is.
    pub x: f64,
    /// What happened there.
    pub label: String,
}

/// A line chart: axes with units, a legend outside the plot, and vertical marks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chart {
    /// The heading; may be empty.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines. Only those with a name are in the legend.
    pub series: Vec<Series>,
    /// The vertical marks.
    pub events: Vec<Event>,
}

/// Where the parts of a chart go, in pixels.
pub(crate) struct Layout {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
    pub x: Scale,
    pub y: Scale,
}

impl Layout {
    /// The horizontal pixel of a place on the axis' scale.
    pub(super) fn x_pixel(&self, place: f64) -> f64 {
        self.left + (place - self.x.low) / (self.x.high - self.x.low) * (self.right - self.left)
    }

    /// The vertical pixel of a place on the axis' scale.
    pub(super) fn y_pixel(&self, place: f64) -> f64 {
        self.bottom - (place - self.y.low) / (self.y.high - self.y.low) * (self.bottom - self.top)
    }
}

impl Chart {
    /// The colour of a series.
    pub(crate) fn colour(&self, index: usize) -> Rgb {
        if self.series[index].look == Look::Reference {
            return MARK;
        }
        series_colour(self.series[index].colour.unwrap_or(index))
    }

    /// The markers of a series: where the colours come again, other markers tell its line apart.
    pub(crate) fn marker(&self, index: usize) -> Marker {
        let round = self.series[index].colour.unwrap_or(index) / COLOURS;
        Marker::ALL[round % Marker::ALL.len()]
    }
}

/// The shape that marks the points of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    /// Small, and left out where points are many.
    Dot,
    Square,
    Triangle,
    Diamond,
    Cross,
}

impl Marker {
    pub(super) const ALL: [Marker; 5] = [Marker::Dot, Marker::Triangle, Marker::Square, Marker::Diamond, Marker::Cross];

    /// The corners around (0, 0) of a marker as large as a dot of this radius; none of a dot, which is round.
    pub(super) fn corners(self, radius: f64) -> Vec<(f64, f64)> {
        let scaled = |corners: &[(f64, f64)]| corners.iter().map(|(x, y)| (x * radius, y * radius)).collect();
        match self {
            Marker::Dot => Vec::new(),
            Marker::Square => scaled(&[(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]),
            Marker::Triangle => scaled(&[(0.0, -1.4), (1.3, 1.0), (-1.3, 1.0)]),
            Marker::Diamond => scaled(&[(0.0, -1.5), (1.5, 0.0), (0.0, 1.5), (-1.5, 0.0)]),
            Marker::Cross => {
                let quarter = [(0.4, -1.5), (0.4, -0.4), (1.5, -0.4)];
                let turned = (0..4).flat_map(|turn| quarter.map(|(x, y)| (0..turn).fold((x, y), |(x, y), _| (-y, x))));
                scaled(&turned.collect::<Vec<_>>())
            }
        }
    }
}
