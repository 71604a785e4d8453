//! A trained model as a page for a browser: one file that asks for nothing else.
//!
//! It holds the plan of a prediction with the weights, made for WebGPU's default limits, the same network as ONNX operations for
//! browsers without WebGPU, what inputs and outputs mean, and, where it is asked for, the plan of the recipe's training with
//! its examples. The scripts are those of `web/src`, built into `web/built`; nothing is computed here.

mod input;
mod network;

use crate::data::Examples;
use crate::export::{ExportError, SavedModel};
use crate::file::{FileError, write_whole};
use crate::ir::{Limits, Plan};
use crate::job::Job;
use crate::plan_file::PlanFile;
use crate::planner::Fusion;
use crate::recipe::{Activation, Precision};
use crate::run::Answers;
use crate::train::{Draft, Member, Predictions, Score, TrainError};
use base64::Engine as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use input::Input;
use serde::Serialize;
use std::io::Write as _;
use std::path::Path;

const TEMPLATE: &str = include_str!("../../web/page.html");
const STYLE: &str = include_str!("../../web/page.css");
const SCRIPT: &str = include_str!("../../web/built/page.js");

/// Most bytes of a page: browsers hold it in memory several times.
const MOST_BYTES: usize = 64 << 20;
/// Storage buffers that a launch may bind by WebGPU's default limits.
const MOST_BINDINGS: usize = 8;

/// Why a model cannot be a page.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// A plan that no browser is sure to run.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Weights that training begins with.
    #[error(transparent)]
    Start(#[from] ExportError),
    /// A picture of other channels.
    #[error(
        "the model takes pictures of {channels} channels, and a page shows it pictures of 1 or 3; export it to onnx"
    )]
    Channels {
        /// Channels of the model's input.
        channels: usize,
    },
    /// A layer that plain JavaScript does not compute.
    #[error(
        "the model needs the ONNX operation {operation}, which a page does not compute where there is no WebGPU; it computes {}; \
         export the model to onnx",
        network::OPERATIONS.join(", ")
    )]
    Operation {
        /// What is missing.
        operation: String,
    },
    /// A launch beyond WebGPU's default limits.
    #[error("{label} ({kernel}) asks for more than WebGPU's default limits: a page for every browser cannot run it")]
    Limits {
        /// What the launch computes.
        label: String,
        /// Its kernel.
        kernel: &'static str,
    },
    /// Products in 16 bits.
    #[error(
        "the recipe trains in mixed precision, and not every browser computes with 16 bits; train the model with precision = \"f32\", \
         or export it without --train"
    )]
    Mixed,
    /// Learning rates that a page does not know.
    #[error(
        "the recipe's schedule takes its learning rates from what is measured (a plateau), or has too many of them, and a page \
         decides nothing by what it measures; train with another schedule, or export without --train"
    )]
    Schedule,
    /// More than a browser should hold.
    #[error(
        "the page would take {bytes} bytes, more than {MOST_BYTES}{}; train with fewer examples (data.examples)",
        if *training { ", most of it the examples of --train" } else { "" }
    )]
    TooLarge {
        /// Bytes of the page.
        bytes: usize,
        /// Whether it has examples.
        training: bool,
    },
}

/// A page for a browser.
#[derive(Debug, Clone)]
pub struct WebPage {
    html: String,
    /// How the page takes what could be taken in two ways.
    pub notes: Vec<String>,
    /// What takes how many bytes of it, in words.
    pub parts: Vec<(&'static str, usize)>,
}

/// All that the scripts are told; `web/src/page_data.ts` has the same.
#[derive(Serialize)]
struct PageData {
    format: &'static str,
    version: u32,
    gputrain: &'static str,
    name: String,
    input: Input,
    answer: Answer,
    predict: PackedPlan,
    network: String,
    training: Option<Training>,
}

/// A plan: its JSON and its words, each packed by gzip and written in base64.
#[derive(Serialize)]
struct PackedPlan {
    json: String,
    words: String,
}

/// What the outputs mean.
#[derive(Serialize)]
struct Answer {
    kind: &'static str,
    names: Vec<String>,
    activation: &'static str,
    units: Option<Vec<Units>>,
}

/// The units of a value: output * deviation + mean.
#[derive(Serialize)]
struct Units {
    mean: f64,
    deviation: f64,
}

#[derive(Serialize)]
struct Training {
    #[serde(flatten)]
    plan: PackedPlan,
    examples: usize,
    notes: Vec<String>,
    accuracy: Option<&'static str>,
}

impl PackedPlan {
    fn new(plan: &Plan) -> Result<PackedPlan, WebError> {
        let refused = plan.dispatches().find(|d| !Limits::WEBGPU.allow(d) || d.kernel.bindings.len() > MOST_BINDINGS);
        if let Some(dispatch) = refused {
            return Err(WebError::Limits { label: dispatch.label.clone(), kernel: dispatch.kernel.name });
        }
        let file = PlanFile::new(plan);
        Ok(PackedPlan { json: packed(file.json().as_bytes()), words: packed(file.blob()) })
    }

