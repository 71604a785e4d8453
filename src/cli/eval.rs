//! `eval`: how good a trained model is.

use super::examples::{ExamplesArgs, Shown, evaluate};
use super::predict::set_threshold;
use super::table::table;
use super::{CliError, Context};
use clap::Args;
use gputrain::export::SavedModel;
use gputrain::keys::Keyword;
use gputrain::metrics::{ClassReport, Measure, Measures, Metrics};
use gputrain::recipe::{Precision, Set};
use gputrain::report::{Block, ConfusionMatrix, Page, Section, save_svg_and_png};
use gputrain::run::{Answers, answer_sections};
use gputrain::train::{MetricsBySet, Score};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A matrix of more classes is no longer readable as text.
const MAX_COLUMNS: usize = 20;

/// Evaluates a trained model: loss, metrics, what each class comes to, confusion matrix
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
    /// Of two classes, answers the second where its probability is at least this
    #[arg(long, value_name = "P")]
    threshold: Option<f32>,
    /// Writes report.html into this folder (metrics, what goes wrong, curves) and, of classes, confusion.svg and confusion.png
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
    /// Where the second of two classes begins, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f32>,
    /// All that can be measured, by the name of the set.
    metrics: MetricsBySet,
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<Vec<ClassRow>>,
    /// A row per true class, in it a count per predicted class.
    #[serde(skip_serializing_if = "Option::is_none")]
    confusion: Option<Vec<Vec<u64>>>,
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
    precision: f64,
    recall: f64,
    f1: f64,
}

/// Why examples cannot be evaluated, and the remedy.
fn unlabelled(saved: &SavedModel, shown: &Shown) -> String {
    let name = &shown.name;
    let told = || shown.notes.iter().find_map(|note| note.strip_prefix("note: "));
    if saved.trained_on.table.is_some() {
        if let Some(problem) = told().and_then(|note| note.strip_suffix(": the rows are taken without a truth")) {
            return problem.into();
        }
        return format!(
            "{name} lacks the target, or holds it in some rows only; give a table that has it in every row, or use predict"
        );
    }
    if shown.files.is_empty() {
        return format!("{name} has no labels here; add --labels FILE, or use predict");
    }
    // What of the folder is no class of the model's.
    let why = told().unwrap_or("nothing tells their classes");
    format!(
        "{name}: its pictures have no truth ({why}); give one folder that has a folder for each class, called as in training, \
         or use predict"
    )
}

pub fn run(args: &EvalArgs, context: &Context) -> Result<(), CliError> {
    let saved = args.examples.saved()?;
    let shown = args.examples.load(&saved)?;
    if !shown.labelled {
        return Err(CliError::Usage(unlabelled(&saved, &shown)));
    }
    let result = evaluate(&saved, &shown, context)?;
    let Score { loss, mut accuracy } = result.score;
    if !loss.is_finite() {
        let what = format!(
            "the loss of {} is {loss}; check that the labels are of the range that it was trained on",
            saved.recipe.name
        );
        return Err(CliError::Failed(what));
    }
    let mut answers = Answers::new(&saved, &shown.examples, result, true);
    let threshold = args.threshold;
    if let Some(threshold) = threshold {
        set_threshold(&mut answers, threshold)?;
    }
    let metrics = answers.metrics().unwrap_or_default();
    if threshold.is_some() {
        accuracy = metrics.values.get(&Measure::Accuracy).copied().flatten().map(|share| share as f32);
    }
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
        threshold,
        metrics: MetricsBySet::new(),
        classes: None,
        confusion: None,
    };
    say_metrics(&metrics, context);
    summary.metrics.insert(shown.set.name().into(), metrics);
    if let Some((counts, matrix)) = answered {
        let reports = answers.of_classes(|classes| classes.reports.clone()).unwrap_or_default();
        let classes = counts.len();
        say(&matrix, (&counts, &reports), context);
        let row = |class: usize| ClassRow {
            class,
            name: answers.has_names().then(|| answers.class_name(class as u32)),
            examples: counts[class].iter().sum(),
            correct: counts[class][class],
            accuracy: matrix.accuracy(class),
            precision: reports[class].precision(),
            recall: reports[class].recall(),
            f1: reports[class].f1(),
        };
        summary.classes = Some((0..classes).map(row).collect());
        summary.confusion = Some(counts);
    }
    if let Some(folder) = &args.out {
        write(folder, (&summary, name), (shown.set, &answers), context)?;
    }
    context.emit(&summary);
    Ok(())
}

/// The metrics of all outputs together, then those of each bit or value side by side.
fn say_metrics(metrics: &Metrics, context: &Context) {
    let text = |value: &Option<f64>| value.map_or("–".to_string(), |value| format!("{value:.4}"));
    let rows: Vec<Vec<String>> =
        metrics.values.iter().map(|(measure, value)| vec![measure.to_string(), text(value)]).collect();
    context.say(format!("\n{}", table(&["metric", "value"], &rows)));
    for (what, each) in [("bit", &metrics.bits), ("output", &metrics.outputs)] {
        let Some(first) = each.values().next() else { continue };
        let shown = |measure: &&Measure| {
            matches!(measure.word(), "precision" | "recall" | "f1" | "roc_auc") || what == "output"
        };
        let measures: Vec<Measure> = first.keys().filter(shown).copied().collect();
        let row = |(name, values): (&String, &Measures)| {
            let values = measures.iter().map(|measure| text(&values.get(measure).copied().flatten()));
            std::iter::once(name.clone()).chain(values).collect()
        };
        let rows: Vec<Vec<String>> = each.iter().map(row).collect();
        let header: Vec<&str> = std::iter::once(what).chain(measures.iter().map(|measure| measure.word())).collect();
        context.say(format!("\n{}", table(&header, &rows)));
    }
}

fn say(matrix: &ConfusionMatrix, (counts, reports): (&[Vec<u64>], &[ClassReport]), context: &Context) {
    let mut by_class = matrix.table();
    // What a class' accuracy is called beside its precision.
    by_class.header.splice(3..4, ["precision", "recall", "f1"].map(String::from));
    for (row, report) in by_class.rows.iter_mut().zip(reports) {
        let recall = if report.support > 0 { format!("{:.4}", report.recall()) } else { "–".into() };
        row.splice(3..4, [format!("{:.4}", report.precision()), recall, format!("{:.4}", report.f1())]);
    }
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
    (set, answers): (Set, &Answers),
    context: &Context,
) -> Result<(), CliError> {
    let matrix = answers.confusion()?;
    if let Some(matrix) = &matrix {
        save_svg_and_png(folder, "confusion", &matrix.svg())?;
    }
    let accuracy = summary.accuracy.map(|share| (accuracy.to_string(), format!("{:.2} %", 100.0 * share)));
    let figures = [
        Some(("loss".to_string(), format!("{:.4}", summary.loss))),
        accuracy,
        Some(("examples".to_string(), summary.examples.to_string())),
    ];
    let figures =
        Section { title: String::new(), blocks: vec![Block::Figures(figures.into_iter().flatten().collect())] };
    let sections = std::iter::once(figures).chain(answer_sections(set.name(), answers)?).collect();
    let page = Page { title: summary.name.clone(), subtitle: summary.data.clone(), sections };
    page.save(&folder.join("report.html"))?;
    let drawings = if matrix.is_some() { "confusion.svg, confusion.png and " } else { "" };
    context.say(format!("\nwrote {} with {drawings}report.html", folder.display()));
    Ok(())
}
