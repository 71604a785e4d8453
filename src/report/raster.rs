//! From SVG text to files, and the width of texts in the bundled font.

use std::path::Path;

use super::ReportError;
use super::pixels::{self, encode, rasterise};
use super::svg::{Svg, Type};
use crate::file::write_whole;

/// How many pixels of a PNG file one unit of the drawing takes: sharp on dense screens and in print.
const PNG_SCALE: f32 = 2.0;

/// Renders SVG text to a PNG file's bytes, with `scale` pixels to one unit of the drawing.
pub fn svg_to_png(svg: &str, scale: f32) -> Result<Vec<u8>, ReportError> {
    encode(&rasterise(svg, scale)?)
}

/// Writes a drawing to a file, as SVG or PNG by the file's extension, atomically.
pub fn save_drawing(path: &Path, svg: &str) -> Result<(), ReportError> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some(extension) if extension.eq_ignore_ascii_case("svg") => Ok(write_whole(path, svg.as_bytes())?),
        Some(extension) if extension.eq_ignore_ascii_case("png") => {
            Ok(write_whole(path, &svg_to_png(svg, PNG_SCALE)?)?)
        }
        _ => Err(ReportError::Format { path: path.to_path_buf() }),
    }
}

/// Writes a drawing into a folder twice, as `name.svg` and `name.png`; without the feature `png` only the former.
pub fn save_svg_and_png(folder: &Path, name: &str, svg: &str) -> Result<(), ReportError> {
    let extensions: &[&str] = if cfg!(feature = "png") { &["svg", "png"] } else { &["svg"] };
    extensions.iter().try_for_each(|extension| save_drawing(&folder.join(format!("{name}.{extension}")), svg))
}

/// How wide a text is, in pixels, in the bundled font.
pub(crate) fn text_width(text: &str, face: Type) -> f64 {
    let mut svg = Svg::new(10.0, 10.0, "");
    svg.text(0.0, 0.0, text, Type { turn: 0.0, ..face });
    let measured = pixels::width_of_last(&svg.finish());
    // The estimate serves a text without glyphs, and builds without the font.
    let drawn = text.chars().any(|character| !character.is_whitespace());
    if drawn { measured.unwrap_or(0.6 * face.size * text.chars().count() as f64) } else { 0.0 }
}

/// What a class is called in a drawing. The bundled font has Latin, Greek and Cyrillic: for all else a PNG shows boxes, where a browser takes
/// its own fonts, so that such a name stands behind the number of its class. A mark ends what is written from right to left.
pub(crate) fn drawn_name(class: usize, name: &str) -> String {
    let is_drawn = |c| matches!(c, '\0'..='\u{527}' | '\u{1d00}'..='\u{20ba}' | '\u{2105}'..='\u{25e6}');
    if name.chars().all(is_drawn) { name.to_string() } else { format!("{class}: {name}\u{200e}") }
}

/// The text cut to fit a width, with an ellipsis where something is missing.
pub(crate) fn fit_text(text: &str, face: Type, width: f64) -> String {
    if text_width(text, face) <= width {
        return text.to_string();
    }
    let characters: Vec<char> = text.chars().collect();
    let cut = |length: usize| characters[..length].iter().collect::<String>().trim_end().to_string() + "…";
    // The longest beginning that fits, by bisection.
    let (mut low, mut high) = (0, characters.len());
    while low + 1 < high {
        let middle = (low + high) / 2;
        if text_width(&cut(middle), face) <= width { low = middle } else { high = middle }
    }
    cut(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_bundled_font_lacks_stand_behind_numbers() {
        for name in ["cat", "größe – µm²", "Кот", "γάτα", "≤ 5 €", "→"] {
            assert_eq!(drawn_name(3, name), name);
        }
        for name in ["قط", "猫", "고양이", "ねこ", "חתול", "☀", "🦀"] {
            assert_eq!(drawn_name(3, name), format!("3: {name}\u{200e}"));
        }
    }
}
