//! A trained model over a set of examples.

use super::draft::NormalisedBy;
use super::mounted::Mounted;
use super::{Score, TrainError, check, draft};
use crate::backend::Backend;
use crate::data::{Examples, Scaling};
use crate::ir::{Limits, Plan, PlanError};
use crate::kernel::step::state;
use crate::model::Model;
use crate::recipe::{Activation, OptimizerSpec};

/// What a model makes of a set of examples.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// Mean loss and accuracy.
    pub score: Score,
    /// (examples, outputs): probabilities for the cross entropies, else the outputs themselves.
    pub outputs: Vec<f32>,
    /// Outputs per example.
    pub width: usize,
}

impl Predictions {
    /// Runs the model with these weights over the examples on a backend. The optimizer's L2 penalty is part of the loss,
    /// as it is in training.
    pub fn run(
        backend: &dyn Backend,
        model: &Model,
        parameters: &[Vec<f32>],
        scaling: &Scaling,
        optimizer: &OptimizerSpec,
        examples: &Examples,
    ) -> Result<Predictions, TrainError> {
        check::has_levels(model, scaling, &examples.features, "the examples")?;
        let count = examples.features.count;
        let planned =
            draft::evaluation((model, scaling, optimizer), examples, 1, NormalisedBy::Running, backend.limits())?;
        let mut mounted = Mounted::new(backend, backend.tuned(&planned), vec![examples])?;
        mounted.set_tensors(0, parameters)?;

        let width = model.outputs();
        let mut outputs = Vec::with_capacity(count * width);
        let state = mounted.evaluate_each(draft::EXAMPLES, |batch| {
            let left = count * width - outputs.len();
            outputs.extend_from_slice(&batch[..left.min(batch.len())]);
        })?;
        let (counters, scalars) = mounted.fetch_state(state)?;
        outputs.chunks_mut(width).for_each(|row| apply(model.output_activation, row));
        if let Some(place) = outputs.iter().position(|value| !value.is_finite()) {
            return Err(TrainError::NotFiniteOutput { example: place / width, value: outputs[place] });
        }
        let counts_answers = Score::counts_answers(model.loss, &examples.targets);
        let score = Score::of(&counters[..state::COUNTERS], &scalars[..state::SCALARS], counts_answers);
        Ok(Predictions { score, outputs, width })
    }

    /// The plan that [`Predictions::run`] runs, with these weights, for a device with these limits. Its set, of which the plan
    /// holds no example, is the first of its `io`; its outputs are those of the network, to which the model's
    /// `output_activation` is yet to be applied.
    pub fn plan(
        model: &Model,
        parameters: &[Vec<f32>],
        scaling: &Scaling,
        optimizer: &OptimizerSpec,
        examples: &Examples,
        limits: Limits,
    ) -> Result<Plan, TrainError> {
        let mut planned = draft::evaluation((model, scaling, optimizer), examples, 1, NormalisedBy::Running, limits)?;
        let io = planned.io.as_ref().ok_or(PlanError::NoIo)?;
        if let Some(problem) = io.misfit(parameters) {
            return Err(TrainError::NotOfModel(problem));
        }
        let weights = draft::weights_of(io, &[parameters.to_vec()]);
        planned.init.extend(weights);
        Ok(planned.lower())
    }

    /// The class of each example: its largest output.
    pub fn classes(&self) -> Vec<u32> {
        let best = |row: &[f32]| {
            let largest = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
            largest.map_or(0, |(class, _)| class as u32)
        };
        self.outputs.chunks(self.width).map(best).collect()
    }
}

/// Turns the network's outputs into what is reported: logits into probabilities.
pub(super) fn apply(activation: Activation, row: &mut [f32]) {
    match activation {
        Activation::Softmax => {
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            row.iter_mut().for_each(|x| *x = (*x - largest).exp());
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|x| *x /= sum);
        }
        Activation::Sigmoid => row.iter_mut().for_each(|x| *x = 1.0 / (1.0 + (-*x).exp())),
        _ => {}
    }
}
