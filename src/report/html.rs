//! Self-contained HTML pages: one file with its drawings, styles and, for a panel, scripts inside, nothing from the network.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;

use super::ReportError;
use super::colour::{COLOURS, GRID, INK, MARK, MUTED, Rgb, WHITE, series_colour};
use super::images::{ImageGrid, Shown};
use super::svg::escape;
use super::ticks::short_number;
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
        /// The same for narrow screens; without it, these scroll through the other.
        narrow: Option<String>,
        /// A line below it; may be empty.
        caption: String,
    },
    /// Pictures with what is written below each, in as many columns as the screen has room for.
    Pictures {
        /// The pictures.
        grid: ImageGrid,
        /// A line below them; may be empty.
        caption: String,
    },
    /// Links with a short text each.
    Links(Vec<Link>),
    /// A part with a style and scripts of its own, which is put into the page as it is.
    Markup(String),
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
    /// The file that each row leads to, relative to the page; empty for a row that leads nowhere.
    pub links: Vec<String>,
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

/// A section of six figures or more has them in two columns where there is room, as they are drawn for narrow screens.
///
/// Colours are named once, and named anew for dark screens. Drawings come in the colours of a white page: on a dark one, those of
/// their texts, axes and ground are exchanged, and black lines.
const STYLE: &str = "\
:root{color-scheme:light dark;--page:#f4f5f7;--sheet:#fff;--ink:#222;--muted:#5a5a5a;--line:#e2e4e8;--rule:#c9ccd1;\
--code:#f6f7f9;--best:#e8f3ec;--link:#0063a0;--wrong:#c61a09}\
*{box-sizing:border-box}\
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}\
main{max-width:1090px;margin:2rem auto;padding:2.2rem 2.6rem;background:var(--sheet);border:1px solid var(--line);\
border-radius:8px}\
h1{font-size:1.9rem;line-height:1.2;margin:0;overflow-wrap:anywhere}\
h2{font-size:1.25rem;margin:2.4rem 0 .8rem;padding-bottom:.3rem;border-bottom:1px solid var(--line)}\
p{max-width:75ch;overflow-wrap:anywhere}.subtitle{color:var(--muted);margin:.4rem 0 0}\
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:.8rem;margin:1rem 0}\
.figures div{border:1px solid var(--line);border-radius:6px;padding:.7rem .9rem;overflow-wrap:anywhere}\
.figures b{display:block;font-size:1.3rem;line-height:1.3;font-weight:600}.figures span{color:var(--muted);font-size:.85rem}\
.wide{overflow-x:auto}table{border-collapse:collapse;margin:.8rem 0;font-size:.93rem}\
th,td{padding:.35rem .9rem .35rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}\
th{border-bottom:2px solid var(--rule);font-weight:600;vertical-align:bottom}td{overflow-wrap:break-word;max-width:20rem}\
.number{text-align:right;font-variant-numeric:tabular-nums}td.number{white-space:nowrap}\
tr.best td{font-weight:600;background:var(--best)}\
tr.leads{position:relative}tr.leads:hover td{background:var(--code)}td a::after{content:'';position:absolute;inset:0}\
figure{margin:1.2rem 0}figure svg{display:block;width:100%;height:auto}figure svg,figure svg text{font-family:inherit}\
figcaption{color:var(--muted);font-size:.9rem;margin-top:.4rem;max-width:75ch}\
.narrow{display:none}\
.tiles{display:grid;gap:.8rem .5rem;font-size:.78rem;line-height:1.3}\
.tiles div{text-align:center;overflow-wrap:anywhere}.tiles img{display:block;margin:0 auto .25rem;max-width:100%;\
outline:1px solid var(--rule)}.tiles .sharp{image-rendering:pixelated}\
.tiles .wrong{color:var(--wrong)}.tiles .wrong img{outline:2px solid var(--wrong)}\
.bar{display:flex;align-items:center;gap:.5rem;margin:.4rem 0 .8rem;color:var(--muted);font-size:.85rem}\
.bar i{width:9rem;height:.8rem;border:1px solid var(--rule)}\
pre{background:var(--code);border:1px solid var(--line);border-radius:6px;padding:.9rem 1rem;overflow-x:auto;\
font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}\
ul{padding-left:1.2rem}li{margin:.4rem 0}a{color:var(--link)}footer{margin-top:2.6rem;color:var(--muted);font-size:.85rem}\
@media print{body{background:#fff}main{border:0;margin:0;padding:0;max-width:none}figure,tr{break-inside:avoid}\
h2{break-after:avoid}pre{white-space:pre-wrap}}\
@media(max-width:600px){main{margin:0;padding:1.2rem;border:0;border-radius:0}.drawing:has(+.narrow){display:none}\
.narrow{display:block}.drawing{overflow-x:auto}.drawing:not(.narrow) svg{width:auto;max-width:none}\
.figures{grid-template-columns:repeat(auto-fit,minmax(120px,1fr))}\
:is(td,th):not(.number):not(:empty){min-width:6.5rem}}\
@media screen and (min-width:900px){section:has(>figure:nth-of-type(6)){display:grid;grid-template-columns:1fr 1fr;gap:0 2rem}\
section:has(>figure:nth-of-type(6))>:not(figure){grid-column:1/-1}\
section:has(>figure:nth-of-type(6)) .drawing:has(+.narrow){display:none}\
section:has(>figure:nth-of-type(6)) .narrow{display:block}}\
@media screen and (prefers-color-scheme:dark){\
:root{--page:#0f1113;--sheet:#191c20;--ink:#e4e6e9;--muted:#a3a9b1;--line:#30353c;--rule:#4a515a;--code:#22262b;\
--best:#1d3527;--link:#6cb8f0;--wrong:#ff7b6b}";

