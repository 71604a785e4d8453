//! The panel of a run's report in which its model can be tried: the same markup, style and script as those of a page.

use super::{PANEL, PANEL_STYLE, PageData, filled};
use crate::export::SavedModel;
use crate::report::{Block, Section, escape};

/// Most bytes of weights in a report.
const MOST_WEIGHTS: usize = 2 << 20;

/// The part of a run's report that lets a visitor try the model, or says why it does not.
pub fn panel(saved: &SavedModel) -> Section {
    let bytes = 4 * saved.parameters.iter().map(Vec::len).sum::<usize>();
    if bytes > MOST_WEIGHTS {
        return without(&format!(
            "The model's weights take {bytes} bytes, more than the {MOST_WEIGHTS} that a report holds."
        ));
    }
    match PageData::of(saved) {
        Ok((data, notes)) => {
            let panel = filled(PANEL, &[("level", "3")]);
            let notes: String =
                notes.iter().map(|note| format!("<p class=\"hint\">{}</p>\n", escape(&sentence(note)))).collect();
            let markup = format!("<style>{PANEL_STYLE}</style>\n{panel}{notes}{}", data.scripts());
            Section { title: TITLE.into(), blocks: vec![Block::Markup(markup)] }
        }
        Err(error) => Section {
            title: TITLE.into(),
            blocks: vec![Block::Text(format!("There is no panel to try the model: {error}."))],
        },
    }
}

/// The same part where many reports are written, which are to stay small.
pub fn panel_left_out() -> Section {
    without("The reports of a sweep's runs hold no model, so that they stay small.")
}

const TITLE: &str = "Try it";

/// How to get what a report leaves out, for a reason.
fn without(reason: &str) -> Section {
    let command = "gputrain export . --to web page.html";
    let remedy =
        format!("{reason} In this report's folder, this command writes a page to try the model, with all in one file:");
    Section { title: TITLE.into(), blocks: vec![Block::Text(remedy), Block::Code(command.into())] }
}

/// A note as a sentence.
fn sentence(note: &str) -> String {
    let mut letters = note.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
