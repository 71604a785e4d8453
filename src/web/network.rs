//! The network as ONNX operations in JSON, for browsers without WebGPU.

use super::WebError;
use crate::export::{SavedModel, onnx_graph};
use crate::onnx::proto::{AttributeProto, FLOAT_TENSOR, NodeProto, TensorProto};
use serde_json::{Map, Value, json};

/// What `web/src/network.ts` computes.
pub(super) const OPERATIONS: &[&str] = &[
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Div",
    "Elu",
    "Erf",
    "Flatten",
    "Gather",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "LayerNormalization",
    "LeakyRelu",
    "MaxPool",
    "Min",
    "Mul",
    "Relu",
    "Reshape",
    "Resize",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Softplus",
    "Sub",
    "Tanh",
];

/// The network's JSON: its tensors by name alone, since the plan has them.
pub(super) fn json(saved: &SavedModel) -> Result<String, WebError> {
    let graph = onnx_graph(saved);
    if let Some(node) = graph.node.iter().find(|node| !OPERATIONS.contains(&&*node.op_type)) {
        return Err(WebError::Operation { operation: node.op_type.clone() });
    }
    let is_tensor = |name: &str| saved.model.tensors().any(|tensor| tensor.name == name);
    let constant = |tensor: &TensorProto| {
        let values = (!is_tensor(&tensor.name)).then(|| values(tensor));
        json!({ "name": tensor.name, "dims": tensor.dims, "values": values })
    };
    let sides = match saved.model.input {
        crate::model::Shape::Features(features) => vec![1, features],
        crate::model::Shape::Image { channels, height, width } => vec![1, channels, height, width],
    };
    let name = |values: &[crate::onnx::proto::ValueInfoProto]| values.first().map(|value| value.name.clone());
    let network = json!({
        "input": { "name": name(&graph.input), "dims": sides },
        "output": name(&graph.output),
        "nodes": graph.node.iter().map(node).collect::<Vec<_>>(),
        "constants": graph.initializer.iter().map(constant).collect::<Vec<_>>(),
    });
    Ok(network.to_string())
}

fn node(node: &NodeProto) -> Value {
    let attributes: Map<String, Value> = node.attribute.iter().map(attribute).collect();
    json!({ "op": node.op_type, "inputs": node.input, "output": node.output.first(), "attributes": attributes })
}

fn attribute(attribute: &AttributeProto) -> (String, Value) {
    let text = |bytes: &Vec<u8>| json!(String::from_utf8_lossy(bytes));
    let single = attribute.f.map(|value| json!(f64::from(value)));
    let value = single.or(attribute.i.map(|value| json!(value))).or(attribute.s.as_ref().map(text));
    (attribute.name.clone(), value.unwrap_or_else(|| json!(attribute.ints)))
}

/// The numbers of a constant, floats as doubles, whose shortest decimals name every float.
fn values(tensor: &TensorProto) -> Vec<f64> {
    if tensor.data_type == FLOAT_TENSOR {
        tensor.raw_data.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect()
    } else {
        tensor.raw_data.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes) as f64).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::OPERATIONS;

    /// Both lists are in the order of the alphabet.
    #[test]
    fn the_page_computes_the_operations_that_are_listed() {
        let text = include_str!("../../web/src/network.ts");
        let (_, table) = text.split_once("export const OPERATIONS").unwrap();
        let (table, _) = table.split_once("\n};").unwrap();
        let known: Vec<&str> = table.lines().skip(1).filter_map(|line| Some(line.split_once(':')?.0.trim())).collect();
        assert_eq!(known, OPERATIONS);
    }
}
