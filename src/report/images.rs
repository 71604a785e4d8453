//! Grids of images: data with truth and prediction, and weights.

use std::path::Path;

use super::ReportError;
use super::colour::{ColourMap, INK, MUTED, Rgb, WRONG};
use super::pixels::{Pixmap, blank, encode, rasterise};
use super::raster::{fit_text, text_width};
use super::svg::{Anchor, Stroke, Svg, Type};
use super::ticks::short_number;
use crate::file::write_whole;

/// A small image.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    height: usize,
    width: usize,
    pixels: Vec<Rgb>,
}

impl Picture {
    /// A picture of values stored channels first: grey from one channel, colour from three. `low` is drawn black, `high`
    /// white.
    pub fn from_values(shape: [usize; 3], values: &[f32], low: f32, high: f32) -> Result<Picture, ReportError> {
        let [channels, height, width] = shape;
        if !matches!(channels, 1 | 3) {
            return Err(wrong("a picture", "1 channel or 3".to_string(), format!("{channels}")));
        }
        check_size(shape, values.len())?;
        let level = |channel: usize, pixel: usize| {
            let share = (values[channel * height * width + pixel] - low) / (high - low);
            // A cast takes what is not a number to 0.
            (share.clamp(0.0, 1.0) * 255.0).round() as u8
        };
        let colour = |pixel: usize| match channels {
            1 => Rgb(level(0, pixel), level(0, pixel), level(0, pixel)),
            _ => Rgb(level(0, pixel), level(1, pixel), level(2, pixel)),
        };
        Ok(Picture { height, width, pixels: (0..height * width).map(colour).collect() })
    }

    /// A picture of one channel of values through a colour map: `low` is the map's beginning, `high` its end.
    pub fn mapped(
        size: [usize; 2],
        values: &[f32],
        low: f32,
        high: f32,
        map: ColourMap,
    ) -> Result<Picture, ReportError> {
        let [height, width] = size;
        check_size([1, height, width], values.len())?;
        let colour = |&value: &f32| map.at(f64::from((value - low) / (high - low)));
        Ok(Picture { height, width, pixels: values.iter().map(colour).collect() })
    }
}

/// A picture of a page.
pub(super) struct Shown {
    /// The bytes of a PNG file.
    pub png: Vec<u8>,
    /// How wide it is on the page.
    pub width: usize,
    /// How high it is on the page.
    pub height: usize,
    /// Whether its pixels are so few that they are shown as squares.
    pub sharp: bool,
}

/// The sides that a picture of a page fills, in the page's pixels.
const SHOWN: usize = 72;
/// Of a larger picture more pixels than these along a side are not put into a page.
const MOST: usize = 128;

impl Picture {
    /// The picture as a page shows it.
    pub(super) fn shown(&self) -> Result<Shown, ReportError> {
        let longest = self.height.max(self.width);
        let small = self.shrunk(longest.div_ceil(MOST));
        let mut pixels = blank(small.width as u32, small.height as u32)?;
        blit(&mut pixels, &small, 1, (0, 0));
        let zoom = SHOWN / longest;
        let side = |side: usize| if zoom > 0 { side * zoom } else { (side * SHOWN / longest).max(1) };
        Ok(Shown { png: encode(&pixels)?, width: side(self.width), height: side(self.height), sharp: zoom > 1 })
    }

    /// This picture above another of its width.
    pub fn above(&self, other: &Picture) -> Result<Picture, ReportError> {
        if self.width != other.width {
            return Err(wrong(
                "a picture below another",
                format!("{} pixels wide", self.width),
                other.width.to_string(),
            ));
        }
        let pixels = [&self.pixels[..], &other.pixels[..]].concat();
        Ok(Picture { height: self.height + other.height, width: self.width, pixels })
    }

    /// Every `by` times `by` pixels as one, their mean.
    fn shrunk(&self, by: usize) -> Picture {
        let (height, width) = (self.height.div_ceil(by), self.width.div_ceil(by));
        let mean = |at: usize| {
            let (top, left) = (at / width * by, at % width * by);
            let rows = top..(top + by).min(self.height);
            let of =
                rows.flat_map(|y| (left..(left + by).min(self.width)).map(move |x| self.pixels[y * self.width + x]));
            let (mut sum, mut count) = ([0_usize; 3], 0);
            for Rgb(red, green, blue) in of {
                sum = [sum[0] + usize::from(red), sum[1] + usize::from(green), sum[2] + usize::from(blue)];
                count += 1;
            }
            let [red, green, blue] = sum.map(|sum| (sum / count) as u8);
            Rgb(red, green, blue)
        };
        Picture { height, width, pixels: (0..height * width).map(mean).collect() }
    }
}

fn wrong(what: &str, expected: String, found: String) -> ReportError {
    ReportError::Shape { what: what.to_string(), expected, found }
}

fn check_size([channels, height, width]: [usize; 3], found: usize) -> Result<(), ReportError> {
    if height == 0 || width == 0 || found != channels * height * width {
        let expected = format!("{channels} x {height} x {width} values, none of the sides 0");
        return Err(wrong("a picture", expected, found.to_string()));
    }
    Ok(())
}

