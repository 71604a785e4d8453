//! The page of a sweep, and the page that leads to many.

use super::chart::Series;
use super::html::{Block, Link, Page, Section, Table};
use super::ticks::short_number;

/// What a sweep found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SweepReport {
    /// The heading.
    pub title: String,
    /// A line below it; may be empty.
    pub subtitle: String,
    /// The metric the table is sorted by, such as "validation_accuracy".
    pub metric: String,
    /// Whether a larger value of it is the better one.
    pub larger_is_better: bool,
    /// One row per combination of settings.
    pub rows: Vec<SweepRow>,
    /// What comes after the table: plots, the recipe, the retrained model.
    pub sections: Vec<Section>,
}

/// One combination of settings and what its trials reached.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SweepRow {
    /// What distinguishes the combination: (key, value). Every row should have the same keys.
    pub settings: Vec<(String, String)>,
    /// Metrics with their value in each trial: (name, values). The sweep's own metric is among them.
    pub metrics: Vec<(String, Vec<f64>)>,
    /// Trials that ended up guessing.
    pub collapsed: usize,
    /// Seconds of training a trial; 0 if that is not known.
    pub seconds: f64,
    /// The page of the run, relative to the sweep's page; may be empty.
    pub href: String,
}

impl SweepRow {
    /// How many trials there are, and what became of those that learned nothing.
    fn trials(&self, metric: &str) -> String {
        let values = self.values(metric);
        let diverged = values.iter().filter(|value| !value.is_finite()).count();
        let counts = [(self.collapsed, "collapsed"), (diverged, "diverged")];
        let lost: Vec<String> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        if lost.is_empty() { values.len().to_string() } else { format!("{}: {}", values.len(), lost.join(", ")) }
    }

    fn values(&self, metric: &str) -> &[f64] {
        self.metrics.iter().find(|(name, _)| name == metric).map_or(&[], |(_, values)| values)
    }
}

/// Whether a metric is read in per cent.
fn is_share(metric: &str) -> bool {
    metric.contains("accuracy")
}

/// The mean and the sample standard deviation of the numbers among the values; no deviation for a single one.
fn mean_and_spread(values: &[f64]) -> Option<(f64, Option<f64>)> {
    let values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((mean, (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())))
}

/// A metric over its trials as text: "97.42 ± 0.11 %", "0.0913 ± 0.0021". A trial without a result is counted.
pub fn trials_text(metric: &str, values: &[f64]) -> String {
    let failed = values.iter().filter(|value| !value.is_finite()).count();
    let failed = if failed > 0 { format!(" ({failed} failed)") } else { String::new() };
    let Some((mean, spread)) = mean_and_spread(values) else { return format!("–{failed}") };
    let factor = if is_share(metric) { 100.0 } else { 1.0 };
    let text = match spread.map(|spread| spread * factor) {
        None if factor == 1.0 => short_number(mean),
        None => format!("{:.2}", factor * mean),
        // Two digits of the spread; more would claim what is not known.
        Some(spread) => {
            let least = if factor == 1.0 { 4 } else { 2 };
            let decimals = if spread > 0.0 { (1.0 - spread.log10().floor()).clamp(0.0, 8.0) as usize } else { least };
            format!("{:.decimals$} ± {spread:.decimals$}", factor * mean)
        }
    };
    format!("{text}{}{failed}", if factor == 1.0 { "" } else { " %" })
}

/// The mean of a curve over trials, with a band of one standard deviation to both sides. Trials may have points at
/// different places; each place counts the trials that have a number there.
pub fn mean_over_trials(name: &str, trials: &[Vec<(f64, f64)>]) -> Series {
    let mut points: Vec<(f64, f64)> = trials.iter().flatten().copied().filter(|point| point.0.is_finite()).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut series = Series::new(name, Vec::new());
    let mut band = Vec::new();
    for place in points.chunk_by(|a, b| a.0 == b.0) {
        let values: Vec<f64> = place.iter().map(|point| point.1).collect();
        let x = place[0].0;
        let Some((mean, spread)) = mean_and_spread(&values) else {
            series.points.push((x, f64::NAN));
            continue;
        };
        let spread = spread.unwrap_or(0.0);
        series.points.push((x, mean));
        band.push((x, mean - spread, mean + spread));
    }
    series.band = (trials.len() > 1).then_some(band);
    series
}

impl SweepReport {
    /// The rows' numbers, best first; rows without a result last.
    fn order(&self) -> Vec<usize> {
        let key = |index: &usize| {
            let mean = mean_and_spread(self.rows[*index].values(&self.metric)).map(|(mean, _)| mean);
            match mean {
                Some(mean) if self.larger_is_better => -mean,
                Some(mean) => mean,
                None => f64::INFINITY,
            }
        };
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by(|a, b| key(a).total_cmp(&key(b)));
        order
    }

