//! What an experiment on gradients leaves in its folder.

use super::super::CliError;
use super::super::grad::{Check, Measured};
use super::list::Experiment;
use gputrain::file::write_whole;
use gputrain::gradcheck::rounding::largest;
use gputrain::job::Job;
use gputrain::recipe::Recipe;
use gputrain::report::{Block, Page, Section, Table};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Tensors with more elements are told by their norm alone.
const MAX_SHOWN: usize = 32;
/// Published gradients have eight decimals, and examples and weights are rounded to single precision here.
const PUBLISHED_BOUND: f64 = 1e-7;

/// What the results of an experiment depend on, as a blake3 hash: its recipe as it was resolved, its weights, and what they
/// are held against.
pub(super) fn origin(experiment: &Experiment, recipe: &Recipe) -> String {
    let Experiment { init, check, published, .. } = experiment;
    let all = format!("{}\n{init:?} {check} {published:?}", recipe.to_toml());
    blake3::hash(all.as_bytes()).to_hex().to_string()
}

/// `gradients.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Gradients {
    /// See [`origin`].
    pub origin: String,
    pub loss: f32,
    /// Largest error against central differences, over all parameters.
    pub numeric_error: Option<f64>,
    /// Largest error of the device's gradients against those in f64.
    pub device_error: Option<f64>,
    /// Largest difference from the published gradients.
    pub published_error: Option<f64>,
    /// Whether all of them are within their bounds.
    pub passes: bool,
    pub parameters: Vec<Tensor>,
}

/// The gradient of one parameter.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub norm: f64,
    pub numeric_error: Option<f64>,
    pub device_error: Option<f64>,
    /// The gradient itself, where it is small.
    pub gradient: Vec<f32>,
    /// What is published, if anything is.
    pub published: Vec<f64>,
}

impl Gradients {
    /// What a folder holds, if it holds that. Without its origin, as earlier versions wrote it, it is no result.
    pub fn read(folder: &Path) -> Option<Gradients> {
        serde_json::from_str(&gputrain::file::read_text(&folder.join("gradients.json")).ok()?).ok()
    }
}

/// Writes `gradients.json` and a page.
pub(super) fn write(
    experiment: &Experiment,
    job: &Job,
    measured: Measured,
    folder: &Path,
) -> Result<Gradients, CliError> {
    let found = compare(experiment, job, &measured)?;
    let text = serde_json::to_string_pretty(&found).map_err(|error| CliError::Failed(error.to_string()))?;
    page(experiment, job, &found).save(&folder.join("report.html"))?;
    // Last, because its presence says that all is there.
    write_whole(&folder.join("gradients.json"), text.as_bytes())?;
    Ok(found)
}

fn compare(experiment: &Experiment, job: &Job, measured: &Measured) -> Result<Gradients, CliError> {
    let names = job.model.parameters.iter().map(|parameter| parameter.name.as_str());
    if let Some(stranger) = experiment.published.keys().find(|name| !names.clone().any(|known| known == **name)) {
        return Err(CliError::Usage(format!("{}: published: the model has no {stranger}", experiment.name)));
    }
    let mut published_error: Option<f64> = None;
    let mut parameters = Vec::new();
    for (index, (parameter, gradient)) in job.model.parameters.iter().zip(&measured.gradients).enumerate() {
        let check: Option<&Check> = measured.checks.as_ref().and_then(|checks| checks.get(index));
        let published = experiment.published.get(&parameter.name).cloned().unwrap_or_default();
        if !published.is_empty() {
            if published.len() != gradient.len() {
                let (name, found, wanted) = (&parameter.name, published.len(), gradient.len());
                let problem = format!("{}: published: {name} has {wanted} elements, not {found}", experiment.name);
                return Err(CliError::Usage(problem));
            }
            let difference = published.iter().zip(gradient).map(|(theirs, ours)| (theirs - f64::from(*ours)).abs());
            published_error = Some(largest(difference.chain(published_error)));
        }
        parameters.push(Tensor {
            name: parameter.name.clone(),
            shape: parameter.shape.clone(),
            norm: gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt(),
            numeric_error: check.map(|check| check.numeric.worst_error),
            device_error: check.map(|check| check.device_error),
            gradient: if gradient.len() <= MAX_SHOWN { gradient.clone() } else { Vec::new() },
            published,
        });
    }
    let checks = measured.checks.as_deref();
    let passes = checks.is_none_or(|checks| checks.iter().all(Check::passes));
    Ok(Gradients {
        origin: origin(experiment, &job.recipe),
        loss: measured.loss,
        numeric_error: checks.map(|checks| largest(checks.iter().map(|check| check.numeric.worst_error))),
        device_error: checks.map(|checks| largest(checks.iter().map(|check| check.device_error))),
        passes: passes && published_error.is_none_or(|error| error <= PUBLISHED_BOUND),
        published_error,
        parameters,
    })
}

fn page(experiment: &Experiment, job: &Job, found: &Gradients) -> Page {
    let error = |error: Option<f64>| error.map_or("–".to_string(), |error| format!("{error:.1e}"));
    let row = |tensor: &Tensor| {
        let norm = format!("{:.6e}", tensor.norm);
        vec![
            tensor.name.clone(),
            format!("{:?}", tensor.shape),
            norm,
            error(tensor.numeric_error),
            error(tensor.device_error),
        ]
    };
    let header = ["parameter", "shape", "norm of the gradient", "against central differences", "device against f64"];
    let table = Table {
        header: header.map(String::from).into(),
        rows: found.parameters.iter().map(row).collect(),
        ..Table::default()
    };
    let mut sections = vec![Section { title: "Gradients".into(), blocks: vec![Block::Table(table)] }];
    let published: Vec<Vec<String>> = found.parameters.iter().flat_map(published_rows).collect();
    if !published.is_empty() {
        let header = ["element", "here", "published", "difference"].map(String::from).into();
        let table = Table { header, rows: published, ..Table::default() };
        sections.push(Section { title: "Published".into(), blocks: vec![Block::Table(table)] });
    }
    let recipe = vec![Block::Code(job.recipe.to_toml())];
    sections.push(Section { title: "Recipe".into(), blocks: recipe });
    Page { title: job.recipe.name.clone(), subtitle: format!("{} Loss {}.", experiment.text, found.loss), sections }
}

fn published_rows(tensor: &Tensor) -> Vec<Vec<String>> {
    let row = |(index, (ours, theirs)): (usize, (&f32, &f64))| {
        let difference = (f64::from(*ours) - theirs).abs();
        vec![
            format!("{}[{index}]", tensor.name),
            format!("{ours:.8}"),
            format!("{theirs:.8}"),
            format!("{difference:.1e}"),
        ]
    };
    tensor.gradient.iter().zip(&tensor.published).enumerate().map(row).collect()
}