/// A picture of a grid with what is written below it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tile {
    /// The picture.
    pub picture: Picture,
    /// Lines of text below it, such as the truth and the prediction.
    pub caption: Vec<String>,
    /// Whether the prediction is wrong: the tile is then framed, and its caption written, in red.
    pub wrong: bool,
}

/// The meaning of the colours of a grid.
#[derive(Debug, Clone, PartialEq)]
pub struct ColourBar {
    /// The map the pictures were made with.
    pub map: ColourMap,
    /// The value at the map's beginning.
    pub low: f64,
    /// The value at the map's end.
    pub high: f64,
}

/// Pictures in rows, with captions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImageGrid {
    /// The heading; may be empty.
    pub title: String,
    /// How many pictures a row has.
    pub columns: usize,
    /// The pictures, row by row.
    pub tiles: Vec<Tile>,
    /// The meaning of the colours, drawn below the heading.
    pub colour_bar: Option<ColourBar>,
}

/// Pixels of the file to one unit of the drawing.
const SCALE: usize = 2;
const MARGIN: f64 = 18.0;
const GAP: f64 = 10.0;
const CAPTION_LINE: f64 = 14.0;
/// The sides that pictures are enlarged to, in pixels of the file, by how many there are.
const SIDE: usize = 144;
const SIDE_OF_MANY: usize = 96;

/// Where the tiles go, in units.
struct Places {
    columns: usize,
    top: f64,
    cell: (f64, f64),
    picture: (f64, f64),
    /// How many pixels of the file one pixel of a picture takes.
    zoom: usize,
    size: (f64, f64),
}

impl ImageGrid {
    /// The grid as the bytes of a PNG file.
    pub fn png(&self) -> Result<Vec<u8>, ReportError> {
        let places = self.places()?;
        let mut canvas = rasterise(&self.frame(&places), SCALE as f32)?;
        for (index, tile) in self.tiles.iter().enumerate() {
            let (x, y) = places.corner(index);
            blit(&mut canvas, &tile.picture, places.zoom, (x as usize * SCALE, y as usize * SCALE));
        }
        encode(&canvas)
    }

    /// Writes the grid to a .png file, atomically.
    pub fn save(&self, path: &Path) -> Result<(), ReportError> {
        Ok(write_whole(path, &self.png()?)?)
    }

    fn places(&self) -> Result<Places, ReportError> {
        let Some(first) = self.tiles.first() else {
            return Err(wrong(&self.what(), "at least one picture".to_string(), "none".to_string()));
        };
        let (height, width) = (first.picture.height, first.picture.width);
        for (index, tile) in self.tiles.iter().enumerate() {
            if (tile.picture.height, tile.picture.width) != (height, width) {
                let found = format!("{} x {} at place {index}", tile.picture.height, tile.picture.width);
                return Err(wrong(&self.what(), format!("pictures of {height} x {width}"), found));
            }
        }
        let side = if self.tiles.len() > 60 { SIDE_OF_MANY } else { SIDE };
        let zoom = (side / height.max(width)).max(1);
        // Whole units, so that pictures begin at whole pixels.
        let units = |pixels: usize| (pixels * zoom).div_ceil(SCALE) as f64;
        let picture = (units(width), units(height));
        let lines = self.tiles.iter().map(|tile| tile.caption.len()).max().unwrap_or(0);
        let below = if lines > 0 { lines as f64 * CAPTION_LINE + 4.0 } else { 0.0 };
        let captions = self.tiles.iter().flat_map(|tile| &tile.caption);
        let widest = captions.map(|line| text_width(line, caption_face())).fold(0.0, f64::max);
        let wide = picture.0.max(widest.min(1.6 * picture.0.max(60.0)).ceil());
        let columns = self.columns.clamp(1, self.tiles.len());
        let rows = self.tiles.len().div_ceil(columns);
        let cell = (wide + GAP, picture.1 + below + GAP);
        let heading = if self.title.is_empty() { 0.0 } else { 30.0 };
        let top = MARGIN + heading + if self.colour_bar.is_some() { 34.0 } else { 0.0 };
        let title_wide = text_width(&self.title, title_face());
        let wide = (columns as f64 * cell.0 - GAP).max(title_wide.min(420.0)).max(200.0);
        let size = ((2.0 * MARGIN + wide).ceil(), top + rows as f64 * cell.1 - GAP + MARGIN);
        Ok(Places { columns, top, cell, picture, zoom, size })
    }

    fn what(&self) -> String {
        format!("the image grid \"{}\"", self.title)
    }

