//! From SVG text to pixels, with the bundled font.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb::Database};

use super::ReportError;
use super::svg::{Svg, Type};
use crate::file::write_whole;

/// How many pixels of a PNG file one unit of the drawing takes: sharp on dense screens and in print.
const PNG_SCALE: f32 = 2.0;

/// Noto Sans answers for every generic family a drawing names: the machine may have no fonts at all, and a picture made
/// by a test must be the same everywhere.
fn fonts() -> Arc<Database> {
    static FONTS: OnceLock<Arc<Database>> = OnceLock::new();
    FONTS
        .get_or_init(|| {
            let mut fonts = Database::new();
            fonts.load_font_data(ttf_noto_sans::REGULAR.to_vec());
            fonts.load_font_data(ttf_noto_sans::BOLD.to_vec());
            for set in [Database::set_sans_serif_family, Database::set_serif_family, Database::set_monospace_family] {
                set(&mut fonts, "Noto Sans");
            }
            Arc::new(fonts)
        })
        .clone()
}

fn parse(svg: &str) -> Result<Tree, ReportError> {
    let options = Options { fontdb: fonts(), font_family: "Noto Sans".to_string(), ..Options::default() };
    Tree::from_str(svg, &options)
        .map_err(|error| ReportError::Draw { what: "the SVG".to_string(), message: error.to_string() })
}

/// Draws SVG text into pixels, `scale` of them to one unit of the drawing.
pub(crate) fn rasterise(svg: &str, scale: f32) -> Result<Pixmap, ReportError> {
    let tree = parse(svg)?;
    let side = |length: f32| (length * scale).round() as u32;
    let (width, height) = (side(tree.size().width()), side(tree.size().height()));
    let mut pixels = Pixmap::new(width, height).ok_or_else(|| ReportError::Draw {
        what: "the PNG".to_string(),
        message: format!("{width} x {height} pixels are none, or more than a picture can have"),
    })?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    Ok(pixels)
}

pub(crate) fn encode(pixels: &Pixmap) -> Result<Vec<u8>, ReportError> {
    pixels.encode_png().map_err(|error| ReportError::Draw { what: "the PNG".to_string(), message: error.to_string() })
}

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

/// Writes a drawing into a folder twice, as `name.svg` and `name.png`.
pub fn save_svg_and_png(folder: &Path, name: &str, svg: &str) -> Result<(), ReportError> {
    ["svg", "png"].into_iter().try_for_each(|extension| save_drawing(&folder.join(format!("{name}.{extension}")), svg))
}

/// How wide a text is, in pixels, in the bundled font.
pub(crate) fn text_width(text: &str, face: Type) -> f64 {
    let mut svg = Svg::new(10.0, 10.0, "");
    svg.text(0.0, 0.0, text, Type { turn: 0.0, ..face });
    let measured = parse(&svg.finish()).ok().and_then(|tree| {
        let bounds = tree.root().children().last()?.abs_bounding_box();
        Some(f64::from(bounds.width()))
    });
    // The estimate only serves a text without glyphs, such as an empty one.
    let drawn = text.chars().any(|character| !character.is_whitespace());
    if drawn { measured.unwrap_or(0.6 * face.size * text.chars().count() as f64) } else { 0.0 }
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
