//! A trained network as an ONNX model.
//!
//! It takes what the data files hold, as floats, `(N, features)` or `(N, channels, height, width)`, and scales it itself;
//! it gives what `predict` gives. Dropout, which only training knows, is left out.

mod proto;

use prost::Message;

use super::tensors::little_endian;
use super::{SavedModel, parameter_hash};
use crate::model::{Layer, Shape, Window};
use crate::recipe::{Activation, LayerSpec};
use proto::*;

/// The operator set: old enough for every runtime of the last years, and all that is needed is in it.
const OPSET: i64 = 17;
/// The file version that came with it.
const IR_VERSION: i64 = 8;
/// Protocol buffers end at 2 GiB.
pub(super) const MOST_BYTES: usize = i32::MAX as usize;

const INPUT: &str = "input";

/// The bytes of a model's file.
pub(super) fn encode(saved: &SavedModel) -> Vec<u8> {
    model(saved).encode_to_vec()
}

fn model(saved: &SavedModel) -> ModelProto {
    let entry = |key: &str, value: String| StringStringEntryProto { key: key.to_string(), value };
    ModelProto {
        ir_version: IR_VERSION,
        producer_name: env!("CARGO_PKG_NAME").to_string(),
        producer_version: env!("CARGO_PKG_VERSION").to_string(),
        graph: Some(graph(saved)),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        metadata_props: vec![
            entry("gputrain.recipe", saved.recipe.to_toml()),
            entry("parameter_hash", parameter_hash(&saved.parameters)),
        ],
    }
}

fn graph(saved: &SavedModel) -> GraphProto {
    let model = &saved.model;
    let mut graph = Builder { nodes: Vec::new(), constants: Vec::new(), current: INPUT.to_string() };
    for (parameter, values) in model.parameters.iter().zip(&saved.parameters) {
        graph.constant(&parameter.name, &parameter.shape, values);
    }
    graph.scale(saved);
    for layer in &model.layers {
        graph.layer(saved, layer);
    }
    let mut output = model.output();
    if model.output_activation != Activation::Linear {
        output = Shape::Features(output.len());
        graph.flatten(model.output());
        graph.activation(model.output_activation);
    }
    let name = if model.output_activation == Activation::Linear { "outputs" } else { "probabilities" };
    graph.node("Identity", &[], Vec::new());
    if let Some(last) = graph.nodes.last_mut() {
        last.output = vec![name.to_string()];
    }
    GraphProto {
        name: saved.recipe.name.clone(),
        node: graph.nodes,
        initializer: graph.constants,
        input: vec![value(INPUT, model.input)],
        output: vec![value(name, output)],
    }
}

/// Sizes without the batch.
fn sizes(shape: Shape) -> Vec<usize> {
    match shape {
        Shape::Features(features) => vec![features],
        Shape::Image { channels, height, width } => vec![channels, height, width],
    }
}