    /// Everything but the pictures.
    fn frame(&self, places: &Places) -> String {
        let mut svg = Svg::new(places.size.0, places.size.1, &self.title);
        let title = fit_text(&self.title, title_face(), places.size.0 - 2.0 * MARGIN);
        svg.text(MARGIN, MARGIN + 12.0, &title, title_face());
        if let Some(bar) = &self.colour_bar {
            bar.draw(&mut svg, MARGIN, places.top - 34.0);
        }
        for (index, tile) in self.tiles.iter().enumerate() {
            let (x, y) = places.corner(index);
            let (wide, high) = places.picture;
            let stroke = if tile.wrong { Stroke::new(WRONG, 2.0) } else { Stroke::new(MUTED, 0.5) };
            let out = stroke.width / 2.0;
            svg.frame(x - out, y - out, wide + 2.0 * out, high + 2.0 * out, stroke);
            let face = caption_face().colour(if tile.wrong { WRONG } else { INK });
            for (line, text) in tile.caption.iter().enumerate() {
                let text = fit_text(text, face, places.cell.0 - 2.0);
                let baseline = y + high + 13.0 + line as f64 * CAPTION_LINE;
                svg.text(x + wide / 2.0, baseline, &text, face);
            }
        }
        svg.finish()
    }
}

fn title_face() -> Type {
    Type::new(16.0).bold()
}

fn caption_face() -> Type {
    Type::new(11.0).anchor(Anchor::Middle)
}

impl Places {
    /// The upper left corner of a picture, in whole units.
    fn corner(&self, index: usize) -> (f64, f64) {
        let (row, column) = (index / self.columns, index % self.columns);
        let aside = ((self.cell.0 - GAP - self.picture.0) / 2.0).floor();
        ((MARGIN + column as f64 * self.cell.0 + aside).floor(), (self.top + row as f64 * self.cell.1).floor())
    }
}

impl ColourBar {
    fn draw(&self, svg: &mut Svg, left: f64, top: f64) {
        const STEPS: usize = 60;
        let face = Type::new(12.0).colour(MUTED);
        let low = short_number(self.low);
        svg.text(left, top + 14.0, &low, face);
        let start = left + text_width(&low, face) + 8.0;
        for step in 0..STEPS {
            let share = (step as f64 + 0.5) / STEPS as f64;
            svg.rect(start + 2.0 * step as f64, top + 4.0, 2.0, 12.0, self.map.at(share));
        }
        svg.frame(start, top + 4.0, 2.0 * STEPS as f64, 12.0, Stroke::new(MUTED, 0.5));
        svg.text(start + 2.0 * STEPS as f64 + 8.0, top + 14.0, &short_number(self.high), face);
    }
}

/// Copies a picture into the canvas, every pixel as a square.
fn blit(canvas: &mut Pixmap, picture: &Picture, zoom: usize, (left, top): (usize, usize)) {
    let (wide, high) = (canvas.width() as usize, canvas.height() as usize);
    let data = canvas.data_mut();
    for y in 0..(picture.height * zoom).min(high.saturating_sub(top)) {
        for x in 0..(picture.width * zoom).min(wide.saturating_sub(left)) {
            let colour = picture.pixels[y / zoom * picture.width + x / zoom];
            let place = 4 * ((top + y) * wide + left + x);
            data[place..place + 4].copy_from_slice(&[colour.0, colour.1, colour.2, 255]);
        }
    }
}

/// Columns of a grid of `count` pictures, about as many as rows: such that the rows are full, if they can be.
fn columns(count: usize) -> usize {
    const MAX_COLUMNS: usize = 12;
    let least = (count as f64).sqrt().ceil().max(4.0) as usize;
    (least..=MAX_COLUMNS).find(|columns| count.is_multiple_of(*columns)).unwrap_or(least)
}

/// The weights of a first layer as pictures, one per unit or filter. `shape` is (units, channels, height, width); with one
/// channel negative weights are blue, zero is white, positive ones are red; three channels are drawn as colour.
pub fn weight_grid(title: &str, weights: &[f32], shape: [usize; 4]) -> Result<ImageGrid, ReportError> {
    let [units, channels, height, width] = shape;
    let size = channels * height * width;
    if units == 0 || size == 0 || weights.len() != units * size {
        let expected = format!("{units} x {channels} x {height} x {width} weights, at least one");
        return Err(wrong(&format!("the weights \"{title}\""), expected, weights.len().to_string()));
    }
    // One extreme weight must not turn all others white.
    let mut sizes: Vec<f32> = weights.iter().map(|weight| weight.abs()).filter(|size| size.is_finite()).collect();
    sizes.sort_by(f32::total_cmp);
    let limit = sizes.get((sizes.len().saturating_sub(1)) * 995 / 1000).copied().unwrap_or(1.0).max(f32::MIN_POSITIVE);
    let picture = |part: &[f32]| match channels {
        3 => Picture::from_values([3, height, width], part, -limit, limit),
        _ => Picture::mapped([height * channels, width], part, -limit, limit, ColourMap::Diverging),
    };
    let tiles: Vec<Tile> = weights
        .chunks(size)
        .map(|part| Ok(Tile { picture: picture(part)?, caption: Vec::new(), wrong: false }))
        .collect::<Result<_, ReportError>>()?;
    let limit = f64::from(limit);
    let bar = ColourBar { map: ColourMap::Diverging, low: -limit, high: limit };
    Ok(ImageGrid {
        title: title.to_string(),
        columns: columns(units),
        tiles,
        colour_bar: (channels != 3).then_some(bar),
    })
}
