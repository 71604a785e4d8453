//! `{ conv2d = FILTERS, kernel = SIZE }`: two-dimensional convolution (cross-correlation, as in PyTorch and Keras).

use super::tensor::{positive, weight_and_bias};
use super::{
    Forward, Init, Layer, LayerKind, LayerProblem, Padding, Reader, Shape, TensorSpec, Window, cross,
    describe_activation, describe_window, from_fields, reader, within_limit,
};
use crate::graph::{Backward, Lowering, Node, Operation, ValueId};
use crate::ir::Slice;
use crate::kernel::conv::shape::{self, Epilogue};
use crate::kernel::conv::{backward_input, backward_weight, forward};
use crate::kernel::{Activation, Launch};
use crate::keys::{Form, Item, KeyError, Optional, Plain, Whole, keyed};
use crate::onnx;
use std::sync::Arc;

keyed! {
    /// A two-dimensional convolution.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Conv2d {
        /// Number of output channels.
        pub filters: usize [Whole(1); "32"],
        /// Height and width of the kernel.
        pub kernel: [usize; 2] [Kernel; "3"],
        /// Step down and across.
        pub stride: [usize; 2] = [1, 1],
        /// What happens at the border.
        pub padding: Padding = Padding::Valid,
        /// Rows and columns from one tap of the kernel to the next.
        pub dilation: [usize; 2] = [1, 1],
        /// Groups of channels, each with filters of its own; as many as channels are a depthwise convolution.
        pub groups: usize [Whole(1)] = 1,
        /// Applied to every output.
        pub activation: Activation = Activation::Linear,
        /// Whether a bias per channel is added.
        pub bias: bool = true,
        /// Initial weights, where they differ from the model's; `"whitening"`, of a convolution of the data, takes them from the first
        /// 5000 training images as Keller Jordan's airbench94 does, and goes well with `start.freeze`.
        pub init: Option<Init> [Optional(Plain); "\"he_normal\""],
        /// Initial biases, where they differ from the model's.
        pub bias_init: Option<Init> [Optional(Plain); "{ constant = 0.01 }"],
    }
}

/// Height and width of a kernel.
pub(super) struct Kernel;

impl Form<[usize; 2]> for Kernel {
    fn expected(&self) -> String {
        "the kernel's size, such as 3 or [3, 5]".into()
    }

    fn read(&self, item: &Item<'_>) -> Result<[usize; 2], KeyError> {
        Plain.read(item)
    }
}

pub(super) static READER: Reader =
    Reader { follows_activation: true, ..reader!(Conv2d(filters), "conv2d", "{ conv2d = FILTERS, kernel = SIZE }") };

impl LayerKind for Conv2d {
    from_fields!(word, write, activation, width(filters), init);

    fn describe(&self, words: &mut Vec<String>) {
        words.extend([format!("conv2d {}", self.filters), cross(self.kernel)]);
        describe_window(words, self.stride, [1, 1], self.padding);
        words.extend((self.dilation != [1, 1]).then(|| format!("dilation {}", cross(self.dilation))));
        words.extend((self.groups != 1).then(|| format!("{} groups", self.groups)));
        describe_activation(words, self.activation);
        words.extend((!self.bias).then(|| "no bias".into()));
    }

    fn output(&self, inputs: &[Shape]) -> Result<Shape, LayerProblem> {
        positive("conv2d", &[self.filters])?;
        let window = Window::fit(inputs[0], ("kernel", self.kernel), self.stride, self.dilation, self.padding)?;
        divides(self.groups, inputs[0].channels(), self.filters)?;
        let [height, width] = window.output;
        within_limit("the output", &[self.filters, height, width])?;
        Ok(Shape::Image { channels: self.filters, height, width })
    }

    fn tensors(&self, input: Shape) -> Result<Vec<TensorSpec>, LayerProblem> {
        let channels = input.channels() / self.groups.max(1);
        if self.init == Some(Init::Whitening) && self.dilation != [1, 1] {
            return Err(LayerProblem::Whitening { patch: channels * self.kernel[0] * self.kernel[1] });
        }
        let shape = vec![self.filters, channels, self.kernel[0], self.kernel[1]];
        within_limit("the weight", &shape)?;
        let field = within_limit("the kernel", &self.kernel)?;
        let fans = [channels * field, self.filters.saturating_mul(field)];
        weight_and_bias(shape, fans, self.bias, self.init, self.bias_init)
    }

    fn terms(&self, layer: &Layer) -> usize {
        (layer.input.channels() + self.filters) / self.groups * self.kernel[0] * self.kernel[1]
    }

    fn forward(&self, pass: &mut Forward<'_>, inputs: &[ValueId]) -> ValueId {
        let layer = Convolution::of(self, pass.layer);
        pass.with_activation(self.activation, inputs, |activation| Arc::new(ConvForward { layer, activation }))
    }

    fn onnx(&self, layer: &Layer, _inputs: &[&str], parameters: &[&str], graph: &mut onnx::Builder) {
        let window = Window::over(layer.input, self.kernel, self.stride, self.dilation, self.padding);
        let mut attributes = window.map(Window::onnx).unwrap_or_default();
        attributes.extend((self.groups != 1).then(|| onnx::int("group", self.groups as i64)));
        graph.node("Conv", parameters, attributes);
    }
}

/// Refuses groups that do not share out the channels and the filters.
pub(super) fn divides(groups: usize, channels: usize, filters: usize) -> Result<(), LayerProblem> {
    positive("groups", &[groups])?;
    match (channels.is_multiple_of(groups), filters.is_multiple_of(groups)) {
        (false, _) => Err(LayerProblem::Groups { groups, channels }),
        (true, false) => Err(LayerProblem::FilterGroups { groups, filters }),
        (true, true) => Ok(()),
    }
}

