//! `landscape`: the loss around the path of the weights.

use super::examples::find_data;
use super::{CliError, Context};
use clap::Args;
use gputrain::backend::Backend;
use gputrain::data::Dataset;
use gputrain::export::SavedModel;
use gputrain::job::Job;
use gputrain::landscape::{Ground, LANDSCAPE_SIZE, Relief, Trajectory, spread};
use gputrain::report::{save_drawing, save_svg_and_png};
use gputrain::run::{RunFolder, write_report};
use gputrain::web::panel;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const RESOLUTION: u32 = 41;
const SAMPLES: u32 = 2500;

/// Draws the training loss around the path that a run's weights took
///
/// The run must have recorded its weights: train.record = ["weights"]. The loss is evaluated on a grid in the plane of
/// the first two principal components of the path that leads from the initial weights to those of the last epoch, at many
/// points side by side on the device; the plane goes through the final weights. The folder of the run gets landscape.json, the
/// surface as landscape.svg and landscape.png, the same from above as landscape-map.svg and landscape-map.png, and a
/// report.html that shows them. Example:
///
///   gputrain train fashion-landscape --out runs/fashion
///   gputrain landscape runs/fashion
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub struct LandscapeArgs {
    /// The folder of a run, as `train --out DIR` writes it
    #[arg(value_name = "RUN")]
    folder: PathBuf,
    /// Points along each side of the grid
    #[arg(long, value_name = "N", default_value_t = RESOLUTION, value_parser = clap::value_parser!(u32).range(3..=1000))]
    resolution: u32,
    /// Training examples that the loss is the mean of, spread evenly over the training set
    #[arg(long, value_name = "N", default_value_t = SAMPLES, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// Another file that the surface is drawn to, .svg or .png
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Folder in which the data files of the run's recipe are looked for
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl LandscapeArgs {
    /// For the run in a folder, everything else at its default.
    pub(super) fn new(folder: &Path, data: Option<&Path>) -> LandscapeArgs {
        let (folder, data) = (folder.to_path_buf(), data.map(Path::to_path_buf));
        LandscapeArgs { folder, resolution: RESOLUTION, samples: SAMPLES, out: None, data }
    }
}

/// The summary.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    name: &'a str,
    run: &'a Path,
    file: PathBuf,
    epochs: u32,
    resolution: u32,
    samples: usize,
    /// Share of the path's variance along either axis.
    explained: Vec<f64>,
    final_loss: Option<f32>,
    lowest: Option<Lowest>,
    seconds: f64,
}

/// The lowest point of the grid.
#[derive(Debug, Serialize)]
struct Lowest {
    x: f64,
    y: f64,
    loss: f32,
}

pub fn run(args: &LandscapeArgs, context: &Context) -> Result<(), CliError> {
    let run = load(args)?;
    draw(args, run, &*context.open_backend()?, context)
}

/// A trained model, the path of its weights, and its data.
pub(super) struct Recorded {
    saved: SavedModel,
    trajectory: Trajectory,
    dataset: Arc<Dataset>,
}

/// The run in the folder of the arguments.
pub(super) fn load(args: &LandscapeArgs) -> Result<Recorded, CliError> {
    let saved = SavedModel::load(&args.folder)?;
    let trajectory = Trajectory::load(&args.folder, &saved.model)?;
    let mut recipe = saved.recipe.clone();
    find_data(&mut recipe, &args.folder, args.data.as_deref())?;
    let dataset = Job::load_for(recipe, &saved.trained_on)?.dataset;
    Ok(Recorded { saved, trajectory, dataset })
}

/// Evaluates the landscape of a run on an open backend, and draws it.
pub(super) fn draw(
    args: &LandscapeArgs,
    Recorded { saved, trajectory, dataset }: Recorded,
    backend: &dyn Backend,
    context: &Context,
) -> Result<(), CliError> {
    let folder = RunFolder::enter(&args.folder)?;
    if let Some(warning) = folder.warning() {
        context.say(warning);
    }
    let examples = spread(&dataset.train, args.samples as usize);
    let info = backend.info();
    let (side, samples) = (args.resolution, examples.count());
    context.say(format!("{} on {} ({})", saved.recipe.name, info.device, info.backend));
    let initial = if trajectory.epochs.first() == Some(&0) { "the initial weights and those" } else { "the weights" };
    let epochs = trajectory.epochs.iter().filter(|epoch| **epoch > 0).count();
    context.say(format!("{initial} of {epochs} epochs; {side} x {side} points, {samples} training examples each"));

    let ground = Ground {
        model: &saved.model,
        scaling: &saved.scaling,
        optimizer: &saved.recipe.optimizer,
        examples: &examples,
    };
    let bar = context.progress_bar(0, "{bar:30} {pos}/{len} points  {eta} left");
    let mut progress = |done: usize, of: usize| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    };
    let name = &saved.recipe.name;
    let relief = Relief::measure(backend, ground, name, &trajectory, side as usize, &mut progress)?;
    bar.finish_and_clear();
    folder.check_there()?;
    draw_relief(args, &relief)?;
    write_report(&args.folder, (&saved, panel(&saved)), &dataset, backend, &relief)?;
    // Last, because its presence says that all is there.
    relief.save(&args.folder)?;
    conclude(args, &relief, context);
    Ok(())
}

/// Writes the drawings.
fn draw_relief(args: &LandscapeArgs, relief: &Relief) -> Result<(), CliError> {
    let landscape = relief.landscape();
    let surface = landscape.surface_svg(LANDSCAPE_SIZE.0, LANDSCAPE_SIZE.1)?;
    let map = landscape.contour_svg(LANDSCAPE_SIZE.0, LANDSCAPE_SIZE.1)?;
    for (name, drawing) in [("landscape", &surface), ("landscape-map", &map)] {
        save_svg_and_png(&args.folder, name, drawing)?;
    }
    if let Some(file) = &args.out {
        save_drawing(file, &surface)?;
    }
    Ok(())
}

fn conclude(args: &LandscapeArgs, relief: &Relief, context: &Context) {
    let share = |component: usize| 100.0 * relief.explained.get(component).unwrap_or(&0.0);
    context.say(format!("the plane explains {:.1} % + {:.1} % of the path's variance", share(0), share(1)));
    let last = relief.path.last().and_then(|point| point.loss);
    if let (Some(last), Some((x, y, loss))) = (last, relief.lowest()) {
        context.say(format!("loss {last:.4} at the final weights; lowest on the grid {loss:.4} at ({x:.3}, {y:.3})"));
    }
    context.say(format!("wrote {}", args.folder.join("landscape.png").display()));
    context.emit(&Summary {
        name: &relief.name,
        run: &args.folder,
        file: args.out.clone().unwrap_or(args.folder.join("landscape.png")),
        epochs: relief.path.last().map_or(0, |point| point.epoch),
        resolution: args.resolution,
        samples: relief.samples,
        explained: relief.explained.iter().take(2).copied().collect(),
        final_loss: last,
        lowest: relief.lowest().map(|(x, y, loss)| Lowest { x, y, loss }),
        seconds: context.started.elapsed().as_secs_f64(),
    });
}
