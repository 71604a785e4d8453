//! `predict`: what a trained model makes of examples.

use super::examples::{ExamplesArgs, Shown, evaluate};
use super::table::table;
use super::{CliError, Context};
use clap::Args;
use gputrain::data::{Array, WrittenColumn, write_array, write_arrays, write_csv, write_parquet};
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
    /// Writes .csv or .parquet, .npy (probabilities, or values) or .npz (classes or bits and probabilities, or outputs); pictures that
    /// should be the inputs lie as data files have them, channels last. A table has
    /// id,class,NAME,… with a probability for each class by its name, or id,TARGET with values by the name of the target's column,
    /// and of pictures the file as their id;
    /// where neither has a name, (index,class,p0,p1,… with a probability for each class, or index,class,p1 with that of class 1 where the
    /// model has a single output; of bits index,b0,…,p0,… with the probability that each is set; of values index,y0,y1,…)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The column of the table that names each row in the one that is written; also of the recipe's table, with --split [default: the
    /// number of the row in its file, from 0]
    #[arg(long, value_name = "COLUMN", requires = "out", conflicts_with = "first_id")]
    id: Option<String>,
    /// The number of the first row [default: 0]
    #[arg(long, value_name = "N", requires = "out")]
    first_id: Option<u64>,
    /// The columns of the .csv or .parquet: id, class, probability (of that class), and names of classes or targets; HEADER=COLUMN gives one
    /// another header, as in --columns ImageId=id,Label=class
    #[arg(long, value_name = "COLUMN,…", requires = "out", value_delimiter = ',')]
    columns: Vec<String>,
    /// Of two classes, the second is predicted where its probability is at least this [default: 0.5]
    #[arg(long, value_name = "P")]
    threshold: Option<f32>,
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
    Parquet,
    Npy,
    Npz,
}

impl Output {
    fn from_path(path: &Path) -> Result<Output, CliError> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        match extension.as_str() {
            "csv" => Ok(Output::Csv),
            "parquet" => Ok(Output::Parquet),
            "npy" => Ok(Output::Npy),
            "npz" => Ok(Output::Npz),
            _ => {
                let path = path.display();
                Err(CliError::Usage(format!(
                    "--out {path}: the name must end in .csv, .parquet, .npy or .npz, which tells the format"
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
    let saved = args.examples.saved()?;
    for (flag, path) in [("--out", &args.out), ("--grid", &args.grid)] {
        if let Some(path) = path.as_ref().filter(|path| args.examples.reads(path, &saved.recipe)) {
            let path = path.display();
            return Err(CliError::Usage(format!(
                "{flag} {path}: that is read here, and would be lost; give another name"
            )));
        }
    }
    let shown = args.examples.load(&saved)?;
    let result = evaluate(&saved, &shown, context)?;
    let mut answers = Answers::new(&saved, &shown.examples, result, shown.labelled);
    if let Some(threshold) = args.threshold {
        set_threshold(&mut answers, threshold)?;
    }
    let count = answers.count();
    let first = (args.count as usize).min(count);
    if let Some((path, output)) = output {
        let columns = match output {
            Output::Csv | Output::Parquet => columns(args, &saved, &answers, &shown)?,
            _ if args.id.is_some() || args.first_id.is_some() || !args.columns.is_empty() => {
                return Err(CliError::Usage(
                    "--id, --first-id and --columns are for --out FILE.csv or FILE.parquet".into(),
                ));
            }
            _ => Vec::new(),
        };
        write(path, output, &columns, &answers)?;
        context.say(format!("wrote {}", path.display()));
    } else if args.grid.is_none() {
        print(&answers, first, &shown, context);
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

pub(super) fn set_threshold(answers: &mut Answers, threshold: f32) -> Result<(), CliError> {
    if !(0.0..=1.0).contains(&threshold) {
        return Err(CliError::Usage(format!("--threshold {threshold}: expected a probability, from 0 to 1")));
    }
    let refused =
        "--threshold decides between two classes by the probability of the second; this model gives something else";
    if answers.set_threshold(threshold) { Ok(()) } else { Err(CliError::Usage(refused.into())) }
}

/// A column of a table: its header, and its cells.
type Column<'a> = (String, Cells<'a>);

/// The cell of each example.
enum Cells<'a> {
    Texts(Box<dyn Fn(usize) -> String + 'a>),
    Numbers(Box<dyn Fn(usize) -> f32 + 'a>),
}

impl Cells<'_> {
    fn text(&self, index: usize) -> String {
        match self {
            Cells::Texts(text) => text(index),
            Cells::Numbers(number) => number(index).to_string(),
        }
    }

    /// The column of a file of columns, for so many examples.
    fn written(&self, count: usize) -> WrittenColumn {
        match self {
            Cells::Texts(text) => WrittenColumn::of_texts((0..count).map(text).collect()),
            Cells::Numbers(number) => WrittenColumn::Floats((0..count).map(number).collect()),
        }
    }
}

/// The columns of a table that were asked for.
fn columns<'a>(
    args: &PredictArgs,
    saved: &SavedModel,
    answers: &'a Answers<'_>,
    shown: &'a Shown,
) -> Result<Vec<Column<'a>>, CliError> {
    let mut known = known_columns(args, saved, answers, shown)?;
    if args.columns.is_empty() {
        return Ok(known);
    }
    if answers.classes.is_some() && answers.probable {
        let sure = |index| answers.class(index).map_or(f32::NAN, |(_, sure)| sure);
        known.push(("probability".into(), Cells::Numbers(Box::new(sure))));
    }
    let names: Vec<String> = known.iter().map(|(name, _)| name.clone()).collect();
    let mut known: Vec<Option<Column>> = known.into_iter().map(Some).collect();
    let pick = |wanted: &String| {
        let place = |name: &str| names.iter().position(|known| known == name);
        let renamed = || {
            let (header, name) = wanted.rsplit_once('=')?;
            Some((header, place(name)?))
        };
        let found = place(wanted).map(|place| (wanted.as_str(), place)).or_else(renamed);
        let missing = || format!("--columns {wanted}: there is no such column; there are {}", names.join(", "));
        let (header, place) = found.ok_or_else(|| CliError::Usage(missing()))?;
        let (_, text) =
            known[place].take().ok_or_else(|| CliError::Usage(format!("--columns names {wanted} twice")))?;
        Ok((header.to_string(), text))
    };
    args.columns.iter().map(pick).collect()
}

/// The columns that are written where none are asked for.
fn known_columns<'a>(
    args: &PredictArgs,
    saved: &SavedModel,
    answers: &'a Answers<'_>,
    shown: &'a Shown,
) -> Result<Vec<Column<'a>>, CliError> {
    let ids = args.id.as_ref().map(|column| args.examples.column(saved, shown, column)).transpose()?;
    if let Some(ids) = ids.as_ref().filter(|ids| ids.len() != answers.count()) {
        let (ids, count) = (ids.len(), answers.count());
        return Err(CliError::Usage(format!("--id: the column has {ids} rows, and there are {count} predictions")));
    }
    let named = answers.has_names() || saved.trained_on.table.is_some();
    let said = args.id.is_some() || args.first_id.is_some() || !args.columns.is_empty();
    let first = args.first_id.unwrap_or(0);
    // Pictures are told apart by their files.
    let numbered = args.first_id.is_some() || shown.files.is_empty();
    let id = move |index: usize| match &ids {
        Some(ids) => ids[index].clone(),
        None if numbered => (first + shown.row(index) as u64).to_string(),
        None => shown.files[index].display().to_string(),
    };
    let header = if named || said || !numbered { "id" } else { "index" };
    let mut known: Vec<Column> = vec![(header.into(), Cells::Texts(Box::new(id)))];
    if let Some(classes) = &answers.classes {
        known.push(("class".into(), Cells::Texts(Box::new(|index| answers.class_name(classes[index])))));
    }
    for bit in (0..answers.result.width).filter(|_| answers.bits) {
        let text = move |index| answers.set_bits(index).map_or(String::new(), |bits| bits[bit].to_string());
        known.push((format!("b{bit}"), Cells::Texts(Box::new(text))));
    }
    for (output, name) in answers.output_names().into_iter().enumerate() {
        let place = answers.place(output);
        // A class may be called as another column is.
        let taken = name == "probability" || known.iter().any(|(known, _)| *known == name);
        let name = if taken { format!("p({name})") } else { name };
        known.push((name, Cells::Numbers(Box::new(move |index| answers.outputs(index)[place]))));
    }
    Ok(known)
}

fn write(path: &Path, output: Output, columns: &[Column], answers: &Answers) -> Result<(), CliError> {
    let (result, classes) = (&answers.result, answers.classes.as_ref());
    let bug = || CliError::Failed(format!("{}: outputs and examples do not agree", path.display()));
    let count = answers.count();
    let outputs = answers.array().ok_or_else(bug)?;
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
            let header: Vec<&str> = columns.iter().map(|(header, _)| header.as_str()).collect();
            let row = |index| columns.iter().map(|(_, cells)| cells.text(index)).collect::<Vec<String>>();
            write_csv(path, &header, (0..count).map(row))?;
        }
        Output::Parquet => {
            let written = columns.iter().map(|(header, cells)| (header.clone(), cells.written(count)));
            write_parquet(path, &written.collect::<Vec<_>>())?;
        }
    }
    Ok(())
}

