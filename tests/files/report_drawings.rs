//! What the drawings show, read back from the SVG's elements and the PNG's pixels.

use std::path::Path;

use gputrain::report::{
    Axis, Block, Chart, ColourMap, ConfusionMatrix, Event, ImageGrid, Landscape, Look, Picture, ReportError, Rgb,
    Series, Tile, save_drawing, series_colour, svg_to_png, weight_grid,
};
use resvg::usvg::roxmltree::{Document, Node};

/// Charts are drawn ten times too large inside a scaled group.
const FINE: f64 = 10.0;

fn chart(series: Vec<Series>) -> Chart {
    Chart { title: "run".into(), x: Axis::new("epoch", ""), y: Axis::new("loss", ""), series, events: Vec::new() }
}

fn number(node: Node, attribute: &str) -> f64 {
    node.attribute(attribute).unwrap().parse().unwrap()
}

fn texts(document: &Document) -> Vec<String> {
    let nodes = document.descendants().filter(|node| node.has_tag_name("text"));
    nodes.map(|node| node.text().unwrap_or_default().trim().to_string()).collect()
}

/// The points of the lines of the `index`th series' colour, in pixels.
fn lines(document: &Document, index: usize) -> Vec<Vec<(f64, f64)>> {
    let colour = series_colour(index).hex();
    let nodes = document.descendants().filter(|node| {
        node.has_tag_name("polyline") && node.attribute("stroke").is_some_and(|s| s.eq_ignore_ascii_case(&colour))
    });
    let point = |text: &str| {
        let (x, y) = text.split_once(',').unwrap();
        (x.parse::<f64>().unwrap() / FINE, y.parse::<f64>().unwrap() / FINE)
    };
    nodes.map(|node| node.attribute("points").unwrap().split_whitespace().map(point).collect()).collect()
}

/// The centre of a tick label inside the plot's group, in pixels.
fn tick(document: &Document, label: &str) -> (f64, f64) {
    let node = document
        .descendants()
        .filter(|node| node.has_tag_name("text") && node.parent().unwrap().has_tag_name("g"))
        .find(|node| node.text().unwrap().trim() == label)
        .unwrap_or_else(|| panic!("no tick {label}"));
    (number(node, "x") / FINE, number(node, "y") / FINE)
}

struct Pixels {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

impl Pixels {
    fn decode(png: &[u8]) -> Pixels {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut data = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut data).unwrap();
        assert_eq!(info.color_type, png::ColorType::Rgba);
        Pixels { width: info.width as usize, height: info.height as usize, data }
    }

    fn at(&self, x: f64, y: f64) -> Rgb {
        let place = 4 * (y as usize * self.width + x as usize);
        Rgb(self.data[place], self.data[place + 1], self.data[place + 2])
    }
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 0.11
}

#[test]
fn points_land_where_the_axes_say() {
    let svg = chart(vec![Series::new("a", vec![(0.0, 0.0), (5.0, 1.0), (10.0, 0.5)])]).svg(720, 420).unwrap();
    let document = Document::parse(&svg).unwrap();
    let line = &lines(&document, 0)[0];
    let (left, right) = (tick(&document, "0").0, tick(&document, "10").0);
    let (bottom, top) = (tick(&document, "0.0").1, tick(&document, "1.0").1);
    assert!(right - left > 500.0 && bottom - top > 200.0, "{left} {right} {bottom} {top}");
    let expected = [(left, bottom), ((left + right) / 2.0, top), (right, (top + bottom) / 2.0)];
    for (point, expected) in line.iter().zip(expected) {
        assert!(close(point.0, expected.0) && close(point.1, expected.1), "{point:?} is not {expected:?}");
    }
}

#[test]
fn points_land_where_a_logarithmic_axis_says() {
    let chart = chart(vec![Series::new("a", vec![(0.0, 0.01), (1.0, 0.1), (2.0, 10.0)])]);
    let svg = Chart { y: chart.y.clone().logarithmic(), ..chart }.svg(720, 420).unwrap();
    let document = Document::parse(&svg).unwrap();
    let heights: Vec<f64> = lines(&document, 0)[0].iter().map(|point| point.1).collect();
    let ticks = ["0.01", "0.1", "10"].map(|label| tick(&document, label).1);
    assert!(heights.iter().zip(ticks).all(|(a, b)| close(*a, b)), "{heights:?} {ticks:?}");
    assert!(close(ticks[0] - ticks[1], (ticks[0] - ticks[2]) / 3.0));
}

