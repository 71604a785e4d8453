//! The answers that are wrong and surest, or furthest from the truth.

use super::super::Answers;
use super::{digits, words};
use crate::report::{Block, ReportError, Section, Table};

/// Mistakes that are drawn, and that are listed of examples that are no pictures.
const DRAWN: usize = 30;
const LISTED: usize = 15;

/// The first of some values.
fn first(values: &[f32], most: usize, text: impl Fn(f32) -> String) -> String {
    let shown: Vec<String> = values.iter().take(most).map(|value| text(*value)).collect();
    shown.join(" ") + if values.len() > most { " …" } else { "" }
}

/// The surest mistakes as pictures or, where the examples are none, as a table; none where nothing is wrong.
pub(super) fn section(set: &str, answers: &Answers) -> Result<Option<Section>, ReportError> {
    let Some((title, wrong)) = answers.mistakes() else { return Ok(None) };
    if wrong.is_empty() {
        return Ok(None);
    }
    let title = format!("{title}, {set} set");
    let count = wrong.len();
    if answers.are_drawn()
        && let Some(grid) = answers.grid_of(&wrong[..count.min(DRAWN)], String::new())?
    {
        let caption = match (answers.classes.is_some(), count > DRAWN) {
            (true, true) => format!("The surest {DRAWN} of {count} mistakes: each with the answer and the truth."),
            (true, false) => format!("All {count} mistakes, the surest first: each with the answer and the truth."),
            (false, _) => "Those whose outputs are furthest from the truth.".into(),
        };
        return Ok(Some(Section { title, blocks: vec![Block::Pictures { grid, caption }] }));
    }
    let row = |&index: &usize| match (answers.class(index), &answers.truth) {
        (Some((class, sure)), Some(truth)) => {
            let names = [truth[index], class].map(|class| answers.class_name(class));
            [index.to_string()].into_iter().chain(names).chain([format!("{sure:.4}")]).collect()
        }
        _ => {
            let shown = |values: &[f32]| match answers.bits {
                true => first(values, 16, |value| u8::from(value > 0.5).to_string()),
                false => first(values, 4, |value| digits(f64::from(value))),
            };
            let [truth, predicted] = [answers.targets(index).unwrap_or_default(), answers.outputs(index)].map(shown);
            vec![index.to_string(), truth, predicted, digits(answers.error(index))]
        }
    };
    let last = match (&answers.classes, answers.probable) {
        (Some(_), true) => "probability",
        (Some(_), false) => "output",
        (None, _) if answers.result.width > 1 => "largest error",
        (None, _) => "error",
    };
    let header = words(&["example", "truth", "prediction", last]);
    let rows = wrong.iter().take(LISTED).map(row).collect();
    let text = match answers.classes {
        Some(_) => format!(
            "{count} of {} answers are wrong; the surest of them. Examples are counted from 0.",
            answers.count()
        ),
        None => "Examples are counted from 0.".into(),
    };
    let blocks = vec![Block::Text(text), Block::Table(Table { header, rows, ..Table::default() })];
    Ok(Some(Section { title, blocks }))
}