/// What browsers hold the page to: nothing is fetched.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:";

/// The rules that exchange the colours of drawings on dark screens.
fn dark_drawings() -> String {
    let black = series_colour(COLOURS - 1);
    // On a dark ground the other colours of lines stand out enough, and a lighter blue would be another of them.
    let exchanged =
        [(INK, "var(--ink)"), (MUTED, "var(--muted)"), (GRID, "var(--line)"), (MARK, "#7d858e"), (black, "#f2f2f2")];
    let rule = |(colour, to): (Rgb, &str)| {
        let hex = colour.hex();
        // Cells of a matrix keep their colours, and so do the texts on them.
        format!(
            "figure svg :not(.cell)[fill=\"{hex}\" i]{{fill:{to}}}figure svg :not(.cell)[stroke=\"{hex}\" i]{{stroke:{to}}}"
        )
    };
    let white = WHITE.hex();
    let ground = format!(
        "figure svg>rect:first-of-type{{fill:var(--sheet)}}figure svg g[stroke=\"{white}\"],\
         figure svg rect[stroke=\"{white}\"]{{stroke:var(--sheet)}}figure svg g[stroke=\"{white}\"] text{{fill:var(--sheet)}}"
    );
    exchanged.map(rule).concat() + &ground
}

impl Page {
    /// The page as HTML text.
    pub fn html(&self) -> String {
        let title = escape(&self.title);
        let mut html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n<title>{title}</title>\n<style>{STYLE}{}}}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n",
            dark_drawings()
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
            Block::Drawing { svg, narrow, caption } => {
                let narrow = narrow.as_ref().map(|svg| format!("<div class=\"drawing narrow\">{svg}</div>"));
                let most = svg_width(svg).map(|width| format!(" style=\"max-width:{width}px\"")).unwrap_or_default();
                figure(
                    html,
                    &format!("<div class=\"drawing\"{most}>{svg}</div>{}", narrow.unwrap_or_default()),
                    caption,
                );
            }
            Block::Pictures { grid, caption } => match tiles(grid) {
                Ok(tiles) => figure(html, &tiles, caption),
                Err(missing) => {
                    line(html, format_args!("<p>Pictures are left out: {}.</p>", escape(&missing.to_string())))
                }
            },
            Block::Links(links) => {
                html.push_str("<ul>\n");
                for link in links {
                    let (href, title) = (escape(&link.href), escape(&link.title));
                    line(html, format_args!("<li><a href=\"{href}\">{title}</a> {}</li>", escape(&link.text)));
                }
                html.push_str("</ul>\n");
            }
            Block::Markup(markup) => html.push_str(markup),
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
            let link = self.links.get(index).filter(|link| !link.is_empty());
            let class = match (self.highlight == Some(index), link) {
                (false, None) => "",
                (true, None) => " class=\"best\"",
                (false, Some(_)) => " class=\"leads\"",
                (true, Some(_)) => " class=\"best leads\"",
            };
            let text = |(place, cell): (usize, &String)| match link.filter(|_| place == 0) {
                Some(link) => format!("<a href=\"{}\">{}</a>", escape(link), escape(cell)),
                None => escape(cell),
            };
            let cells = row.iter().enumerate().map(text).zip(&numbers);
            let cells: String = cells.map(|(cell, class)| format!("<td{class}>{cell}</td>")).collect();
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

/// How wide a drawing is shown at most, in pixels: by two fifths larger than it is drawn, so that its texts are as large as the page's.
fn svg_width(svg: &str) -> Option<f64> {
    let width: f64 = svg.split_once("width=\"")?.1.split_once('"')?.0.parse().ok()?;
    Some((1.4 * width).round())
}

/// The pictures of a grid, each with its own lines.
fn tiles(grid: &ImageGrid) -> Result<String, ReportError> {
    let bare = grid.tiles.iter().all(|tile| tile.caption.is_empty());
    let mut html = String::new();
    if let Some(bar) = &grid.colour_bar {
        let stops: Vec<String> = (0..=8).map(|stop| bar.map.at(f64::from(stop) / 8.0).hex()).collect();
        let (low, high) = (short_number(bar.low), short_number(bar.high));
        html += &format!(
            "<div class=\"bar\">{low}<i style=\"background:linear-gradient(90deg,{})\"></i>{high}</div>",
            stops.join(",")
        );
    }
    // As many columns as the grid has where there is room, fewer elsewhere.
    let gaps = 0.5 * (grid.columns.max(1) - 1) as f64;
    html += &format!(
        "<div class=\"tiles\" style=\"grid-template-columns:repeat(auto-fill,minmax(max({}px,\
         calc((100% - {gaps}rem)/{})),1fr))\">",
        if bare { 56 } else { 76 },
        grid.columns.max(1)
    );
    for tile in &grid.tiles {
        let Shown { png, width, height, sharp } = tile.picture.shown()?;
        let data = base64::engine::general_purpose::STANDARD.encode(png);
        let lines: Vec<String> = tile.caption.iter().map(|line| escape(line)).collect();
        html += &format!(
            "<div{}><img alt=\"{}\"{} width=\"{width}\" height=\"{height}\" src=\"data:image/png;base64,{data}\"/>{}</div>\n",
            if tile.wrong { " class=\"wrong\"" } else { "" },
            lines.join(", "),
            if sharp { " class=\"sharp\"" } else { "" },
            lines.join("<br/>")
        );
    }
    Ok(html + "</div>")
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
