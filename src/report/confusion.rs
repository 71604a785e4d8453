//! Which classes are taken for which.

use super::ReportError;
use super::colour::{ColourMap, INK, MUTED, WHITE};
use super::html::{Block, Table};
use super::raster::{drawn_name, fit_text, text_width};
use super::svg::{Anchor, Stroke, Svg, Type};

/// Counts of examples by true and predicted class.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfusionMatrix {
    classes: Vec<String>,
    counts: Vec<u64>,
}

const CELL: f64 = 44.0;
const MIN_CELL: f64 = 18.0;

impl ConfusionMatrix {
    /// A matrix for classes of these names; `counts` has a row per true class, in it a count per predicted class.
    pub fn new(classes: Vec<String>, counts: Vec<u64>) -> Result<ConfusionMatrix, ReportError> {
        if classes.is_empty() || counts.len() != classes.len().pow(2) {
            return Err(ReportError::Shape {
                what: "the confusion matrix".to_string(),
                expected: format!("{0} x {0} counts for {0} classes, at least one", classes.len()),
                found: counts.len().to_string(),
            });
        }
        Ok(ConfusionMatrix { classes, counts })
    }

    fn row(&self, class: usize) -> &[u64] {
        &self.counts[class * self.classes.len()..(class + 1) * self.classes.len()]
    }

    /// The share of a class' examples that were recognised; none for a class without examples.
    pub fn accuracy(&self, class: usize) -> Option<f64> {
        let row = self.row(class);
        let total: u64 = row.iter().sum();
        (total > 0).then(|| row[class] as f64 / total as f64)
    }

    /// The matrix as an SVG drawing: counts, coloured by their share of the true class.
    pub fn svg(&self) -> String {
        let count = self.classes.len() as f64;
        let cell = (620.0 / count).clamp(MIN_CELL, CELL);
        let face = Type::new(if cell < 26.0 { 9.0 } else { 12.0 });
        let names: Vec<String> = self.classes.iter().enumerate().map(|(class, name)| drawn_name(class, name)).collect();
        let widest = names.iter().map(|name| text_width(name, face)).fold(0.0, f64::max).min(140.0);
        // Names that are wider than a column are written upwards.
        let upwards = 1.1 * widest > cell - 6.0;
        let side = 1.15 * widest + 12.0;
        let (left, top) = (44.0 + side, 66.0 + if upwards { side } else { 22.0 });
        let (wide, high) = (left + count * cell + 18.0, top + count * cell + 18.0);
        let mut svg = Svg::new(wide.max(260.0), high, "confusion matrix");
        svg.text(18.0, 30.0, "Confusion matrix", Type::new(16.0).bold());
        let middle = count * cell / 2.0;
        svg.text(left + middle, 56.0, "predicted", Type::new(13.0).anchor(Anchor::Middle));
        svg.text(30.0, top + middle, "true", Type::new(13.0).anchor(Anchor::Middle).turn(-90.0));
        for (index, name) in names.iter().enumerate() {
            let name = fit_text(name, face, 140.0);
            let place = (index as f64 + 0.5) * cell;
            let face = face.colour(MUTED);
            svg.text(left - 8.0, top + place + 4.0, &name, face.anchor(Anchor::End));
            if upwards {
                svg.text(left + place + 4.0, top - 8.0, &name, face.turn(-90.0));
            } else {
                svg.text(left + place, top - 8.0, &name, face.anchor(Anchor::Middle));
            }
        }
        for class in 0..self.classes.len() {
            self.draw_row(&mut svg, class, (left, top + class as f64 * cell), cell);
        }
        svg.frame(left, top, count * cell, count * cell, Stroke::new(MUTED, 1.0));
        svg.finish()
    }

    fn draw_row(&self, svg: &mut Svg, class: usize, (left, top): (f64, f64), cell: f64) {
        let row = self.row(class);
        let total = row.iter().sum::<u64>().max(1) as f64;
        let digits = self.counts.iter().max().map_or(1, |count| count.to_string().len()) as f64;
        let size = (cell / (0.62 * digits)).min(12.0);
        for (predicted, &count) in row.iter().enumerate() {
            // The power makes rare confusions visible beside a full diagonal.
            let colour = ColourMap::Blues.at((count as f64 / total).powf(0.4));
            let x = left + predicted as f64 * cell;
            svg.cell(x, top, (cell, cell), colour);
            svg.frame(x, top, cell, cell, Stroke::new(WHITE, 1.0));
            if count > 0 {
                let ink = if colour.lightness() < 0.55 { WHITE } else { INK };
                let face = Type::new(size).colour(ink).anchor(Anchor::Middle).on_cell();
                svg.text(x + cell / 2.0, top + cell / 2.0 + 0.36 * size, &count.to_string(), face);
            }
        }
    }

    /// The examples and the accuracy of every class, and what each is most often taken for.
    pub fn table(&self) -> Table {
        let header = ["class", "examples", "correct", "accuracy", "most often taken for"];
        let row = |class: usize| {
            let counts = self.row(class);
            vec![
                self.classes[class].clone(),
                counts.iter().sum::<u64>().to_string(),
                counts[class].to_string(),
                self.accuracy(class).map_or("–".to_string(), |share| format!("{:.2} %", 100.0 * share)),
                self.taken_for(class).map_or(String::new(), |(other, times)| format!("{other} ({times} times)")),
            ]
        };
        Table {
            header: header.map(str::to_string).to_vec(),
            rows: (0..self.classes.len()).map(row).collect(),
            ..Table::default()
        }
    }

    /// The drawing as a part of a page.
    pub fn block(&self) -> Block {
        let caption = "Rows are true classes, columns predictions; colours follow the share of the row.".to_string();
        Block::Drawing { svg: self.svg(), narrow: None, caption }
    }

    /// What a class is most often taken for, and how often; none of a class that is always found.
    pub fn taken_for(&self, class: usize) -> Option<(&str, u64)> {
        let counts = self.row(class);
        let wrong = (0..counts.len()).filter(|&other| other != class && counts[other] > 0);
        let taken = wrong.max_by_key(|&other| (counts[other], std::cmp::Reverse(other)))?;
        Some((&self.classes[taken], counts[taken]))
    }
}