    fn bytes(&self) -> usize {
        self.json.len() + self.words.len()
    }
}

impl WebPage {
    /// The page of a model; with a job it trains that again, from the job's initial weights on.
    pub fn new(saved: &SavedModel, training: Option<&Job>) -> Result<WebPage, WebError> {
        let blank = input::blank(&saved.model);
        let SavedModel { model, parameters, scaling, recipe, .. } = saved;
        let plan = Predictions::plan(model, parameters, scaling, &recipe.optimizer, &blank, Limits::WEBGPU)?;
        let (input, notes) = Input::of(saved)?;
        let data = PageData {
            format: "gputrain page",
            version: 1,
            gputrain: env!("CARGO_PKG_VERSION"),
            name: recipe.name.clone(),
            input,
            answer: Answer::of(saved, &blank),
            predict: PackedPlan::new(&plan)?,
            network: packed(network::json(saved)?.as_bytes()),
            training: training.map(Training::of).transpose()?,
        };
        let bytes = [data.predict.bytes(), data.network.len(), data.training.as_ref().map_or(0, |t| t.plan.bytes())];
        let json = serde_json::to_string(&data).unwrap_or_else(|error| unreachable!("texts and numbers: {error}"));
        // No text may end the script that it stands in.
        let json = json.replace('<', "\\u003c");
        let title = crate::report::escape(&recipe.name);
        let fill = |place: &str| match place {
            "title" => &*title,
            "style" => STYLE,
            "data" => &*json,
            "script" => SCRIPT,
            _ => unreachable!("web/page.html has other places than these"),
        };
        let mut html = String::new();
        for (index, part) in TEMPLATE.split("%%").enumerate() {
            html.push_str(if index % 2 == 0 { part } else { fill(part) });
        }
        if html.len() > MOST_BYTES {
            return Err(WebError::TooLarge { bytes: html.len(), training: training.is_some() });
        }
        let names = ["plan and weights", "network for plain JavaScript", "training with its examples"];
        let own = ("scripts and style", html.len() - bytes.iter().sum::<usize>());
        let parts = std::iter::once(own).chain(names.into_iter().zip(bytes)).filter(|(_, bytes)| *bytes > 0).collect();
        Ok(WebPage { html, notes, parts })
    }

    /// The page's text.
    pub fn html(&self) -> &str {
        &self.html
    }

    /// Writes the page to a file, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<(), FileError> {
        write_whole(path, self.html.as_bytes())
    }
}

impl Answer {
    fn of(saved: &SavedModel, blank: &Examples) -> Answer {
        let width = saved.model.outputs();
        let score = Score { loss: 0.0, accuracy: None };
        let result = Predictions { score, outputs: vec![0.5; width], width };
        let answers = Answers::new(saved, blank, result, false);
        let kind = match (answers.classes.is_some(), answers.bits) {
            (true, _) => "classes",
            (_, true) => "bits",
            _ => "values",
        };
        let names = match kind {
            "classes" => (0..width.max(2)).map(|class| saved.trained_on.class(class)).collect(),
            "bits" => {
                let targets = saved.trained_on.targets(width);
                if targets.is_empty() { (0..width).map(|bit| format!("bit {bit}")).collect() } else { targets }
            }
            _ => answers.output_names(),
        };
        let activation = match saved.model.output_activation {
            Activation::Softmax => "softmax",
            Activation::Sigmoid => "sigmoid",
            _ => "linear",
        };
        let columns = saved.trained_on.table.as_ref().filter(|columns| kind == "values" && columns.scales(width));
        let units = |target: &crate::data::TargetColumn| Units { mean: target.mean, deviation: target.deviation };
        let units = columns.map(|columns| columns.targets.iter().map(units).collect());
        Answer { kind, names, activation, units }
    }
}

impl Training {
    fn of(job: &Job) -> Result<Training, WebError> {
        let Job { recipe, model, dataset, .. } = job;
        if recipe.precision == Precision::Mixed {
            return Err(WebError::Mixed);
        }
        let mut spec = job.spec(&[Member::of(recipe)]);
        let mut notes = Vec::new();
        if let Some(stop) = spec.train.early_stop.take() {
            let (metric, epochs) = (stop.metric, recipe.train.epochs);
            notes.push(format!("The recipe stops early by {metric}; this page trains all {epochs} epochs."));
        }
        spec.train.record.clear();
        let draft = Draft::new(spec, Fusion::Never, Limits::WEBGPU)?;
        let plan = draft.with_weights(&[job.initial()?.parameters])?.with_examples()?.plan().lower();
        let training = plan.io.as_ref().and_then(|io| io.training.as_ref());
        if training.is_none_or(|training| training.learning_rates.is_none()) {
            return Err(WebError::Schedule);
        }
        let answers = Score::counts_answers(model.loss, &dataset.train.targets);
        let accuracy = answers.then(|| Score::accuracy_name(model.loss, model.outputs()));
        Ok(Training { plan: PackedPlan::new(&plan)?, examples: dataset.train.count(), notes, accuracy })
    }
}

/// Bytes packed by gzip, in base64.
fn packed(bytes: &[u8]) -> String {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let packed = encoder.write_all(bytes).and_then(|()| encoder.finish());
    let packed = packed.unwrap_or_else(|error| unreachable!("memory takes every byte: {error}"));
    base64::engine::general_purpose::STANDARD.encode(packed)
}
