//! Lowering of convolutions and poolings.

use super::lower::{Lowering, dense_gradient};
use crate::ir::Slice;
use crate::kernel::{Launch, conv, pool};
use crate::model::{Layer, Model, Shape, Window};
use crate::recipe::{Activation, LayerSpec};
use std::sync::Arc;

/// The shape of a convolution's launches.
fn conv_shape(layer: &Layer, batch: usize, parameter_stride: usize) -> conv::shape::Params {
    let (Some(window), Shape::Image { channels, height, width }) = (layer.window(), layer.input) else {
        unreachable!("Model::build gives every convolution an image and a window");
    };
    let [batch, channels, height, width, parameter_stride, input_stride, filters] =
        [batch, channels, height, width, parameter_stride, batch * layer.input.len(), layer.output.channels()]
            .map(|n| n as u32);
    let Window { size, stride, before, output, .. } = window;
    let [size, stride, before, output] = [size, stride, before, output].map(|pair| pair.map(|n| n as u32));
    conv::shape::Params {
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
    }
}

/// The shape of a pooling's launches; a global average is a window over the whole image.
fn pool_shape(layer: &Layer, batch: usize) -> pool::shape::Params {
    let Shape::Image { channels, height, width } = layer.input else {
        unreachable!("Model::build gives every pooling an image");
    };
    let global = Window { size: [height, width], stride: [1, 1], before: [0, 0], after: [0, 0], output: [1, 1] };
    let Window { size, stride, before, output, .. } = layer.window().unwrap_or(global);
    let [size, stride, before, output] = [size, stride, before, output].map(|pair| pair.map(|n| n as u32));
    pool::shape::Params {
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

/// Elements of scratch memory that the weight gradients of a model's layers need, one after the other.
pub(super) fn scratch_len(model: &Model, models: usize, batch: usize) -> usize {
    let of_layer = |layer: &Layer| match layer.spec {
        LayerSpec::Conv2d { .. } => {
            let shape = conv_shape(layer, batch, 0);
            let split = conv::backward_weight::Split::choose(&shape);
            conv::backward_weight::scratch_len(&shape, models, layer.bias.is_some(), split)
        }
        LayerSpec::Dense { .. } => dense_gradient(layer, batch).scratch_len(models),
        _ => 0,
    };
    model.layers.iter().map(of_layer).max().unwrap_or(0)
}

impl Lowering<'_> {
    fn conv(&self, index: usize) -> conv::shape::Params {
        conv_shape(self.layer(index), self.memory.batch, self.builder.out.layout.stride)
    }

    pub(super) fn conv2d(&self, index: usize, activation: Activation, input: Slice, output: Slice) -> Arc<dyn Launch> {
        let layer = self.layer(index);
        let shape = self.conv(index);
        let parameters = self.builder.out.parameters;
        let operands = conv::forward::Operands {
            input,
            weight: self.parameter(parameters, layer.weight.unwrap_or_default()),
            bias: layer.bias.map(|bias| self.parameter(parameters, bias)),
            output,
        };
        let models = self.builder.models;
        let variant = conv::forward::choose(&shape, models);
        let label = format!("layers.{index} forward");
        Arc::new(conv::forward::Forward { label, shape, models, activation: activation.code(), variant, operands })
    }

    pub(super) fn conv2d_backward_input(
        &self,
        index: usize,
        activation: Activation,
        reads: &[Slice],
        input_gradient: Slice,
    ) -> Arc<dyn Launch> {
        let shape = self.conv(index);
        let weight = self.parameter(self.builder.out.parameters, self.layer(index).weight.unwrap_or_default());
        let (output_gradient, saved) = (reads[0], reads[1]);
        let operands = conv::backward_input::Operands { output_gradient, weight, saved, input_gradient };
        let models = self.builder.models;
        let variant = conv::backward_input::choose(&shape, models);
        let label = format!("layers.{index} backward input");
        Arc::new(conv::backward_input::BackwardInput {
            label,
            shape,
            models,
            activation: activation.code(),
            variant,
            operands,
        })
    }

    pub(super) fn conv2d_backward_weight(
        &self,
        index: usize,
        output_gradient: Slice,
        input: Slice,
    ) -> Vec<Arc<dyn Launch>> {
        let layer = self.layer(index);
        let shape = self.conv(index);
        let (models, layout) = (self.builder.models, &self.builder.out.layout);
        let weight = layer.weight.unwrap_or_default();
        let bias_offset = layer.bias.map_or(0, |bias| layout.offsets[bias] - layout.offsets[weight]) as u32;
        let split = conv::backward_weight::Split::choose(&shape);
        let bias = layer.bias.is_some();
        let len = conv::backward_weight::scratch_len(&shape, models, bias, split);
        let scratch = self.memory.scratch.filter(|_| len > 0).map(|buffer| Slice { buffer, offset: 0, len });
        let gradient = layout.slice(self.builder.gradients, weight, layer.bias.unwrap_or(weight));
        let operands = conv::backward_weight::Operands { input, output_gradient, gradient, scratch };
        let label = format!("layers.{index} backward weight");
        conv::backward_weight::launches(&label, shape, models, bias, bias_offset, split, operands)
    }

    pub(super) fn pool(&self, index: usize, input: Slice, output: Slice) -> Arc<dyn Launch> {
        let layer = self.layer(index);
        let shape = pool_shape(layer, self.memory.batch);
        let (models, label) = (self.builder.models, format!("layers.{index} forward"));
        match layer.spec {
            LayerSpec::MaxPool { .. } => {
                Arc::new(pool::max_forward::MaxForward { label, shape, models, input, output })
            }
            _ => Arc::new(pool::average_forward::AverageForward { label, shape, models, input, output }),
        }
    }

    pub(super) fn pool_backward(
        &self,
        index: usize,
        activation: Activation,
        reads: &[Slice],
        input_gradient: Slice,
    ) -> Arc<dyn Launch> {
        let layer = self.layer(index);
        let shape = pool_shape(layer, self.memory.batch);
        let (models, label) = (self.builder.models, format!("layers.{index} backward"));
        let (output_gradient, input) = (reads[0], reads[1]);
        let code = activation.code();
        match layer.spec {
            LayerSpec::MaxPool { .. } => {
                let operands = pool::max_backward::Operands { input, output_gradient, saved: input, input_gradient };
                Arc::new(pool::max_backward::MaxBackward { label, shape, models, activation: code, operands })
            }
            _ => {
                let operands = pool::average_backward::Operands { output_gradient, saved: input, input_gradient };
                Arc::new(pool::average_backward::AverageBackward { label, shape, models, activation: code, operands })
            }
        }
    }
}
