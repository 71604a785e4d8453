//! `{ upsample = FACTOR }`: each pixel becomes a window of itself, as in PyTorch's `nn.Upsample(mode = "nearest")`.

use super::{Forward, Layer, LayerKind, LayerProblem, Reader, Shape, cross, from_fields, reader, within_limit};
use crate::graph::{Backward, Lowering, Node, Operation, ValueId};
use crate::ir::Slice;
use crate::kernel::pool::upsample_backward::{Operands, UpsampleBackward};
use crate::kernel::pool::upsample_forward::{Params, UpsampleForward};
use crate::kernel::{Activation, Launch};
use crate::keys::{Plain, keyed};
use crate::onnx;
use std::sync::Arc;

keyed! {
    /// Makes images larger by whole factors.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Upsample {
        /// Rows and columns out for each one in.
        pub factor: [usize; 2] [Plain; "2"],
    }
}

pub(super) static READER: Reader = reader!(Upsample(factor), "upsample", "{ upsample = FACTOR }");

impl LayerKind for Upsample {
    from_fields!(word, write);

    fn describe(&self, words: &mut Vec<String>) {
        words.push(format!("upsample {}", cross(self.factor)));
    }

    fn output(&self, inputs: &[Shape]) -> Result<Shape, LayerProblem> {
        super::tensor::positive("upsample", &self.factor)?;
        let (channels, [height, width]) = inputs[0].image()?;
        let [down, across] = self.factor;
        within_limit("the output", &[channels, height, down, width, across])?;
        Ok(Shape::Image { channels, height: height * down, width: width * across })
    }

    fn forward(&self, pass: &mut Forward<'_>, inputs: &[ValueId]) -> ValueId {
        let (name, input, factor) = (pass.layer.name.clone(), pass.layer.input, self.factor);
        pass.operation(Enlarge { name, input, factor }, inputs)
    }

    fn onnx(&self, _layer: &Layer, _inputs: &[&str], _parameters: &[&str], graph: &mut onnx::Builder) {
        let [down, across] = self.factor.map(|factor| factor as f32);
        let scales = graph.own_constant("scales", &[4], &[1.0, 1.0, down, across]);
        let how = [("mode", "nearest"), ("coordinate_transformation_mode", "asymmetric"), ("nearest_mode", "floor")];
        let how = how.map(|(name, value)| onnx::text(name, value)).to_vec();
        // The second input, a region of interest, is for another mode.
        graph.node("Resize", &["", &scales], how);
    }
}

/// input → output.
#[derive(Debug, Clone)]
struct Enlarge {
    name: String,
    input: Shape,
    factor: [usize; 2],
}

impl Enlarge {
    fn shape(&self, batch: usize) -> Params {
        let Shape::Image { channels, height, width } = self.input else {
            unreachable!("Model::build upsamples images only");
        };
        let [planes, height, width, factor_height, factor_width] =
            [batch * channels, height, width, self.factor[0], self.factor[1]].map(|n| n as u32);
        Params { planes, height, width, factor_height, factor_width }
    }
}

impl Operation for Enlarge {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let (label, shape, models) = (format!("{} forward", self.name), self.shape(at.rows), at.models);
        vec![Arc::new(UpsampleForward { label, shape, models, input: reads[0], output: writes[0] })]
    }

    fn backward(&self, node: &Node, gradient: ValueId, pass: &mut Backward) {
        pass.gradient_in_epilogue(node.reads[0], |activation, saved| {
            (Arc::new(EnlargeBackward { forward: self.clone(), activation }), vec![gradient, saved])
        });
    }

    fn describe(&self) -> String {
        format!("the upsampling {}", self.name)
    }
}

/// (output gradient, saved) → input gradient times the derivative of `activation` at `saved`.
#[derive(Debug)]
struct EnlargeBackward {
    forward: Enlarge,
    /// Of the operation that made the layer's input.
    activation: Activation,
}

impl Operation for EnlargeBackward {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let operands = Operands { output_gradient: reads[0], saved: reads[1], input_gradient: writes[0] };
        vec![Arc::new(UpsampleBackward {
            label: format!("{} backward", self.forward.name),
            shape: self.forward.shape(at.rows),
            models: at.models,
            activation: self.activation.code(),
            operands,
        })]
    }

    fn describe(&self) -> String {
        format!("the gradient of {}", self.forward.name)
    }
}
