//! The part of ONNX that a trained network needs: its protocol buffers, and a builder of graphs.

mod fold;
pub mod proto;

use crate::file::little_endian;
use crate::kernel::Activation;
pub use fold::fold_norms;
use proto::*;

/// An attribute.
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.to_string(), i: Some(value), r#type: INT_ATTRIBUTE, ..Default::default() }
}

/// An attribute.
pub fn ints(name: &str, values: &[usize]) -> AttributeProto {
    let ints = values.iter().map(|n| *n as i64).collect();
    AttributeProto { name: name.to_string(), ints, r#type: INTS_ATTRIBUTE, ..Default::default() }
}

/// An attribute.
pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.to_string(), f: Some(value), r#type: FLOAT_ATTRIBUTE, ..Default::default() }
}

/// An attribute.
pub fn text(name: &str, value: &str) -> AttributeProto {
    let s = Some(value.as_bytes().to_vec());
    AttributeProto { name: name.to_string(), s, r#type: STRING_ATTRIBUTE, ..Default::default() }
}

/// Nodes as they are added: each takes the current value and gives the next.
pub struct Builder {
    /// Its nodes so far.
    pub nodes: Vec<NodeProto>,
    /// Its constants so far.
    pub constants: Vec<TensorProto>,
    /// The name of the current value.
    pub current: String,
}

impl Builder {
    /// Adds a constant.
    pub fn constant(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let dims = shape.iter().map(|n| *n as i64).collect();
        let raw_data = little_endian(values.iter().map(|value| value.to_le_bytes()));
        self.constants.push(TensorProto { dims, data_type: FLOAT_TENSOR, name: name.to_string(), raw_data });
    }

    /// Adds a constant for the next node; its name.
    pub fn own_constant(&mut self, what: &str, shape: &[usize], values: &[f32]) -> String {
        let name = format!("{}_{what}", self.nodes.len());
        self.constant(&name, shape, values);
        name
    }

    /// Adds integers for the next node; their name.
    pub fn own_integers(&mut self, what: &str, values: &[i64]) -> String {
        let name = format!("{}_{what}", self.nodes.len());
        let raw_data = little_endian(values.iter().map(|value| value.to_le_bytes()));
        let dims = vec![values.len() as i64];
        self.constants.push(TensorProto { dims, data_type: INT64_TENSOR, name: name.clone(), raw_data });
        name
    }

    /// Applies an operation to values other than the current one, which stays; the name of what it gives.
    pub fn beside(&mut self, op: &str, inputs: &[&str]) -> String {
        let current = std::mem::replace(&mut self.current, inputs[0].to_string());
        self.node(op, &inputs[1..], Vec::new());
        std::mem::replace(&mut self.current, current)
    }

    /// Applies an operation to the current value and these others.
    pub fn node(&mut self, op: &str, others: &[&str], attribute: Vec<AttributeProto>) {
        let name = format!("{}_{op}", self.nodes.len());
        let input = std::iter::once(&*self.current).chain(others.iter().copied()).map(str::to_string).collect();
        let output = vec![name.clone()];
        self.nodes.push(NodeProto { input, output, name: name.clone(), op_type: op.to_string(), attribute });
        self.current = name;
    }

    /// Applies an operation to the current value and a number.
    pub fn with_number(&mut self, op: &str, number: f32) {
        let name = self.own_constant(&format!("{op}_number"), &[], &[number]);
        self.node(op, &[&name], Vec::new());
    }

    /// Makes a vector of each example, where it is an image.
    pub fn flatten(&mut self, is_image: bool) {
        if is_image {
            self.node("Flatten", &[], vec![int("axis", 1)]);
        }
    }

    /// Applies an activation.
    pub fn activation(&mut self, activation: Activation) {
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
