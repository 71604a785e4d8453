//! A small writer of SVG text: the few shapes the drawings need, in pixels, with every text escaped.

use std::fmt::Write as _;

use super::colour::{INK, Rgb, WHITE};

/// An SVG document under construction.
pub(crate) struct Svg {
    text: String,
}

/// Which point of a text its position names.
#[derive(Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks.
#[derive(Clone, Copy)]
pub(crate) struct Type {
    pub size: f64,
    pub colour: Rgb,
    pub bold: bool,
    pub anchor: Anchor,
    /// Degrees, clockwise, around the position.
    pub turn: f64,
    /// Whether it stands on a cell, whose colour is the same on every page.
    pub on_cell: bool,
}

impl Type {
    pub(super) const fn new(size: f64) -> Type {
        Type { size, colour: INK, bold: false, anchor: Anchor::Start, turn: 0.0, on_cell: false }
    }

    pub(super) const fn bold(self) -> Type {
        Type { bold: true, ..self }
    }

    pub(super) fn colour(self, colour: Rgb) -> Type {
        Type { colour, ..self }
    }

    pub(super) fn anchor(self, anchor: Anchor) -> Type {
        Type { anchor, ..self }
    }

    pub(super) fn turn(self, turn: f64) -> Type {
        Type { turn, ..self }
    }

    pub(super) fn on_cell(self) -> Type {
        Type { on_cell: true, ..self }
    }
}

/// How a line looks.
#[derive(Clone, Copy)]
pub(crate) struct Stroke {
    pub colour: Rgb,
    pub width: f64,
    pub dash: Option<&'static str>,
}

impl Stroke {
    pub(super) fn new(colour: Rgb, width: f64) -> Stroke {
        Stroke { colour, width, dash: None }
    }

    pub(super) fn dashed(self, dash: &'static str) -> Stroke {
        Stroke { dash: Some(dash), ..self }
    }

    fn attributes(&self) -> String {
        let dash = self.dash.map(|dash| format!(" stroke-dasharray=\"{dash}\"")).unwrap_or_default();
        format!("stroke=\"{}\" stroke-width=\"{}\"{dash}", self.colour.hex(), number(self.width))
    }
}

impl Svg {
    /// An empty white drawing; `title` is what screen readers say.
    pub(super) fn new(width: f64, height: f64, title: &str) -> Svg {
        let (w, h) = (number(width), number(height));
        let mut svg = Svg {
            text: format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" \
                 role=\"img\" aria-label=\"{}\" font-family=\"sans-serif\" stroke-linejoin=\"round\">\n",
                escape(title)
            ),
        };
        svg.rect(0.0, 0.0, width, height, WHITE);
        svg
    }

    pub(super) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, fill: Rgb) {
        self.element(format_args!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"/>",
            number(x),
            number(y),
            number(width),
            number(height),
            fill.hex()
        ));
    }

    /// A rectangle whose colour is a value: it is the same on every page.
    pub(super) fn cell(&mut self, x: f64, y: f64, (width, height): (f64, f64), fill: Rgb) {
        self.element(format_args!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\" class=\"cell\"/>",
            number(x),
            number(y),
            number(width),
            number(height),
            fill.hex()
        ));
    }

    pub(super) fn frame(&mut self, x: f64, y: f64, width: f64, height: f64, stroke: Stroke) {
        self.element(format_args!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" {}/>",
            number(x),
            number(y),
            number(width),
            number(height),
            stroke.attributes()
        ));
    }

    pub(super) fn circle(&mut self, x: f64, y: f64, radius: f64, fill: Rgb, edge: Rgb) {
        self.element(format_args!(
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{}\" stroke=\"{}\"/>",
            number(x),
            number(y),
            number(radius),
            fill.hex(),
            edge.hex()
        ));
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke) {
        self.path(&[vec![from, to]], false, None, Some(stroke));
    }

    /// Lines through points, several in one path. Closed ones are filled by the even-odd rule, so that a loop inside
    /// another is a hole.
    pub(super) fn path(&mut self, lines: &[Vec<(f64, f64)>], closed: bool, fill: Option<Rgb>, stroke: Option<Stroke>) {
        let mut data = String::new();
        for line in lines {
            for (index, &(x, y)) in line.iter().enumerate() {
                let command = if index == 0 { 'M' } else { 'L' };
                // Writing to a String cannot fail.
                let _ = write!(data, "{command}{} {}", number(x), number(y));
            }
            if closed && !line.is_empty() {
                data.push('Z');
            }
        }
        if data.is_empty() {
            return;
        }
        let fill = fill.map_or("none".to_string(), Rgb::hex);
        let stroke = stroke.map(|stroke| stroke.attributes()).unwrap_or_default();
        self.element(format_args!("<path d=\"{data}\" fill=\"{fill}\" fill-rule=\"evenodd\" {stroke}/>"));
    }

    /// Writes a text whose baseline passes through the position.
    pub(super) fn text(&mut self, x: f64, y: f64, text: &str, face: Type) {
        let anchor = match face.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let class = if face.on_cell { " class=\"cell\"" } else { "" };
        let weight = if face.bold { " font-weight=\"bold\"" } else { "" };
        let (x, y) = (number(x), number(y));
        let turn = if face.turn == 0.0 {
            String::new()
        } else {
            format!(" transform=\"rotate({} {x} {y})\"", number(face.turn))
        };
        self.element(format_args!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\" fill=\"{}\"{class}{anchor}{weight}{turn}>{}</text>",
            number(face.size),
            face.colour.hex(),
            escape(text)
        ));
    }

    /// Writes a text with a white edge, readable on any background.
    pub(super) fn halo_text(&mut self, x: f64, y: f64, text: &str, face: Type) {
        self.element(format_args!("<g stroke=\"#ffffff\" stroke-width=\"3\">"));
        self.text(x, y, text, Type { colour: WHITE, ..face });
        self.element(format_args!("</g>"));
        self.text(x, y, text, face);
    }

    /// Inserts elements drawn `scale` times too large.
    pub(super) fn insert_scaled(&mut self, elements: &str, scale: f64) {
        self.element(format_args!("<g transform=\"scale({})\">\n{}</g>", 1.0 / scale, elements));
    }

    /// Inserts another document at a place.
    pub(super) fn embed(&mut self, x: f64, y: f64, document: &str) {
        let body = document.strip_prefix("<svg").unwrap_or(document);
        self.element(format_args!("<svg x=\"{}\" y=\"{}\"{body}", number(x), number(y)));
    }

    /// The document.
    pub(super) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    fn element(&mut self, element: std::fmt::Arguments) {
        let _ = writeln!(self.text, "{element}");
    }
}

/// A coordinate with two decimals at most: a hundredth of a pixel is more than anybody sees.
fn number(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    // Adding zero turns -0 into 0.
    format!("{}", if rounded.is_finite() { rounded + 0.0 } else { 0.0 })
}

/// A text as XML and HTML carry it. Control characters that XML forbids become the replacement character.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(character),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}
