//! The page that leads to all experiments.

use super::figures::Shown;
use super::list::{Experiment, List};
use super::study::Status;
use super::{Outcome, state};
use gputrain::report::{Block, GalleryEntry, Link, Page, Section, Table, gallery_page};
use std::path::Path;

/// Experiments with what became of them, as a page. `subtitle` tells where they ran.
pub(super) fn page(
    list: &List,
    outcomes: &[(&Experiment, Outcome)],
    reduced: bool,
    out: &Path,
    subtitle: &str,
) -> Page {
    let entries: Vec<GalleryEntry> =
        outcomes.iter().map(|(experiment, outcome)| entry(list, experiment, outcome, reduced, out)).collect();
    let title = if reduced { "The gallery of gputrain (reduced)" } else { "The gallery of gputrain" };
    let mut page = gallery_page(title, subtitle, &entries);
    page.sections.insert(0, overview(outcomes, reduced));
    page
}

/// What was done, in one table.
fn overview(outcomes: &[(&Experiment, Outcome)], reduced: bool) -> Section {
    let row = |(experiment, outcome): &(&Experiment, Outcome)| {
        vec![experiment.title.clone(), state(&outcome.status).to_string(), format!("{:.1}", outcome.seconds)]
    };
    let header = ["experiment", "", "seconds"].map(String::from).into();
    let table = Block::Table(Table { header, rows: outcomes.iter().map(row).collect(), ..Table::default() });
    let mut blocks = vec![table];
    if reduced {
        let text = "Reduced: every experiment ran with fewer epochs, trials or examples, to show that all of them work. \
                    Their figures are not those of the experiments.";
        blocks.insert(0, Block::Text(text.into()));
    }
    let missing = outcomes.iter().filter(|(_, outcome)| matches!(outcome.status, Status::Missing(_)));
    let missing: Vec<&str> = missing.map(|(experiment, _)| experiment.name.as_str()).collect();
    if !missing.is_empty() {
        blocks.push(Block::Text(format!("Data is missing for {}.", missing.join(", "))));
    }
    Section { title: String::new(), blocks }
}

fn entry(list: &List, experiment: &Experiment, outcome: &Outcome, reduced: bool, out: &Path) -> GalleryEntry {
    let name = &experiment.name;
    let mut text = vec![experiment.text.clone()];
    if reduced && !experiment.reduced.is_empty() {
        text.push(format!("Reduced here: {}.", experiment.reduced.join("; ")));
    }
    match &outcome.status {
        Status::Missing(problem) => text.push(format!("Not done, since its data is missing: {problem}.")),
        Status::Failed(problem) => text.push(format!("Failed: {problem}.")),
        Status::Done | Status::Kept => {}
    }
    let there = |file: &str| out.join(name).join(file).is_file();
    let picture = experiment.picture.as_ref().map(|file| out.join(name).join(file));
    let retrained = there("best/report.html").then(|| Link {
        href: format!("{name}/best/report.html"),
        title: "The best, trained again".into(),
        text: String::new(),
    });
    let mark = if reduced && !experiment.reduced.is_empty() { " (reduced)" } else { "" };
    GalleryEntry {
        title: format!("{}{mark}", experiment.title),
        href: if there("report.html") { format!("{name}/report.html") } else { String::new() },
        text: text.join(" "),
        figures: Vec::new(),
        table: table(list, &outcome.figures, mark),
        svg: picture.and_then(|path| gputrain::file::read_text(&path).ok()).unwrap_or_default(),
        links: retrained.into_iter().collect(),
    }
}

/// Other people's figure, if there is one.
type Theirs = fn(&Shown) -> &Option<String>;

/// The figures, and other people's where there are any.
fn table(list: &List, figures: &[Shown], mark: &str) -> Table {
    let theirs: [(&String, Theirs); 2] =
        [(&list.coursework, |shown| &shown.coursework), (&list.pytorch, |shown| &shown.pytorch)];
    let theirs = theirs.iter().filter(|(_, of)| figures.iter().any(|shown| of(shown).is_some()));
    let own = ["".to_string(), format!("gputrain{mark}")].into_iter();
    let header = own.chain(theirs.clone().map(|(heading, _)| heading.to_string())).collect();
    let row = |shown: &Shown| {
        let own = [shown.what.clone(), shown.text.clone()].into_iter();
        own.chain(theirs.clone().map(|(_, of)| of(shown).clone().unwrap_or_default())).collect()
    };
    Table { header, rows: figures.iter().map(row).collect(), ..Table::default() }
}
