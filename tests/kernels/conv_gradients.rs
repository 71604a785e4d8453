//! Convolution and pooling: the backward references against finite differences of the forward ones, in f64, and the fast
//! CPU variants at sizes that are shared out to threads.

use gputrain::backend::Backend;
use gputrain::backend::cpu::{CpuBackend, Implementation, Machine};
use gputrain::gradcheck::{Options, Tensor, check_gradients};
use gputrain::ir::{BufferId, Dispatch, Element, Plan, Role, Slice};
use gputrain::kernel::conv::backward_weight::Split;
use gputrain::kernel::conv::shape::Epilogue;
use gputrain::kernel::conv::{self, backward_input::BackwardInput, forward::Forward};
use gputrain::kernel::formula::activation::{LINEAR, RELU, TANH, activate};
use gputrain::kernel::pool::average_backward::{self, AverageBackward};
use gputrain::kernel::pool::average_forward::AverageForward;
use gputrain::kernel::pool::max_backward::{self, MaxBackward};
use gputrain::kernel::pool::max_forward::MaxForward;
use gputrain::kernel::{Contents, Launch, pool};
use std::sync::Arc;

fn numbers(len: usize, seed: u32) -> Vec<f64> {
    let Contents::F32(values) = Contents::random(len, 1.0, seed) else { unreachable!("random contents are floats") };
    values.into_iter().map(f64::from).collect()
}

/// A plan of one program over buffers with these contents.
struct Bench {
    plan: Plan,
    contents: Vec<Vec<f64>>,
}

impl Bench {
    fn new() -> Bench {
        Bench { plan: Plan::default(), contents: vec![] }
    }

    fn buffer(&mut self, contents: Vec<f64>) -> Slice {
        let name = format!("buffer {}", self.contents.len());
        let id = self.plan.buffer(name, Element::F32, contents.len(), Role::Activations);
        self.contents.push(contents);
        self.plan.whole(id)
    }

    /// What the dispatches leave in `result`, by the references in f64.
    fn run(&self, dispatches: Vec<Dispatch>, result: Slice) -> Vec<f64> {
        let mut plan = self.plan.clone();
        let program = plan.program("test", dispatches);
        let mut machine: Machine<f64> = Machine::new(Arc::new(plan), Implementation::Reference).unwrap();
        for (index, contents) in self.contents.iter().enumerate() {
            machine.floats_mut(BufferId(index)).copy_from_slice(contents);
        }
        machine.run(program, 1);
        machine.floats(result.buffer)[result.offset..][..result.len].to_vec()
    }

