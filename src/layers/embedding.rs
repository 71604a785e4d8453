//! `{ embedding = WIDTH, levels = COUNT }`: numbers that are learned for each level of a category, or each word of a sequence.

use super::tensor::positive;
use super::{
    Entries, Forward, Init, Layer, LayerKind, LayerProblem, Levels, Reader, Shape, TensorRole, TensorSpec, reader,
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
    /// Behind a table without `levels`, its categories are looked up, and its numbers pass as they are.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Embedding {
        /// Numbers for each level.
        pub width: usize [Whole(1); "16"],
        /// How many levels there are: the values of the data are whole numbers below it. Left out, those of a table's categories,
        /// which are numbered through.
        pub levels: Option<usize> [Optional(Whole(1)); "1000"],
        /// So many last values of each example are numbers of levels, or -1 for none of them, which gives zeros; those before
        /// them are numbers that pass as they are. Left out, all values are numbers of levels.
        pub categories: Option<usize> [Optional(Whole(1)); "3"],
        /// Initial numbers, where they differ from the model's. An output sees one number, so that the size of the table plays no part.
        pub init: Option<Init> [Optional(Plain); "{ normal = 1.0 }"],
    }
}

pub(super) static READER: Reader = reader!(Embedding(width), "embedding", "{ embedding = WIDTH, levels = COUNT }");

impl Embedding {
    /// Values of an example that pass as they are, and those that are looked up.
    fn parts(&self, values: usize) -> [usize; 2] {
        let places = Levels { count: self.levels, categories: self.categories }.places(values);
        [places.start, places.len()]
    }
}

impl LayerKind for Embedding {
    fn word(&self) -> &'static str {
        READER.word
    }

    fn write(&self, entries: &mut Entries) {
        write_keys(self, entries);
    }

    fn describe(&self, words: &mut Vec<String>) {
        let levels = self.levels.map_or(String::new(), |levels| format!(" of {levels} levels"));
        let categories = self.categories.map_or(String::new(), |count| format!(" in {count} categories"));
        words.push(format!("embedding {}{levels}{categories}", self.width));
    }

    fn without_init(&self) -> Option<Arc<dyn LayerKind>> {
        Some(Arc::new(Embedding { init: None, ..*self }))
    }

    fn levels(&self) -> Option<Levels> {
        Some(Levels { count: self.levels, categories: self.categories })
    }

    fn with_levels(&self, levels: Levels) -> Option<Arc<dyn LayerKind>> {
        let Levels { count, categories } = levels;
        Some(Arc::new(Embedding { levels: count, categories, ..*self }))
    }

    fn output(&self, inputs: &[Shape]) -> Result<Shape, LayerProblem> {
        positive("embedding", &[self.width])?;
        positive("levels", &[self.levels.ok_or(LayerProblem::NoLevels)?])?;
        match inputs[0] {
            Shape::Features(count) if self.categories.is_some_and(|categories| categories > count) => {
                Err(LayerProblem::FewValues { values: count, categories: self.categories.unwrap_or_default() })
            }
            Shape::Features(count) => {
                let [numbers, looked_up] = self.parts(count);
                let looked_up = within_limit("the output", &[looked_up, self.width])?;
                Ok(Shape::Features(within_limit("the output", &[numbers.saturating_add(looked_up)])?))
            }
            image => Err(LayerProblem::NeedsLevels { what: format!("an image {image}") }),
        }
    }

    fn tensors(&self, _input: Shape) -> Result<Vec<TensorSpec>, LayerProblem> {
        let shape = vec![self.levels.ok_or(LayerProblem::NoLevels)?, self.width];
        within_limit("the table", &shape)?;
        let (fan_in, fan_out) = (1, self.width);
        Ok(vec![TensorSpec { suffix: "weight", role: TensorRole::Weight, shape, fan_in, fan_out, init: self.init }])
    }

    fn terms(&self, _layer: &Layer) -> usize {
        1
    }

    fn terms_per_example(&self, layer: &Layer) -> usize {
        self.parts(layer.input.len())[1]
    }

    fn forward(&self, pass: &mut Forward<'_>, inputs: &[ValueId]) -> ValueId {
        let weight = pass.layer.weight().unwrap_or_else(|| unreachable!("an embedding has a table"));
        let (name, [numbers, looked_up]) = (pass.layer.name.clone(), self.parts(pass.layer.input.len()));
        let levels = self.levels.unwrap_or_else(|| unreachable!("a model's embedding has levels"));
        pass.operation(LookUp { name, numbers, inputs: looked_up, width: self.width, levels, weight }, inputs)
    }

    fn onnx(&self, layer: &Layer, _inputs: &[&str], parameters: &[&str], graph: &mut onnx::Builder) {
        let [numbers, looked_up] = self.parts(layer.input.len());
        let input = graph.current.clone();
        let part = |first: usize, end: usize, graph: &mut onnx::Builder| {
            let bounds = [("first", first), ("end", end), ("axis", 1)];
            let bounds = bounds.map(|(what, at)| graph.own_integers(what, &[at as i64]));
            graph.node("Slice", &bounds.each_ref().map(|name| &**name), Vec::new());
        };
        if numbers > 0 {
            part(numbers, numbers + looked_up, graph);
        }
        graph.node("Cast", &[], vec![onnx::int("to", onnx::proto::INT64_TENSOR.into())]);
        let levels = std::mem::replace(&mut graph.current, parameters[0].to_string());
        if self.categories.is_some() {
            // -1, none of the levels, is the last row.
            let none = graph.own_constant("none", &[1, self.width], &vec![0.0; self.width]);
            graph.node("Concat", &[&none], vec![onnx::int("axis", 0)]);
        }
        graph.node("Gather", &[&levels], vec![onnx::int("axis", 0)]);
        graph.flatten(true);
        if numbers > 0 {
            let looked_up = std::mem::replace(&mut graph.current, input);
            part(0, numbers, graph);
            graph.node("Concat", &[&looked_up], vec![onnx::int("axis", 1)]);
        }
    }
}

/// input → output.
#[derive(Debug, Clone)]
struct LookUp {
    name: String,
    numbers: usize,
    inputs: usize,
    width: usize,
    levels: usize,
    weight: usize,
}

impl LookUp {
    fn shape(&self, at: &Lowering) -> forward::Params {
        let [rows, numbers, inputs, width, levels, parameter_stride] =
            [at.rows, self.numbers, self.inputs, self.width, self.levels, at.layout.stride].map(|n| n as u32);
        forward::Params { rows, numbers, inputs, width, levels, parameter_stride }
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
