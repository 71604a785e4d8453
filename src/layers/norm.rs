//! `{ layer_norm = true }` and `{ group_norm = GROUPS }`: each example, or each group of its channels, to mean 0 and variance 1, then
//! scaled and shifted. PyTorch's `nn.LayerNorm` over an example's whole shape, where each value has a scale and a bias of its own,
//! and `nn.GroupNorm`, where each channel has.

use super::{
    Entries, Forward, Init, Layer, LayerKind, LayerProblem, Reader, Shape, TensorRole, TensorSpec, describe_activation,
    from_fields, reader,
};
use crate::graph::{Backward, Lowering, Node, Operation, ValueId};
use crate::ir::Slice;
use crate::kernel::norm::{backward_weight, row_backward_input, row_forward};
use crate::kernel::{Activation, Launch};
use crate::keys::{Form, Item, KeyError, Number, Plain, Table, Whole, keyed};
use crate::onnx;
use std::fmt::Debug;
use std::sync::Arc;

keyed! {
    /// A normalisation of examples.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Norm {
        /// Groups of channels that are normalised each by itself (`group_norm`); without them an example as a whole, whatever its shape
        /// (`layer_norm`).
        pub groups: Option<usize> [Groups; "8"],
        /// Added to the variance.
        pub epsilon: f32 [EPSILON] = 1e-5,
        /// Applied to every output.
        pub activation: Activation = Activation::Linear,
    }
}

pub(super) const EPSILON: Number = Number("a number above 0", |epsilon| epsilon > 0.0);

/// What the word of the kind stands before: groups, or `true`.
struct Groups;

impl Form<Option<usize>> for Groups {
    fn expected(&self) -> String {
        Form::<usize>::expected(&Whole(1))
    }

    fn read(&self, item: &Item<'_>) -> Result<Option<usize>, KeyError> {
        item.whole(1).map(Some)
    }

    fn get(&self, table: &Table<'_>, key: &str) -> Result<Option<usize>, KeyError> {
        if table.kind() == Some(LAYER.word) {
            return Form::<()>::get(&Plain, table, key).map(|()| None);
        }
        self.read(&table.require(key, &self.expected())?)
    }

    fn write(&self, key: &str, groups: &Option<usize>, entries: &mut Entries) {
        match groups {
            Some(groups) => entries.put(key, groups),
            None => entries.put(key, &true),
        }
    }
}

pub(super) static LAYER: Reader = reader!(Norm(groups), "layer_norm", "{ layer_norm = true }");
pub(super) static GROUP: Reader = reader!(Norm(groups), "group_norm", "{ group_norm = GROUPS }");

impl LayerKind for Norm {
    from_fields!(write, activation);