    /// The results as a table, best first: settings, then metrics as mean ± standard deviation over the trials.
    pub fn table(&self) -> Table {
        let order = self.order();
        let Some(first) = order.first().map(|&index| &self.rows[index]) else { return Table::default() };
        let settings = first.settings.iter().map(|(key, _)| key.clone());
        let metrics = first.metrics.iter().map(|(name, _)| name.replace('_', " "));
        let timed = self.rows.iter().any(|row| row.seconds > 0.0);
        let last = ["trials", "seconds"].into_iter().take(1 + usize::from(timed)).map(String::from);
        let header = ["rank".to_string()].into_iter().chain(settings).chain(metrics).chain(last);
        let row = |(rank, &index): (usize, &usize)| {
            let row = &self.rows[index];
            let mut cells = vec![format!("{}", rank + 1)];
            for (key, _) in &first.settings {
                let value = row.settings.iter().find(|setting| setting.0 == *key);
                cells.push(value.map_or("–".to_string(), |(_, value)| value.clone()));
            }
            cells.extend(first.metrics.iter().map(|(name, _)| trials_text(name, row.values(name))));
            cells.push(row.trials(&self.metric));
            if timed {
                cells.push(short_number(row.seconds));
            }
            cells
        };
        let rows: Vec<Vec<String>> = order.iter().enumerate().map(row).collect();
        let best = mean_and_spread(first.values(&self.metric)).map(|_| 0);
        let links = order.iter().map(|&index| self.rows[index].href.clone()).collect();
        Table { header: header.collect(), rows, highlight: best, links }
    }

    /// The page of the sweep.
    pub fn page(&self) -> Page {
        let order = self.order();
        let mut sections = Vec::new();
        if let Some(&best) = order.first().filter(|&&best| !self.rows[best].values(&self.metric).is_empty()) {
            let row = &self.rows[best];
            let result = (
                format!("best {}", self.metric.replace('_', " ")),
                trials_text(&self.metric, row.values(&self.metric)),
            );
            let figures = [result].into_iter().chain(row.settings.iter().cloned()).collect();
            sections.push(Section { title: "Best".to_string(), blocks: vec![Block::Figures(figures)] });
        }
        let sorted = format!(
            "Sorted by {}, best first. With several trials: mean ± standard deviation over all of them. Seconds are those \
             of one trial; trials that trained side by side share theirs. Each row leads to its run.",
            self.metric.replace('_', " ")
        );
        sections.push(Section {
            title: "Results".to_string(),
            blocks: vec![Block::Text(sorted), Block::Table(self.table())],
        });
        sections.extend(self.sections.iter().cloned());
        Page { title: self.title.clone(), subtitle: self.subtitle.clone(), sections }
    }
}

/// One experiment of a gallery.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GalleryEntry {
    /// What the experiment is.
    pub title: String,
    /// Its page, relative to the gallery's; empty if there is none.
    pub href: String,
    /// A sentence or two about it; may be empty.
    pub text: String,
    /// What came out: (what, value).
    pub figures: Vec<(String, String)>,
    /// What came out beside what was to be expected; may be empty.
    pub table: Table,
    /// A drawing (SVG text) that stands for the experiment; may be empty.
    pub svg: String,
    /// More pages and files, relative to the gallery's page.
    pub links: Vec<Link>,
}

/// The index page of a gallery.
pub fn gallery_page(title: &str, subtitle: &str, entries: &[GalleryEntry]) -> Page {
    let section = |entry: &GalleryEntry| {
        let mut blocks = Vec::new();
        if !entry.text.is_empty() {
            blocks.push(Block::Text(entry.text.clone()));
        }
        if !entry.figures.is_empty() {
            blocks.push(Block::Figures(entry.figures.clone()));
        }
        if !entry.table.rows.is_empty() {
            blocks.push(Block::Table(entry.table.clone()));
        }
        if !entry.svg.is_empty() {
            blocks.push(Block::Drawing { svg: entry.svg.clone(), narrow: None, caption: String::new() });
        }
        let report = (!entry.href.is_empty()).then(|| Link {
            href: entry.href.clone(),
            title: "Full report".to_string(),
            text: String::new(),
        });
        let links: Vec<Link> = report.into_iter().chain(entry.links.iter().cloned()).collect();
        if !links.is_empty() {
            blocks.push(Block::Links(links));
        }
        Section { title: entry.title.clone(), blocks }
    };
    Page { title: title.to_string(), subtitle: subtitle.to_string(), sections: entries.iter().map(section).collect() }
}
