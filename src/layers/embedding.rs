//! `{ embedding = WIDTH, levels = COUNT }`: numbers that are learned for each level of a category, or each word of a sequence.

use super::tensor::positive;
use super::{
    Entries, Forward, Init, Layer, LayerKind, LayerProblem, Reader, Shape, TensorRole, TensorSpec, reader,
    within_limit, write_keys,
};
use crate::graph::{Backward, Lowering, Node, Operation, ValueId};
use crate::ir::Slice;
use crate::kernel::Launch;
use crate::kernel::embedding::backward_weight::{self, EmbeddingBackwardWeight};
use crate::kernel::embedding::forward::{self, EmbeddingForward};
use crate::keys::{Optional, Plain, Whole, keyed};
use crate::onnx;
use std::sync::Arc;

keyed! {
    /// Numbers that are learned for each level of a category, or each word of a sequence, as PyTorch's `nn.Embedding` followed by
    /// `flatten(1)`. It takes the data as it is, without scaling: each value of an example is the number of a level, counted from 0.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Embedding {
        /// Numbers for each level.
        pub width: usize [Whole(1); "16"],
        /// How many levels there are: the values of the data are whole numbers below it.
        pub levels: usize [Whole(1); "1000"],
        /// Initial numbers, where they differ from the model's. An output sees one number, so that the size of the table plays no part.
        pub init: Option<Init> [Optional(Plain); "{ normal = 1.0 }"],
    }
}

pub(super) static READER: Reader = reader!(Embedding(width), "embedding", "{ embedding = WIDTH, levels = COUNT }");

impl LayerKind for Embedding {
    fn word(&self) -> &'static str {
        READER.word
    }

    fn write(&self, entries: &mut Entries) {
        write_keys(self, entries);
    }

    fn describe(&self, words: &mut Vec<String>) {
        words.push(format!("embedding {} of {} levels", self.width, self.levels));
    }

    fn without_init(&self) -> Option<Arc<dyn LayerKind>> {
        Some(Arc::new(Embedding { init: None, ..*self }))
    }

    fn levels(&self) -> Option<usize> {
        Some(self.levels)
    }

    fn output(&self, inputs: &[Shape]) -> Result<Shape, LayerProblem> {
        positive("embedding", &[self.width])?;
        positive("levels", &[self.levels])?;
        match inputs[0] {
            Shape::Features(count) => Ok(Shape::Features(within_limit("the output", &[count, self.width])?)),
            image => Err(LayerProblem::NeedsLevels { what: format!("an image {image}") }),
        }
    }

    fn tensors(&self, _input: Shape) -> Result<Vec<TensorSpec>, LayerProblem> {
        let shape = vec![self.levels, self.width];
        within_limit("the table", &shape)?;
        let (fan_in, fan_out) = (1, self.width);
        Ok(vec![TensorSpec { suffix: "weight", role: TensorRole::Weight, shape, fan_in, fan_out, init: self.init }])
    }

    fn terms(&self, _layer: &Layer) -> usize {
        1
    }

    fn terms_per_example(&self, layer: &Layer) -> usize {
        layer.input.len()
    }

    fn forward(&self, pass: &mut Forward<'_>, inputs: &[ValueId]) -> ValueId {
        let weight = pass.layer.weight().unwrap_or_else(|| unreachable!("an embedding has a table"));
        let (name, count) = (pass.layer.name.clone(), pass.layer.input.len());
        pass.operation(LookUp { name, inputs: count, width: self.width, levels: self.levels, weight }, inputs)
    }

    fn onnx(&self, _layer: &Layer, _inputs: &[&str], parameters: &[&str], graph: &mut onnx::Builder) {
        graph.node("Cast", &[], vec![onnx::int("to", onnx::proto::INT64_TENSOR.into())]);
        let levels = std::mem::replace(&mut graph.current, parameters[0].to_string());
        graph.node("Gather", &[&levels], vec![onnx::int("axis", 0)]);
        graph.flatten(true);
    }
}

/// input → output.
#[derive(Debug, Clone)]
struct LookUp {
    name: String,
    inputs: usize,
    width: usize,
    levels: usize,
    weight: usize,
}

impl LookUp {
    fn shape(&self, at: &Lowering) -> forward::Params {
        let [rows, inputs, width, levels, parameter_stride] =
            [at.rows, self.inputs, self.width, self.levels, at.layout.stride].map(|n| n as u32);
        forward::Params { rows, inputs, width, levels, parameter_stride }
    }
}

impl Operation for LookUp {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let operands = forward::Operands { input: reads[0], weight: at.parameter(self.weight), output: writes[0] };
        let (label, shape, models) = (format!("{} forward", self.name), self.shape(at), at.models);
        vec![Arc::new(EmbeddingForward { label, shape, models, operands })]
    }

    fn trains(&self) -> bool {
        true
    }

    fn backward(&self, node: &Node, gradient: ValueId, pass: &mut Backward) {
        pass.gradient_of_tensors(LookUpBackward(self.clone()), &[gradient, node.reads[0]]);
    }

    fn describe(&self) -> String {
        format!("the embedding {}", self.name)
    }
}

/// (output gradient, input) → gradient of the table.
#[derive(Debug)]
struct LookUpBackward(LookUp);

impl Operation for LookUpBackward {
    fn lower(&self, reads: &[Slice], _writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let operands = backward_weight::Operands {
            input: reads[1],
            output_gradient: reads[0],
            gradient: at.gradient(self.0.weight, None),
        };
        let (label, shape, models) = (format!("{} backward weight", self.0.name), self.0.shape(at), at.models);
        vec![Arc::new(EmbeddingBackwardWeight { label, shape, models, operands })]
    }

    fn describe(&self) -> String {
        format!("the gradient of {}", self.0.name)
    }
}
