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
mod init;
mod inspect;
mod inspect_augment;
mod inspect_model;
mod inspect_plan;
mod interrupt;
mod landscape;
mod manual;
mod plot;
mod predict;
mod print;
mod ranks;
mod recipe_args;
mod sweep;
mod table;
mod train;
mod tune_args;
mod verify;

use context::{Context, GlobalArgs};
use error::CliError;
use fusion_args::FusionArgs;
use recipe_args::RecipeArgs;
use tune_args::TuneArgs;

use clap::{Parser, Subcommand};
use gputrain::ranks::{Exchange, join};
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Instant;

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
    Init(init::InitArgs),
    Recipes(init::RecipesArgs),
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
    Completions(manual::CompletionsArgs),
    Man(manual::ManArgs),
}

/// Parses a command line, the program's name first, runs the command and returns the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let started = Instant::now();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return explain(&error),
    };
    match join() {
        Ok(ranks) => ranks::ended(run(cli, started, ranks.clone()), ranks),
        Err(error) => ranks::not_joined(&error),
    }
}

/// Runs the command of a command line, whose process or part began at `started`, alone or as one of the ranks that share it. What
/// went wrong is not printed.
pub fn run(cli: Cli, started: Instant, ranks: Option<Arc<dyn Exchange>>) -> Result<(), CliError> {
    let is_shared = matches!(cli.command, None | Some(Command::Train(_) | Command::Sweep(_)));
    if ranks.is_some() && !is_shared {
        let text = "several processes share the work of train and sweep alone; start this command once, without mpirun";
        return Err(CliError::Usage(text.into()));
    }
    let context = Context::new(&cli.global, started, ranks);
    context.show_decoding();
    match cli.command.unwrap_or(Command::Train(train::TrainArgs::default())) {
        Command::Train(args) => train::run(&args, &context),
        Command::Init(args) => init::run(&args, &context),
        Command::Recipes(args) => init::recipes(&args, &context),
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
        Command::Completions(args) => {
            manual::completions(&args, &context);
            Ok(())
        }
        Command::Man(_) => manual::man(&context),
    }?;
    context.check_output()
}

/// Prints help, the version or what is wrong with the command line.
fn explain(error: &clap::Error) -> u8 {
    if error.use_stderr() {
        // It may quote what the command line holds, such as the names of files.
        print::error_line(error.render().to_string().trim_end());
        return 2;
    }
    match error.print() {
        Err(problem) if problem.kind() != std::io::ErrorKind::BrokenPipe => {
            print::error_line(format_args!("error: standard output: {problem}"));
            1
        }
        _ => 0,
    }
}
