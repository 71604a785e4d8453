//! A trained network as an ONNX model.
//!
//! It takes what the data files hold, as floats, `(N, features)` or `(N, channels, height, width)`, and scales it itself;
//! it gives what `predict` gives. Dropout, which only training knows, is left out.

use super::{SavedModel, parameter_hash};
use crate::data::TargetColumn;
use crate::kernel::Activation;
use crate::layers::{Input, Shape};
use crate::onnx::proto::*;
use crate::onnx::{Builder, fold_norms};
use prost::Message;

/// The operator set: old enough for every runtime of the last years, and all that is needed is in it.
const OPSET: i64 = 17;
/// The file version that came with it.
const IR_VERSION: i64 = 8;
/// Protocol buffers end at 2 GiB.
pub(super) const MOST_BYTES: usize = i32::MAX as usize;

const INPUT: &str = "input";

/// The bytes of a model's file.
pub(super) fn encode(saved: &SavedModel, norms_folded: bool) -> Vec<u8> {
    let mut graph = graph(saved);
    if norms_folded {
        fold_norms(&mut graph.node, &mut graph.initializer);
    }
    model(saved, graph).encode_to_vec()
}

fn model(saved: &SavedModel, graph: GraphProto) -> ModelProto {
    // Names of classes and of a table's columns.
    let is_named = !saved.trained_on.class_names.is_empty() || saved.trained_on.table.is_some();
    let data = serde_json::to_string(&saved.trained_on).ok().filter(|_| is_named);
    let entry = |key: &str, value: String| StringStringEntryProto { key: key.to_string(), value };
    ModelProto {
        ir_version: IR_VERSION,
        producer_name: env!("CARGO_PKG_NAME").to_string(),
        producer_version: env!("CARGO_PKG_VERSION").to_string(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        metadata_props: [
            Some(entry("gputrain.recipe", saved.recipe.to_toml())),
            Some(entry("parameter_hash", parameter_hash(&saved.parameters))),
            data.map(|data| entry("gputrain.data", data)),
        ]
        .into_iter()
        .flatten()
        .collect(),
    }
}

/// The network with its constants.
pub(crate) fn graph(saved: &SavedModel) -> GraphProto {
    let model = &saved.model;
    let mut graph = Builder { nodes: Vec::new(), constants: Vec::new(), current: INPUT.to_string() };
    for (parameter, values) in model.tensors().zip(&saved.parameters) {
        graph.constant(&parameter.name, &parameter.shape, values);
    }
    scale(&mut graph, saved);
    let input = graph.current.clone();
    let mut values: Vec<String> = Vec::new();
    for layer in &model.layers {
        let inputs = layer.inputs.iter().map(|from| match from {
            Input::Data => &*input,
            Input::Layer(index) => &*values[*index],
        });
        let inputs: Vec<&str> = inputs.collect();
        graph.current = inputs[0].to_string();
        let trained = layer.tensors.iter().map(|(_, index)| &*model.parameters[*index].name);
        let measured = layer.statistics.iter().map(|index| &*model.statistics[*index].name);
        let parameters: Vec<&str> = trained.chain(measured).collect();
        layer.kind.onnx(layer, &inputs, &parameters, &mut graph);
        graph.activation(layer.kind.activation().unwrap_or_default());
        values.push(graph.current.clone());
    }
    unscale(&mut graph, saved);
    let mut output = model.output();
    if model.output_activation != Activation::Linear {
        output = Shape::Features(output.len());
        graph.flatten(model.output().is_image());
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

/// Values as those of the table: y * deviation + mean.
fn unscale(graph: &mut Builder, saved: &SavedModel) {
    let outputs = saved.model.outputs();
    let Some(columns) = saved.trained_on.table.as_ref().filter(|columns| columns.scales(outputs)) else { return };
    let of = |number: fn(&TargetColumn) -> f64| columns.targets.iter().map(|target| number(target) as f32).collect();
    let numbers: [(_, _, Vec<f32>); 2] =
        [("Mul", "target.deviation", of(|target| target.deviation)), ("Add", "target.mean", of(|target| target.mean))];
    for (op, name, values) in numbers {
        graph.constant(name, &[1, values.len()], &values);
        graph.node(op, &[name], Vec::new());
    }
}

/// (x - subtract) / divide + add, without what changes nothing.
fn scale(graph: &mut Builder, saved: &SavedModel) {
    let scaling = &saved.scaling;
    let shape = [vec![1], sizes(saved.model.input)].concat();
    for (op, name, values, neutral) in
        [("Sub", "scaling.subtract", &scaling.subtract, 0.0), ("Div", "scaling.divide", &scaling.divide, 1.0)]
    {
        if values.iter().any(|value| *value != neutral) {
            let shape = if values.len() == 1 { &[] } else { &shape[..] };
            graph.constant(name, shape, values);
            graph.node(op, &[name], Vec::new());
        }
    }
    if scaling.add != 0.0 {
        graph.with_number("Add", scaling.add);
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
        let bytes = encode(&SavedModel { recipe, model, scaling, trained_on: Default::default(), parameters }, false);
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
    fn an_embedding_gathers_rows_of_its_table() {
        let text = "[model]\ninput = [3]\nlayers = [{ embedding = 2, levels = 5 }, { dense = 2 }]";
        let recipe = Recipe::parse(text, "sample.toml", &[]).unwrap();
        let model = Model::build(&recipe.model, None).unwrap();
        let (scaling, parameters) = (Scaling { subtract: vec![0.0], divide: vec![1.0], add: 0.0 }, model.initialise(0));
        let bytes = encode(&SavedModel { recipe, model, scaling, trained_on: Default::default(), parameters }, false);
        let model = ModelProto::decode(&*bytes).unwrap();
        assert_eq!(operations(&model), ["Cast", "Gather", "Flatten", "Gemm", "Softmax", "Identity"]);
        let graph = model.graph.unwrap();
        assert_eq!(graph.node[1].input, ["layers.0.weight", &*graph.node[0].output[0]]);
    }

    #[test]
    fn a_batch_norm_takes_its_running_statistics() {
        let unit = Scaling { subtract: vec![0.0], divide: vec![1.0], add: 0.0 };
        let layers =
            "{ conv2d = 3, kernel = 3 }, { batch_norm = true, activation = \"relu\", epsilon = 0.25 }, { dense = 3 }";
        let graph = sample(layers, unit).graph.unwrap();
        let node = graph.node.iter().find(|node| node.op_type == "BatchNormalization").unwrap();
        let expected = ["weight", "bias", "running_mean", "running_var"].map(|name| format!("layers.1.{name}"));
        assert_eq!(node.input[1..], expected);
        assert_eq!((node.output.len(), node.attribute.len()), (1, 1), "the form of inference");
        assert_eq!((&*node.attribute[0].name, node.attribute[0].f), ("epsilon", Some(0.25)));
        assert!(expected.iter().all(|name| graph.initializer.iter().any(|tensor| tensor.name == *name)));
    }

    #[test]
    fn norms_are_folded_where_what_is_before_them_goes_nowhere_else() {
        let layers = "{ name = \"a\", conv2d = 2, kernel = 3, bias = false }, { batch_norm = true, epsilon = 3.0, activation = \"relu\" }, \
                      { name = \"b\", conv2d = 2, kernel = 1 }, { name = \"c\", batch_norm = true }, { add = [\"b\", \"c\"] }, \
                      { batch_norm = true }, { dense = 3 }, { batch_norm = true }";
        let unit = Scaling { subtract: vec![0.0], divide: vec![1.0], add: 0.0 };
        let mut graph = sample(layers, unit).graph.unwrap();
        let of = |graph: &GraphProto, name: &str| {
            let tensor = graph.initializer.iter().find(|tensor| tensor.name == name)?;
            Some(Vec::from_iter(tensor.raw_data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes))))
        };
        for (name, values) in [
            ("layers.1.weight", [4.0f32, 6.0]),
            ("layers.1.bias", [0.5, 0.25]),
            ("layers.1.running_mean", [1.0, 2.0]),
            ("layers.1.running_var", [1.0, 6.0]),
        ] {
            let tensor = graph.initializer.iter_mut().find(|tensor| tensor.name == name).unwrap();
            tensor.raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        }
        let before = of(&graph, "a.weight").unwrap();
        let norms = |graph: &GraphProto| graph.node.iter().filter(|node| node.op_type == "BatchNormalization").count();
        let at_first = norms(&graph);
        fold_norms(&mut graph.node, &mut graph.initializer);
        assert_eq!(
            [at_first, norms(&graph)],
            [4, 2],
            "the output of b is read twice, that of the sum comes from no product"
        );
        assert_eq!(of(&graph, "a.weight").unwrap(), Vec::from_iter(before.iter().map(|w| w * 2.0)));
        assert_eq!(of(&graph, "layers.1.bias").unwrap(), [0.5 - 2.0, 0.25 - 4.0]);
        assert!(of(&graph, "layers.1.running_mean").is_none() && of(&graph, "c.running_mean").is_some());
        let operations: Vec<&str> = graph.node.iter().map(|node| &*node.op_type).collect();
        let rest = ["BatchNormalization", "Add", "BatchNormalization", "Flatten", "Gemm", "Softmax", "Identity"];
        assert_eq!(operations, [&["Conv", "Relu", "Conv"][..], &rest].concat());
    }

    #[test]
    fn convolutions_say_how_they_lie() {
        let layers = "{ conv2d = 4, kernel = 3, padding = [2, 1], dilation = [1, 2], groups = 2 }, \
                      { conv2d_transpose = 6, kernel = 3, stride = 2, padding = 1, output_padding = 1, groups = 2 }, \
                      { conv2d_transpose = 2, kernel = 1, stride = 3, padding = \"same\" }, { flatten = true }, \
                      { reshape = [24, 24, 4] }, { max_pool = 3, padding = 1 }, { dense = 3 }";
        let unit = Scaling { subtract: vec![0.0], divide: vec![1.0], add: 0.0 };
        let model = sample(layers, unit);
        let chain = ["Conv", "ConvTranspose", "ConvTranspose", "Flatten", "Reshape", "MaxPool"];
        assert_eq!(operations(&model)[..6], chain);
        let graph = model.graph.unwrap();
        let numbers = |node: usize, name: &str| {
            let attribute = graph.node[node].attribute.iter().find(|attribute| attribute.name == name);
            attribute.map(|attribute| [attribute.ints.clone(), Vec::from_iter(attribute.i)].concat())
        };
        assert_eq!(numbers(0, "pads").unwrap(), [2, 1, 2, 1]);
        assert_eq!(numbers(0, "dilations").unwrap(), [1, 2]);
        assert_eq!(numbers(0, "group").unwrap(), [2]);
        assert_eq!(numbers(1, "strides").unwrap(), [2, 2]);
        assert_eq!(numbers(1, "output_padding").unwrap(), [1, 1]);
        assert_eq!(numbers(1, "group").unwrap(), [2]);
        assert_eq!((numbers(1, "dilations"), numbers(2, "group")), (None, None));
        assert_eq!(numbers(2, "output_padding").unwrap(), [2, 2]);
        assert_eq!(numbers(5, "pads").unwrap(), [1, 1, 1, 1]);
        let shape = graph.initializer.iter().find(|tensor| graph.node[4].input[1] == tensor.name).unwrap();
        let numbers: Vec<u8> = [0i64, 4, 24, 24].iter().flat_map(|n| n.to_le_bytes()).collect();
        assert_eq!(shape.raw_data, numbers);
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
