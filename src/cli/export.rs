//! `export`: a trained model in another format.

use super::{CliError, Context};
use clap::{Args, ValueEnum};
use gputrain::export::{Format, SavedModel, parameter_hash, write};
use gputrain::model::Shape;
use serde_json::json;
use std::path::PathBuf;

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
}

/// Writes a trained model in another format
///
/// The tensors are called layers.N.weight and layers.N.bias and have PyTorch's shapes: (out, in) and (out, in, kh, kw).
/// Example:
///
///   gputrain export runs/digits-20250101-120000 --to npz digits-weights.npz
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
}

pub fn run(args: &ExportArgs, context: &Context) -> Result<(), CliError> {
    let saved = SavedModel::load(&args.model)?;
    let format = match args.to {
        FormatArg::Safetensors => Format::Safetensors,
        FormatArg::Npz => Format::Npz,
        FormatArg::Onnx => Format::Onnx,
    };
    write(&saved, format, &args.file)?;
    let tensors = saved.model.tensors().count();
    let count = saved.model.parameters_count();
    context.say(format!("wrote {}: {tensors} tensors, {count} parameters", args.file.display()));
    if format == Format::Onnx {
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

/// How the exported network wants its examples: not as data files hold pictures.
fn onnx_input(shape: Shape) -> String {
    match shape {
        Shape::Features(features) => format!("it takes float32 (N, {features}), not scaled"),
        Shape::Image { height, width, channels } => format!(
            "it takes float32 (N, {channels}, {height}, {width}), channels first, not scaled; data files hold channels last"
        ),
    }
}
