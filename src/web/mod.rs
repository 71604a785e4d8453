//! A trained model in a browser: as a page of its own, one file that asks for nothing else, and as a panel in a run's report.
//!
//! Both hold the plan of a prediction with the weights, made for WebGPU's default limits, the same network as ONNX operations for
//! browsers without WebGPU, and what inputs and outputs mean; a page also, where it is asked for, the plan of the recipe's training
//! with its examples. Markup, style and scripts are those of `web`, the scripts built into `web/built`; nothing is computed here.

mod answer;
mod input;
mod network;
mod panel;
mod training;

pub use panel::{panel, panel_left_out};

use crate::export::{ExportError, SavedModel};
use crate::file::{FileError, write_whole};
use crate::ir::{Limits, Plan};
use crate::job::Job;
use crate::plan_file::PlanFile;
use crate::report::escape;
use crate::train::{Predictions, TrainError};
use answer::Answer;
use base64::Engine as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use input::Input;
use serde::Serialize;
use std::io::Write as _;
use std::path::Path;
use training::Training;

const PAGE: &str = include_str!("../../web/page.html");
const PAGE_STYLE: &str = include_str!("../../web/page.css");
const PANEL: &str = include_str!("../../web/panel.html");
const PANEL_STYLE: &str = include_str!("../../web/panel.css");
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
        "the recipe takes its learning rates from what is measured (a plateau, train.early_stop.slow_down), or has too many of them, \
         and a page decides nothing by what it measures; train with another schedule, or export without --train"
    )]
    Schedule,
    /// More than a browser should hold.
    #[error(
        "the page would take {} kB, more than {} ({}); {}",
        bytes.div_ceil(1000),
        MOST_BYTES / 1000,
        in_words(parts),
        remedy(parts)
    )]
    TooLarge {
        /// Bytes of the page.
        bytes: usize,
        /// What takes how many of them.
        parts: Vec<(&'static str, usize)>,
    },
}

/// The parts of a page, as notes and errors call them.
const OWN: &str = "scripts and style";
const PREDICTION: &str = "plan and weights";
const NETWORK: &str = "network for plain JavaScript";
const TRAINING: &str = "training with its examples";
const FUSED: &str = "training in fused steps";
const EXAMPLES: &str = "examples";
const BEGINNING: &str = "training's plan and first weights";

