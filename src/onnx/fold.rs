//! Batch norms as part of what stands before them: the same network with fewer operations.

use super::proto::{NodeProto, TensorProto};
use crate::file::little_endian;
use std::collections::HashMap;

/// Multiplies every `BatchNormalization` whose input only comes from a `Conv` or a `Gemm`, and goes nowhere else, into the weights
/// and the bias of that: w' = w s, b' = (b - mean) s + bias with s = scale / sqrt(variance + epsilon), in f64. Takes the nodes in
/// the order they run in, and a weight to be read by one node alone.
pub fn fold_norms(nodes: &mut Vec<NodeProto>, constants: &mut Vec<TensorProto>) {
    let names: Vec<String> = constants.iter().map(|tensor| tensor.name.clone()).collect();
    let mut tensors: HashMap<String, TensorProto> = names.iter().cloned().zip(constants.drain(..)).collect();
    let mut folded: Vec<NodeProto> = Vec::with_capacity(nodes.len());
    let is_norm = |node: &NodeProto| node.op_type == "BatchNormalization";
    for node in nodes.iter() {
        let readers =
            |value: &String| nodes.iter().flat_map(|node| &node.input).filter(|input| *input == value).count();
        let producer = folded.iter_mut().find(|other| is_norm(node) && other.output[0] == node.input[0]);
        match producer {
            Some(producer) if is_product(producer) && readers(&node.input[0]) == 1 => {
                fold(producer, node, &mut tensors);
            }
            _ => folded.push(node.clone()),
        }
    }
    *nodes = folded;
    let is_read = |name: &&String| nodes.iter().any(|node| node.input.contains(name));
    *constants = names.iter().filter(is_read).filter_map(|name| tensors.remove(name)).collect();
}

/// Whether outputs are rows of its weight.
fn is_product(node: &NodeProto) -> bool {
    ["Conv", "Gemm"].contains(&&*node.op_type)
}

/// Makes one node of a product and the norm behind it. The norm's bias becomes the product's.
fn fold(product: &mut NodeProto, norm: &NodeProto, tensors: &mut HashMap<String, TensorProto>) {
    let mut numbers = |name: &String| tensors.get(name).map(values).unwrap_or_default();
    let [scale, bias, mean, variance] = [1, 2, 3, 4].map(|input| numbers(&norm.input[input]));
    let (weight, own_bias) = (numbers(&product.input[1]), product.input.get(2).map(&mut numbers));
    let epsilon = norm.attribute.iter().find(|attribute| attribute.name == "epsilon").and_then(|attribute| attribute.f);
    let epsilon = f64::from(epsilon.unwrap_or(1e-5));
    let factors: Vec<f64> =
        scale.iter().zip(&variance).map(|(scale, variance)| scale / (variance + epsilon).sqrt()).collect();
    let row = weight.len() / factors.len().max(1);
    let weight = weight.chunks(row.max(1)).zip(&factors).flat_map(|(row, factor)| row.iter().map(move |w| w * factor));
    let old = |channel: usize| own_bias.as_ref().map_or(0.0, |bias| bias[channel]);
    let bias = (0..factors.len()).map(|c| (old(c) - mean[c]) * factors[c] + bias[c]);
    for (name, values) in [(&product.input[1], weight.collect()), (&norm.input[2], bias.collect::<Vec<f64>>())] {
        if let Some(tensor) = tensors.get_mut(name) {
            tensor.raw_data = little_endian(values.iter().map(|value| (*value as f32).to_le_bytes()));
        }
    }
    product.input.truncate(2);
    product.input.push(norm.input[2].clone());
    product.output = norm.output.clone();
}

fn values(tensor: &TensorProto) -> Vec<f64> {
    tensor.raw_data.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect()
}
