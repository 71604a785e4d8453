//! Times training steps of recipes on random data.

use super::BenchArgs;
use crate::cli::table::table;
use crate::cli::train::say_streamed;
use crate::cli::{CliError, Context};
use gputrain::backend::timing::{Spread, repeat};
use gputrain::backend::{Backend, LaunchTime};
use gputrain::data::{Dataset, Examples, Features, Storage, Targets, TrainedOn, whiten};
use gputrain::ir::Dispatch;
use gputrain::kernel::formula::hash;
use gputrain::model::{Model, ModelError, Shape};
use gputrain::recipe::{Batch, Loss, Recipe, RecipeText, ScheduleKind};
use gputrain::train::{Member, Trainer, TrainerSpec};
use serde::Serialize;

/// The workloads and the examples that an epoch of each goes through.
pub(super) const WORKLOADS: [(&str, usize); 9] = [
    ("fashion-mlp-10x3", 60_000),
    ("fashion-mlp-40x5-l2", 48_000),
    ("notmnist-mlp-1000", 15_000),
    ("mnist-mlp-tanh", 50_000),
    ("mnist-mlp-adam", 48_000),
    ("fashion5-mlp1", 27_000),
    ("fashion5-cnn3", 27_000),
    ("fashion5-cnn5", 27_000),
    ("wide-mlp-4096", 40_960),
];

/// Examples that an epoch of any other recipe goes through, unless its data.examples says how many, and the most bytes
/// that they take where one batch does not need more.
const EXAMPLES: usize = 10_000;
const MAX_BYTES: usize = 256 << 20;

/// The workloads' names, for people.
pub(super) fn names() -> String {
    WORKLOADS.map(|(name, _)| name).join(", ")
}

/// One line of `--json`.
#[derive(Debug, Serialize)]
struct WorkloadTime {
    workload: String,
    /// What an epoch goes through.
    examples: usize,
    backend: String,
    device: String,
    precision: String,
    us_per_step: f64,
    us_per_step_spread: [f64; 2],
    steps_per_second: f64,
    seconds_per_epoch: f64,
    tflops: f64,
    percent_of_peak: f64,
    dispatches_per_step: usize,
    host_encode_us_per_dispatch: f64,
    host_bytes_written_in_loop: u64,
    host_buffers_created_in_loop: u64,
}

/// A recipe whose steps are to be timed.
pub(super) struct Workload {
    /// As it was named.
    name: String,
    recipe: Recipe,
    model: Model,
}

impl Workload {
    /// A recipe, in another precision if one is given. Without data that could tell the network's input, the recipe must;
    /// but the generated digits are known.
    pub fn new(name: &str, text: &RecipeText, precision: Option<&str>) -> Result<Workload, CliError> {
        let precision = precision.map(|precision| ("precision".to_string(), precision.to_string()));
        let recipe = text.parse(&Vec::from_iter(precision))?;
        let input = recipe.data.train.is_none().then_some(Shape::Features(28 * 28));
        let model = Model::of(&recipe, input).map_err(|problem| match problem {
            ModelError::NoInput => CliError::Usage(format!(
                "{name}: model.input is not given, and bench reads no data files that could tell it; write it into the \
                 recipe as [features] or [height, width, channels], such as input = [28, 28, 1]"
            )),
            problem => CliError::Usage(format!("{name}: {problem}")),
        })?;
        Ok(Workload { name: name.into(), recipe, model })
    }

    /// Examples that an epoch goes through.
    fn examples(&self) -> usize {
        let known = WORKLOADS.iter().find(|(name, _)| *name == self.name).map(|(_, examples)| *examples);
        let batch = match self.recipe.train.batch {
            Batch::Size(size) => size,
            Batch::Full => 1,
        };
        let few = (MAX_BYTES / self.model.input.len()).min(EXAMPLES).max(batch);
        known.or(self.recipe.data.examples).unwrap_or(few)
    }

