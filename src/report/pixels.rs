//! From SVG text to pixels, with the bundled font.

use std::sync::{Arc, OnceLock};

pub(crate) use resvg::tiny_skia::Pixmap;
use resvg::tiny_skia::Transform;
use resvg::usvg::{Options, Tree, fontdb::Database};

use super::ReportError;

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
    let mut pixels = blank(width, height)?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    Ok(pixels)
}

/// Pixels that nothing is drawn on.
pub(crate) fn blank(width: u32, height: u32) -> Result<Pixmap, ReportError> {
    Pixmap::new(width, height).ok_or_else(|| ReportError::Draw {
        what: "the PNG".to_string(),
        message: format!("{width} x {height} pixels are none, or more than a picture can have"),
    })
}

pub(crate) fn encode(pixels: &Pixmap) -> Result<Vec<u8>, ReportError> {
    pixels.encode_png().map_err(|error| ReportError::Draw { what: "the PNG".to_string(), message: error.to_string() })
}

/// The width of what an SVG text draws last, in units.
pub(crate) fn width_of_last(svg: &str) -> Option<f64> {
    let tree = parse(svg).ok()?;
    let bounds = tree.root().children().last()?.abs_bounding_box();
    Some(f64::from(bounds.width()))
}
