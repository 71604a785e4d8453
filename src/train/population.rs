//! Many weights of one model over one set of examples, side by side.

use super::draft::NormalisedBy;
use super::mounted::Mounted;
use super::{Score, TrainError, draft};
use crate::backend::{Backend, BackendError};
use crate::data::{Examples, Scaling};
use crate::ir::Role;
use crate::kernel::step::state;
use crate::model::Model;
use crate::recipe::OptimizerSpec;

/// Memory that the members may take together, beside the examples. More would not make a device busier.
const MEMBERS_BYTES: u64 = 512 << 20;

/// Evaluates models that differ in their weights alone, as members of one plan.
pub struct Population<'a> {
    mounted: Mounted<&'a Examples>,
    members: usize,
    counts_answers: bool,
}

impl<'a> Population<'a> {
    /// Makes ready for as many members as fit the device, `wanted` at most. The loss is the mean over the examples with
    /// the optimizer's L2 penalty, as it is in training; and as there, layers that normalise over the batch take each batch's
    /// own mean and variance: nobody knows the running ones of weights that no training has gone through. So a model with such a layer
    /// that is frozen, and takes the running ones in training, is refused.
    pub fn new(
        backend: &dyn Backend,
        model: &Model,
        scaling: &Scaling,
        optimizer: &OptimizerSpec,
        examples: &'a Examples,
        wanted: usize,
    ) -> Result<Population<'a>, TrainError> {
        if let Some(layer) = model.layers.iter().find(|layer| layer.frozen && !layer.statistics.is_empty()) {
            return Err(TrainError::FrozenStatistics { layer: layer.name.clone() });
        }
        let mut members = wanted.max(1);
        loop {
            let prepared = Population::of(backend, model, scaling, optimizer, examples, members);
            let too_many = match &prepared {
                Ok(found) => found.is_none(),
                Err(TrainError::Build(_) | TrainError::Backend(BackendError::OutOfMemory { .. })) => true,
                Err(_) => false,
            };
            match prepared {
                Ok(Some(population)) => return Ok(population),
                Err(error) if members == 1 || !too_many => return Err(error),
                _ => members = members.div_ceil(2),
            }
        }
    }

    /// With exactly so many members; none if they would take too much memory.
    fn of(
        backend: &dyn Backend,
        model: &Model,
        scaling: &Scaling,
        optimizer: &OptimizerSpec,
        examples: &'a Examples,
        members: usize,
    ) -> Result<Option<Population<'a>>, TrainError> {
        let planned =
            draft::evaluation((model, scaling, optimizer), examples, members, NormalisedBy::Batch, backend.limits())?;
        let beside_data = planned.buffers.iter().filter(|buffer| buffer.role != Role::Data);
        if members > 1 && beside_data.map(|buffer| buffer.bytes()).sum::<u64>() > MEMBERS_BYTES {
            return Ok(None);
        }
        let mounted = Mounted::new(backend, backend.tuned(&planned), vec![examples])?;
        let counts_answers = Score::counts_answers(model.loss, &examples.targets);
        Ok(Some(Population { mounted, members, counts_answers }))
    }

    /// Members that are evaluated at once.
    pub fn members(&self) -> usize {
        self.members
    }

    /// Loss and accuracy of each of at most [`Population::members`] weights: the parameters one after the other, in the
    /// model's order.
    pub fn scores(&mut self, weights: &[Vec<f32>]) -> Result<Vec<Score>, TrainError> {
        for (member, flat) in weights.iter().take(self.members).enumerate() {
            let mut rest = &flat[..];
            let parameters = self.mounted.io.parameters.tensors.iter().map(|tensor| {
                let (parameter, after) = rest.split_at(tensor.len);
                rest = after;
                parameter.to_vec()
            });
            let parameters: Vec<Vec<f32>> = parameters.collect();
            self.mounted.write_model(self.mounted.io.parameters.buffer, member, &parameters)?;
        }
        let state = self.mounted.evaluate(draft::EXAMPLES)?;
        let (counters, scalars) = self.mounted.fetch_state(state)?;
        let members = counters.chunks(state::COUNTERS).zip(scalars.chunks(state::SCALARS)).take(weights.len());
        Ok(members.map(|(counters, scalars)| Score::of(counters, scalars, self.counts_answers)).collect())
    }
}
