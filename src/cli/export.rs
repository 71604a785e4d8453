//! `export`: a trained model in another format.

use super::examples::find_data;
use super::{CliError, Context};
use clap::{Args, ValueEnum};
use gputrain::export::{Format, SavedModel, parameter_hash, write};
use gputrain::job::Job;
use gputrain::model::Shape;
use gputrain::web::{self, WebPage};
use serde_json::json;
use std::path::{Path, PathBuf};

/// A format on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    /// Weights as PyTorch has them, with the model's definition in the metadata
    Safetensors,
    /// The weights as NumPy arrays
    Npz,
    /// The network ready to run: takes raw values as floats, scales them, gives probabilities; pictures are taken
    /// channels first, (N, channels, height, width)
    Onnx,
    /// A page for a browser, in one file that asks for nothing else: draw or drop a picture, or fill in a row, and see the
    /// answer, by the model's own WGSL or, without WebGPU, in plain JavaScript
    Web,
}

/// Writes a trained model in another format
///
/// The tensors are called layers.N.weight and layers.N.bias and have PyTorch's shapes: (out, in) and (out, in, kh, kw).
/// Example:
///
///   gputrain export runs/digits-20250101-120000 --to npz digits-weights.npz
///   gputrain export runs/digits-20250101-120000 --to web digits.html --train
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub struct ExportArgs {
    /// A model.safetensors, or the folder of a run
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// The format
    #[arg(long, value_enum, value_name = "FORMAT")]
    to: FormatArg,
    /// The file to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// With --to web: the page also trains the model's recipe again, live, on its data, which the page then holds
    #[arg(long)]
    train: bool,
    /// With --to onnx: batch norms behind a dense or convolution layer become part of its weights, as only training needs them
    #[arg(long)]
    fold_norms: bool,
    /// With --train: folder in which the recipe's data files are looked for
    #[arg(long, value_name = "DIR", requires = "train")]
    data: Option<PathBuf>,
}

pub fn run(args: &ExportArgs, context: &Context) -> Result<(), CliError> {
    if args.fold_norms && args.to != FormatArg::Onnx {
        return Err(CliError::Usage("--fold-norms is for --to onnx: other formats hold what was trained".into()));
    }
    let saved = SavedModel::load(&args.model)?;
    let format = match args.to {
        FormatArg::Safetensors => Format::Safetensors,
        FormatArg::Npz => Format::Npz,
        FormatArg::Onnx => Format::Onnx { norms_folded: args.fold_norms },
        FormatArg::Web => return web(args, &saved, context),
    };
    if args.train {
        return Err(CliError::Usage("--train is for --to web: only a page trains".into()));
    }
    write(&saved, format, &args.file)?;
    let tensors = saved.model.tensors().count();
    let count = saved.model.parameters_count();
    context.say(format!("wrote {}: {tensors} tensors, {count} parameters", args.file.display()));
    if let Format::Onnx { .. } = format {
        context.say(onnx_input(saved.model.input));
    }
    context.emit(&json!({
        "file": args.file,
        "format": format.name(),
        "tensors": tensors,
        "parameters": count,
        "parameter_hash": parameter_hash(&saved.parameters),
    }));
    Ok(())
}

fn web(args: &ExportArgs, saved: &SavedModel, context: &Context) -> Result<(), CliError> {
    let path = &args.file;
    if !is_html(path) {
        return Err(CliError::Usage(format!("{}: the name of a page must end in .html", path.display())));
    }
    let job = args.train.then(|| training(args, saved, context)).transpose()?;
    let page = WebPage::new(saved, job.as_ref())?;
    page.notes.iter().for_each(|note| context.say(note));
    page.save(path)?;
    let kilobytes = |bytes: usize| bytes.div_ceil(1000);
    let parts = web::in_words(&page.parts);
    context.say(format!("wrote {}: {} kB ({parts})", path.display(), kilobytes(page.html().len())));
    context.emit(&json!({
        "file": path,
        "format": "web",
        "bytes": page.html().len(),
        "parts": page.parts.iter().map(|(part, bytes)| json!({ "part": part, "bytes": bytes })).collect::<Vec<_>>(),
        "trains": args.train,
        "parameter_hash": parameter_hash(&saved.parameters),
    }));
    Ok(())
}

/// The model's recipe with its data, to be trained once more.
fn training(args: &ExportArgs, saved: &SavedModel, context: &Context) -> Result<Job, CliError> {
    let mut recipe = saved.recipe.clone();
    find_data(&mut recipe, &args.model, args.data.as_deref())?;
    let job = Job::load(recipe)?;
    if job.model.input != saved.model.input || job.trained_on.class_names != saved.trained_on.class_names {
        return Err(CliError::Usage(
            "the recipe's data is not that which the model was trained on: its inputs or classes are others; say with --data \
             where it is"
                .into(),
        ));
    }
    job.notes.iter().for_each(|note| context.say(note));
    Ok(job)
}

fn is_html(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("html"))
}

/// How the exported network wants its examples: not as data files hold pictures.
fn onnx_input(shape: Shape) -> String {
    match shape {
        Shape::Features(features) => format!("it takes float32 (N, {features}), not scaled"),
        Shape::Image { height, width, channels } => format!(
            "it takes float32 (N, {channels}, {height}, {width}), channels first, not scaled; data files hold channels last"
        ),
    }
}
