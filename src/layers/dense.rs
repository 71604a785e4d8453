//! `{ dense = UNITS }`: fully connected; an image is flattened first, channel by channel.

use super::tensor::{positive, weight_and_bias};
use super::{
    Forward, Init, Layer, LayerKind, LayerProblem, Reader, Shape, TensorSpec, from_fields, reader, within_limit,
};
use crate::graph::{Backward, Lowering, Node, Operation, ValueId};
use crate::ir::Slice;
use crate::kernel::dense::tiling::Product as _;
use crate::kernel::dense::{self, backward_input, backward_weight, forward};
use crate::kernel::fused::layers::DenseLayer;
use crate::kernel::{Activation, Launch};
use crate::keys::{Optional, Plain, Whole, keyed};
use crate::onnx;
use std::sync::Arc;

keyed! {
    /// A fully connected layer.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Dense {
        /// Number of outputs.
        pub units: usize [Whole(1); "128"],
        /// Applied to every output.
        pub activation: Activation = Activation::Linear,
        /// Whether a bias is added.
        pub bias: bool = true,
        /// Initial weights, where they differ from the model's.
        pub init: Option<Init> [Optional(Plain); "\"he_normal\""],
        /// Initial biases, where they differ from the model's.
        pub bias_init: Option<Init> [Optional(Plain); "{ constant = 0.01 }"],
    }
}

pub(super) static READER: Reader =
    Reader { follows_activation: true, ..reader!(Dense(units), "dense", "{ dense = UNITS }") };

impl LayerKind for Dense {
    from_fields!(word, write, activation, width(units), init);

    fn describe(&self, words: &mut Vec<String>) {
        words.push(format!("dense {}", self.units));
        super::describe_activation(words, self.activation);
        words.extend((!self.bias).then(|| "no bias".into()));
    }

    fn output(&self, _inputs: &[Shape]) -> Result<Shape, LayerProblem> {
        positive("dense", &[self.units])?;
        within_limit("the output", &[self.units])?;
        Ok(Shape::Features(self.units))
    }

    fn tensors(&self, input: Shape) -> Result<Vec<TensorSpec>, LayerProblem> {
        let inputs = input.len();
        weight_and_bias(vec![self.units, inputs], [inputs, self.units], self.bias, self.init, self.bias_init)
    }

    fn terms(&self, layer: &Layer) -> usize {
        layer.input.len() + self.units
    }

    fn forward(&self, pass: &mut Forward<'_>, inputs: &[ValueId]) -> ValueId {
        let layer = Product::of(pass.layer);
        pass.with_activation(self.activation, inputs, |activation| Arc::new(DenseForward { layer, activation }))
    }

    fn onnx(&self, layer: &Layer, _inputs: &[&str], parameters: &[&str], graph: &mut onnx::Builder) {
        graph.flatten(layer.input.is_image());
        graph.node("Gemm", parameters, vec![onnx::int("transB", 1)]);
    }
}

/// What the layer's three products share.
#[derive(Debug, Clone)]
struct Product {
    name: String,
    inputs: usize,
    outputs: usize,
    weight: usize,
    bias: Option<usize>,
}

impl Product {
    fn of(layer: &Layer) -> Product {
        let weight = layer.weight().unwrap_or_else(|| unreachable!("a dense layer has a weight"));
        let (inputs, outputs) = (layer.input.len(), layer.output.len());
        Product { name: layer.name.clone(), inputs, outputs, weight, bias: layer.bias() }
    }

    /// The weight gradient over a batch.
    fn gradient(&self, rows: usize) -> backward_weight::Layer {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let split_rows = backward_weight::split_rows(rows, inputs * outputs);
        backward_weight::Layer { rows, inputs, outputs, bias: self.bias.is_some(), split_rows }
    }
}

/// input → output.
#[derive(Debug)]
struct DenseForward {
    layer: Product,
    activation: Activation,
}

