//! Whether what a plan says of its data, parameters and scores goes together with its buffers and programs.

use crate::ir::{
    Buffer, BufferId, Element, Evaluation, Io, Plan, ProgramId, SLICE_ALIGNMENT, SourceBuffers, TargetLayout,
    TensorPlace, Training,
};
use crate::kernel::optimizer::adjust_loss_scale;
use crate::kernel::step::state;

/// What is wrong, if anything is.
pub(super) fn check(plan: &Plan) -> Result<(), String> {
    let Some(io) = &plan.io else { return Ok(()) };
    let at = Checked { plan, models: io.models };
    if io.slots != state::slots() {
        return Err("io: its slots are not those that this version's kernels have".into());
    }
    at.parameters(io)?;
    at.statistics(io)?;
    io.sources.iter().try_for_each(|source| at.source(source))?;
    if let Some(training) = &io.training {
        at.training(training, io)?;
    }
    io.evaluations.iter().try_for_each(|evaluation| at.evaluation(evaluation, io))
}

struct Checked<'a> {
    plan: &'a Plan,
    models: usize,
}

impl Checked<'_> {
    /// A buffer must be there, of this type, and hold the product of these sides.
    fn buffer(&self, what: &str, id: BufferId, element: Element, sides: &[usize]) -> Result<&Buffer, String> {
        let buffer =
            self.plan.buffers.get(id.0).ok_or_else(|| format!("io: there is no buffer {} for {what}", id.0))?;
        let len = sides.iter().try_fold(1, |product: usize, side| product.checked_mul(*side)).map(|len| len.max(1));
        if (buffer.element, Some(buffer.len)) != (element, len) {
            let (name, found) = (&buffer.name, buffer.len);
            return Err(format!(
                "io: {what} is {name}, {found} of {:?}, and {sides:?} of {element:?} are wanted",
                buffer.element
            ));
        }
        Ok(buffer)
    }

    fn program(&self, what: &str, id: ProgramId) -> Result<(), String> {
        let found = self.plan.programs.get(id.0);
        found.map(|_| ()).ok_or_else(|| format!("io: there is no program {} for {what}", id.0))
    }

    fn parameters(&self, io: &Io) -> Result<(), String> {
        let place = &io.parameters;
        if self.models == 0 || place.stride == 0 || !place.stride.is_multiple_of(SLICE_ALIGNMENT) {
            return Err(format!("io: there are {} models of {} elements", self.models, place.stride));
        }
        self.buffer("the parameters", place.buffer, Element::F32, &[self.models, place.stride])?;
        self.buffer("weight_blocks", place.weight_blocks, Element::U32, &[place.stride / SLICE_ALIGNMENT])?;
        self.buffer("hyper", io.hyper, Element::F32, &[self.models, state::HYPER])?;
        places(&place.tensors, place.stride)
    }

    fn statistics(&self, io: &Io) -> Result<(), String> {
        let Some(place) = &io.statistics else { return Ok(()) };
        if place.stride == 0 || !place.stride.is_multiple_of(SLICE_ALIGNMENT) || place.buffer == io.parameters.buffer {
            return Err(format!("io: there are statistics of {} elements", place.stride));
        }
        self.buffer("the statistics", place.buffer, Element::F32, &[self.models, place.stride])?;
        places(&place.tensors, place.stride)
    }

    fn source(&self, source: &SourceBuffers) -> Result<(), String> {
        let SourceBuffers { name, layout, batches, window, .. } = source;
        let orders = if batches.shuffle { self.models } else { layout.folds };
        let fits = window.is_none_or(|window| {
            window.orders == orders && window.rows > 0 && batches.size > 0 && window.rows.is_multiple_of(batches.size)
        });
        let rows = layout.examples.checked_mul(layout.folds);
        if rows.is_none_or(|rows| rows == 0 || u32::try_from(rows).is_err())
            || !self.models.is_multiple_of(layout.folds)
            || layout.features == 0
            || batches.size == 0
            || !fits
        {
            return Err(format!("io: the set {name} has {layout:?}, {batches:?} and {window:?}"));
        }
        let [orders, rows] = window.map_or([1, layout.rows()], |window| [window.orders, window.rows]);
        self.buffer(&format!("the set {name}"), source.data, Element::U32, &[orders, rows, layout.row_words()])?;
        let (element, width) = match layout.targets {
            TargetLayout::Classes => (Element::U32, 1),
            TargetLayout::Values(width) => (Element::F32, width),
        };
        self.buffer(&format!("the targets of {name}"), source.targets, element, &[layout.rows(), width])?;
        match source.weights {
            None if layout.weighted => Err(format!("io: the set {name} has no buffer of its examples' weights")),
            Some(_) if !layout.weighted => Err(format!("io: the set {name} has weights, and its examples have none")),
            Some(weights) => {
                self.buffer(&format!("the weights of {name}"), weights, Element::F32, &[layout.rows()]).map(|_| ())
            }
            None => Ok(()),
        }
    }

    fn state(&self, what: &str, counters: BufferId, scalars: BufferId) -> Result<(), String> {
        self.buffer(&format!("the counters of {what}"), counters, Element::U32, &[self.models, state::COUNTERS])?;
        self.buffer(&format!("the scalars of {what}"), scalars, Element::F32, &[self.models, state::SCALARS])?;
        Ok(())
    }

    fn training(&self, training: &Training, io: &Io) -> Result<(), String> {
        let programs =
            [("begin_epoch", training.begin_epoch), ("step", training.step), ("gradient", training.gradient)];
        programs.into_iter().try_for_each(|(what, id)| self.program(what, id))?;
        let more = training.recorded_step.into_iter().chain(training.halves.into_iter().flatten());
        let more = more.chain(training.recorded_update);
        let more = more.chain(training.accumulation.iter().map(|accumulation| accumulation.batch));
        more.into_iter().try_for_each(|id| self.program("a step", id))?;
        self.state("training", training.counters, training.scalars)?;
        let stride = io.parameters.stride;
        self.buffer("the gradients", training.gradients, Element::F32, &[self.models, stride])?;
        self.buffer("the norms", training.norms, Element::F32, &[self.models, io.parameters.tensors.len(), 2])?;
        self.buffer("the log", training.log, Element::F32, &[self.models, training.log_steps, 2])?;
        if let Some(history) = training.loss_scaling {
            self.buffer("loss_scaling", history, Element::U32, &[self.models, adjust_loss_scale::HISTORY])?;
        }
        if let Some(trained) = training.trained {
            self.buffer("the trained weights", trained, Element::F32, &[self.models, stride])?;
        }
        if let Some(factors) = training.rate_factors {
            let len = self.plan.buffers.get(factors.0).map_or(0, |buffer| buffer.len);
            self.buffer("rate_factors", factors, Element::F32, &[self.models, (len / self.models).max(1)])?;
        }
        if let Some(id) = training.state.iter().find(|id| id.0 >= self.plan.buffers.len()) {
            return Err(format!("io: there is no buffer {} for the state", id.0));
        }
        self.learning_rates(training)?;
        // The set of training comes first.
        let Some(source) = io.sources.first().filter(|source| source.name == "train") else {
            return Err("io: its first set is not the one that it trains on".into());
        };
        let (examples, batch) = (source.layout.examples, source.batches.size);
        let (steps, batches) = (training.steps_per_epoch, training.batches_per_epoch());
        let of_step = training.accumulation.as_ref().map_or(1, |accumulation| accumulation.batches);
        let known = [examples / batch, examples.div_ceil(batch)].contains(&batches);
        if training.log_steps == 0 || steps == 0 || !known || of_step == 0 || steps != batches.div_ceil(of_step) {
            return Err(format!("io: an epoch of {examples} examples in batches of {batch} takes {steps} steps"));
        }
        Ok(())
    }

    fn learning_rates(&self, training: &Training) -> Result<(), String> {
        let Some(rates) = &training.learning_rates else { return Ok(()) };
        let begins = rates.first().is_some_and(|first| first.epoch == 0);
        let ascends = rates.windows(2).all(|pair| pair[0].epoch < pair[1].epoch && pair[1].epoch < training.epochs);
        let are_rates = |bits: &u32| f32::from_bits(*bits).is_finite() && f32::from_bits(*bits) >= 0.0;
        let of_all = rates.iter().all(|rates| rates.bits.len() == self.models && rates.bits.iter().all(are_rates));
        let what = "one finite learning rate for each model, from epoch 0 on and in ascending epochs of the run";
        if begins && ascends && of_all { Ok(()) } else { Err(format!("io: learning_rates must have {what}")) }
    }

    fn evaluation(&self, evaluation: &Evaluation, io: &Io) -> Result<(), String> {
        let name = &evaluation.name;
        self.program(name, evaluation.begin)?;
        self.program(name, evaluation.step)?;
        self.state(name, evaluation.counters, evaluation.scalars)?;
        let Some(source) = io.source(name) else { return Err(format!("io: there is no set {name} to evaluate")) };
        let source = &io.sources[source];
        let (examples, batch) = (source.layout.examples, source.batches.size);
        let outputs = evaluation.outputs;
        let buffer = self.plan.buffers.get(outputs.buffer.0);
        let lies =
            buffer.is_some_and(|buffer| outputs.offset.checked_add(outputs.len).is_some_and(|end| end <= buffer.len));
        if evaluation.steps != examples.div_ceil(batch) || !lies {
            return Err(format!("io: the evaluation of {name} has {} steps and {outputs:?}", evaluation.steps));
        }
        Ok(())
    }
}

/// Each tensor must have a place of its own within a model's elements.
fn places(tensors: &[TensorPlace], stride: usize) -> Result<(), String> {
    let mut end = 0;
    for tensor in tensors {
        let len = tensor.shape.iter().try_fold(1, |product: usize, side| product.checked_mul(*side));
        let last = tensor.offset.checked_add(tensor.len).filter(|last| *last <= stride);
        match last {
            Some(last) if tensor.offset >= end && len == Some(tensor.len) => end = last,
            _ => return Err(format!("io: {} {:?} has no place of its own", tensor.name, tensor.shape)),
        }
    }
    Ok(())
}
