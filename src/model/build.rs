//! From the layers of a recipe to a model with every shape worked out.

use super::{Model, ModelError};
use crate::kernel::{Activation, Loss};
use crate::keys::nearest;
use crate::layers::{
    DATA, Init, Input, Layer, LayerKind, LayerProblem, LayerSpec, MAX_NUMBERS, Parameter, Shape, TensorRole, TensorSpec,
};
use crate::recipe::ModelSpec;
use std::collections::HashMap;
use std::sync::Arc;

/// The most layers of a model: far above any that trains, so that a generated recipe cannot exhaust memory.
const MAX_LAYERS: usize = 4096;

impl Model {
    /// Works out every shape and parameter, or says what is wrong. `data`, the shape of the data's examples, stands in for
    /// an `input` that the recipe leaves out.
    pub fn build(spec: &ModelSpec, data: Option<Shape>) -> Result<Model, ModelError> {
        if spec.layers.is_empty() {
            return Err(ModelError::NoLayers);
        }
        if spec.layers.len() > MAX_LAYERS {
            return Err(ModelError::TooManyLayers { count: spec.layers.len(), limit: MAX_LAYERS });
        }
        let input = input_shape(spec, data)?;
        let mut builder = Builder {
            spec,
            input,
            layers: Vec::new(),
            parameters: Vec::new(),
            statistics: Vec::new(),
            counted: 0,
            current: Input::Data,
            named: HashMap::new(),
            places: Vec::new(),
        };
        let last = spec.layers.len() - 1;
        for (index, layer) in spec.layers.iter().enumerate() {
            let place = index.to_string();
            let at = |problem| ModelError::Layer { place: place.clone(), kind: layer.kind.word(), problem };
            let kind = settle_activation(&layer.kind, index == last, spec.loss).map_err(at)?;
            builder.push(&place, &LayerSpec { kind, ..layer.clone() })?;
            if index == last {
                check_output(builder.shape(builder.current), spec.loss).map_err(at)?;
            }
        }
        builder.check_uses()?;
        let total: u64 = builder.parameters.iter().map(|p| p.len() as u64).sum();
        if total > MAX_NUMBERS {
            return Err(ModelError::TooManyParameters { limit: MAX_NUMBERS });
        }
        Ok(Model {
            input,
            layers: builder.layers,
            loss: spec.loss,
            label_smoothing: spec.label_smoothing,
            delta: spec.delta,
            output_activation: spec.loss.output_activation(),
            parameters: builder.parameters,
            statistics: builder.statistics,
        })
    }
}

/// The recipe's input shape, or the data's.
fn input_shape(spec: &ModelSpec, data: Option<Shape>) -> Result<Shape, ModelError> {
    let bad = || ModelError::BadInput { given: spec.input.clone() };
    let input = match spec.input[..] {
        [] => return data.ok_or(ModelError::NoInput),
        [features] => Shape::Features(features),
        [height, width, channels] => Shape::Image { channels, height, width },
        _ => return Err(bad()),
    };
    let size = spec.input.iter().try_fold(1u64, |size, &n| size.checked_mul(n as u64));
    if !size.is_some_and(|size| (1..=MAX_NUMBERS).contains(&size)) {
        return Err(bad());
    }
    Ok(input)
}

/// Moves a softmax or sigmoid that belongs to the loss out of the last layer, and refuses what fits no loss.
fn settle_activation(kind: &Arc<dyn LayerKind>, last: bool, loss: Loss) -> Result<Arc<dyn LayerKind>, LayerProblem> {
    let unchanged = Ok(Arc::clone(kind));
    if !last {
        return unchanged;
    }
    match (loss, kind.activation()) {
        (Loss::SoftmaxCrossEntropy, Some(Activation::Softmax))
        | (Loss::BinaryCrossEntropy, Some(Activation::Sigmoid)) => {
            kind.with_activation(Activation::Linear).map_or(unchanged, Ok)
        }
        (Loss::BinaryCrossEntropy, found) => Err(LayerProblem::NeedsSigmoid { found }),
        _ => unchanged,
    }
}