impl Operation for DenseForward {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let Product { name, inputs, outputs, weight, bias } = self.layer.clone();
        let shape = forward::Params {
            rows: at.rows as u32,
            inputs: inputs as u32,
            outputs: outputs as u32,
            parameter_stride: at.layout.stride as u32,
            input_stride: (at.rows * inputs) as u32,
        };
        let bias = bias.map(|bias| at.parameter(bias));
        let operands = forward::Operands { input: reads[0], weight: at.parameter(weight), bias, output: writes[0] };
        let launch = dense::Forward {
            label: format!("{name} forward"),
            shape,
            models: at.models,
            activation: self.activation.code(),
            tiling: at.tiling([at.rows, outputs]),
            operands,
        };
        vec![Arc::new(launch.planned())]
    }

    fn activation(&self) -> Activation {
        self.activation
    }

    fn trains(&self) -> bool {
        true
    }

    fn backward(&self, node: &Node, gradient: ValueId, pass: &mut Backward) {
        let input = node.reads[0];
        pass.gradient_of_tensors(DenseBackwardWeight(self.layer.clone()), &[gradient, input]);
        pass.gradient_in_epilogue(input, |activation, saved| {
            (Arc::new(DenseBackwardInput { layer: self.layer.clone(), activation }), vec![gradient, saved])
        });
    }

    fn dense_layer(&self, offsets: &[usize]) -> Option<DenseLayer> {
        let Product { inputs, outputs, weight, bias, .. } = self.layer;
        let (weight, bias) = (offsets[weight], bias.map(|bias| offsets[bias]));
        Some(DenseLayer { inputs, outputs, weight, bias, activation: self.activation.code() })
    }

    fn describe(&self) -> String {
        format!("the dense layer {}", self.layer.name)
    }
}

/// (output gradient, input) → gradients of the tensors.
#[derive(Debug)]
struct DenseBackwardWeight(Product);

impl Operation for DenseBackwardWeight {
    fn lower(&self, reads: &[Slice], _writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let shape = self.0.gradient(at.rows);
        let operands = backward_weight::Operands {
            output_gradient: reads[0],
            input: reads[1],
            input_stride: shape.rows * shape.inputs,
            gradient: at.gradient(self.0.weight, self.0.bias),
            bias_offset: at.offset_from(self.0.weight, self.0.bias),
            parameter_stride: at.layout.stride,
            scratch: at.scratch(self.scratch_len(at.rows, at.models)),
        };
        let tiling = at.tiling([shape.outputs, shape.inputs]);
        backward_weight::launches(&format!("{} backward weight", self.0.name), shape, at.models, tiling, operands)
    }

    fn scratch_len(&self, rows: usize, models: usize) -> usize {
        self.0.gradient(rows).scratch_len(models)
    }

    fn describe(&self) -> String {
        format!("the weight gradient of {}", self.0.name)
    }
}

/// (output gradient, saved) → input gradient times the derivative of `activation` at `saved`.
#[derive(Debug)]
struct DenseBackwardInput {
    layer: Product,
    /// Of the operation that made the layer's input.
    activation: Activation,
}

impl Operation for DenseBackwardInput {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let Product { name, inputs, outputs, weight, .. } = self.layer.clone();
        let shape = backward_input::Params {
            rows: at.rows as u32,
            inputs: inputs as u32,
            outputs: outputs as u32,
            parameter_stride: at.layout.stride as u32,
        };
        let operands = backward_input::Operands {
            output_gradient: reads[0],
            weight: at.parameter(weight),
            saved: reads[1],
            input_gradient: writes[0],
        };
        let launch = dense::BackwardInput {
            label: format!("{name} backward input"),
            shape,
            models: at.models,
            activation: self.activation.code(),
            tiling: at.tiling([at.rows, inputs]),
            operands,
        };
        vec![Arc::new(launch.planned())]
    }

    fn describe(&self) -> String {
        format!("the input gradient of {}", self.layer.name)
    }
}
