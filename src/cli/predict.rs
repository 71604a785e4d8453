//! `predict`: what a trained model makes of examples.

use super::examples::{ExamplesArgs, evaluate};
use super::table::table;
use super::{CliError, Context};
use clap::Args;
use gputrain::data::{Array, write_array, write_arrays, write_csv};
use gputrain::export::SavedModel;
use gputrain::report::ImageGrid;
use gputrain::run::{Answers, in_words};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Predicts classes and probabilities, or values, with a trained model
///
/// Without files, for the test set of the model's recipe; without --out, prints the first ones. A model with a squared
/// loss predicts values where the labels are values, or without labels if it was trained on values or ends in neither a
/// softmax nor a sigmoid. A model of several outputs with the binary cross-entropy predicts bits, unless its labels are classes.
/// Examples:
///
///   gputrain predict runs/digits-20250101-120000 --grid predictions.png
///   gputrain predict model.safetensors --images new.npy --out predictions.csv
///   gputrain predict model.safetensors photo.jpg more/
#[derive(Debug, Clone, Default, Args)]
#[command(verbatim_doc_comment)]
pub struct PredictArgs {
    #[command(flatten)]
    examples: ExamplesArgs,
    /// Writes .csv (index,class,p0,p1,… with a probability for each class, or index,class,p1 with that of class 1 where the
    /// model has a single output; of bits index,b0,…,p0,… with the probability that each is set; of values index,y0,y1,…),
    /// with the file in the place of the index where these are pictures,
    /// .npy (probabilities, or values) or .npz (classes or bits and probabilities, or outputs)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Draws the first images labelled with prediction and truth, wrong ones red
    #[arg(long, value_name = "FILE.png")]
    grid: Option<PathBuf>,
    /// How many images are drawn, or predictions printed
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..=5000))]
    count: u32,
}

/// What `--out` writes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Output {
    Csv,
    Npy,
    Npz,
}

impl Output {
    fn from_path(path: &Path) -> Result<Output, CliError> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        match extension.as_str() {
            "csv" => Ok(Output::Csv),
            "npy" => Ok(Output::Npy),
            "npz" => Ok(Output::Npz),
            _ => {
                let path = path.display();
                Err(CliError::Usage(format!(
                    "--out {path}: the name must end in .csv, .npy or .npz, which tells the format"
                )))
            }
        }
    }
}

pub fn run(args: &PredictArgs, context: &Context) -> Result<(), CliError> {
    let output = args.out.as_deref().map(|path| Output::from_path(path).map(|output| (path, output))).transpose()?;
    let is_png = |path: &Path| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
    if let Some(grid) = args.grid.as_deref().filter(|path| !is_png(path)) {
        return Err(CliError::Usage(format!("--grid {}: the name must end in .png", grid.display())));
    }
    let saved = SavedModel::load(&args.examples.model)?;
    let shown = args.examples.load(&saved)?;
    let result = evaluate(&saved, &shown, context)?;
    let answers = Answers::new(&saved, &shown.examples, result, shown.labelled);
    let count = answers.count();
    let first = (args.count as usize).min(count);
    if let Some((path, output)) = output {
        write(path, output, &answers, &shown.files)?;
        context.say(format!("wrote {}", path.display()));
    } else if args.grid.is_none() {
        print(&answers, first, &shown.files, context);
    }
    if let Some(path) = &args.grid {
        grid(&answers, &saved, first)?.save(path)?;
        context.say(format!("wrote {}", path.display()));
    }
    let right = answers.truth.as_ref().zip(answers.classes.as_ref());
    let right = right.map(|(truth, classes)| truth.iter().zip(classes).filter(|(a, b)| a == b).count());
    if let Some(right) = right {
        context.say(format!("{right} of {count} are right"));
    } else if let Some(right) = answers.right_in_every_bit() {
        context.say(format!("{right} of {count} have every bit right"));
    } else if shown.labelled {
        context.say(format!("loss {:.4}", answers.result.score.loss));
    }
    context.emit(&json!({
        "name": saved.recipe.name,
        "model": args.examples.model,
        "data": shown.name,
        "examples": count,
        "outputs": answers.result.width,
        "correct": right,
        "accuracy": right.map(|right| right as f64 / count as f64),
        "out": args.out,
        "grid": args.grid,
    }));
    Ok(())
}