/// A batch of any size of this shape.
fn value(name: &str, shape: Shape) -> ValueInfoProto {
    let batch = DimensionProto { dim_value: None, dim_param: Some("N".to_string()) };
    let sizes = sizes(shape).into_iter().map(|n| DimensionProto { dim_value: Some(n as i64), dim_param: None });
    let shape = TensorShapeProto { dim: std::iter::once(batch).chain(sizes).collect() };
    let tensor = TensorTypeProto { elem_type: FLOAT_TENSOR, shape: Some(shape) };
    ValueInfoProto { name: name.to_string(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.to_string(), i: Some(value), r#type: INT_ATTRIBUTE, ..Default::default() }
}

fn ints(name: &str, values: &[usize]) -> AttributeProto {
    let ints = values.iter().map(|n| *n as i64).collect();
    AttributeProto { name: name.to_string(), ints, r#type: INTS_ATTRIBUTE, ..Default::default() }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.to_string(), f: Some(value), r#type: FLOAT_ATTRIBUTE, ..Default::default() }
}

/// How a window lies over its image.
fn window_attributes(window: Window) -> Vec<AttributeProto> {
    let Window { size, stride, before, after, .. } = window;
    let pads = [before[0], before[1], after[0], after[1]];
    vec![ints("kernel_shape", &size), ints("strides", &stride), ints("pads", &pads)]
}

/// A chain of operations: each takes what the one before gives.
struct Builder {
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    current: String,
}

impl Builder {
    fn constant(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let dims = shape.iter().map(|n| *n as i64).collect();
        let raw_data = little_endian(values);
        self.constants.push(TensorProto { dims, data_type: FLOAT_TENSOR, name: name.to_string(), raw_data });
    }

    /// Applies an operation to the current value and these others.
    fn node(&mut self, op: &str, others: &[&str], attribute: Vec<AttributeProto>) {
        let name = format!("{}_{op}", self.nodes.len());
        let input = std::iter::once(&*self.current).chain(others.iter().copied()).map(str::to_string).collect();
        let output = vec![name.clone()];
        self.nodes.push(NodeProto { input, output, name: name.clone(), op_type: op.to_string(), attribute });
        self.current = name;
    }

    /// Applies an operation to the current value and a number.
    fn with_number(&mut self, op: &str, number: f32) {
        let name = format!("{}_{op}_number", self.nodes.len());
        self.constant(&name, &[], &[number]);
        self.node(op, &[&name], Vec::new());
    }

    /// (x - subtract) / divide + add, without what changes nothing.
    fn scale(&mut self, saved: &SavedModel) {
        let scaling = &saved.scaling;
        let shape = [vec![1], sizes(saved.model.input)].concat();
        for (op, name, values, neutral) in
            [("Sub", "scaling.subtract", &scaling.subtract, 0.0), ("Div", "scaling.divide", &scaling.divide, 1.0)]
        {
            if values.iter().any(|value| *value != neutral) {
                let shape = if values.len() == 1 { &[] } else { &shape[..] };
                self.constant(name, shape, values);
                self.node(op, &[name], Vec::new());
            }
        }
        if scaling.add != 0.0 {
            self.with_number("Add", scaling.add);
        }
    }

    fn flatten(&mut self, shape: Shape) {
        if matches!(shape, Shape::Image { .. }) {
            self.node("Flatten", &[], vec![int("axis", 1)]);
        }
    }

    fn layer(&mut self, saved: &SavedModel, layer: &Layer) {
        let name = |index: Option<usize>| index.map(|index| &*saved.model.parameters[index].name);
        let parameters: Vec<&str> = [name(layer.weight), name(layer.bias)].into_iter().flatten().collect();
        let window = layer.window().map(window_attributes).unwrap_or_default();
        match layer.spec {
            LayerSpec::Dense { .. } => {
                self.flatten(layer.input);
                self.node("Gemm", &parameters, vec![int("transB", 1)]);
            }
            LayerSpec::Conv2d { .. } => self.node("Conv", &parameters, window),
            LayerSpec::MaxPool { .. } => self.node("MaxPool", &[], window),
            LayerSpec::AveragePool { .. } => {
                self.node("AveragePool", &[], [window, vec![int("count_include_pad", 0)]].concat());
            }
            LayerSpec::GlobalAveragePool => {
                self.node("GlobalAveragePool", &[], Vec::new());
                self.flatten(layer.input);
            }
            LayerSpec::Flatten => self.flatten(layer.input),
            LayerSpec::Dropout { .. } | LayerSpec::Activation(_) => {}
        }
        self.activation(layer.spec.activation().unwrap_or_default());
    }

    fn activation(&mut self, activation: Activation) {
        match activation {
            Activation::Linear => {}
            Activation::Relu => self.node("Relu", &[], Vec::new()),
            Activation::LeakyRelu => self.node("LeakyRelu", &[], vec![float("alpha", 0.01)]),
            Activation::Tanh => self.node("Tanh", &[], Vec::new()),
            Activation::Sigmoid => self.node("Sigmoid", &[], Vec::new()),
            Activation::Softmax => self.node("Softmax", &[], vec![int("axis", 1)]),
            Activation::Silu => {
                let input = self.current.clone();
                self.node("Sigmoid", &[], Vec::new());
                self.node("Mul", &[&input], Vec::new());
            }
            // An operation of its own only came with operator set 20: x (1 + erf(x / sqrt 2)) / 2.
            Activation::Gelu => {
                let input = self.current.clone();
                self.with_number("Mul", std::f32::consts::FRAC_1_SQRT_2);
                self.node("Erf", &[], Vec::new());
                self.with_number("Add", 1.0);
                self.node("Mul", &[&input], Vec::new());
                self.with_number("Mul", 0.5);
            }
            Activation::Elu => self.node("Elu", &[], vec![float("alpha", 1.0)]),
            Activation::Softplus => self.node("Softplus", &[], Vec::new()),
            Activation::HardSwish => self.node("HardSwish", &[], Vec::new()),
            // An operation of its own only came with operator set 18.
            Activation::Mish => {
                let input = self.current.clone();
                self.node("Softplus", &[], Vec::new());
                self.node("Tanh", &[], Vec::new());
                self.node("Mul", &[&input], Vec::new());
            }
            Activation::Relu6 => {
                self.node("Relu", &[], Vec::new());
                self.with_number("Min", 6.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Scaling;
    use crate::model::Model;
    use crate::recipe::Recipe;

    fn sample(layers: &str, scaling: Scaling) -> ModelProto {
        let text = format!("[model]\ninput = [6, 6, 2]\nlayers = [{layers}]");
        let recipe = Recipe::parse(&text, "sample.toml", &[]).unwrap();
        let model = Model::build(&recipe.model, None).unwrap();
        let parameters = model.initialise(0);
        let bytes = encode(&SavedModel { recipe, model, scaling, trained_on: Default::default(), parameters });
        ModelProto::decode(&*bytes).unwrap()
    }

    fn operations(model: &ModelProto) -> Vec<&str> {
        model.graph.as_ref().unwrap().node.iter().map(|node| &*node.op_type).collect()
    }

    #[test]
    fn layers_become_operations_that_read_each_other() {
        let layers = "{ conv2d = 3, kernel = 3, padding = \"same\", activation = \"silu\" }, { dropout = 0.5 }, \
                      { max_pool = 2 }, { dense = 4, bias = false }, { dense = 3 }";
        let unit = Scaling { subtract: vec![0.0], divide: vec![255.0], add: 0.0 };
        let model = sample(layers, unit);
        let expected = ["Div", "Conv", "Sigmoid", "Mul", "MaxPool", "Flatten", "Gemm", "Gemm", "Softmax", "Identity"];
        assert_eq!(operations(&model), expected);
        let graph = model.graph.unwrap();
        let mut known: Vec<&str> = vec![INPUT];
        known.extend(graph.initializer.iter().map(|tensor| &*tensor.name));
        for node in &graph.node {
            assert!(node.input.iter().all(|name| known.contains(&&**name)), "{node:?}");
            known.push(&node.output[0]);
        }
        assert_eq!(graph.node.last().unwrap().output, [&*graph.output[0].name]);
        assert_eq!(graph.node[1].input[1..], ["layers.0.weight", "layers.0.bias"]);
        assert_eq!(graph.node[6].input.len(), 2);
    }

    #[test]
    fn activations_become_what_operator_set_17_has() {
        for (word, expected) in [
            ("elu", &["Elu"][..]),
            ("softplus", &["Softplus"]),
            ("hard_swish", &["HardSwish"]),
            ("mish", &["Softplus", "Tanh", "Mul"]),
            ("relu6", &["Relu", "Min"]),
        ] {
            let unit = Scaling { subtract: vec![0.0], divide: vec![1.0], add: 0.0 };
            let model = sample(&format!("{{ dense = 4, activation = \"{word}\" }}, {{ dense = 3 }}"), unit);
            let operations = operations(&model);
            let first = operations.iter().position(|operation| *operation == "Gemm").unwrap() + 1;
            assert_eq!(operations[first..first + expected.len() + 1], [expected, &["Gemm"]].concat(), "{word}");
        }
    }

    #[test]
    fn scaling_by_feature_lies_as_the_input_does() {
        let standard = Scaling { subtract: vec![1.0; 72], divide: vec![2.0; 72], add: -0.5 };
        let model = sample("{ dense = 3 }", standard);
        assert_eq!(operations(&model)[..3], ["Sub", "Div", "Add"]);
        let graph = model.graph.unwrap();
        let subtract = graph.initializer.iter().find(|tensor| tensor.name == "scaling.subtract").unwrap();
        assert_eq!(subtract.dims, [1, 2, 6, 6]);
        assert_eq!(subtract.raw_data.len(), 72 * 4);
    }
}