    fn word(&self) -> &'static str {
        if self.groups.is_some() { GROUP.word } else { LAYER.word }
    }

    fn describe(&self, words: &mut Vec<String>) {
        words.push(self.groups.map_or(LAYER.word.into(), |groups| format!("{} {groups}", GROUP.word)));
        describe_activation(words, self.activation);
    }

    fn output(&self, inputs: &[Shape]) -> Result<Shape, LayerProblem> {
        if let Some(groups) = self.groups {
            let channels = channels(inputs[0]);
            if groups == 0 || !channels.is_multiple_of(groups) {
                return Err(LayerProblem::Groups { groups, channels });
            }
        }
        Ok(inputs[0])
    }

    fn tensors(&self, input: Shape) -> Result<Vec<TensorSpec>, LayerProblem> {
        let shape = match (self.groups, input) {
            (None, Shape::Image { channels, height, width }) => vec![channels, height, width],
            (_, input) => vec![channels(input)],
        };
        let tensor = |suffix, role, init| {
            let (shape, init) = (shape.clone(), Some(init));
            TensorSpec { suffix, role, shape, fan_in: 1, fan_out: 1, init }
        };
        let scale = tensor("weight", TensorRole::Scale, Init::Constant(1.0));
        Ok(vec![scale, tensor("bias", TensorRole::Bias, Init::Zeros)])
    }

    fn terms(&self, layer: &Layer) -> usize {
        2 * Rows::of(self, layer).len()
    }

    fn forward(&self, pass: &mut Forward<'_>, inputs: &[ValueId]) -> ValueId {
        let rows = Rows::of(self, pass.layer);
        let statistics = pass.graph.value(format!("{}.statistics", pass.layer.name), 2 * rows.groups);
        pass.with_activation_and(self.activation, inputs, &[statistics], |activation| {
            Arc::new(NormForward { rows, activation })
        })
    }

    fn onnx(&self, layer: &Layer, _inputs: &[&str], parameters: &[&str], graph: &mut onnx::Builder) {
        let Some(groups) = self.groups else {
            let how = vec![onnx::int("axis", 1), onnx::float("epsilon", self.epsilon)];
            return graph.node("LayerNormalization", parameters, how);
        };
        // A sum of groups: each is an instance to normalise; then every channel has its scale and bias.
        let ones = graph.own_constant("ones", &[groups], &vec![1.0; groups]);
        let zeros = graph.own_constant("zeros", &[groups], &vec![0.0; groups]);
        let grouped = graph.own_integers("groups", &[0, groups as i64, -1]);
        graph.node("Reshape", &[&grouped], Vec::new());
        graph.node("InstanceNormalization", &[&ones, &zeros], vec![onnx::float("epsilon", self.epsilon)]);
        let (whole, channel): (Vec<i64>, Vec<i64>) = match layer.input {
            Shape::Features(features) => (vec![0, features as i64], vec![features as i64]),
            Shape::Image { channels, height, width } => {
                (vec![0, channels as i64, height as i64, width as i64], vec![channels as i64, 1, 1])
            }
        };
        let whole = graph.own_integers("shape", &whole);
        graph.node("Reshape", &[&whole], Vec::new());
        for (operation, parameter) in ["Mul", "Add"].into_iter().zip(parameters) {
            let shape = graph.own_integers("channels", &channel);
            let parameter = graph.beside("Reshape", &[parameter, &shape]);
            graph.node(operation, &[&parameter], Vec::new());
        }
    }
}

/// Channels of images, features of vectors.
pub(super) fn channels(shape: Shape) -> usize {
    match shape {
        Shape::Features(features) => features,
        Shape::Image { channels, .. } => channels,
    }
}

/// What is normalised.
#[derive(Debug, Clone)]
struct Rows {
    name: String,
    groups: usize,
    channels_per_group: usize,
    plane: usize,
    epsilon: f32,
    scale: usize,
    bias: usize,
}

impl Rows {
    fn of(kind: &Norm, layer: &Layer) -> Rows {
        let (Some(scale), Some(bias)) = (layer.tensor(TensorRole::Scale), layer.bias()) else {
            unreachable!("a norm has a scale and a bias");
        };
        let (groups, channels) = match kind.groups {
            Some(groups) => (groups, channels(layer.input)),
            None => (1, layer.input.len()),
        };
        Rows {
            name: layer.name.clone(),
            groups,
            channels_per_group: channels / groups,
            plane: layer.input.len() / channels,
            epsilon: kind.epsilon,
            scale,
            bias,
        }
    }

    /// Values of a row.
    fn len(&self) -> usize {
        self.channels_per_group * self.plane
    }

    /// Rows, groups, channels of a group and pixels of a channel, as the kernels take them.
    fn numbers(&self, batch: usize) -> [u32; 4] {
        [batch * self.groups, self.groups, self.channels_per_group, self.plane].map(|n| n as u32)
    }
}

impl Scaled for Rows {
    fn name(&self) -> &str {
        &self.name
    }

    fn tensors(&self) -> [usize; 2] {
        [self.scale, self.bias]
    }

    fn gradient(&self, rows: usize) -> backward_weight::Norm {
        backward_weight::Norm::rows(rows, self.groups, self.channels_per_group, self.plane)
    }
}

