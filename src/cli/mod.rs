//! The command line: one file per command.

mod bench;
mod context;
mod data;
mod devices;
mod error;
mod eval;
mod examples;
mod export;
mod fusion_args;
mod gallery;
mod grad;
mod inspect;
mod inspect_plan;
mod landscape;
mod plot;
mod predict;
mod recipe_args;
mod sweep;
mod table;
mod train;
mod tune_args;
mod verify;

pub use context::{BackendArg, Context, GlobalArgs};
pub use error::CliError;
pub use fusion_args::FusionArgs;
pub use recipe_args::RecipeArgs;
pub use tune_args::TuneArgs;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Trains neural networks on any GPU, and on the CPU with the same plan.
///
/// Without a command, trains the default recipe: a small network on generated handwritten-style digits.
///
/// Exit codes: 0 done; 1 the job ran and failed; 2 bad usage or bad input; 3 the backend or device is not there or was
/// lost; 130 interrupted, with a checkpoint saved.
#[derive(Debug, Parser)]
#[command(name = "gputrain", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(train::TrainArgs),
    Sweep(sweep::SweepArgs),
    Gallery(gallery::GalleryArgs),
    Eval(eval::EvalArgs),
    Predict(predict::PredictArgs),
    Grad(grad::GradArgs),
    Verify(verify::VerifyArgs),
    Bench(bench::BenchArgs),
    Devices(devices::DevicesArgs),
    Inspect(inspect::InspectArgs),
    Export(export::ExportArgs),
    Plot(plot::PlotArgs),
    Landscape(landscape::LandscapeArgs),
    Data(data::DataArgs),
}

/// Parses the command line, runs the command and returns the exit code.
pub fn main() -> ExitCode {
    let started = std::time::Instant::now();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return explain(&error),
    };
    let context = Context::new(&cli.global, started);
    let result = match cli.command.unwrap_or(Command::Train(train::TrainArgs::default())) {
        Command::Train(args) => train::run(&args, &context),
        Command::Sweep(args) => sweep::run(&args, &context),
        Command::Gallery(args) => gallery::run(&args, &context),
        Command::Eval(args) => eval::run(&args, &context),
        Command::Predict(args) => predict::run(&args, &context),
        Command::Grad(args) => grad::run(&args, &context),
        Command::Verify(args) => verify::run(&args, &context),
        Command::Bench(args) => bench::run(&args, &context),
        Command::Devices(args) => devices::run(&args, &context),
        Command::Inspect(args) => inspect::run(&args, &context),
        Command::Export(args) => export::run(&args, &context),
        Command::Plot(args) => plot::run(&args, &context),
        Command::Landscape(args) => landscape::run(&args, &context),
        Command::Data(args) => data::run(&args, &context),
    };
    match result.and_then(|()| context.check_output()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(text) = error.message() {
                context::print_error(&format_args!("error: {text}"));
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// Prints help, the version or what is wrong with the command line.
fn explain(error: &clap::Error) -> ExitCode {
    match error.print() {
        Err(problem) if problem.kind() != std::io::ErrorKind::BrokenPipe => {
            context::print_error(&format_args!("error: standard output: {problem}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)),
    }
}
