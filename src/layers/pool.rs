//! `{ max_pool = SIZE }` and `{ average_pool = SIZE }`: the largest value, or the mean, of each window.

use super::{
    Forward, Layer, LayerKind, LayerProblem, Padding, Reader, Shape, Window, cross, describe_window, from_fields,
    reader,
};
use crate::graph::{Backward, Lowering, Node, Operation, ValueId};
use crate::ir::Slice;
use crate::kernel::pool::{average_backward, average_forward, max_backward, max_forward, shape};
use crate::kernel::{Activation, Launch};
use crate::keys::{Entry, OfKind, Plain, Written, keyed};
use crate::onnx;
use std::sync::Arc;

/// What becomes of the values of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The largest one is taken.
    Max,
    /// Their mean is taken; padding does not count as a value: PyTorch's `count_include_pad = False`, which is not its default.
    Average,
}

impl Written for Pooling {
    /// The layer's word tells.
    fn written(&self) -> Option<Entry> {
        None
    }
}

keyed! {
    /// A pooling of windows.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Pool {
        /// What is taken of each window.
        pub pooling: Pooling [OfKind(&[("max_pool", Pooling::Max), ("average_pool", Pooling::Average)])],
        /// Height and width of the window.
        pub size: [usize; 2] [Plain; "2"],
        /// Step down and across; the size of the window where it is left out.
        pub stride: [usize; 2] = size,
        /// What happens at the border.
        pub padding: Padding = Padding::Valid,
    }
}

pub(super) static MAX: Reader = reader!(Pool(pooling, size), "max_pool", "{ max_pool = SIZE }");
pub(super) static AVERAGE: Reader = reader!(Pool(pooling, size), "average_pool", "{ average_pool = SIZE }");

impl LayerKind for Pool {
    from_fields!(write);

    fn word(&self) -> &'static str {
        match self.pooling {
            Pooling::Max => MAX.word,
            Pooling::Average => AVERAGE.word,
        }
    }

    fn describe(&self, words: &mut Vec<String>) {
        words.push(format!("{} {}", self.word(), cross(self.size)));
        describe_window(words, self.stride, self.size, self.padding);
    }

    fn output(&self, inputs: &[Shape]) -> Result<Shape, LayerProblem> {
        let key = (self.word(), self.size);
        let [height, width] = Window::fit(inputs[0], key, self.stride, [1, 1], self.padding)?.output;
        let padding = self.padding.pixels();
        if (0..2).any(|a| padding[a] > self.size[a] / 2) {
            return Err(LayerProblem::PaddingTooWide { padding, size: self.size });
        }
        Ok(Shape::Image { channels: inputs[0].channels(), height, width })
    }

    fn forward(&self, pass: &mut Forward<'_>, inputs: &[ValueId]) -> ValueId {
        let window = Window::over(pass.layer.input, self.size, self.stride, [1, 1], self.padding);
        let window = window.unwrap_or_else(|| unreachable!("Model::build gives every pooling a window"));
        pass.operation(PoolForward::new(pass.layer, self.pooling, window), inputs)
    }

    fn onnx(&self, layer: &Layer, _inputs: &[&str], _parameters: &[&str], graph: &mut onnx::Builder) {
        let window = Window::over(layer.input, self.size, self.stride, [1, 1], self.padding);
        let window = window.map(Window::onnx).unwrap_or_default();
        match self.pooling {
            Pooling::Max => graph.node("MaxPool", &[], window),
            Pooling::Average => {
                graph.node("AveragePool", &[], [window, vec![onnx::int("count_include_pad", 0)]].concat());
            }
        }
    }
}

/// input → output.
#[derive(Debug, Clone)]
pub(super) struct PoolForward {
    name: String,
    pooling: Pooling,
    input: Shape,
    window: Window,
}

impl PoolForward {
    pub(super) fn new(layer: &Layer, pooling: Pooling, window: Window) -> PoolForward {
        PoolForward { name: layer.name.clone(), pooling, input: layer.input, window }
    }

    fn shape(&self, batch: usize) -> shape::Params {
        let Shape::Image { channels, height, width } = self.input else {
            unreachable!("Model::build gives every pooling an image");
        };
        let Window { size, stride, before, output, .. } = self.window;
        let [size, stride, before, output] = [size, stride, before, output].map(|pair| pair.map(|n| n as u32));
        shape::Params {
            planes: (batch * channels) as u32,
            height: height as u32,
            width: width as u32,
            size_height: size[0],
            size_width: size[1],
            stride_height: stride[0],
            stride_width: stride[1],
            pad_top: before[0],
            pad_left: before[1],
            output_height: output[0],
            output_width: output[1],
        }
    }
}

impl Operation for PoolForward {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let (shape, models, label) = (self.shape(at.rows), at.models, format!("{} forward", self.name));
        let (input, output) = (reads[0], writes[0]);
        vec![match self.pooling {
            Pooling::Max => Arc::new(max_forward::MaxForward { label, shape, models, input, output }),
            Pooling::Average => Arc::new(average_forward::AverageForward { label, shape, models, input, output }),
        }]
    }

    fn backward(&self, node: &Node, gradient: ValueId, pass: &mut Backward) {
        pass.gradient_in_epilogue(node.reads[0], |activation, saved| {
            (Arc::new(PoolBackward { forward: self.clone(), activation }), vec![gradient, saved])
        });
    }

    fn describe(&self) -> String {
        format!("the pooling {}", self.name)
    }
}

/// (output gradient, input) → input gradient times the derivative of `activation` at the input.
#[derive(Debug)]
struct PoolBackward {
    forward: PoolForward,
    /// Of the operation that made the layer's input.
    activation: Activation,
}

impl Operation for PoolBackward {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let (shape, models) = (self.forward.shape(at.rows), at.models);
        let (label, activation) = (format!("{} backward", self.forward.name), self.activation.code());
        let (output_gradient, input, input_gradient) = (reads[0], reads[1], writes[0]);
        vec![match self.forward.pooling {
            Pooling::Max => {
                let operands = max_backward::Operands { input, output_gradient, saved: input, input_gradient };
                Arc::new(max_backward::MaxBackward { label, shape, models, activation, operands })
            }
            Pooling::Average => {
                let operands = average_backward::Operands { output_gradient, saved: input, input_gradient };
                Arc::new(average_backward::AverageBackward { label, shape, models, activation, operands })
            }
        }]
    }

    fn describe(&self) -> String {
        format!("the gradient of {}", self.forward.name)
    }
}