/// input → (output, statistics).
#[derive(Debug)]
struct NormForward {
    rows: Rows,
    activation: Activation,
}

impl Operation for NormForward {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let [rows, groups, channels_per_group, plane] = self.rows.numbers(at.rows);
        let (parameter_stride, epsilon) = (at.layout.stride as u32, self.rows.epsilon);
        vec![Arc::new(row_forward::RowForward {
            label: format!("{} forward", self.rows.name),
            shape: row_forward::Params { rows, groups, channels_per_group, plane, parameter_stride, epsilon },
            models: at.models,
            activation: self.activation.code(),
            operands: row_forward::Operands {
                input: reads[0],
                weight: at.parameter(self.rows.scale),
                bias: at.parameter(self.rows.bias),
                output: writes[0],
                statistics: writes[1],
            },
        })]
    }

    fn activation(&self) -> Activation {
        self.activation
    }

    fn trains(&self) -> bool {
        true
    }

    fn backward(&self, node: &Node, gradient: ValueId, pass: &mut Backward) {
        let (input, statistics) = (node.reads[0], node.writes[1]);
        pass.gradient_of_tensors(NormBackwardWeight(self.rows.clone()), &[gradient, input, statistics]);
        pass.gradient_in_epilogue(input, |activation, saved| {
            let operation = NormBackwardInput { rows: self.rows.clone(), activation };
            (Arc::new(operation), vec![gradient, input, statistics, saved])
        });
    }

    fn describe(&self) -> String {
        format!("the normalisation {}", self.rows.name)
    }
}

/// A norm, as the gradients of its tensors see it.
pub(super) trait Scaled: Debug + Send + Sync {
    /// The layer's name.
    fn name(&self) -> &str;

    /// Its scale and its bias among the parameters.
    fn tensors(&self) -> [usize; 2];

    /// The shape of the gradients' sums.
    fn gradient(&self, rows: usize) -> backward_weight::Norm;
}

/// (output gradient, input, statistics) → gradients of the tensors.
#[derive(Debug)]
pub(super) struct NormBackwardWeight<N>(pub N);

impl<N: Scaled> Operation for NormBackwardWeight<N> {
    fn lower(&self, reads: &[Slice], _writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let [scale, bias] = self.0.tensors();
        let operands = backward_weight::Operands {
            output_gradient: reads[0],
            input: reads[1],
            statistics: reads[2],
            gradient: at.gradient(scale, Some(bias)),
            bias_offset: at.offset_from(scale, Some(bias)),
            parameter_stride: at.layout.stride,
            scratch: at.scratch(self.scratch_len(at.rows, at.models)),
        };
        let label = format!("{} backward weight", self.0.name());
        backward_weight::launches(&label, self.0.gradient(at.rows), at.models, operands)
    }

    fn scratch_len(&self, rows: usize, models: usize) -> usize {
        self.0.gradient(rows).scratch_len(models)
    }

    fn describe(&self) -> String {
        format!("the weight gradient of {}", self.0.name())
    }
}

/// (output gradient, input, statistics, saved) → input gradient times the derivative of `activation` at `saved`.
#[derive(Debug)]
struct NormBackwardInput {
    rows: Rows,
    /// Of the operation that made the layer's input.
    activation: Activation,
}

impl Operation for NormBackwardInput {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let [rows, groups, channels_per_group, plane] = self.rows.numbers(at.rows);
        let parameter_stride = at.layout.stride as u32;
        vec![Arc::new(row_backward_input::RowBackwardInput {
            label: format!("{} backward input", self.rows.name),
            shape: row_backward_input::Params { rows, groups, channels_per_group, plane, parameter_stride },
            models: at.models,
            activation: self.activation.code(),
            operands: row_backward_input::Operands {
                output_gradient: reads[0],
                input: reads[1],
                weight: at.parameter(self.rows.scale),
                statistics: reads[2],
                saved: reads[3],
                input_gradient: writes[0],
            },
        })]
    }

    fn describe(&self) -> String {
        format!("the input gradient of {}", self.rows.name)
    }
}
