//! A whole model in f64: the specification's loss and gradients, to hold others against.

use super::absolute;
use super::differences::{Options, Tensor, TensorCheck, check_gradients};
use crate::backend::cpu::{Implementation, Machine};
use crate::ir::{
    Access, Binding, BufferId, Dispatch, Io, Kernel, Limits, PhaseKind, SLICE_ALIGNMENT, Slice, TensorPlace, Training,
};
use crate::kernel::optimizer::adjust_loss_scale;
use crate::kernel::step::state;
use crate::recipe::Precision;
use crate::train::{Draft, Member, TrainError, TrainerSpec, mounted};
use std::sync::Arc;

/// The first member of a trainer's specification on the reference kernels, all floats in f64.
pub struct DoublePrecision {
    machine: Machine<f64>,
    io: Io,
    training: Training,
    /// Step state before the first epoch.
    initial: (Vec<u32>, Vec<f64>),
}

impl DoublePrecision {
    /// Plans the model and fills in the training examples. Nothing is rounded, whatever the precision of the member.
    pub fn new(spec: TrainerSpec) -> Result<DoublePrecision, TrainError> {
        DoublePrecision::rounded(spec, Precision::F32)
    }

    /// The same, with those factors rounded to f16 that a device rounds in this precision.
    pub fn rounded(spec: TrainerSpec, precision: Precision) -> Result<DoublePrecision, TrainError> {
        let member = Member { precision, ..spec.members[0].clone() };
        let spec = TrainerSpec { members: vec![member], ..spec };
        let dataset = Arc::clone(&spec.dataset);
        let draft = Draft::of_training(spec, Limits::UNLIMITED)?;
        let plan = Arc::new(draft.plan().lower());
        let io = plan.io()?.clone();
        let training = io.training.clone().ok_or_else(|| TrainError::OtherPlan("it trains nothing".into()))?;
        let mut machine: Machine<f64> = Machine::new(Arc::clone(&plan), Implementation::Reference)?;
        let sets = [&dataset.train];
        mounted::fill(&plan, &io, &sets, &mut |buffer, offset, words: &[u32]| -> Result<(), TrainError> {
            fill(&mut machine, buffer, offset, words);
            Ok(())
        })?;
        let initial = (machine.words(training.counters).to_vec(), machine.floats(training.scalars).to_vec());
        Ok(DoublePrecision { machine, io, training, initial })
    }

    /// The weights that steps train.
    fn weights(&self) -> BufferId {
        self.training.trained.unwrap_or(self.io.parameters.buffer)
    }

    /// Sets the weights, and the running statistics where they are given too: a vector per tensor, in the model's order.
    pub fn set_parameters(&mut self, parameters: &[Vec<f64>]) {
        let weights = self.weights();
        let flat = self.machine.floats_mut(weights);
        for (values, TensorPlace { offset, .. }) in parameters.iter().zip(&self.io.parameters.tensors) {
            flat[*offset..offset + values.len()].copy_from_slice(values);
        }
        let Some(statistics) = &self.io.statistics else { return };
        let flat = self.machine.floats_mut(statistics.buffer);
        let given = parameters.iter().skip(self.io.parameters.tensors.len());
        for (values, TensorPlace { offset, .. }) in given.zip(&statistics.tensors) {
            flat[*offset..offset + values.len()].copy_from_slice(values);
        }
    }

    /// Loss of the run's first batch at the weights, and the gradient of each parameter. Where factors are rounded to f16,
    /// the loss scale is halved until they fit, as a trainer does it.
    pub fn gradient(&mut self) -> (f64, Vec<Vec<f64>>) {
        let (loss, flat) = loop {
            let (loss, flat) = self.flat_gradient();
            let fits = flat.iter().all(|gradient| gradient.is_finite());
            let scale = &mut self.initial.0[state::LOSS_SCALE];
            match adjust_loss_scale::halved(*scale).filter(|_| !fits && loss.is_finite()) {
                Some(half) => *scale = half,
                None => break (loss, flat),
            }
        };
        let one = |tensor: &TensorPlace| flat[tensor.offset..tensor.offset + tensor.len].to_vec();
        (loss, self.io.parameters.tensors.iter().map(one).collect())
    }

    /// The gradient laid out like the parameters, the L2 penalty's (which the optimizers add) included.
    fn flat_gradient(&mut self) -> (f64, Vec<f64>) {
        self.begin();
        self.machine.run(self.training.gradient, 1);
        let loss = self.machine.floats(self.training.scalars)[state::STEP_LOSS];
        let mut gradient = self.machine.floats(self.training.gradients).to_vec();
        let weights = self.machine.floats(self.weights());
        let blocks = self.machine.words(self.io.parameters.weight_blocks);
        let l2 = self.machine.floats(self.io.hyper)[state::L2];
        for (i, (g, w)) in gradient.iter_mut().zip(weights).enumerate() {
            *g += 2.0 * l2 * w * f64::from(blocks[i / SLICE_ALIGNMENT]);
        }
        (loss, gradient)
    }