/// What the layer's three convolutions share.
#[derive(Debug, Clone)]
struct Convolution {
    name: String,
    input: Shape,
    filters: usize,
    groups: usize,
    window: Window,
    weight: usize,
    bias: Option<usize>,
}

impl Convolution {
    fn of(kind: &Conv2d, layer: &Layer) -> Convolution {
        let window = Window::over(layer.input, kind.kernel, kind.stride, kind.dilation, kind.padding);
        let (Some(window), Some(weight)) = (window, layer.weight()) else {
            unreachable!("Model::build gives every convolution an image, a window and a weight");
        };
        let (name, input, bias) = (layer.name.clone(), layer.input, layer.bias());
        Convolution { name, input, filters: kind.filters, groups: kind.groups, window, weight, bias }
    }

    fn shape(&self, batch: usize, parameter_stride: usize) -> shape::Params {
        shape_over(self.input, self.filters, self.groups, self.window, batch, parameter_stride)
    }
}

/// The shape of a convolution over an image.
pub(super) fn shape_over(
    image: Shape,
    filters: usize,
    groups: usize,
    window: Window,
    batch: usize,
    parameter_stride: usize,
) -> shape::Params {
    let Shape::Image { channels, height, width } = image else {
        unreachable!("Model::build gives every convolution an image");
    };
    let numbers =
        [batch, channels / groups, height, width, parameter_stride, batch * image.len(), filters / groups, groups];
    let [batch, channels, height, width, parameter_stride, input_stride, filters, groups] = numbers.map(|n| n as u32);
    let Window { size, stride, dilation, before, output, .. } = window;
    let [size, stride, dilation, before, output] =
        [size, stride, dilation, before, output].map(|pair| pair.map(|n| n as u32));
    shape::Params {
        batch,
        channels,
        height,
        width,
        filters,
        kernel_height: size[0],
        kernel_width: size[1],
        stride_height: stride[0],
        stride_width: stride[1],
        pad_top: before[0],
        pad_left: before[1],
        output_height: output[0],
        output_width: output[1],
        parameter_stride,
        input_stride,
        dilation_height: dilation[0],
        dilation_width: dilation[1],
        groups,
    }
}

/// input → output.
#[derive(Debug)]
struct ConvForward {
    layer: Convolution,
    activation: Activation,
}

impl Operation for ConvForward {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let shape = self.layer.shape(at.rows, at.layout.stride);
        let bias = self.layer.bias.map(|bias| at.parameter(bias));
        let weight = at.parameter(self.layer.weight);
        let operands =
            forward::Operands { input: reads[0], weight, epilogue: Epilogue::Output { bias }, output: writes[0] };
        vec![Arc::new(forward::Forward {
            label: format!("{} forward", self.layer.name),
            variant: forward::choose(&shape, at.models),
            shape,
            models: at.models,
            activation: self.activation.code(),
            operands,
        })]
    }

    fn activation(&self) -> Activation {
        self.activation
    }

    fn trains(&self) -> bool {
        true
    }

    fn backward(&self, node: &Node, gradient: ValueId, pass: &mut Backward) {
        let input = node.reads[0];
        pass.gradient_of_tensors(ConvBackwardWeight(self.layer.clone()), &[gradient, input]);
        pass.gradient_in_epilogue(input, |activation, saved| {
            (Arc::new(ConvBackwardInput { layer: self.layer.clone(), activation }), vec![gradient, saved])
        });
    }

    fn describe(&self) -> String {
        format!("the convolution {}", self.layer.name)
    }
}

/// (output gradient, input) → gradients of the tensors.
#[derive(Debug)]
struct ConvBackwardWeight(Convolution);

impl Operation for ConvBackwardWeight {
    fn lower(&self, reads: &[Slice], _writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let Convolution { name, weight, bias, .. } = &self.0;
        let shape = self.0.shape(at.rows, at.layout.stride);
        let split = backward_weight::Split::choose(&shape);
        let operands = backward_weight::Operands {
            input: reads[1],
            output_gradient: reads[0],
            gradient: at.gradient(*weight, *bias),
            scratch: at.scratch(self.scratch_len(at.rows, at.models)),
        };
        let (label, bias_offset) = (format!("{name} backward weight"), at.offset_from(*weight, *bias) as u32);
        backward_weight::launches(&label, shape, at.models, bias.is_some(), bias_offset, split, operands)
    }

    fn scratch_len(&self, rows: usize, models: usize) -> usize {
        let shape = self.0.shape(rows, 0);
        let split = backward_weight::Split::choose(&shape);
        backward_weight::scratch_len(&shape, models, self.0.bias.is_some(), split)
    }

    fn describe(&self) -> String {
        format!("the weight gradient of {}", self.0.name)
    }
}

/// (output gradient, saved) → input gradient times the derivative of `activation` at `saved`.
#[derive(Debug)]
struct ConvBackwardInput {
    layer: Convolution,
    /// Of the operation that made the layer's input.
    activation: Activation,
}

impl Operation for ConvBackwardInput {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let shape = self.layer.shape(at.rows, at.layout.stride);
        let weight = at.parameter(self.layer.weight);
        let (output_gradient, input_gradient) = (reads[0], writes[0]);
        let epilogue = Epilogue::Gradient { saved: reads[1] };
        vec![Arc::new(backward_input::BackwardInput {
            label: format!("{} backward input", self.layer.name),
            variant: backward_input::choose(&shape, at.models),
            shape,
            models: at.models,
            activation: self.activation.code(),
            operands: backward_input::Operands { output_gradient, weight, epilogue, input_gradient },
        })]
    }

    fn describe(&self) -> String {
        format!("the input gradient of {}", self.layer.name)
    }
}
