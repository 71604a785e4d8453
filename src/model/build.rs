//! From the layers of a recipe to a model with every shape worked out.

use crate::model::{Layer, LayerProblem, Model, ModelError, Parameter, ParameterKind, Shape, Window};
use crate::recipe::{Activation, Init, LayerSpec, Loss, ModelSpec};

/// The most layers of a model: far above any that trains, so that a generated recipe cannot exhaust memory.
const MAX_LAYERS: usize = 4096;

/// The most numbers in one tensor or in all parameters: shaders index with u32.
const MAX_NUMBERS: u64 = u32::MAX as u64;

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
        let mut builder = Builder { spec, shape: input, layers: Vec::new(), parameters: Vec::new(), named: 0 };
        let last = spec.layers.len() - 1;
        for (index, layer) in spec.layers.iter().enumerate() {
            let at = |problem| ModelError::Layer { index, kind: layer.kind(), problem };
            let layer = settle_activation(*layer, index == last, spec.loss).map_err(at)?;
            builder.push(layer).map_err(at)?;
            if index == last {
                check_output(builder.shape, spec.loss).map_err(at)?;
            }
        }
        let total: u64 = builder.parameters.iter().map(|p| p.len() as u64).sum();
        if total > MAX_NUMBERS {
            return Err(ModelError::TooManyParameters { limit: MAX_NUMBERS });
        }
        Ok(Model {
            input,
            layers: builder.layers,
            loss: spec.loss,
            output_activation: spec.loss.output_activation(),
            parameters: builder.parameters,
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
fn settle_activation(layer: LayerSpec, last: bool, loss: Loss) -> Result<LayerSpec, LayerProblem> {
    let activation = layer.activation();
    if !last {
        return Ok(layer);
    }
    match (loss, activation) {
        (Loss::SoftmaxCrossEntropy, Some(Activation::Softmax))
        | (Loss::BinaryCrossEntropy, Some(Activation::Sigmoid)) => Ok(layer.with_activation(Activation::Linear)),
        (Loss::BinaryCrossEntropy, found) => Err(LayerProblem::NeedsSigmoid { found }),
        _ => Ok(layer),
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
    shape: Shape,
    layers: Vec<Layer>,
    parameters: Vec<Parameter>,
    /// Layers with parameters so far.
    named: usize,
}

impl Builder<'_> {
    fn push(&mut self, spec: LayerSpec) -> Result<(), LayerProblem> {
        check_numbers(&spec)?;
        let input = self.shape;
        let output = output_shape(&spec, input)?;
        if spec.activation() == Some(Activation::Softmax) && output.is_picture() {
            return Err(LayerProblem::SoftmaxOverImage { output });
        }
        let (weight, bias) = match spec {
            LayerSpec::Dense { units, bias, init, bias_init, .. } => {
                let fans = [input.len(), units];
                self.add_parameters(vec![units, input.len()], fans, bias, [init, bias_init])?
            }
            LayerSpec::Conv2d { filters, kernel: [height, width], bias, init, bias_init, .. } => {
                let shape = vec![filters, input.channels(), height, width];
                within_limit("the weight", &shape)?;
                let field = within_limit("the kernel", &[height, width])?;
                let fans = [input.channels() * field, filters.saturating_mul(field)];
                self.add_parameters(shape, fans, bias, [init, bias_init])?
            }
            _ => (None, None),
        };
        self.layers.push(Layer { spec, input, output, weight, bias });
        self.shape = output;
        Ok(())
    }

    /// Adds a weight and, if asked for, a bias; returns their indices.
    fn add_parameters(
        &mut self,
        shape: Vec<usize>,
        [fan_in, fan_out]: [usize; 2],
        with_bias: bool,
        [init, bias_init]: [Option<Init>; 2],
    ) -> Result<(Option<usize>, Option<usize>), LayerProblem> {
        within_limit("the weight", &shape)?;
        let (layer, outputs) = (self.named, shape[0]);
        self.named += 1;
        let mut add = |suffix: &str, shape, kind, init| {
            let name = format!("layers.{layer}.{suffix}");
            self.parameters.push(Parameter { name, shape, kind, fan_in, fan_out, init });
            Some(self.parameters.len() - 1)
        };
        let weight = add("weight", shape, ParameterKind::Weight, init.unwrap_or(self.spec.init));
        let bias_init = bias_init.or(self.spec.bias_init).unwrap_or(Init::Zeros);
        let bias = if with_bias { add("bias", vec![outputs], ParameterKind::Bias, bias_init) } else { None };
        Ok((weight, bias))
    }
}

/// Refuses zeros and rates that no layer can have.
fn check_numbers(spec: &LayerSpec) -> Result<(), LayerProblem> {
    let positive = |key, numbers: &[usize]| {
        if numbers.contains(&0) { Err(LayerProblem::Zero { key }) } else { Ok(()) }
    };
    match spec {
        LayerSpec::Dense { units, .. } => positive("dense", &[*units]),
        LayerSpec::Conv2d { filters, kernel, stride, .. } => {
            positive("conv2d", &[*filters])?;
            positive("kernel", kernel)?;
            positive("stride", stride)
        }
        LayerSpec::MaxPool { size, stride, .. } => positive("max_pool", size).and(positive("stride", stride)),
        LayerSpec::AveragePool { size, stride, .. } => positive("average_pool", size).and(positive("stride", stride)),
        LayerSpec::Dropout { rate } if !(0.0..1.0).contains(rate) => Err(LayerProblem::DropoutRate { rate: *rate }),
        _ => Ok(()),
    }
}

/// Shape of one example after the layer; its numbers are positive by now.
fn output_shape(spec: &LayerSpec, input: Shape) -> Result<Shape, LayerProblem> {
    let image = || match input {
        Shape::Image { channels, height, width } => Ok((channels, [height, width])),
        Shape::Features(got) => Err(LayerProblem::NeedsImage { got }),
    };
    match *spec {
        LayerSpec::Dense { units, .. } => {
            within_limit("the output", &[units])?;
            Ok(Shape::Features(units))
        }
        LayerSpec::Conv2d { kernel: size, .. }
        | LayerSpec::MaxPool { size, .. }
        | LayerSpec::AveragePool { size, .. } => {
            let (channels, image) = image()?;
            let window = Window::of(spec, input).ok_or(LayerProblem::WindowTooLarge { size, image })?;
            let channels = if let LayerSpec::Conv2d { filters, .. } = *spec { filters } else { channels };
            let [height, width] = window.output;
            within_limit("the output", &[channels, height, width])?;
            Ok(Shape::Image { channels, height, width })
        }
        LayerSpec::GlobalAveragePool => Ok(Shape::Features(image()?.0)),
        LayerSpec::Flatten => Ok(Shape::Features(input.len())),
        LayerSpec::Dropout { .. } | LayerSpec::Activation(_) => Ok(input),
    }
}

/// The product of the sizes, where it can be indexed.
fn within_limit(what: &'static str, sizes: &[usize]) -> Result<usize, LayerProblem> {
    let product = sizes.iter().try_fold(1u64, |product, &n| product.checked_mul(n as u64));
    match product {
        Some(n) if n <= MAX_NUMBERS => usize::try_from(n).ok(),
        _ => None,
    }
    .ok_or_else(|| {
        let size = sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
        LayerProblem::TooLarge { what, size, limit: MAX_NUMBERS }
    })
}
