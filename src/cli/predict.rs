//! `predict`: what a trained model makes of examples.

use super::examples::{ExamplesArgs, Shown, evaluate, predicted, truth};
use super::table::table;
use super::{CliError, Context};
use crate::data::{Array, Features, Storage, write_array, write_arrays, write_csv};
use crate::export::SavedModel;
use crate::model::Shape;
use crate::recipe::Activation;
use crate::report::{ImageGrid, Picture, Tile};
use crate::train::Evaluator;
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Predicts classes and probabilities with a trained model
///
/// Without files, for the test set of the model's recipe; without --out, prints the first ones. Examples:
///
///   gputrain predict runs/digits-20250101-120000 --grid predictions.png
///   gputrain predict model.safetensors --images new.npy --out predictions.csv
#[derive(Debug, Clone, Default, Args)]
#[command(verbatim_doc_comment)]
pub struct PredictArgs {
    #[command(flatten)]
    examples: ExamplesArgs,
    /// Writes .csv (index,class,p0,p1,…), .npy (probabilities) or .npz (classes and probabilities)
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
    fn of(path: &Path) -> Result<Output, CliError> {
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
    let output = args.out.as_deref().map(|path| Output::of(path).map(|output| (path, output))).transpose()?;
    let is_png = |path: &Path| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
    if let Some(grid) = args.grid.as_deref().filter(|path| !is_png(path)) {
        return Err(CliError::Usage(format!("--grid {}: the name must end in .png", grid.display())));
    }
    let saved = SavedModel::load(&args.examples.model)?;
    let shown = args.examples.load(&saved)?;
    let result = evaluate(&saved, &shown, context)?;
    let classes = predicted(&result);
    let truth = if shown.labelled { truth(&shown.examples.targets) } else { None };
    let first = (args.count as usize).min(classes.len());
    if let Some((path, output)) = output {
        write(path, output, &result, &classes, &saved)?;
        context.say(format!("wrote {}", path.display()));
    } else if args.grid.is_none() {
        print(&saved, &result, &classes, truth.as_deref(), first, context);
    }
    if let Some(path) = &args.grid {
        grid(&saved, &shown, &result, &classes, truth.as_deref(), first)?.save(path)?;
        context.say(format!("wrote {}", path.display()));
    }
    let right = truth.as_ref().map(|truth| truth.iter().zip(&classes).filter(|(a, b)| a == b).count());
    if let Some(right) = right {
        context.say(format!("{right} of {} are right", classes.len()));
    }
    context.emit(&json!({
        "name": saved.recipe.name,
        "model": args.examples.model,
        "data": shown.name,
        "examples": classes.len(),
        "outputs": result.width,
        "correct": right,
        "accuracy": right.map(|right| right as f64 / classes.len() as f64),
        "out": args.out,
        "grid": args.grid,
    }));
    Ok(())
}

/// Whether the model's outputs are probabilities.
fn probable(saved: &SavedModel) -> bool {
    saved.model.output_activation != Activation::Linear
}

fn write(path: &Path, output: Output, result: &Evaluator, classes: &[u32], saved: &SavedModel) -> Result<(), CliError> {
    let bug = || CliError::Failed(format!("{}: outputs and examples do not agree", path.display()));
    let outputs = Array::from_f32(&[classes.len(), result.width], &result.outputs).ok_or_else(bug)?;
    match output {
        Output::Npy => write_array(path, &outputs)?,
        Output::Npz => {
            let name = if probable(saved) { "probabilities" } else { "outputs" };
            let classes = Array::from_u32(&[classes.len()], classes).ok_or_else(bug)?;
            write_arrays(path, &[("classes", &classes), (name, &outputs)])?;
        }
        Output::Csv => {
            let columns: Vec<String> = (0..result.width).map(|output| format!("p{output}")).collect();
            let header: Vec<&str> = ["index", "class"].into_iter().chain(columns.iter().map(String::as_str)).collect();
            let rows = result.outputs.chunks(result.width).zip(classes).enumerate().map(|(index, (row, class))| {
                let outputs = row.iter().map(f32::to_string);
                [index.to_string(), class.to_string()].into_iter().chain(outputs).collect::<Vec<String>>()
            });
            write_csv(path, &header, rows)?;
        }
    }
    Ok(())
}

/// How sure the model is of its class; for a model whose outputs are no probabilities, the output itself.
fn certainty(row: &[f32], class: u32, probable: bool) -> f32 {
    match row {
        [one] if class == 0 && probable => 1.0 - one,
        [one] => *one,
        _ => row[class as usize],
    }
}

fn print(
    saved: &SavedModel,
    result: &Evaluator,
    classes: &[u32],
    truth: Option<&[u32]>,
    first: usize,
    context: &Context,
) {
    let mut rows = Vec::new();
    for (index, row) in result.outputs.chunks(result.width).take(first).enumerate() {
        let (class, label) = (classes[index], truth.map(|truth| truth[index]));
        context.emit(&json!({ "index": index, "class": class, "label": label, "outputs": row }));
        let label = label.map_or(String::new(), |label| label.to_string());
        rows.push(vec![
            index.to_string(),
            class.to_string(),
            format!("{:.4}", certainty(row, class, probable(saved))),
            label,
        ]);
    }
    context.say(table(&["index", "class", "output", if truth.is_some() { "truth" } else { "" }], &rows));
    if first < classes.len() {
        context.say(format!("… and {} more; --out FILE writes them all", classes.len() - first));
    }
}

fn grid(
    saved: &SavedModel,
    shown: &Shown,
    result: &Evaluator,
    classes: &[u32],
    truth: Option<&[u32]>,
    first: usize,
) -> Result<ImageGrid, CliError> {
    let features = &shown.examples.features;
    let [channels, height, width] = image(features)?;
    let size = channels * height * width;
    let (low, high) = match features.storage {
        Storage::U8(_) => (0.0, 255.0),
        Storage::F32(_) => features.storage.bounds(),
    };
    let tile = |index: usize| {
        let values: Vec<f32> = (index * size..(index + 1) * size).map(|at| features.storage.get(at)).collect();
        let class = classes[index];
        let sure = certainty(&result.outputs[index * result.width..][..result.width], class, probable(saved));
        let label = truth.map(|truth| truth[index]);
        let sure = if probable(saved) { format!("{:.0} %", 100.0 * sure) } else { format!("{sure:.2}") };
        let mut caption = vec![format!("{class}  ({sure})")];
        caption.extend(label.map(|label| format!("true: {label}")));
        let wrong = label.is_some_and(|label| label != class);
        Ok(Tile { picture: Picture::from_values([channels, height, width], &values, low, high)?, caption, wrong })
    };
    let tiles = (0..first).map(tile).collect::<Result<Vec<Tile>, CliError>>()?;
    let wrong = tiles.iter().filter(|tile| tile.wrong).count();
    let title = match truth {
        Some(_) => format!("{first} predictions, {wrong} wrong"),
        None => format!("{first} predictions"),
    };
    Ok(ImageGrid { title, columns: 10, tiles, colour_bar: None })
}

/// Channels, height and width of the examples; a vector is taken for a square image of one channel if it can be one.
fn image(features: &Features) -> Result<[usize; 3], CliError> {
    match features.shape {
        Shape::Image { channels, height, width } => Ok([channels, height, width]),
        Shape::Features(n) if n.isqrt().pow(2) == n => Ok([1, n.isqrt(), n.isqrt()]),
        Shape::Features(n) => Err(CliError::Usage(format!(
            "--grid draws images, but the model takes {n} features, which are no square; train it with model.input = \
             [height, width, channels]"
        ))),
    }
}
