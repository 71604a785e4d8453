//! `{ conv2d_transpose = FILTERS, kernel = SIZE }`: the transpose of a convolution, PyTorch's `nn.ConvTranspose2d`. Each pixel is
//! spread over a window of the output, which it multiplies by the kernel: so a stride makes the image larger.
//!
//! It is the convolution of the output's shape, run the other way: forward as that one's gradient to its input, and backward as
//! that one.

use super::conv2d::{Kernel, divides, shape_over};
use super::tensor::{positive, weight_and_bias};
use super::window::{MOST_PIXELS, extent};
use super::{
    Forward, Init, Layer, LayerKind, LayerProblem, Padding, Reader, Shape, TensorRole, TensorSpec, Window, cross,
    describe_activation, describe_window, from_fields, reader, within_limit,
};
use crate::graph::{Backward, Lowering, Node, Operation, ValueId};
use crate::ir::Slice;
use crate::kernel::conv::shape::{self, Epilogue};
use crate::kernel::conv::{backward_input, backward_weight, forward};
use crate::kernel::{Activation, Launch};
use crate::keys::{Optional, Pair, Plain, Whole, keyed};
use crate::onnx;
use std::sync::Arc;

keyed! {
    /// A transposed convolution.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Conv2dTranspose {
        /// Number of output channels.
        pub filters: usize [Whole(1); "32"],
        /// Height and width of the kernel.
        pub kernel: [usize; 2] [Kernel; "2"],
        /// Rows and columns of the output from one pixel's window to the next.
        pub stride: [usize; 2] = [1, 1],
        /// What is cut off at the border; with `same` the output is stride times as large as the input.
        pub padding: Padding = Padding::Valid,
        /// Rows below and columns to the right that are not cut off, or added.
        pub output_padding: [usize; 2] [Pair(0)] = [0, 0],
        /// Rows and columns from one tap of the kernel to the next.
        pub dilation: [usize; 2] = [1, 1],
        /// Groups of channels, each with filters of its own.
        pub groups: usize [Whole(1)] = 1,
        /// Applied to every output.
        pub activation: Activation = Activation::Linear,
        /// Whether a bias per channel is added.
        pub bias: bool = true,
        /// Initial weights, where they differ from the model's.
        pub init: Option<Init> [Optional(Plain); "\"he_normal\""],
        /// Initial biases, where they differ from the model's.
        pub bias_init: Option<Init> [Optional(Plain); "{ constant = 0.01 }"],
    }
}

pub(super) static READER: Reader = Reader {
    follows_activation: true,
    ..reader!(Conv2dTranspose(filters), "conv2d_transpose", "{ conv2d_transpose = FILTERS, kernel = SIZE }")
};

impl Conv2dTranspose {
    /// The window of the convolution that this is the transpose of, over an output of the size given with it; `None` where nothing
    /// is left, or it cannot be counted.
    fn window(&self, input: [usize; 2]) -> Option<(Window, [usize; 2])> {
        let y = self.axis(0, input[0])?;
        let x = self.axis(1, input[1])?;
        let window = Window {
            size: self.kernel,
            stride: self.stride,
            dilation: self.dilation,
            before: [y.0, x.0],
            after: [y.1, x.1],
            output: input,
        };
        Some((window, [y.2, x.2]))
    }

    /// What is cut off before and after, and what is left, along one axis.
    fn axis(&self, axis: usize, input: usize) -> Option<(usize, usize, usize)> {
        let (stride, extent) = (self.stride[axis], extent(self.kernel[axis], self.dilation[axis])?);
        let all = input.checked_sub(1)?.checked_mul(stride)?.checked_add(extent)?;
        let (before, after) = match self.padding {
            Padding::Same => (extent.saturating_sub(stride) / 2, extent.saturating_sub(stride).div_ceil(2)),
            _ => (self.padding.pixels()[axis], self.padding.pixels()[axis]),
        };
        let left = all.checked_add(self.added(axis))?.checked_sub(before.checked_add(after)?)?;
        (1..=MOST_PIXELS).contains(&left).then_some((before, after, left))
    }

    /// Rows or columns that come behind what is cut off.
    fn added(&self, axis: usize) -> usize {
        let extent = extent(self.kernel[axis], self.dilation[axis]).unwrap_or(usize::MAX);
        match self.padding {
            Padding::Same => self.stride[axis].saturating_sub(extent),
            _ => self.output_padding[axis],
        }
    }
}

impl LayerKind for Conv2dTranspose {
    from_fields!(word, write, activation, width(filters), init);

