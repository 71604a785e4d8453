//! Self-contained HTML pages: one file with its drawings and styles inside, no scripts, nothing from the network.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;

use super::svg::escape;
use crate::file::{FileError, write_whole};

/// A page, ready to be read by a person or handed in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The heading.
    pub title: String,
    /// A line below the heading; may be empty.
    pub subtitle: String,
    /// The parts of the page, in order.
    pub sections: Vec<Section>,
}

/// A part of a page under its own heading.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Section {
    /// The heading; may be empty.
    pub title: String,
    /// What the section shows.
    pub blocks: Vec<Block>,
}

/// What a section can show. All text is plain text: the page escapes it.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// Text in a fixed-width font with its line breaks kept, such as a recipe.
    Code(String),
    /// Large figures side by side: (what, value).
    Figures(Vec<(String, String)>),
    /// A table.
    Table(Table),
    /// A drawing: SVG text made by this module, which is put into the page as it is.
    Drawing {
        /// The drawing.
        svg: String,
        /// A line below it; may be empty.
        caption: String,
    },
    /// A picture: the bytes of a PNG file.
    Image {
        /// The file's content. It is shown at half its size, sharp on dense screens, as this module's pictures are meant.
        png: Vec<u8>,
        /// A line below it; may be empty.
        caption: String,
    },
    /// Links with a short text each.
    Links(Vec<Link>),
}

/// A table of texts. Columns whose cells are all numbers are aligned to the right.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// The heads of the columns; none for a table without a head.
    pub header: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
    /// The row to stand out, such as the best.
    pub highlight: Option<usize>,
}

/// A link to another file, relative to the page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Link {
    /// The file.
    pub href: String,
    /// The name to click on.
    pub title: String,
    /// What one finds there.
    pub text: String,
}

const STYLE: &str = "\
:root{color-scheme:light}*{box-sizing:border-box}\
body{margin:0;background:#f4f5f7;color:#222;font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}\
main{max-width:980px;margin:2rem auto;padding:2.2rem 2.6rem;background:#fff;border:1px solid #e2e4e8;border-radius:8px}\
h1{font-size:1.9rem;line-height:1.2;margin:0;overflow-wrap:anywhere}\
h2{font-size:1.25rem;margin:2.4rem 0 .8rem;padding-bottom:.3rem;border-bottom:1px solid #e2e4e8}\
.subtitle{color:#5a5a5a;margin:.4rem 0 0}\
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:.8rem;margin:1rem 0}\
.figures div{border:1px solid #e2e4e8;border-radius:6px;padding:.7rem .9rem;overflow-wrap:anywhere}\
.figures b{display:block;font-size:1.3rem;line-height:1.3;font-weight:600}.figures span{color:#5a5a5a;font-size:.85rem}\
.wide{overflow-x:auto}table{border-collapse:collapse;margin:.8rem 0;font-size:.93rem}\
th,td{padding:.35rem .9rem .35rem 0;text-align:left;vertical-align:top;border-bottom:1px solid #ececef}\
th{border-bottom:2px solid #c9ccd1;font-weight:600}\
.number{text-align:right;font-variant-numeric:tabular-nums}tr.best td{font-weight:600;background:#e8f3ec}\
figure{margin:1.2rem 0}figure svg,figure img{display:block;max-width:100%;height:auto}\
figcaption{color:#5a5a5a;font-size:.9rem;margin-top:.4rem}\
pre{background:#f6f7f9;border:1px solid #e2e4e8;border-radius:6px;padding:.9rem 1rem;overflow-x:auto;\
font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}\
ul{padding-left:1.2rem}li{margin:.4rem 0}a{color:#0063a0}footer{margin-top:2.6rem;color:#767676;font-size:.85rem}\
@media print{body{background:#fff}main{border:0;margin:0;padding:0;max-width:none}figure,tr{break-inside:avoid}\
h2{break-after:avoid}pre{white-space:pre-wrap}}\
@media(max-width:600px){main{margin:0;padding:1.2rem;border:0}}";

