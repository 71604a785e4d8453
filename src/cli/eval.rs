//! `eval`: how good a trained model is.

use super::examples::{ExamplesArgs, evaluate};
use super::table::table;
use super::{CliError, Context};
use clap::Args;
use gputrain::export::SavedModel;
use gputrain::recipe::Precision;
use gputrain::report::{Block, ConfusionMatrix, Page, Section, save_svg_and_png};
use gputrain::run::{Answers, ValueScores};
use gputrain::train::Score;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A matrix of more classes is no longer readable as text.
const MAX_COLUMNS: usize = 20;

/// Evaluates a trained model: loss, accuracy, accuracy per class, confusion matrix
///
/// Without files, on the test set of the model's recipe. Examples:
///
///   gputrain eval runs/digits-20250101-120000
///   gputrain eval model.safetensors --images mnist.npz#x_test --labels mnist.npz#y_test --out evaluation
#[derive(Debug, Clone, Default, Args)]
#[command(verbatim_doc_comment)]
pub struct EvalArgs {
    #[command(flatten)]
    examples: ExamplesArgs,
    /// Writes confusion.svg, confusion.png and report.html into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// The summary.
#[derive(Debug, Serialize)]
struct Evaluation {
    name: String,
    model: PathBuf,
    data: String,
    examples: usize,
    /// Always `f32`: a run in mixed precision measured its own scores with factors rounded to f16.
    precision: String,
    loss: f32,
    /// None for a model that predicts values.
    accuracy: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<Vec<ClassRow>>,
    /// A row per true class, in it a count per predicted class.
    #[serde(skip_serializing_if = "Option::is_none")]
    confusion: Option<Vec<Vec<u64>>>,
    /// How near values are to those of each target, in its own unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<Vec<ValueScores>>,
}

#[derive(Debug, Serialize)]
struct ClassRow {
    class: usize,
    /// What the class is called, where it has a name beside its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    examples: u64,
    correct: u64,
    accuracy: Option<f64>,
}

pub fn run(args: &EvalArgs, context: &Context) -> Result<(), CliError> {
    let saved = SavedModel::load(&args.examples.model)?;
    let shown = args.examples.load(&saved)?;
    if !shown.labelled {
        let remedy = match &saved.trained_on.table {
            Some(_) => {
                "lacks the target, or holds it in some rows only; give a table that has it in every row, or use predict"
            }
            None => "has no labels here; add --labels FILE, or use predict",
        };
        return Err(CliError::Usage(format!("{} {remedy}", shown.name)));
    }
    let result = evaluate(&saved, &shown, context)?;
    let Score { loss, accuracy } = result.score;
    if !loss.is_finite() {
        let what = format!(
            "the loss of {} is {loss}; check that the labels are of the range that it was trained on",
            saved.recipe.name
        );
        return Err(CliError::Failed(what));
    }
    let answers = Answers::new(&saved, &shown.examples, result, true);
    let answered = answers.counts().zip(answers.confusion()?);
    let name = Score::accuracy_name(saved.model.loss, answers.result.width);
    let percent = accuracy.map_or(String::new(), |share| format!(", {name} {:.2} %", 100.0 * share));
    context.say(format!("loss {loss:.4}{percent}"));
    if let Some(right) = answers.right_in_every_bit() {
        context.say(format!("{right} of {} have every bit right", answers.count()));
    }
    let mut summary = Evaluation {
        name: saved.recipe.name.clone(),
        model: args.examples.model.clone(),
        data: shown.name,
        examples: shown.examples.count(),
        precision: Precision::F32.to_string(),
        loss,
        accuracy,
        classes: None,
        confusion: None,
        metrics: None,
    };
    summary.metrics = answers.value_scores();
    for scores in summary.metrics.iter().flatten() {
        context.say(scores);
    }
    if let Some((counts, matrix)) = answered {
        let classes = counts.len();
        say(&matrix, &counts, context);
        if let Some(folder) = &args.out {
            write(folder, (&summary, name), &matrix, context)?;
        }
        let row = |class: usize| ClassRow {
            class,
            name: answers.has_names().then(|| answers.class_name(class as u32)),
            examples: counts[class].iter().sum(),
            correct: counts[class][class],
            accuracy: matrix.accuracy(class),
        };
        summary.classes = Some((0..classes).map(row).collect());
        summary.confusion = Some(counts);
    } else if args.out.is_some() {
        return Err(CliError::Usage("--out draws a confusion matrix, but these targets name no classes".into()));
    }
    context.emit(&summary);
    Ok(())
}

fn say(matrix: &ConfusionMatrix, counts: &[Vec<u64>], context: &Context) {
    let by_class = matrix.table();
    let header: Vec<&str> = by_class.header.iter().map(String::as_str).collect();
    context.say(format!("\n{}", table(&header, &by_class.rows)));
    if counts.len() > MAX_COLUMNS {
        context.say("\nthe confusion matrix is too wide for text; --out DIR draws it, --json lists it");
        return;
    }
    let names: Vec<&str> = by_class.rows.iter().map(|row| row[0].as_str()).collect();
    let header: Vec<&str> = std::iter::once("").chain(names.iter().copied()).collect();
    let row = |(class, row): (usize, &Vec<u64>)| {
        std::iter::once(names[class].to_string()).chain(row.iter().map(u64::to_string)).collect()
    };
    let rows: Vec<Vec<String>> = counts.iter().enumerate().map(row).collect();
    context.say(format!("\nconfusion (rows: true classes, columns: predictions)\n{}", table(&header, &rows)));
}

fn write(
    folder: &Path,
    (summary, accuracy): (&Evaluation, &str),
    matrix: &ConfusionMatrix,
    context: &Context,
) -> Result<(), CliError> {
    save_svg_and_png(folder, "confusion", &matrix.svg())?;
    let accuracy = summary.accuracy.map(|share| (accuracy.to_string(), format!("{:.2} %", 100.0 * share)));
    let figures = [
        Some(("loss".to_string(), format!("{:.4}", summary.loss))),
        accuracy,
        Some(("examples".to_string(), summary.examples.to_string())),
    ];
    let figures =
        Section { title: String::new(), blocks: vec![Block::Figures(figures.into_iter().flatten().collect())] };
    let page =
        Page { title: summary.name.clone(), subtitle: summary.data.clone(), sections: vec![figures, matrix.section()] };
    page.save(&folder.join("report.html"))?;
    context.say(format!("\nwrote {} with confusion.svg, confusion.png and report.html", folder.display()));
    Ok(())
}