fn write(path: &Path, output: Output, answers: &Answers, files: &[PathBuf]) -> Result<(), CliError> {
    let (result, classes) = (&answers.result, answers.classes.as_ref());
    let bug = || CliError::Failed(format!("{}: outputs and examples do not agree", path.display()));
    let count = answers.count();
    let outputs = Array::from_f32(&[count, result.width], &result.outputs).ok_or_else(bug)?;
    match output {
        Output::Npy => write_array(path, &outputs)?,
        Output::Npz => {
            let name = if answers.probable { "probabilities" } else { "outputs" };
            let classes = classes.map(|classes| Array::from_u32(&[count], classes).ok_or_else(bug)).transpose()?;
            let bits: Vec<u8> = (0..count).filter_map(|index| answers.set_bits(index)).flatten().collect();
            let bits =
                answers.bits.then(|| Array::from_u8(&[count, result.width], bits).ok_or_else(bug)).transpose()?;
            let classes = classes.as_ref().map(|classes| ("classes", classes));
            let found = classes.or(bits.as_ref().map(|bits| ("bits", bits)));
            write_arrays(path, &found.into_iter().chain([(name, &outputs)]).collect::<Vec<_>>())?;
        }
        Output::Csv => {
            let class = classes.map(|_| "class".to_string());
            let bits = (0..result.width).filter(|_| answers.bits).map(|bit| format!("b{bit}"));
            let header =
                [label_of(files).to_string()].into_iter().chain(class).chain(bits).chain(answers.output_names());
            let header: Vec<String> = header.collect();
            let rows = result.outputs.chunks(result.width).enumerate().map(|(index, row)| {
                let class = classes.map(|classes| answers.class_name(classes[index]));
                let bits = answers.set_bits(index).unwrap_or_default().into_iter().map(|bit| bit.to_string());
                let outputs = row.iter().map(f32::to_string);
                [labelled(files, index)].into_iter().chain(class).chain(bits).chain(outputs).collect::<Vec<String>>()
            });
            write_csv(path, &header.iter().map(String::as_str).collect::<Vec<_>>(), rows)?;
        }
    }
    Ok(())
}

/// What the column is called that tells the examples apart.
fn label_of(files: &[PathBuf]) -> &'static str {
    if files.is_empty() { "index" } else { "file" }
}

/// An example's file or, where it has none, its number.
fn labelled(files: &[PathBuf], index: usize) -> String {
    files.get(index).map_or_else(|| index.to_string(), |file| file.display().to_string())
}

fn print(answers: &Answers, first: usize, files: &[PathBuf], context: &Context) {
    let mut rows = Vec::new();
    for index in 0..first {
        let outputs = answers.outputs(index);
        let label = answers.truth.as_ref().map(|truth| truth[index]);
        match answers.class(index) {
            Some((class, sure)) => {
                let mut line = json!({ "index": index, "class": class, "label": label, "outputs": outputs });
                let name = |class: u32| answers.class_name(class);
                if answers.has_names() {
                    (line["class_name"], line["label_name"]) = (json!(name(class)), json!(label.map(name)));
                }
                if answers.probable {
                    line["probability"] = json!(sure);
                }
                if let Some(file) = files.get(index) {
                    line["file"] = json!(file);
                }
                context.emit(&line);
                rows.push(vec![
                    labelled(files, index),
                    name(class),
                    format!("{sure:.4}"),
                    label.map_or(String::new(), name),
                ]);
            }
            None => {
                let targets = answers.targets(index);
                let mut line = json!({ "index": index, "outputs": outputs, "targets": targets });
                let mut row = vec![labelled(files, index), in_words(outputs)];
                if let Some(bits) = answers.set_bits(index) {
                    row.insert(1, bits.iter().map(u8::to_string).collect::<Vec<_>>().join(" "));
                    line["bits"] = json!(bits);
                }
                context.emit(&line);
                row.push(targets.map_or(String::new(), in_words));
                rows.push(row);
            }
        }
    }
    let predicted = match (&answers.classes, answers.probable) {
        (Some(_), true) => &["class", "probability"][..],
        (Some(_), false) => &["class", "output"],
        (None, _) if answers.bits => &["bits", "probabilities"],
        (None, _) => &["value"],
    };
    let truth = if answers.truth.is_some() || answers.targets(0).is_some() { "truth" } else { "" };
    context.say(table(&[&[label_of(files)], predicted, &[truth]].concat(), &rows));
    if first < answers.count() {
        context.say(format!("… and {} more; --out FILE writes them all", answers.count() - first));
    }
}

fn grid(answers: &Answers, saved: &SavedModel, first: usize) -> Result<ImageGrid, CliError> {
    let no_images = || {
        CliError::Usage(format!(
            "--grid draws images of 1 or 3 channels, but the model takes {}, and that is none; train it with model.input = \
             [height, width, channels]",
            saved.model.input
        ))
    };
    answers.grid(first)?.ok_or_else(no_images)
}