/// What takes how much of a page.
pub fn in_words(parts: &[(&'static str, usize)]) -> String {
    let part = |(name, bytes): &(&str, usize)| format!("{name} {}", bytes.div_ceil(1000));
    parts.iter().map(part).collect::<Vec<_>>().join(", ")
}

/// What makes a page that is too large smaller: less of what is left out first.
fn remedy(parts: &[(&'static str, usize)]) -> &'static str {
    let without = |names: &[&str]| parts.iter().filter(|(name, _)| !names.contains(name)).map(|part| part.1).sum();
    match [without(&[EXAMPLES]), without(&[EXAMPLES, BEGINNING, FUSED])].map(|bytes: usize| bytes <= MOST_BYTES) {
        [true, _] if parts.iter().any(|(name, _)| *name == EXAMPLES) => "train with fewer examples (data.examples)",
        [_, true] => "leave out --train",
        _ => "its weights alone are too many for a page; export the model to onnx",
    }
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

impl PackedPlan {
    fn new(file: &PlanFile) -> PackedPlan {
        PackedPlan { json: packed(file.json().as_bytes()), words: packed(file.blob()) }
    }

    fn bytes(&self) -> usize {
        self.json.len() + self.words.len()
    }
}

/// A plan as it is written, if a browser with these limits is sure to run it.
fn plan_within(plan: &Plan, limits: &Limits) -> Result<PlanFile, WebError> {
    match plan.dispatches().find(|d| !limits.allow(d) || d.kernel.bindings.len() > MOST_BINDINGS) {
        Some(refused) => Err(WebError::Limits { label: refused.label.clone(), kernel: refused.kernel.name }),
        None => Ok(PlanFile::new(plan)),
    }
}

impl PageData {
    /// What predicts by a model, and how it takes what could be taken in two ways.
    fn of(saved: &SavedModel) -> Result<(PageData, Vec<String>), WebError> {
        let blank = input::blank(&saved.model);
        let SavedModel { model, parameters, scaling, recipe, .. } = saved;
        let (input, notes) = Input::of(saved)?;
        let network = network::json(saved)?;
        let plan = Predictions::plan(model, parameters, scaling, &recipe.optimizer, &blank, Limits::WEBGPU)?;
        let data = PageData {
            format: "gputrain page",
            version: 1,
            name: recipe.name.clone(),
            answer: Answer::of(saved, &blank, matches!(input, Input::Picture { .. })),
            input,
            predict: PackedPlan::new(&plan_within(&plan, &Limits::WEBGPU)?),
            network: packed(network.as_bytes()),
            training: None,
        };
        Ok((data, notes))
    }

    /// The data and the script that reads it, as elements that come after those it fills.
    fn scripts(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_else(|error| unreachable!("texts and numbers: {error}"));
        // No text may end the script that it stands in.
        let json = json.replace('<', "\\u003c");
        format!("<script type=\"application/json\" id=\"data\">{json}</script>\n<script>{SCRIPT}</script>\n")
    }
}

impl WebPage {
    /// The page of a model; with a job it trains that again, from the job's initial weights on.
    pub fn new(saved: &SavedModel, training: Option<&Job>) -> Result<WebPage, WebError> {
        let (mut data, notes) = PageData::of(saved)?;
        data.training = training.map(Training::of).transpose()?;
        let [plain, fused] = data.training.as_ref().map_or([0, 0], Training::bytes);
        let bytes = [data.predict.bytes(), data.network.len(), plain, fused];
        let (title, panel, scripts) = (escape(&saved.recipe.name), filled(PANEL, &[("level", "2")]), data.scripts());
        let html = filled(
            PAGE,
            &[
                ("title", &title),
                ("style", &format!("{PAGE_STYLE}{PANEL_STYLE}")),
                ("panel", &panel),
                ("version", env!("CARGO_PKG_VERSION")),
                ("scripts", &scripts),
            ],
        );
        let own = html.len() - bytes.iter().sum::<usize>();
        let named = [OWN, PREDICTION, NETWORK, TRAINING, FUSED].into_iter().zip(std::iter::once(own).chain(bytes));
        let parts: Vec<_> = named.filter(|(_, bytes)| *bytes > 0).collect();
        if html.len() > MOST_BYTES {
            let examples = data.training.as_ref().map_or(0, Training::bytes_of_examples);
            let divided = |(name, bytes): (&'static str, usize)| match name {
                TRAINING => vec![(BEGINNING, bytes.saturating_sub(examples)), (EXAMPLES, examples)],
                _ => vec![(name, bytes)],
            };
            return Err(WebError::TooLarge { bytes: html.len(), parts: parts.into_iter().flat_map(divided).collect() });
        }
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

/// A text whose places, words between `%%`, are filled.
fn filled(text: &str, places: &[(&str, &str)]) -> String {
    let fill = |place: &str| places.iter().find(|(name, _)| *name == place).map_or("", |(_, value)| value);
    text.split("%%").enumerate().map(|(index, part)| if index % 2 == 0 { part } else { fill(part) }).collect()
}

/// Bytes packed by gzip, in base64.
fn packed(bytes: &[u8]) -> String {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let packed = encoder.write_all(bytes).and_then(|()| encoder.finish());
    let packed = packed.unwrap_or_else(|error| unreachable!("memory takes every byte: {error}"));
    base64::engine::general_purpose::STANDARD.encode(packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_too_large_says_what_of() {
        let words = |parts: &[(&'static str, usize)]| {
            let bytes = parts.iter().map(|part| part.1).sum();
            WebError::TooLarge { bytes, parts: parts.to_vec() }.to_string()
        };
        let (few, many) = (1_000_000, 70_000_000);
        assert_eq!(
            words(&[(OWN, few), (PREDICTION, few), (BEGINNING, few), (EXAMPLES, many)]),
            "the page would take 73000 kB, more than 67108 (scripts and style 1000, plan and weights 1000, training's plan and \
             first weights 1000, examples 70000); train with fewer examples (data.examples)"
        );
        // The weights stand in it twice.
        let twice = words(&[(OWN, few), (PREDICTION, many / 2), (BEGINNING, many / 2), (EXAMPLES, few)]);
        assert!(twice.ends_with("; leave out --train"), "{twice}");
        for parts in [&[(OWN, few), (PREDICTION, many)][..], &[(PREDICTION, many), (BEGINNING, many), (EXAMPLES, many)]]
        {
            assert!(words(parts).ends_with("export the model to onnx"), "{parts:?}");
        }
    }
}