    fn describe(&self, words: &mut Vec<String>) {
        words.extend([format!("conv2d_transpose {}", self.filters), cross(self.kernel)]);
        describe_window(words, self.stride, [1, 1], self.padding);
        words.extend((self.output_padding != [0, 0]).then(|| format!("output padding {}", cross(self.output_padding))));
        words.extend((self.dilation != [1, 1]).then(|| format!("dilation {}", cross(self.dilation))));
        words.extend((self.groups != 1).then(|| format!("{} groups", self.groups)));
        describe_activation(words, self.activation);
        words.extend((!self.bias).then(|| "no bias".into()));
    }

    fn output(&self, inputs: &[Shape]) -> Result<Shape, LayerProblem> {
        positive("conv2d_transpose", &[self.filters])?;
        positive("kernel", &self.kernel)?;
        positive("stride", &self.stride)?;
        positive("dilation", &self.dilation)?;
        let (channels, image) = inputs[0].image()?;
        divides(self.groups, channels, self.filters)?;
        let same = self.padding == Padding::Same;
        let most = |a: usize| if same { 0 } else { self.stride[a].max(self.dilation[a]) - 1 };
        if (0..2).any(|a| self.output_padding[a] > most(a)) {
            let (padding, stride, dilation) = (self.output_padding, self.stride, self.dilation);
            return Err(LayerProblem::OutputPadding { padding, stride, dilation });
        }
        let numbers = [self.stride, [0, 1].map(|a| extent(self.kernel[a], self.dilation[a]).unwrap_or(usize::MAX))];
        if let Some(&number) = numbers.as_flattened().iter().find(|number| **number > MOST_PIXELS) {
            return Err(LayerProblem::TooManyPixels { number, limit: MOST_PIXELS });
        }
        let (_, [height, width]) = self.window(image).ok_or(LayerProblem::NothingLeft { image, limit: MOST_PIXELS })?;
        within_limit("the output", &[self.filters, height, width])?;
        Ok(Shape::Image { channels: self.filters, height, width })
    }

    fn tensors(&self, input: Shape) -> Result<Vec<TensorSpec>, LayerProblem> {
        let filters = self.filters / self.groups.max(1);
        let shape = vec![input.channels(), filters, self.kernel[0], self.kernel[1]];
        within_limit("the weight", &shape)?;
        let field = within_limit("the kernel", &self.kernel)?;
        // As PyTorch and Keras count them: of the convolution that this is the transpose of.
        let fans = [filters.saturating_mul(field), input.channels() * field];
        let mut tensors = weight_and_bias(shape, fans, self.bias, self.init, self.bias_init)?;
        for bias in tensors.iter_mut().filter(|tensor| tensor.role == TensorRole::Bias) {
            bias.shape = vec![self.filters];
        }
        Ok(tensors)
    }

    fn terms(&self, layer: &Layer) -> usize {
        (layer.input.channels() + self.filters) / self.groups * self.kernel[0] * self.kernel[1]
    }

    fn forward(&self, pass: &mut Forward<'_>, inputs: &[ValueId]) -> ValueId {
        let layer = Transpose::of(self, pass.layer);
        pass.with_activation(self.activation, inputs, |activation| Arc::new(TransposeForward { layer, activation }))
    }

    fn onnx(&self, layer: &Layer, _inputs: &[&str], parameters: &[&str], graph: &mut onnx::Builder) {
        let window = Transpose::of(self, layer).window;
        let mut attributes = window.onnx();
        attributes.push(onnx::ints("output_padding", &[self.added(0), self.added(1)]));
        attributes.extend((self.groups != 1).then(|| onnx::int("group", self.groups as i64)));
        graph.node("ConvTranspose", parameters, attributes);
    }
}

/// What the layer's launches share: the convolution that it is the transpose of.
#[derive(Debug, Clone)]
struct Transpose {
    name: String,
    /// The image of that convolution.
    output: Shape,
    /// Its filters.
    channels: usize,
    groups: usize,
    window: Window,
    weight: usize,
    bias: Option<usize>,
}

impl Transpose {
    fn of(kind: &Conv2dTranspose, layer: &Layer) -> Transpose {
        let Shape::Image { channels, height, width } = layer.input else {
            unreachable!("Model::build gives every convolution an image");
        };
        let (Some((window, _)), Some(weight)) = (kind.window([height, width]), layer.weight()) else {
            unreachable!("Model::build gives every convolution a window and a weight");
        };
        let (name, bias) = (layer.name.clone(), layer.bias());
        Transpose { name, output: layer.output, channels, groups: kind.groups, window, weight, bias }
    }