#[test]
fn what_is_not_a_number_is_a_gap() {
    let holes = vec![(1.0, 1.0), (2.0, 2.0), (3.0, f64::NAN), (4.0, 4.0), (5.0, 5.0), (6.0, f64::INFINITY), (7.0, 3.0)];
    let mut chart = chart(vec![Series::new("a", holes)]);
    let svg = chart.svg(720, 420).unwrap();
    let document = Document::parse(&svg).unwrap();
    assert_eq!(lines(&document, 0).iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
    // The lonely last point is a dot, larger than those on the lines.
    let circles: Vec<f64> =
        document.descendants().filter(|n| n.has_tag_name("circle")).map(|n| number(n, "r") / FINE).collect();
    assert_eq!(circles, [2.4, 2.4, 2.4, 2.4, 3.0]);
    assert!(!svg.contains("NaN") && !svg.contains("inf"));

    chart.y.log = true;
    chart.series[0].points = vec![(1.0, 1.0), (2.0, 2.0), (3.0, 0.0), (4.0, 4.0), (5.0, 5.0)];
    let svg = chart.svg(720, 420).unwrap();
    assert_eq!(lines(&Document::parse(&svg).unwrap(), 0).len(), 2);
}

#[test]
fn charts_without_much_to_show_are_still_charts() {
    for points in [vec![], vec![(3.0, 0.5)], vec![(f64::NAN, f64::NAN)], vec![(0.0, 7.0), (1.0, 7.0), (2.0, 7.0)]] {
        for log in [false, true] {
            let mut chart = chart(vec![Series::new("a", points.clone())]);
            chart.y.log = log;
            let svg = chart.svg(720, 420).unwrap();
            let document = Document::parse(&svg).unwrap();
            let finite = points.iter().any(|point| point.1.is_finite());
            assert_eq!(texts(&document).contains(&"no data".to_string()), !finite, "{points:?}");
            assert!(!svg.contains("NaN"));
        }
    }
    let error = chart(vec![]).svg(100, 50).unwrap_err().to_string();
    assert!(error.contains("100 x 50"), "{error}");
}

#[test]
fn texts_are_escaped_and_present() {
    let name = "<script>alert(\"x\")</script> & 'y'";
    let mut chart = chart(vec![Series::new(name, vec![(0.0, 1.0), (1.0, 2.0)])]);
    chart.title = "a < b & c".into();
    chart.y = Axis::new("accuracy", "%");
    let svg = chart.svg(720, 420).unwrap();
    assert!(!svg.contains("<script"));
    let document = Document::parse(&svg).unwrap();
    let texts = texts(&document);
    for text in ["a < b & c", name, "accuracy (%)", "epoch"] {
        assert!(texts.contains(&text.to_string()), "{text} is not in {texts:?}");
    }
    assert_eq!(document.root_element().attribute("aria-label"), Some("a < b & c"));
    assert_eq!(document.root_element().attribute("font-family"), Some("sans-serif"));
}

#[test]
fn events_are_marked_at_their_place_and_labels_do_not_overlap() {
    let mut chart = chart(vec![Series::new("a", (0..=50).map(|x| (f64::from(x), 1.0 / f64::from(x + 1))).collect())]);
    let event = |x: f64, label: &str| Event { x, label: label.into() };
    chart.events = vec![event(20.0, "rate 0.25"), event(21.0, "early stop"), event(500.0, "outside")];
    let svg = chart.svg(720, 420).unwrap();
    let document = Document::parse(&svg).unwrap();
    let label = |text: &str| {
        let node = document.descendants().find(|n| n.has_tag_name("text") && n.text() == Some(text))?;
        Some((number(node, "x"), number(node, "y")))
    };
    let (first, second) = (label("rate 0.25").unwrap(), label("early stop").unwrap());
    assert!(close(first.0, tick(&document, "20").0));
    assert!(second.1 < first.1 - 10.0, "the second label is in a row of its own");
    assert_eq!(label("outside"), None);
    let top = lines(&document, 0)[0].iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
    assert!(first.1 < top);
}

#[test]
fn the_legend_is_above_the_plot_and_never_fills_the_chart() {
    for count in [2, 12, 200] {
        let series = (0..count).map(|i| {
            Series::new(&format!("a run with quite a long name {i}"), vec![(0.0, f64::from(i)), (1.0, f64::from(i))])
        });
        let svg = chart(series.collect()).svg(720, 420).unwrap();
        let document = Document::parse(&svg).unwrap();
        let legend = document.descendants().filter(|n| {
            n.has_tag_name("text") && n.text().is_some_and(|t| t.contains("long name") || t.starts_with("and "))
        });
        let lowest = legend.map(|node| number(node, "y")).fold(0.0, f64::max);
        let top = lines(&document, 1).iter().flatten().map(|point| point.1).fold(f64::INFINITY, f64::min);
        assert!(lowest > 0.0 && lowest < top && lowest < 230.0, "{count}: {lowest} {top}");
        assert_eq!(texts(&document).iter().any(|text| text.starts_with("and ")), count == 200);
    }
}

#[test]
fn many_points_are_thinned_without_losing_a_spike() {
    let mut points: Vec<(f64, f64)> = (0..100_000).map(|i| (f64::from(i), f64::from(i % 7))).collect();
    points[54_321].1 = 100.0;
    let svg = chart(vec![Series::new("a", points)]).svg(720, 420).unwrap();
    assert!(svg.len() < 60_000, "{} bytes", svg.len());
    let document = Document::parse(&svg).unwrap();
    let line = &lines(&document, 0)[0];
    let peak = line.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    assert!(close(peak.1, tick(&document, "100").1));
    let (left, right) = (line[0].0, line[line.len() - 1].0);
    assert!(close(peak.0, left + (right - left) * 54_321.0 / 99_999.0));
}

#[test]
fn more_series_than_colours_are_told_apart_by_markers() {
    let many = |count: u32| {
        chart((0..count).map(|n| Series::new(&format!("run {n}"), vec![(0.0, n.into()), (1.0, 2.0)])).collect())
    };
    let svg = many(35).svg(720, 900).unwrap();
    let document = Document::parse(&svg).unwrap();
    // The legend's keys: a line, and after it a marker where it has one.
    let mut keys: Vec<(String, String)> = Vec::new();
    for path in document.descendants().filter(|node| node.has_tag_name("path")) {
        match (path.attribute("fill").unwrap(), keys.last_mut()) {
            ("none", _) => keys.push((path.attribute("stroke").unwrap().into(), String::new())),
            (colour, Some((line, marker))) => {
                assert_eq!(line, colour);
                let points: Vec<Vec<f64>> = path
                    .attribute("d")
                    .unwrap()
                    .trim_matches(['M', 'Z'])
                    .split('L')
                    .map(|point| point.split(' ').map(|number| number.parse().unwrap()).collect())
                    .collect();
                *marker = format!("{} corners, {:.1}", points.len(), points[1][1] - points[0][1]);
            }
            _ => panic!("a marker without a line"),
        }
    }
    assert_eq!(keys.len(), 35);
    let different: std::collections::BTreeSet<&(String, String)> = keys.iter().collect();
    assert_eq!(different.len(), 35, "{keys:?}");
    // In the plot, each line beyond the seventh bears its markers.
    let polygons = document.descendants().filter(|node| node.has_tag_name("polygon")).count();
    assert_eq!(polygons, 2 * 28);
}

#[test]
fn points_stand_alone_and_references_are_grey() {
    let dots = Series { look: Look::Dots, ..Series::new("", vec![(0.0, 1.0), (1.0, 2.0), (2.0, 1.5)]) };
    let line = Series { look: Look::Reference, ..Series::new("", vec![(0.0, 1.0), (2.0, 1.0)]) };
    let svg = chart(vec![dots, line]).svg(720, 420).unwrap();
    let document = Document::parse(&svg).unwrap();
    assert_eq!(document.descendants().filter(|node| node.has_tag_name("circle")).count(), 3);
    assert!(lines(&document, 0).is_empty() && lines(&document, 1).is_empty());
    assert!(svg.to_ascii_lowercase().contains("#8a8a8a"));
}

#[test]
fn a_charts_block_has_room_for_its_legend_on_any_screen() {
    let names = (0..12).map(|n| format!("learning rate 0.00{n}, batch 50, glorot_uniform"));
    let chart = chart(names.clone().map(|name| Series::new(&name, vec![(0.0, 1.0), (1.0, 2.0)])).collect());
    let Block::Drawing { svg, narrow, .. } = chart.block((720, 420), "").unwrap() else { panic!() };
    for (svg, width) in [(svg, 720.0), (narrow.unwrap(), 330.0)] {
        let document = Document::parse(&svg).unwrap();
        assert_eq!(number(document.root_element(), "width"), width);
        let texts = texts(&document);
        assert!(
            names.clone().all(|name| texts.iter().any(|text| name.starts_with(text.trim_end_matches('…')))),
            "{texts:?}"
        );
        assert!(!texts.iter().any(|text| text.ends_with("more")), "{texts:?}");
    }
}

#[test]
fn a_band_surrounds_its_line() {
    let mut series = Series::new("a", vec![(0.0, 3.0), (1.0, 5.0)]);
    series.band = Some(vec![(0.0, 2.0, 4.0), (1.0, 4.0, 6.0)]);
    let svg = chart(vec![series]).svg(720, 420).unwrap();
    let document = Document::parse(&svg).unwrap();
    let polygon = document.descendants().find(|node| node.has_tag_name("polygon")).unwrap();
    let corner = |text: &str| text.split_once(',').map(|(_, y)| y.parse::<f64>().unwrap() / FINE).unwrap();
    let heights: Vec<f64> = polygon.attribute("points").unwrap().split_whitespace().map(corner).collect();
    let expected = ["4", "6", "4", "2"].map(|label| tick(&document, label).1);
    assert!(heights.iter().zip(expected).all(|(a, b)| close(*a, b)), "{heights:?} {expected:?}");
}

#[test]
fn png_has_the_lines_and_the_bundled_fonts_text() {
    let chart = chart(vec![Series::new("", vec![(0.0, 1.0), (10.0, 1.0)])]);
    let svg = chart.svg(720, 420).unwrap();
    let line = lines(&Document::parse(&svg).unwrap(), 0)[0].clone();
    let pixels = Pixels::decode(&svg_to_png(&svg, 2.0).unwrap());
    assert_eq!((pixels.width, pixels.height), (1440, 840));
    assert_eq!(pixels.at(2.0 * (line[0].0 + line[1].0) / 2.0, 2.0 * line[0].1), series_colour(0));
    // The title "run" is the only thing in the upper left corner.
    let ink = |x: usize, y: usize| pixels.at(x as f64, y as f64).0 < 0x80;
    let dark = (0..80).flat_map(|y| (0..200).map(move |x| (x, y))).filter(|&(x, y)| ink(x, y)).count();
    assert!((100..4000).contains(&dark), "{dark} dark pixels");
}

#[test]
fn drawings_are_saved_by_extension_and_leave_no_temporary_file() {
    let folder = tempfile::tempdir().unwrap();
    let chart = chart(vec![Series::new("a", vec![(0.0, 1.0), (1.0, 2.0)])]);
    chart.save(&folder.path().join("new/loss.svg")).unwrap();
    chart.save(&folder.path().join("new/loss.PNG")).unwrap();
    let names: Vec<_> = std::fs::read_dir(folder.path().join("new")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(std::fs::read(folder.path().join("new/loss.PNG")).unwrap().starts_with(b"\x89PNG"));
    let error = chart.save(Path::new("loss.jpg")).unwrap_err();
    assert!(matches!(error, ReportError::Format { .. }), "{error}");
    assert!(error.to_string().contains("loss.jpg"));
}

/// z = x over [0, 10] x [0, 1]
fn slope() -> Landscape {
    let xs: Vec<f64> = (0..=10).map(f64::from).collect();
    let heights = xs.iter().chain(&xs).copied().collect();
    let axis = |label: &str| Axis::new(label, "");
    Landscape {
        title: "slope".into(),
        x: Axis::new("component 1", "71 % of the variance"),
        y: axis("component 2"),
        z: axis("training loss"),
        xs,
        ys: vec![0.0, 1.0],
        heights,
        path: vec![(2.5, 0.5), (5.0, 0.5), (7.5, 0.5)],
    }
}

#[test]
fn contours_have_the_colours_of_the_heights_and_the_path_its_place() {
    let svg = slope().contour_svg(720, 520).unwrap();
    let document = Document::parse(&svg).unwrap();
    assert!(texts(&document).contains(&"component 1 (71 % of the variance)".to_string()));
    assert!(texts(&document).contains(&"training loss".to_string()));
    let (left, right) = (tick(&document, "0").0, tick(&document, "10").0);
    let pixels = Pixels::decode(&svg_to_png(&svg, 2.0).unwrap());
    let middle = 2.0 * (tick(&document, "0.4").1 + tick(&document, "0.6").1) / 2.0;
    for share in [0.03, 0.35, 0.97] {
        let x = 2.0 * (left + share * (right - left));
        let level = ((share * 16.0).floor() + 0.5) / 16.0;
        assert_eq!(pixels.at(x, middle + 60.0), ColourMap::Sequential.at(level), "at {share}");
    }
    let circles: Vec<(f64, f64)> = document
        .descendants()
        .filter(|n| n.has_tag_name("circle") && n.attribute("r") == Some("5"))
        .map(|n| (number(n, "cx"), number(n, "cy")))
        .collect();
    assert!((circles[0].0 - (left + 0.25 * (right - left))).abs() < 0.2 && (circles[0].1 - middle / 2.0).abs() < 0.2);
    assert!((circles[1].0 - (left + 0.75 * (right - left))).abs() < 0.2);
}

#[test]
fn a_surface_shows_every_cell_and_skips_what_is_no_number() {
    let mut landscape = slope();
    let cells = |svg: &str| {
        let document = Document::parse(svg).unwrap();
        let filled = |n: &Node| n.has_tag_name("path") && n.attribute("fill") != Some("none");
        document.descendants().filter(filled).count()
    };
    let svg = landscape.surface_svg(720, 560).unwrap();
    assert_eq!(cells(&svg), 10);
    let document = Document::parse(&svg).unwrap();
    for text in ["component 1 (71 % of the variance)", "component 2", "start", "end"] {
        assert!(texts(&document).contains(&text.to_string()));
    }
    landscape.heights[0] = f64::NAN;
    assert_eq!(cells(&landscape.surface_svg(720, 560).unwrap()), 9);
    // Nothing to see is not an error: a run can diverge everywhere.
    landscape.heights.fill(f64::INFINITY);
    assert_eq!(cells(&landscape.surface_svg(720, 560).unwrap()), 0);
    landscape.contour_svg(720, 520).unwrap();
}

#[test]
fn the_hidden_part_of_a_path_is_dashed() {
    // A wall all around a low middle: the path from the middle to the foot of the wall in front cannot be seen.
    let places: Vec<f64> = (0..=20).map(f64::from).collect();
    let wall = |x: f64, y: f64| if (2.0..=18.0).contains(&x) && (2.0..=18.0).contains(&y) { 0.0 } else { 10.0 };
    let heights = places.iter().flat_map(|&y| places.iter().map(move |&x| wall(x, y))).collect();
    let path = vec![(3.0, 3.0), (17.0, 3.0), (17.0, 17.0), (3.0, 17.0)];
    let deep = Landscape { xs: places.clone(), ys: places, heights, path, ..slope() };
    let dashes = |svg: &str| svg.matches("stroke-dasharray").count();
    assert_eq!(dashes(&deep.surface_svg(720, 560).unwrap()), 1);
    assert_eq!(dashes(&slope().surface_svg(720, 560).unwrap()), 0);
}

#[test]
fn landscapes_that_contradict_themselves_are_refused() {
    let mut short = slope();
    short.heights.pop();
    let error = short.contour_svg(720, 520).unwrap_err().to_string();
    assert!(error.contains("2 x 11 heights") && error.contains("21"), "{error}");
    let falling = Landscape { xs: (0..=10).map(|x| f64::from(-x)).collect(), ..slope() };
    assert!(falling.surface_svg(720, 520).unwrap_err().to_string().contains("rising"));
}

#[test]
fn image_grids_show_every_pixel_and_frame_the_wrong_ones() {
    let picture = |values: &[f32]| Picture::from_values([1, 2, 2], values, 0.0, 1.0).unwrap();
    let tile = |values: &[f32], wrong| Tile { picture: picture(values), caption: vec!["7 <→> 1".into()], wrong };
    let tiles = vec![tile(&[0.0, 1.0, 0.5, 0.0], false), tile(&[1.0, 1.0, 1.0, 1.0], true), tile(&[0.0; 4], false)];
    let grid = ImageGrid { title: String::new(), columns: 2, tiles, colour_bar: None };
    let pixels = Pixels::decode(&grid.png().unwrap());
    // 2 x 2 pixels are enlarged to 144 x 144; the margin is 36.
    let corner = |x: usize, y: usize| pixels.at((36 + 72 * x + 36) as f64, (36 + 72 * y + 36) as f64);
    assert_eq!([corner(0, 0), corner(1, 0)], [Rgb(0, 0, 0), Rgb(255, 255, 255)]);
    assert_eq!([corner(0, 1), corner(1, 1)], [Rgb(128, 128, 128), Rgb(0, 0, 0)]);
    let red = Rgb(0xc6, 0x1a, 0x09);
    let count = |from: usize, to: usize| {
        let places = (0..pixels.height).flat_map(|y| (from..to).map(move |x| (x, y)));
        places.filter(|&(x, y)| pixels.at(x as f64, y as f64) == red).count()
    };
    assert_eq!(count(0, 36 + 144 + 8), 0);
    assert!(count(36 + 144 + 8, pixels.width) > 4 * 144);
    // Two rows of pictures and captions.
    assert!(pixels.height > 2 * 144 + 36 && pixels.width < 3 * 164 + 72);
}

#[test]
fn colour_pictures_and_bad_shapes() {
    let values = [1.0, 0.0, 0.0];
    let tile =
        Tile { picture: Picture::from_values([3, 1, 1], &values, 0.0, 1.0).unwrap(), caption: vec![], wrong: false };
    let grid = ImageGrid { columns: 1, tiles: vec![tile.clone()], ..ImageGrid::default() };
    assert_eq!(Pixels::decode(&grid.png().unwrap()).at(100.0, 100.0), Rgb(255, 0, 0));

    assert!(Picture::from_values([2, 1, 1], &[0.0; 2], 0.0, 1.0).is_err());
    let error = Picture::from_values([1, 28, 28], &[0.0; 783], 0.0, 1.0).unwrap_err().to_string();
    assert!(error.contains("1 x 28 x 28") && error.contains("783"), "{error}");
    let other = Tile { picture: Picture::from_values([1, 2, 1], &[0.0; 2], 0.0, 1.0).unwrap(), ..tile.clone() };
    let mixed = ImageGrid { columns: 2, tiles: vec![tile, other], ..ImageGrid::default() };
    assert!(mixed.png().unwrap_err().to_string().contains("2 x 1 at place 1"));
    assert!(ImageGrid::default().png().is_err());
}

#[test]
fn weights_are_red_and_blue_around_zero() {
    let grid = weight_grid("first layer", &[-2.0, 2.0, 0.0, 1.0], [2, 1, 1, 2]).unwrap();
    assert_eq!(grid.tiles.len(), 2);
    let map = ColourMap::Diverging;
    let expected = Picture::mapped([1, 2], &[-2.0, 2.0], -2.0, 2.0, map).unwrap();
    assert_eq!(grid.tiles[0].picture, expected);
    assert_eq!(grid.colour_bar.as_ref().map(|bar| (bar.low, bar.high)), Some((-2.0, 2.0)));
    let red = map.at(1.0);
    assert!(red.0 > red.2 && map.at(0.0).2 > map.at(0.0).0);
    assert!(weight_grid("short", &[0.0; 3], [2, 1, 1, 2]).unwrap_err().to_string().contains("2 x 1 x 1 x 2"));
    // Many small units still make one picture.
    let many = weight_grid("100 units", &vec![0.1; 100 * 784], [100, 1, 28, 28]).unwrap().png().unwrap();
    assert!(Pixels::decode(&many).width > 900);
}

#[test]
fn confusion_matrices_count_and_tell_the_accuracy() {
    let classes = vec!["cat".to_string(), "<dog>".to_string(), "none".to_string()];
    let matrix = ConfusionMatrix::new(classes, vec![8, 2, 0, 1, 3, 0, 0, 0, 0]).unwrap();
    assert_eq!(matrix.accuracy(0), Some(0.8));
    assert_eq!(matrix.accuracy(2), None);
    let rows = matrix.table().rows;
    assert_eq!(rows[0], ["cat", "10", "8", "80.00 %", "<dog> (2 times)"]);
    assert_eq!(rows[2], ["none", "0", "0", "–", ""]);
    let svg = matrix.svg();
    let document = Document::parse(&svg).unwrap();
    let texts = texts(&document);
    for text in ["<dog>", "8", "3", "predicted", "true"] {
        assert!(texts.contains(&text.to_string()), "{text} is not in {texts:?}");
    }
    assert!(ConfusionMatrix::new(vec!["a".into()], vec![1, 2]).is_err());
    save_drawing(&tempfile::tempdir().unwrap().path().join("m.png"), &svg).unwrap();
}