/// An example's file or, where it has none, its number.
fn labelled(shown: &Shown, index: usize) -> String {
    shown.files.get(index).map_or_else(|| shown.row(index).to_string(), |file| file.display().to_string())
}

fn print(answers: &Answers, first: usize, shown: &Shown, context: &Context) {
    let mut rows = Vec::new();
    for index in 0..first {
        let outputs = answers.outputs(index);
        let label = answers.truth.as_ref().map(|truth| truth[index]);
        match answers.class(index) {
            Some((class, sure)) => {
                let mut line = json!({ "index": shown.row(index), "class": class, "label": label, "outputs": outputs });
                let name = |class: u32| answers.class_name(class);
                if answers.has_names() {
                    (line["class_name"], line["label_name"]) = (json!(name(class)), json!(label.map(name)));
                }
                if answers.probable {
                    line["probability"] = json!(sure);
                }
                if let Some(file) = shown.files.get(index) {
                    line["file"] = json!(file);
                }
                context.emit(&line);
                rows.push(vec![
                    labelled(shown, index),
                    name(class),
                    format!("{sure:.4}"),
                    label.map_or(String::new(), name),
                ]);
            }
            None => {
                let targets = answers.targets(index);
                let mut line = json!({ "index": shown.row(index), "outputs": outputs, "targets": targets });
                let mut row = vec![labelled(shown, index), in_words(outputs)];
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
    let label = if shown.files.is_empty() { "index" } else { "file" };
    context.say(table(&[&[label], predicted, &[truth]].concat(), &rows));
    if first < answers.count() {
        context.say(format!("… and {} more; --out FILE writes them all", answers.count() - first));
    }
}

fn grid(answers: &Answers, saved: &SavedModel, first: usize) -> Result<ImageGrid, CliError> {
    let no_images = || {
        CliError::Usage(format!(
            "--grid draws images of 1 or 3 channels, which models whose model.input is [height, width, channels] take, but this \
             one takes {}; without --grid its answers are printed",
            saved.model.input
        ))
    };
    answers.grid(first)?.ok_or_else(no_images)
}
