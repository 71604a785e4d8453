//! `data`: writes, converts and downloads data sets.

use super::{CliError, Context};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand, ValueEnum};
use gputrain::data::{self, DEFAULT_TEST, DEFAULT_TRAIN};
use gputrain::data::{PUBLIC_SETS, PublicSet, Unpacking};
use gputrain::file::FileError;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Writes the generated data set, converts data files, downloads public ones
#[derive(Debug, Clone, Args)]
pub struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum DataCommand {
    /// Writes the generated handwritten-style digits: 28x28 bytes, 10 classes, the same for a seed on every machine
    Generate(GenerateArgs),
    /// Converts a file to the format that the new name tells: .npy, .npz, IDX or .csv, also with .gz
    Convert(ConvertArgs),
    /// Downloads a public data set, going on where a download stopped, and checks its SHA-256
    Fetch(FetchArgs),
}

#[derive(Debug, Clone, Args)]
struct GenerateArgs {
    /// Folder for the files
    #[arg(long, value_name = "DIR", default_value = "data/digits")]
    out: PathBuf,
    /// Seed of the drawings
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Training images
    #[arg(long, value_name = "N", default_value_t = DEFAULT_TRAIN as u32, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    train: u32,
    /// Test images
    #[arg(long, value_name = "N", default_value_t = DEFAULT_TEST as u32, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    test: u32,
    /// Format of the files
    #[arg(long, value_enum, default_value_t)]
    format: DataFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum DataFormat {
    /// As MNIST's files: train-images-idx3-ubyte, …
    Idx,
    /// The same, gzipped
    #[default]
    #[value(name = "idx.gz")]
    IdxGz,
    /// digits.npz with x_train, y_train, x_test, y_test
    Npz,
}

#[derive(Debug, Clone, Args)]
struct ConvertArgs {
    /// The file to read: .npy, .npz, .hdf5, .mat, IDX or .csv, or CIFAR's folder or archive; PATH#KEY takes one array of several
    #[arg(value_name = "FROM")]
    from: String,
    /// The file to write
    #[arg(value_name = "TO")]
    to: PathBuf,
}

#[derive(Debug, Clone, Args)]
struct FetchArgs {
    /// The data set
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(PUBLIC_SETS.iter().map(|set| set.name)))]
    name: String,
    /// Folder for the files [default: data/NAME, where recipes look]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Address of a mirror that has the files
    #[arg(long, value_name = "BASE")]
    url: Option<String>,
}

pub fn run(args: &DataArgs, context: &Context) -> Result<(), CliError> {
    match &args.command {
        DataCommand::Generate(args) => generate(args, context),
        DataCommand::Convert(args) => {
            for left_out in data::convert(&args.from, &args.to)? {
                context.say(format!("left out: {left_out}"));
            }
            data::reading_notes(&args.from)?.iter().for_each(|note| context.say(note));
            report(&[&args.to], context)
        }
        DataCommand::Fetch(args) => fetch(args, context),
    }
}

fn generate(args: &GenerateArgs, context: &Context) -> Result<(), CliError> {
    let dataset = data::generate(args.seed, args.train as usize, args.test as usize);
    let files = match args.format {
        DataFormat::Idx => data::write_idx(&args.out, &dataset, false)?,
        DataFormat::IdxGz => data::write_idx(&args.out, &dataset, true)?,
        DataFormat::Npz => {
            let file = args.out.join("digits.npz");
            data::write_npz(&file, &dataset)?;
            vec![file]
        }
    };
    context.say(format!("{} training and {} test digits, seed {}", args.train, args.test, args.seed));
    report(&files, context)
}

fn fetch(args: &FetchArgs, context: &Context) -> Result<(), CliError> {
    let set = PublicSet::named(&args.name)
        .ok_or_else(|| CliError::Usage(format!("there is no public data set {}", args.name)))?;
    let folder = args.dir.clone().unwrap_or_else(|| Path::new("data").join(set.name));
    let url = args.url.as_deref().unwrap_or(set.base_url);
    // The bar draws on a terminal only.
    let template = "{msg:28} {bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
    let bar = context.progress_bar(0, template);
    let result = data::fetch(set, &folder, url, &mut |progress| {
        bar.set_message(progress.file.to_string());
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    });
    bar.finish_and_clear();
    let mut files = result?;
    if set.unpacking != Unpacking::Nothing {
        context.say("unpacking …");
        files.extend(data::unpack(set, &files, &folder)?);
    }
    if set.unpacking == Unpacking::Emnist {
        context.say("EMNIST's images lie on their side, as it publishes them: rows are columns; the labels of its letters are 1 to 26");
    }
    report(&files, context)
}

/// Lists the files that are there now.
fn report(files: &[impl AsRef<Path>], context: &Context) -> Result<(), CliError> {
    let mut total = 0;
    for file in files {
        let file = file.as_ref();
        let bytes = std::fs::metadata(file).map_err(FileError::at(file))?.len();
        total += bytes;
        context.say(format!("{}  {bytes} bytes", file.display()));
    }
    let files: Vec<&Path> = files.iter().map(AsRef::as_ref).collect();
    context.emit(&json!({ "files": files, "bytes": total }));
    Ok(())
}