    /// The same on a backend, in f32, as bits.
    fn run_on(&self, backend: &dyn Backend, dispatches: Vec<Dispatch>, result: Slice) -> Vec<u32> {
        let mut plan = self.plan.clone();
        let program = plan.program("test", dispatches);
        let mut session = backend.prepare(Arc::new(plan)).unwrap();
        for (index, contents) in self.contents.iter().enumerate() {
            let words: Vec<u32> = contents.iter().map(|x| (*x as f32).to_bits()).collect();
            session.write(BufferId(index), 0, &words).unwrap();
        }
        session.run(program, 1).unwrap();
        session.read(result).unwrap()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn tensor(name: &str, offset: usize, len: usize) -> Tensor {
    Tensor { name: name.into(), offset, len }
}

/// Compares `analytic` with differences of `loss` at `parameters`.
fn assert_gradient(mut parameters: Vec<f64>, analytic: &[f64], tensors: &[Tensor], loss: impl Fn(&[f64]) -> f64) {
    for check in check_gradients(&mut parameters, analytic, tensors, Options::default(), |p| loss(p)) {
        assert!(check.worst_error < 1e-7, "{check}");
        assert!(check.checked * 10 >= 9 * (check.checked + check.skipped), "too many kinks: {check}");
    }
}

fn conv_shape(
    batch: u32,
    [channels, height, width]: [u32; 3],
    filters: u32,
    kernel: [u32; 2],
    stride: [u32; 2],
) -> conv::shape::Params {
    let (pad_top, pad_left) = ((kernel[0] - 1) / 2, (kernel[1] - 1) / 2);
    let output = |size: u32, stride: u32| size.div_ceil(stride);
    conv::shape::Params {
        batch,
        channels,
        height,
        width,
        filters,
        kernel_height: kernel[0],
        kernel_width: kernel[1],
        stride_height: stride[0],
        stride_width: stride[1],
        pad_top,
        pad_left,
        output_height: output(height, stride[0]),
        output_width: output(width, stride[1]),
        parameter_stride: 0,
        input_stride: 0,
        dilation_height: 1,
        dilation_width: 1,
        groups: 1,
    }
}

/// Such a shape with padding on all sides, taps that lie apart, and groups of as many channels and filters.
fn grouped(shape: conv::shape::Params, groups: u32, dilation: [u32; 2], pad: [u32; 2]) -> conv::shape::Params {
    let output = |size: u32, kernel: u32, stride: u32, a: usize| {
        (size + 2 * pad[a] - (kernel - 1) * dilation[a] - 1) / stride + 1
    };
    conv::shape::Params {
        pad_top: pad[0],
        pad_left: pad[1],
        output_height: output(shape.height, shape.kernel_height, shape.stride_height, 0),
        output_width: output(shape.width, shape.kernel_width, shape.stride_width, 1),
        dilation_height: dilation[0],
        dilation_width: dilation[1],
        groups,
        ..shape
    }
}

/// The launches of a weight and bias gradient.
fn weight_gradient(
    shape: conv::shape::Params,
    bias_offset: u32,
    split: Split,
    operands: conv::backward_weight::Operands,
) -> Vec<Dispatch> {
    let launches = conv::backward_weight::launches("weight", shape, 1, true, bias_offset, split, operands);
    launches.iter().map(|launch| launch.lower()).collect()
}

/// The loss is the sum of fixed random numbers times the convolution of tanh(u); the gradients are to u, weight and bias.
#[test]
fn convolution_gradients_equal_finite_differences() {
    for (p, images, rows) in [
        (conv_shape(2, [3, 5, 4], 2, [3, 2], [1, 1]), 1, 2),
        (conv_shape(3, [2, 7, 5], 3, [3, 5], [2, 1]), 2, 4),
        (conv_shape(1, [1, 6, 7], 2, [1, 2], [3, 2]), 1, 1),
        (grouped(conv_shape(2, [2, 7, 6], 3, [3, 2], [1, 2]), 2, [2, 3], [2, 1]), 1, 2),
        (grouped(conv_shape(3, [1, 5, 6], 1, [3, 3], [1, 1]), 4, [1, 1], [1, 1]), 2, 5),
        (grouped(conv_shape(1, [1, 8, 5], 2, [3, 2], [2, 1]), 3, [3, 2], [3, 2]), 1, 2),
    ] {
        let (inputs, weights, filters) = (p.inputs(), p.weights(), p.all_filters());
        let mut bench = Bench::new();
        let parameters = numbers(inputs + weights + filters, 1);
        let factors = numbers(p.outputs(), 2);
        let (u, rest) = parameters.split_at(inputs);
        let input = bench.buffer(u.iter().map(|u| activate(*u, TANH)).collect());
        let weight = bench.buffer(rest[..weights].to_vec());
        let bias = bench.buffer(rest[weights..].to_vec());
        let output = bench.buffer(vec![0.0; factors.len()]);
        let output_gradient = bench.buffer(factors.clone());
        let input_gradient = bench.buffer(vec![0.0; inputs]);
        let gradient = bench.buffer(vec![0.0; weights + 7 + filters]);
        let split = Split { images, rows };
        let scratch = bench.buffer(vec![0.0; conv::backward_weight::scratch_len(&p, 1, true, split)]);

        let variant = conv::backward_input::choose(&p, 1);
        let epilogue = Epilogue::Gradient { saved: input };
        let operands = conv::backward_input::Operands { output_gradient, weight, epilogue, input_gradient };
        let backward =
            BackwardInput { label: "input".into(), shape: p, models: 1, activation: TANH, variant, operands }.lower();
        let mut analytic = bench.run(vec![backward], input_gradient);
        let operands = conv::backward_weight::Operands { input, output_gradient, gradient, scratch: Some(scratch) };
        let backward = weight_gradient(p, weights as u32 + 7, split, operands);
        assert_eq!(backward.len(), 2, "the sum is split");
        let gradients = bench.run(backward, gradient);
        analytic.extend(&gradients[..weights]);
        analytic.extend(&gradients[weights + 7..]);

        let tensors =
            [tensor("input", 0, inputs), tensor("weight", inputs, weights), tensor("bias", inputs + weights, filters)];
        assert_gradient(parameters, &analytic, &tensors, |parameters| {
            let (u, rest) = parameters.split_at(inputs);
            let mut bench = Bench { plan: bench.plan.clone(), contents: bench.contents.clone() };
            bench.contents[input.buffer.0] = u.iter().map(|u| activate(*u, TANH)).collect();
            bench.contents[weight.buffer.0] = rest[..weights].to_vec();
            bench.contents[bias.buffer.0] = rest[weights..].to_vec();
            let epilogue = Epilogue::Output { bias: Some(bias) };
            let operands = conv::forward::Operands { input, weight, epilogue, output };
            let forward = Forward {
                label: "forward".into(),
                shape: p,
                models: 1,
                activation: LINEAR,
                variant: conv::forward::choose(&p, 1),
                operands,
            }
            .lower();
            dot(&bench.run(vec![forward], output), &factors)
        });
    }
}

fn pooling([height, width]: [u32; 2], size: [u32; 2], stride: [u32; 2], same: bool) -> pool::shape::Params {
    let axis = |input: u32, size: u32, stride: u32| match same {
        true => (((input.div_ceil(stride) - 1) * stride + size).saturating_sub(input) / 2, input.div_ceil(stride)),
        false => (0, (input - size) / stride + 1),
    };
    let (pad_top, output_height) = axis(height, size[0], stride[0]);
    let (pad_left, output_width) = axis(width, size[1], stride[1]);
    pool::shape::Params {
        planes: 3,
        height,
        width,
        size_height: size[0],
        size_width: size[1],
        stride_height: stride[0],
        stride_width: stride[1],
        pad_top,
        pad_left,
        output_height,
        output_width,
    }
}

/// The loss is the sum of fixed random numbers times the pooling of tanh(u); the gradient is to u.
#[test]
fn pooling_gradients_equal_finite_differences() {
    for p in [
        pooling([6, 5], [2, 2], [2, 2], false),
        pooling([5, 7], [3, 2], [1, 2], true),
        pooling([7, 6], [3, 3], [2, 1], true),
        pooling([5, 4], [5, 4], [5, 4], false),
    ] {
        for max in [true, false] {
            let inputs = 3 * p.input_area();
            let (u, factors) = (numbers(inputs, 3), numbers(3 * p.output_area(), 4));
            let mut bench = Bench::new();
            let input = bench.buffer(u.iter().map(|u| activate(*u, TANH)).collect());
            let output = bench.buffer(vec![0.0; factors.len()]);
            let output_gradient = bench.buffer(factors.clone());
            let input_gradient = bench.buffer(vec![0.0; inputs]);
            let backward = if max {
                let operands = max_backward::Operands { input, output_gradient, saved: input, input_gradient };
                MaxBackward { label: "max".into(), shape: p, models: 1, activation: TANH, operands }.lower()
            } else {
                let operands = average_backward::Operands { output_gradient, saved: input, input_gradient };
                AverageBackward { label: "average".into(), shape: p, models: 1, activation: TANH, operands }.lower()
            };
            let analytic = bench.run(vec![backward], input_gradient);
            assert_gradient(u, &analytic, &[tensor("input", 0, inputs)], |u| {
                let mut bench = Bench { plan: bench.plan.clone(), contents: bench.contents.clone() };
                bench.contents[input.buffer.0] = u.iter().map(|u| activate(*u, TANH)).collect();
                let forward = match max {
                    true => MaxForward { label: "max".into(), shape: p, models: 1, input, output }.lower(),
                    false => AverageForward { label: "average".into(), shape: p, models: 1, input, output }.lower(),
                };
                dot(&bench.run(vec![forward], output), &factors)
            });
        }
    }
}

/// Every convolution kernel at a size that is worth threads: close to the reference, and the same bits on one thread.
#[test]
fn large_convolutions_do_not_depend_on_threads() {
    check_threads(conv_shape(6, [12, 27, 26], 9, [5, 4], [1, 1]));
    check_threads(grouped(conv_shape(6, [5, 27, 26], 9, [3, 4], [2, 1]), 2, [1, 2], [2, 3]));
    check_threads(grouped(conv_shape(8, [1, 37, 36], 1, [3, 3], [1, 1]), 64, [1, 1], [1, 1]));
}

fn check_threads(p: conv::shape::Params) {
    let (inputs, weights, filters, outputs) = (p.inputs(), p.weights(), p.all_filters(), p.outputs());
    let p = conv::shape::Params { input_stride: inputs as u32, ..p };
    let mut bench = Bench::new();
    let input = bench.buffer(numbers(inputs, 1));
    let weight = bench.buffer(numbers(weights, 2));
    let bias = bench.buffer(numbers(filters, 3));
    let output = bench.buffer(numbers(outputs, 4));
    let output_gradient = bench.buffer(numbers(outputs, 5));
    let input_gradient = bench.buffer(numbers(inputs, 6));
    let gradient = bench.buffer(vec![0.0; weights + filters]);
    let split = Split::choose(&p);
    let scratch = bench.buffer(vec![0.0; conv::backward_weight::scratch_len(&p, 1, true, split)]);

    let epilogue = Epilogue::Output { bias: Some(bias) };
    let operands = conv::forward::Operands { input, weight, epilogue, output };
    let forward = Forward {
        label: "forward".into(),
        shape: p,
        models: 1,
        activation: RELU,
        variant: conv::forward::choose(&p, 1),
        operands,
    }
    .lower();
    let epilogue = Epilogue::Gradient { saved: input };
    let operands = conv::backward_input::Operands { output_gradient, weight, epilogue, input_gradient };
    let variant = conv::backward_input::choose(&p, 1);
    let backward_input =
        BackwardInput { label: "input".into(), shape: p, models: 1, activation: RELU, variant, operands }.lower();
    let operands = conv::backward_weight::Operands { input, output_gradient, gradient, scratch: Some(scratch) };
    let backward_weight = weight_gradient(p, weights as u32, split, operands);

    for (dispatches, result) in
        [(vec![forward], output), (vec![backward_input], input_gradient), (backward_weight, gradient)]
    {
        let label = dispatches[0].label.clone();
        let threads = bench.run_on(&CpuBackend::new(), dispatches.clone(), result);
        let want = bench.run(dispatches.clone(), result);
        let rms = (want.iter().map(|x| x * x).sum::<f64>() / want.len() as f64).sqrt();
        for (i, (got, want)) in threads.iter().zip(&want).enumerate() {
            let got = f64::from(f32::from_bits(*got));
            assert!((got - want).abs() <= 1e-5 * (want.abs() + rms), "{label}: {got} at {i}, not {want}");
        }
        let alone = bench.run_directly(dispatches, result);
        assert!(threads == alone, "{label}: one thread gives other bits");
    }
}

impl Bench {
    /// The fast kernels on the calling thread alone: a machine by itself leads no others.
    fn run_directly(&self, dispatches: Vec<Dispatch>, result: Slice) -> Vec<u32> {
        let mut plan = self.plan.clone();
        let program = plan.program("test", dispatches);
        let mut machine: Machine<f32> = Machine::new(Arc::new(plan), Implementation::Fast).unwrap();
        for (index, contents) in self.contents.iter().enumerate() {
            let floats = machine.floats_mut(BufferId(index));
            floats.iter_mut().zip(contents).for_each(|(float, value)| *float = *value as f32);
        }
        machine.run(program, 1);
        machine.floats(result.buffer)[result.offset..][..result.len].iter().map(|x| x.to_bits()).collect()
    }
}