fn check_output(output: Shape, loss: Loss) -> Result<(), LayerProblem> {
    match output {
        _ if !loss.uses_classes() => Ok(()),
        _ if output.is_picture() => Err(LayerProblem::NeedsClasses { output }),
        _ if output.len() == 1 => Err(LayerProblem::OneClass),
        _ => Ok(()),
    }
}

struct Builder<'a> {
    spec: &'a ModelSpec,
    input: Shape,
    layers: Vec<Layer>,
    parameters: Vec<Parameter>,
    statistics: Vec<Parameter>,
    /// Layers with parameters so far.
    counted: usize,
    /// What the next layer takes.
    current: Input,
    /// What has a name.
    named: HashMap<String, Input>,
    /// Where the recipe has each layer.
    places: Vec<String>,
}

impl Builder<'_> {
    /// Shape of one example of what a layer takes.
    fn shape(&self, input: Input) -> Shape {
        match input {
            Input::Data => self.input,
            Input::Layer(index) => self.layers[index].output,
        }
    }

    /// Adds a layer of the recipe, or all layers of a block; its output is then the current one.
    fn push(&mut self, place: &str, spec: &LayerSpec) -> Result<(), ModelError> {
        let at = |problem| ModelError::Layer { place: place.to_string(), kind: spec.kind.word(), problem };
        if let Some(name) = &spec.from {
            self.current = self.find(name).map_err(at)?;
        }
        match spec.kind.block() {
            Some(block) => {
                let start = self.current;
                let through = self.branch(start, &format!("{place}.residual"), &block.layers)?;
                let beside = self.branch(start, &format!("{place}.shortcut"), &block.shortcut)?;
                self.add(place, &spec.name, block.end(), vec![through, beside]).map_err(at)
            }
            None => {
                let named = spec.kind.named_inputs().iter().map(|name| self.find(name));
                let named = named.collect::<Result<Vec<_>, _>>().map_err(at)?;
                let inputs = if named.is_empty() { vec![self.current] } else { named };
                self.add(place, &spec.name, Arc::clone(&spec.kind), inputs).map_err(at)
            }
        }
    }

    /// Adds layers that take what is at `start`, one after the other; returns what comes out.
    fn branch(&mut self, start: Input, place: &str, layers: &[LayerSpec]) -> Result<Input, ModelError> {
        self.current = start;
        for (index, layer) in layers.iter().enumerate() {
            self.push(&format!("{place}.{index}"), layer)?;
        }
        Ok(self.current)
    }

    fn find(&self, name: &str) -> Result<Input, LayerProblem> {
        if name == DATA {
            return Ok(Input::Data);
        }
        self.named.get(name).copied().ok_or_else(|| {
            let suggestion = nearest(name, self.named.keys().map(String::as_str)).map(str::to_string);
            LayerProblem::NoSuchLayer { name: name.to_string(), suggestion }
        })
    }

    fn add(
        &mut self,
        place: &str,
        name: &Option<String>,
        kind: Arc<dyn LayerKind>,
        inputs: Vec<Input>,
    ) -> Result<(), LayerProblem> {
        let index = self.layers.len();
        let shapes: Vec<Shape> = inputs.iter().map(|input| self.shape(*input)).collect();
        let output = kind.output(&shapes)?;
        if kind.levels().is_some() && inputs[0] != Input::Data {
            return Err(LayerProblem::NeedsLevels { what: "what another layer makes".into() });
        }
        if kind.activation() == Some(Activation::Softmax) && output.is_picture() {
            return Err(LayerProblem::SoftmaxOverImage { output });
        }
        let tensors = kind.tensors(shapes[0])?;
        self.check_whitening(&*kind, &inputs, shapes[0], &tensors)?;
        let (statistics, tensors): (Vec<_>, Vec<_>) =
            self.add_tensors(name, tensors).into_iter().partition(|(role, _)| *role == TensorRole::Statistic);
        let statistics = statistics.into_iter().map(|(_, index)| index).collect();
        self.current = Input::Layer(index);
        if let Some(name) = name
            && self.named.insert(name.clone(), self.current).is_some()
        {
            return Err(LayerProblem::NameTwice { name: name.clone() });
        }
        let name = name.clone().unwrap_or_else(|| format!("layers.{index}"));
        self.places.push(place.to_string());
        self.layers.push(Layer {
            index,
            name,
            kind,
            inputs,
            input: shapes[0],
            output,
            tensors,
            statistics,
            frozen: false,
        });
        Ok(())
    }

    /// Refuses filters that are to whiten what is no patch of the data, or are more than there are.
    fn check_whitening(
        &self,
        kind: &dyn LayerKind,
        inputs: &[Input],
        input: Shape,
        tensors: &[TensorSpec],
    ) -> Result<(), LayerProblem> {
        let whitens = |tensor: &&TensorSpec| {
            let of_model = match tensor.role {
                TensorRole::Weight => Some(self.spec.init),
                TensorRole::Bias => self.spec.bias_init,
                TensorRole::Scale | TensorRole::Statistic => None,
            };
            tensor.init.or(of_model) == Some(Init::Whitening)
        };
        let Some(TensorSpec { shape, role, .. }) = tensors.iter().find(whitens) else { return Ok(()) };
        let is_filters = kind.word() == "conv2d" && *role == TensorRole::Weight && inputs == [Input::Data];
        let (filters, patch) = (shape[0], shape[1..].iter().product::<usize>());
        let fits = match (input, &shape[1..]) {
            (Shape::Image { channels, height, width }, &[own, down, across]) => {
                own == channels
                    && down <= height
                    && across <= width
                    && filters.is_multiple_of(2)
                    && filters <= 2 * patch
            }
            _ => false,
        };
        if is_filters && fits { Ok(()) } else { Err(LayerProblem::Whitening { patch }) }
    }

    /// Every output but the last one must be taken by a layer.
    fn check_uses(&self) -> Result<(), ModelError> {
        let mut used = vec![false; self.layers.len()];
        let inputs = self.layers.iter().flat_map(|layer| &layer.inputs);
        for input in inputs.chain([&self.current]) {
            if let Input::Layer(index) = input {
                used[*index] = true;
            }
        }
        match used.iter().position(|used| !used) {
            None => Ok(()),
            Some(index) => Err(ModelError::Layer {
                place: self.places[index].clone(),
                kind: self.layers[index].kind.word(),
                problem: LayerProblem::Unused,
            }),
        }
    }

    /// Adds a layer's tensors to the parameters or the statistics; returns their roles and indices there.
    fn add_tensors(&mut self, name: &Option<String>, tensors: Vec<TensorSpec>) -> Vec<(TensorRole, usize)> {
        let layer = name.clone().unwrap_or_else(|| format!("layers.{}", self.counted));
        self.counted += usize::from(!tensors.is_empty());
        let mut add = |tensor: TensorSpec| {
            let TensorSpec { suffix, role, shape, fan_in, fan_out, init } = tensor;
            let init = init.unwrap_or(match role {
                TensorRole::Weight => self.spec.init,
                TensorRole::Scale => Init::Constant(1.0),
                TensorRole::Bias => self.spec.bias_init.unwrap_or(Init::Zeros),
                TensorRole::Statistic => Init::Zeros,
            });
            let name = format!("{layer}.{suffix}");
            let list = if role == TensorRole::Statistic { &mut self.statistics } else { &mut self.parameters };
            list.push(Parameter { name, shape, role, fan_in, fan_out, init });
            (role, list.len() - 1)
        };
        tensors.into_iter().map(&mut add).collect()
    }
}