    /// Times its steps.
    pub fn time(&self, peak: f64, backend: &dyn Backend, args: &BenchArgs, context: &Context) -> Result<(), CliError> {
        let (Workload { name, recipe, model }, examples) = (self, self.examples());
        let dataset = Dataset { train: random_examples(model, examples), validation: None, test: None };
        let scaling = TrainedOn::default().scaling(&recipe.data, &dataset.train.features)?;
        let mut parameters = model.initialise(recipe.seed);
        whiten(&mut parameters, model, &dataset.train.features, &scaling);
        let mut members = vec![Member::of(recipe)];
        let mut train = recipe.train.clone();
        // What watches and records has no part in a step, and may ask for examples that are held out.
        (train.early_stop, train.record) = (None, Vec::new());
        if matches!(recipe.schedule.kind, ScheduleKind::Plateau { .. }) {
            members[0].schedule.kind = ScheduleKind::Constant;
        }
        let spec = TrainerSpec {
            model: model.clone(),
            dataset: dataset.into(),
            scaling,
            trained_on: TrainedOn::default(),
            train,
            augment: recipe.augment.clone(),
            members,
            folds: 1,
        };
        let fusion = args.fusion.fusion();
        args.tune.tune(backend, context, spec.clone(), fusion)?;
        let mut trainer = Trainer::with_fusion(backend, spec, fusion)?;
        trainer.set_parameters(0, &parameters)?;
        say_streamed(&trainer, context);

        let (steps, times) = repeat(args.effort(), |steps| trainer.time_steps(steps))?;
        let before = trainer.host_counters();
        trainer.time_steps(steps)?;
        let after = trainer.host_counters();
        let programs = [(trainer.step_program(), 1)].into_iter().chain(trainer.batch_program());
        let (mut flops, mut dispatches) = (0.0, 0);
        for (program, times) in programs {
            flops += times as f64 * program.dispatches().map(|dispatch| dispatch.cost.flops).sum::<f64>();
            dispatches += times * program.len();
        }
        let Spread { fastest, median, slowest } = Spread::new(&times);
        let encoded = (after.dispatches - before.dispatches).max(1) as f64;
        let time = WorkloadTime {
            workload: name.clone(),
            examples,
            backend: backend.info().backend.clone(),
            device: backend.info().device.clone(),
            precision: recipe.precision.to_string(),
            us_per_step: median * 1e6,
            us_per_step_spread: [fastest * 1e6, slowest * 1e6],
            steps_per_second: 1.0 / median,
            seconds_per_epoch: median * trainer.steps_per_epoch() as f64,
            tflops: flops / median / 1e12,
            percent_of_peak: 100.0 * flops / median / 1e12 / peak,
            dispatches_per_step: dispatches,
            host_encode_us_per_dispatch: (after.encode_nanoseconds - before.encode_nanoseconds) as f64 / 1e3 / encoded,
            host_bytes_written_in_loop: after.bytes_written - before.bytes_written,
            host_buffers_created_in_loop: after.buffers_created - before.buffers_created,
        };
        context.say(format!(
            "{name:22} {:10.1} us/step ({:.1} to {:.1})  {:8.4} TFLOP/s ({:4.1} % of the measured peak)  {dispatches} dispatches",
            time.us_per_step,
            time.us_per_step_spread[0],
            time.us_per_step_spread[1],
            time.tflops,
            time.percent_of_peak
        ));
        context.emit(&time);
        if args.profile {
            profile(name, &mut trainer, context)?;
        }
        Ok(())
    }
}

/// One launch of a step, as `--profile --json` tells of it.
#[derive(Debug, Serialize)]
struct ProfiledLaunch<'a> {
    workload: &'a str,
    launch: String,
    kernel: &'static str,
    us: f64,
    percent_of_step: f64,
    gflops: f64,
    gbytes_per_second: f64,
}

/// Where the time of a step goes: the median of several steps, launch by launch.
fn profile(workload: &str, trainer: &mut Trainer, context: &Context) -> Result<(), CliError> {
    const STEPS: usize = 21;
    let steps: Vec<Vec<LaunchTime>> = (0..STEPS).map(|_| trainer.profile_step()).collect::<Result<_, _>>()?;
    let dispatches: Vec<Dispatch> = trainer.step_program().dispatches().cloned().collect();
    let median =
        |launch: usize| Spread::new(&steps.iter().map(|step| step[launch].nanoseconds).collect::<Vec<_>>()).median;
    let medians: Vec<f64> = (0..dispatches.len()).map(median).collect();
    let whole: f64 = medians.iter().sum();
    let profiled = |(dispatch, nanoseconds): (&Dispatch, &f64)| {
        // Operations per nanosecond are billions per second.
        ProfiledLaunch {
            workload,
            launch: dispatch.label.clone(),
            kernel: dispatch.kernel.name,
            us: nanoseconds / 1e3,
            percent_of_step: 100.0 * nanoseconds / whole,
            gflops: dispatch.cost.flops / nanoseconds,
            gbytes_per_second: dispatch.cost.bytes / nanoseconds,
        }
    };
    let launches: Vec<ProfiledLaunch> = dispatches.iter().zip(&medians).map(profiled).collect();
    let row = |l: &ProfiledLaunch| {
        let numbers = [l.us, l.percent_of_step, l.gflops, l.gbytes_per_second].map(|x| format!("{x:.1}"));
        [l.launch.clone(), l.kernel.to_string()].into_iter().chain(numbers).collect()
    };
    let rows: Vec<Vec<String>> = launches.iter().map(row).collect();
    context.say(table(&["launch", "kernel", "us", "% of step", "GFLOP/s", "GB/s"], &rows));
    launches.iter().for_each(|launch| context.emit(launch));
    Ok(())
}

/// Examples without meaning, the same every time.
fn random_examples(model: &Model, count: usize) -> Examples {
    let width = model.input.len();
    let words = (0..(count * width).div_ceil(4) as u32).flat_map(|i| hash::mix(i).to_le_bytes());
    let bytes: Vec<u8> = words.take(count * width).collect();
    let label = |i: usize| hash::combine(1, i as u32) % model.outputs() as u32;
    let targets = match model.loss {
        Loss::SoftmaxCrossEntropy => {
            Targets::Classes { labels: (0..count).map(label).collect(), classes: model.outputs() }
        }
        _ => {
            let values = (0..count * model.outputs()).map(|i| (hash::mix(i as u32) & 1) as f32).collect();
            Targets::Values { values, outputs: model.outputs() }
        }
    };
    Examples::unweighted(Features { storage: Storage::U8(bytes.into()), count, shape: model.input }, targets)
}