    fn shape(&self, batch: usize, parameter_stride: usize) -> shape::Params {
        shape_over(self.output, self.channels, self.groups, self.window, batch, parameter_stride)
    }

    /// Of the sums over the output's channels that are the bias gradient: filters of a bias alone, a group for each channel.
    fn bias_shape(&self, batch: usize, parameter_stride: usize) -> shape::Params {
        let Shape::Image { channels, height, width } = self.output else {
            unreachable!("a transposed convolution gives an image");
        };
        let window = Window { size: [0, 0], output: [height, width], ..Window::whole(self.output) };
        shape_over(self.output, channels, channels, window, batch, parameter_stride)
    }
}

/// input → output.
#[derive(Debug)]
struct TransposeForward {
    layer: Transpose,
    activation: Activation,
}

impl Operation for TransposeForward {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let shape = self.layer.shape(at.rows, at.layout.stride);
        let bias = self.layer.bias.map(|bias| at.parameter(bias));
        vec![Arc::new(backward_input::BackwardInput {
            label: format!("{} forward", self.layer.name),
            variant: backward_input::choose(&shape, at.models),
            shape,
            models: at.models,
            activation: self.activation.code(),
            operands: backward_input::Operands {
                output_gradient: reads[0],
                weight: at.parameter(self.layer.weight),
                epilogue: Epilogue::Output { bias },
                input_gradient: writes[0],
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
        let input = node.reads[0];
        pass.gradient_of_tensors(TransposeBackwardWeight(self.layer.clone()), &[gradient, input]);
        pass.gradient_in_epilogue(input, |activation, saved| {
            (Arc::new(TransposeBackwardInput { layer: self.layer.clone(), activation }), vec![gradient, saved])
        });
    }

    fn describe(&self) -> String {
        format!("the transposed convolution {}", self.layer.name)
    }
}

/// (output gradient, input) → gradients of the tensors.
#[derive(Debug)]
struct TransposeBackwardWeight(Transpose);

impl Operation for TransposeBackwardWeight {
    fn lower(&self, reads: &[Slice], _writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let Transpose { name, weight, bias, .. } = &self.0;
        let (output_gradient, input) = (reads[0], reads[1]);
        let launches = |what: &str, shape: shape::Params, of_bias: bool, tensor: usize, taken: [Slice; 2]| {
            let split = backward_weight::Split::choose(&shape);
            let operands = backward_weight::Operands {
                input: taken[0],
                output_gradient: taken[1],
                gradient: at.gradient(tensor, None),
                scratch: at.scratch(backward_weight::scratch_len(&shape, at.models, of_bias, split)),
            };
            let label = format!("{name} backward {what}");
            backward_weight::launches(&label, shape, at.models, of_bias, 0, split, operands)
        };
        let shape = self.0.shape(at.rows, at.layout.stride);
        let mut all = launches("weight", shape, false, *weight, [output_gradient, input]);
        if let Some(bias) = bias {
            let shape = self.0.bias_shape(at.rows, at.layout.stride);
            all.extend(launches("bias", shape, true, *bias, [output_gradient, output_gradient]));
        }
        all
    }

    fn scratch_len(&self, rows: usize, models: usize) -> usize {
        let len = |shape: shape::Params, bias| {
            backward_weight::scratch_len(&shape, models, bias, backward_weight::Split::choose(&shape))
        };
        let of_bias = self.0.bias.map_or(0, |_| len(self.0.bias_shape(rows, 0), true));
        len(self.0.shape(rows, 0), false).max(of_bias)
    }

    fn describe(&self) -> String {
        format!("the weight gradient of {}", self.0.name)
    }
}

/// (output gradient, saved) → input gradient times the derivative of `activation` at `saved`.
#[derive(Debug)]
struct TransposeBackwardInput {
    layer: Transpose,
    /// Of the operation that made the layer's input.
    activation: Activation,
}

impl Operation for TransposeBackwardInput {
    fn lower(&self, reads: &[Slice], writes: &[Slice], at: &Lowering) -> Vec<Arc<dyn Launch>> {
        let shape = self.layer.shape(at.rows, at.layout.stride);
        vec![Arc::new(forward::Forward {
            label: format!("{} backward input", self.layer.name),
            variant: forward::choose(&shape, at.models),
            shape,
            models: at.models,
            activation: self.activation.code(),
            operands: forward::Operands {
                input: reads[0],
                weight: at.parameter(self.layer.weight),
                epilogue: Epilogue::Gradient { saved: reads[1] },
                output: writes[0],
            },
        })]
    }

    fn describe(&self) -> String {
        format!("the input gradient of {}", self.layer.name)
    }
}