impl Page {
    /// The page as HTML text.
    pub fn html(&self) -> String {
        let title = escape(&self.title);
        let mut html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
        );
        if !self.subtitle.is_empty() {
            line(&mut html, format_args!("<p class=\"subtitle\">{}</p>", escape(&self.subtitle)));
        }
        for section in &self.sections {
            html.push_str("<section>\n");
            if !section.title.is_empty() {
                line(&mut html, format_args!("<h2>{}</h2>", escape(&section.title)));
            }
            section.blocks.iter().for_each(|block| block.write(&mut html));
            html.push_str("</section>\n");
        }
        let version = env!("CARGO_PKG_VERSION");
        line(&mut html, format_args!("<footer>Made by gputrain {version}.</footer>"));
        html.push_str("</main>\n</body>\n</html>\n");
        html
    }

    /// Writes the page to a file, atomically.
    pub fn save(&self, path: &Path) -> Result<(), FileError> {
        write_whole(path, self.html().as_bytes())
    }
}

impl Block {
    fn write(&self, html: &mut String) {
        match self {
            Block::Text(text) => line(html, format_args!("<p>{}</p>", escape(text))),
            Block::Code(text) => line(html, format_args!("<pre>{}</pre>", escape(text.trim_end()))),
            Block::Figures(figures) => {
                html.push_str("<div class=\"figures\">");
                for (what, value) in figures {
                    line(html, format_args!("<div><b>{}</b><span>{}</span></div>", escape(value), escape(what)));
                }
                html.push_str("</div>\n");
            }
            Block::Table(table) => table.write(html),
            Block::Drawing { svg, caption } => figure(html, svg, caption),
            Block::Image { png, caption } => {
                let data = base64::engine::general_purpose::STANDARD.encode(png);
                let width = png_width(png).map(|width| format!(" width=\"{}\"", width / 2)).unwrap_or_default();
                let image = format!("<img alt=\"{}\"{width} src=\"data:image/png;base64,{data}\">", escape(caption));
                figure(html, &image, caption);
            }
            Block::Links(links) => {
                html.push_str("<ul>\n");
                for link in links {
                    let (href, title) = (escape(&link.href), escape(&link.title));
                    line(html, format_args!("<li><a href=\"{href}\">{title}</a> {}</li>", escape(&link.text)));
                }
                html.push_str("</ul>\n");
            }
        }
    }
}

impl Table {
    fn write(&self, html: &mut String) {
        let columns = self.rows.iter().map(Vec::len).chain([self.header.len()]).max().unwrap_or(0);
        let numbers: Vec<&str> =
            (0..columns).map(|column| if self.is_numeric(column) { " class=\"number\"" } else { "" }).collect();
        html.push_str("<div class=\"wide\"><table>\n");
        if !self.header.is_empty() {
            let cells = self.header.iter().zip(&numbers);
            let cells: String = cells.map(|(cell, class)| format!("<th{class}>{}</th>", escape(cell))).collect();
            line(html, format_args!("<thead><tr>{cells}</tr></thead>"));
        }
        html.push_str("<tbody>\n");
        for (index, row) in self.rows.iter().enumerate() {
            let class = if self.highlight == Some(index) { " class=\"best\"" } else { "" };
            let cells = row.iter().zip(&numbers);
            let cells: String = cells.map(|(cell, class)| format!("<td{class}>{}</td>", escape(cell))).collect();
            line(html, format_args!("<tr{class}>{cells}</tr>"));
        }
        html.push_str("</tbody></table></div>\n");
    }

    /// Whether every cell of a column that holds anything holds a number, with its sign, spread or unit.
    fn is_numeric(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|row| row.get(column)).filter(|cell| !cell.is_empty()).peekable();
        let number = |cell: &String| {
            cell == "–" || cell.trim_start_matches(['−', '-', '±', ' ']).starts_with(|c: char| c.is_ascii_digit())
        };
        let marks = |cell: &String| {
            cell.chars()
                .all(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | ' ' | '−' | '-' | '+' | 'e' | '±' | '%' | '–'))
        };
        cells.peek().is_some() && cells.all(|cell| number(cell) && marks(cell))
    }
}

/// The width of a PNG file, which its header tells at a fixed place.
fn png_width(png: &[u8]) -> Option<u32> {
    let bytes = png.get(16..20)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

fn figure(html: &mut String, content: &str, caption: &str) {
    let caption =
        if caption.is_empty() { String::new() } else { format!("<figcaption>{}</figcaption>", escape(caption)) };
    line(html, format_args!("<figure>{content}{caption}</figure>"));
}

fn line(html: &mut String, text: std::fmt::Arguments) {
    // Writing to a String cannot fail.
    let _ = writeln!(html, "{text}");
}