    /// For each element of [`DoublePrecision::gradient`] the sum of the absolute values of all terms that back-propagation
    /// adds up to it, the L2 penalty's included: what rounding errors are relative to, however much the terms cancel. Every
    /// launch after the loss runs a second time, with the absolute values of its factors.
    pub fn absolute_terms(&mut self) -> Result<Vec<Vec<f64>>, TrainError> {
        let plan = self.machine.plan().clone();
        let mut terms: Machine<f64> = Machine::new(plan.clone(), Implementation::Reference)?;
        let mut summed: Vec<BufferId> = Vec::new();
        self.begin();
        for launch in plan.programs[self.training.gradient.0].dispatches() {
            let (bindings, slices, code) = (launch.kernel.bindings, &launch.slices, absolute::code(launch.kernel));
            if slices.iter().any(|slice| summed.contains(&slice.buffer)) {
                for (binding, Slice { buffer, .. }) in bindings.iter().zip(slices) {
                    if !summed.contains(buffer) {
                        *terms.data_mut(*buffer) = self.machine.data(*buffer).clone();
                    }
                    if summed.contains(buffer) || is_factor(launch.kernel, binding) && code.is_none() {
                        terms.floats_mut(*buffer).iter_mut().for_each(|x| *x = x.abs());
                    }
                }
                match code {
                    Some(code) => terms.launch_as(launch, code),
                    None => terms.launch(launch),
                }
                let written = bindings.iter().zip(slices).filter(|(binding, _)| binding.access == Access::ReadWrite);
                summed.extend(written.map(|(_, slice)| slice.buffer));
            }
            self.machine.launch(launch);
            if let Some(gradient) = loss_gradient(launch) {
                *terms.data_mut(gradient) = self.machine.data(gradient).clone();
                summed.push(gradient);
            }
        }
        let l2 = self.machine.floats(self.io.hyper)[state::L2];
        let blocks = self.machine.words(self.io.parameters.weight_blocks);
        let (weights, sums) = (self.machine.floats(self.weights()), terms.floats(self.training.gradients));
        let one = |i: usize| sums[i].abs() + 2.0 * l2 * weights[i].abs() * f64::from(blocks[i / SLICE_ALIGNMENT]);
        let tensors = self.io.parameters.tensors.iter();
        Ok(tensors.map(|tensor| (tensor.offset..tensor.offset + tensor.len).map(one).collect()).collect())
    }

    /// Puts the state before the first batch.
    fn begin(&mut self) {
        self.machine.words_mut(self.training.counters).copy_from_slice(&self.initial.0);
        self.machine.floats_mut(self.training.scalars).copy_from_slice(&self.initial.1);
        self.machine.run(self.training.begin_epoch, 1);
    }

    /// The loss alone: the backward pass, which takes twice as long, is left out.
    fn loss(&mut self) -> f64 {
        self.begin();
        let plan = Arc::clone(self.machine.plan());
        let phases = plan.programs[self.training.gradient.0].phases.iter();
        for launch in phases.filter(|phase| phase.kind != PhaseKind::Backward).flat_map(|phase| &phase.dispatches) {
            self.machine.launch(launch);
        }
        self.machine.floats(self.training.scalars)[state::STEP_LOSS]
    }

    /// Holds the analytic gradient of each parameter of these names against 4-point differences of the loss.
    pub fn check(&mut self, names: &[String], options: Options<'_>) -> Vec<TensorCheck> {
        let (_, analytic) = self.flat_gradient();
        let places = self.io.parameters.tensors.clone();
        let mut parameters = self.machine.floats(self.weights()).to_vec();
        let tensors: Vec<Tensor> = names
            .iter()
            .filter_map(|name| places.iter().find(|place| place.name == *name))
            .map(|place| Tensor { name: place.name.clone(), offset: place.offset, len: place.len })
            .collect();
        check_gradients(&mut parameters, &analytic, &tensors, options, |at| {
            let weights = self.weights();
            self.machine.floats_mut(weights).copy_from_slice(at);
            self.loss()
        })
    }
}

/// Whether a launch of the backward pass multiplies by the values of this binding, beside the gradients that it reads. What
/// a layer saved decides where an activation's slope or the largest element is, and keeps its sign.
fn is_factor(kernel: &Kernel, binding: &Binding) -> bool {
    // The weight gradient of a transposed convolution reads what the layer before gave where a convolution reads a gradient.
    let is_read = ["input", "output_gradient"].contains(&binding.name);
    binding.name == "weight" || is_read && kernel.name.contains("backward_weight")
}

/// Where a launch of a loss writes the gradient at the outputs.
fn loss_gradient(launch: &Dispatch) -> Option<BufferId> {
    let writes =
        |name: &str| launch.kernel.bindings.iter().position(|b| b.name == name && b.access == Access::ReadWrite);
    writes("row_loss").and(writes("gradient")).map(|index| launch.slices[index].buffer)
}

/// Writes words into a buffer from an offset on; floats come as the bits of f32.
fn fill(machine: &mut Machine<f64>, buffer: BufferId, offset: usize, words: &[u32]) {
    match machine.plan().buffers[buffer.0].element {
        crate::ir::Element::U32 => machine.words_mut(buffer)[offset..][..words.len()].copy_from_slice(words),
        crate::ir::Element::F32 => {
            let floats = &mut machine.floats_mut(buffer)[offset..];
            floats.iter_mut().zip(words).for_each(|(x, word)| *x = f64::from(f32::from_bits(*word)));
        }
    }
}
