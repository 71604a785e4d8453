//! A recipe's training as plans that hold their examples.

use super::{PackedPlan, WebError, packed, plan_within};
use crate::ir::{Initial, Limits, Plan, Role};
use crate::job::Job;
use crate::plan_file::PlanFile;
use crate::planner::Fusion;
use crate::recipe::Precision;
use crate::train::{Draft, Member, Score, TrainError};
use serde::Serialize;

/// Bytes of workgroup memory that most browsers offer, beyond WebGPU's default.
const WORKGROUP_BYTES: u32 = 32 << 10;

#[derive(Serialize)]
pub(super) struct Training {
    #[serde(flatten)]
    plan: PackedPlan,
    is_fused: bool,
    fused: Option<Fused>,
    examples: usize,
    notes: Vec<String>,
    accuracy: Option<&'static str>,
    #[serde(skip)]
    whole: Plan,
}

/// The plan with fused steps, where they take more workgroup memory than every browser offers. It begins with the words of the
/// other.
#[derive(Serialize)]
struct Fused {
    json: String,
    workgroup_bytes: u32,
}

impl Training {
    pub(super) fn of(job: &Job) -> Result<Training, WebError> {
        let Job { recipe, model, dataset, .. } = job;
        if recipe.precision == Precision::Mixed {
            return Err(WebError::Mixed);
        }
        let mut spec = job.spec(&[Member::of(recipe)]);
        let mut notes = Vec::new();
        if let Some(stop) = spec.train.early_stop.take() {
            if stop.slow_down.is_some() {
                return Err(WebError::Schedule);
            }
            let (metric, epochs) = (stop.metric, recipe.train.epochs);
            notes.push(format!("The recipe stops early by {metric}; this page trains all {epochs} epochs."));
        }
        spec.train.record.clear();
        let weights = [job.initial()?.parameters];
        let whole = |draft: Draft| -> Result<Plan, TrainError> {
            Ok(draft.with_weights(&weights)?.with_examples()?.plan().lower())
        };
        let draft = Draft::new(spec.clone(), Fusion::Auto, Limits::WEBGPU)?;
        let is_fused = draft.is_fused();
        let plan = whole(draft)?;
        let training = plan.io.as_ref().and_then(|io| io.training.as_ref());
        if training.is_none_or(|training| training.learning_rates.is_none()) {
            return Err(WebError::Schedule);
        }
        let file = plan_within(&plan, &Limits::WEBGPU)?;
        let larger = Limits { workgroup_bytes: WORKGROUP_BYTES, ..Limits::WEBGPU };
        let draft = if is_fused { None } else { Some(Draft::new(spec, Fusion::Auto, larger)?) };
        let draft = draft.filter(Draft::is_fused);
        let fused = draft.map(|draft| Fused::new(&whole(draft)?, &larger, &file)).transpose()?;
        let answers = Score::counts_answers(model.loss, &dataset.train.targets);
        let accuracy = answers.then(|| Score::accuracy_name(model.loss, model.outputs()));
        let (packed, examples) = (PackedPlan::new(&file), dataset.train.count());
        Ok(Training { plan: packed, is_fused, fused, examples, notes, accuracy, whole: plan })
    }

    /// What the examples take in the page, packed by themselves.
    pub(super) fn bytes_of_examples(&self) -> usize {
        let is_data = |initial: &&Initial| self.whole.buffers[initial.buffer.0].role == Role::Data;
        let words: Vec<&[u32]> = self.whole.init.iter().filter(is_data).map(|initial| &initial.words[..]).collect();
        packed(bytemuck::cast_slice(&words.concat())).len()
    }

    /// What the plan with the examples takes, and what the one for more workgroup memory adds.
    pub(super) fn bytes(&self) -> [usize; 2] {
        [self.plan.bytes(), self.fused.as_ref().map_or(0, |fused| fused.json.len())]
    }
}

impl Fused {
    fn new(plan: &Plan, limits: &Limits, plain: &PlanFile) -> Result<Fused, WebError> {
        let file = plan_within(plan, limits)?;
        assert!(file.blob() == plain.blob(), "plain and fused steps begin with the same weights and examples");
        Ok(Fused { json: packed(file.json().as_bytes()), workgroup_bytes: limits.workgroup_bytes })
    }
}
