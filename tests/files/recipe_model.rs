//! From layers to a model: shapes, parameters, what belongs to the loss, and errors that name the layer.

use gputrain::layers::{Conv2d, Conv2dTranspose, Dropout, Flatten, GlobalPool, Pool, Pooling, Reshape, TensorRole};
use gputrain::model::{Model, ModelError, Shape};
use gputrain::recipe::*;
use proptest::prelude::*;

fn spec(input: &[usize], layers: &str, loss: Loss) -> ModelSpec {
    let text = format!("[model]\nlayers = [{layers}]\nloss = \"{loss}\"");
    ModelSpec { input: input.to_vec(), ..Recipe::parse(&text, "m.toml", &[]).unwrap().model }
}

fn build(input: &[usize], layers: &str) -> Result<Model, ModelError> {
    Model::build(&spec(input, layers, Loss::SoftmaxCrossEntropy), None)
}

fn with_loss(layers: &str, loss: Loss) -> Result<Model, ModelError> {
    Model::build(&spec(&[4], layers, loss), None)
}

fn message(result: Result<Model, ModelError>) -> String {
    result.unwrap_err().to_string()
}

const IMAGE: [usize; 3] = [28, 28, 1];

#[test]
fn shapes_and_parameters_are_pytorchs() {
    let layers = "{ conv2d = 16, kernel = [3, 5], activation = \"relu\" }, { max_pool = 2 }, { dropout = 0.5 }, \
                  { conv2d = 8, kernel = 2, stride = 3, padding = \"same\", bias = false }, { flatten = true }, \
                  { dense = 5, init = \"he_normal\", bias_init = { constant = 0.5 } }";
    let model = build(&[28, 30, 3], layers).unwrap();
    let image = |channels, height, width| Shape::Image { channels, height, width };
    let outputs: Vec<_> = model.layers.iter().map(|layer| layer.output).collect();
    let expected = [image(16, 26, 26), image(16, 13, 13), image(16, 13, 13), image(8, 5, 5)];
    assert_eq!(outputs[..4], expected);
    assert_eq!(outputs[4..], [Shape::Features(200), Shape::Features(5)]);
    let parameters: Vec<_> = model.parameters.iter().map(|p| (p.name.as_str(), &p.shape[..], p.role)).collect();
    use TensorRole::{Bias, Weight};
    assert_eq!(
        parameters,
        [
            ("layers.0.weight", &[16, 3, 3, 5][..], Weight),
            ("layers.0.bias", &[16], Bias),
            ("layers.1.weight", &[8, 16, 2, 2], Weight),
            ("layers.2.weight", &[5, 200], Weight),
            ("layers.2.bias", &[5], Bias),
        ]
    );
    let indices: Vec<_> = model.layers.iter().map(|layer| (layer.weight(), layer.bias())).collect();
    let none = (None, None);
    assert_eq!(indices, [(Some(0), Some(1)), none, none, (Some(2), None), none, (Some(3), Some(4))]);
    let fans: Vec<_> = model.parameters.iter().map(|p| (p.fan_in, p.fan_out)).collect();
    assert_eq!(fans, [(45, 240), (45, 240), (64, 32), (200, 5), (200, 5)]);
    let inits: Vec<_> = model.parameters.iter().map(|p| p.init).collect();
    use Init::{Constant, GlorotUniform, HeNormal, Zeros};
    assert_eq!(inits, [GlorotUniform, Zeros, GlorotUniform, HeNormal, Constant(0.5)]);
    assert_eq!((model.outputs(), model.parameters_count()), (5, 720 + 16 + 512 + 1000 + 5));
    let values = model.initialise(1);
    assert_eq!(values.iter().map(Vec::len).collect::<Vec<_>>(), [720, 16, 512, 1000, 5]);
    assert_eq!(values[4], [0.5; 5]);
}

/// Sizes and tensors as PyTorch's Conv2d, ConvTranspose2d, MaxPool2d and view make them.
#[test]
fn convolutions_of_every_kind_have_pytorchs_shapes() {
    let image = |channels, height, width| Shape::Image { channels, height, width };
    for (layer, output, weight, bias) in [
        ("conv2d = 8, kernel = 3, padding = 1", image(8, 9, 12), &[8, 4, 3, 3][..], Some(8)),
        ("conv2d = 8, kernel = 3, padding = [0, 2], stride = 2", image(8, 4, 7), &[8, 4, 3, 3], Some(8)),
        ("conv2d = 8, kernel = [2, 3], dilation = [3, 2]", image(8, 6, 8), &[8, 4, 2, 3], Some(8)),
        ("conv2d = 8, kernel = 3, dilation = 2, padding = \"same\"", image(8, 9, 12), &[8, 4, 3, 3], Some(8)),
        ("conv2d = 6, kernel = 1, groups = 2", image(6, 9, 12), &[6, 2, 1, 1], Some(6)),
        ("conv2d = 8, kernel = 3, groups = 4, bias = false", image(8, 7, 10), &[8, 1, 3, 3], None),
        ("conv2d_transpose = 3, kernel = 2, stride = 2", image(3, 18, 24), &[4, 3, 2, 2], Some(3)),
        (
            "conv2d_transpose = 6, kernel = 3, stride = [2, 1], padding = 1, output_padding = [1, 0], groups = 2",
            image(6, 18, 12),
            &[4, 3, 3, 3],
            Some(6),
        ),
        ("conv2d_transpose = 3, kernel = 4, stride = 3, padding = \"same\"", image(3, 27, 36), &[4, 3, 4, 4], Some(3)),
        ("conv2d_transpose = 3, kernel = 2, dilation = 3", image(3, 12, 15), &[4, 3, 2, 2], Some(3)),
        ("max_pool = 3, stride = 2, padding = 1", image(4, 5, 6), &[], None),
        ("average_pool = [2, 4], padding = [1, 2]", image(4, 5, 4), &[], None),
        ("reshape = [2, 6, 36]", image(36, 2, 6), &[], None),
    ] {
        let model = Model::build(&spec(&[9, 12, 4], &format!("{{ {layer} }}"), Loss::Mse), None).unwrap();
        assert_eq!(model.output(), output, "{layer}");
        let shape = |index: Option<usize>| index.map(|index| &model.parameters[index].shape[..]);
        assert_eq!(shape(model.layers[0].weight()).unwrap_or_default(), weight, "{layer}");
        assert_eq!(shape(model.layers[0].bias()).map(|shape| shape[0]), bias, "{layer}");
    }
    let fans = |layer: &str| {
        let model = Model::build(&spec(&[9, 12, 4], &format!("{{ {layer} }}"), Loss::Mse), None).unwrap();
        (model.parameters[0].fan_in, model.parameters[0].fan_out)
    };
    // torch.nn.init._calculate_fan_in_and_fan_out of the weights.
    assert_eq!(fans("conv2d = 8, kernel = 3, groups = 4"), (9, 72));
    assert_eq!(fans("conv2d_transpose = 6, kernel = [2, 3], groups = 2"), (18, 24));
}

/// Another layer in front must not change the values of the same parameter index, and the seed must.
#[test]
fn initial_values_depend_on_seed_and_index_only() {
    let [a, b] = ["{ dense = 8 }, { dense = 3 }", "{ dense = 8 }, { dense = 5 }"].map(|l| build(&[4], l).unwrap());
    assert_eq!(a.initialise(0)[0], b.initialise(0)[0]);
    assert_ne!(a.initialise(0)[0], a.initialise(1)[0]);
}

#[test]
fn softmax_and_sigmoid_move_into_the_loss() {
    let linear = Activation::Linear;
    let last = |model: &Model| model.layers.last().unwrap().kind.activation();
    for layers in ["{ dense = 3, activation = \"softmax\" }", "{ dense = 3 }, { activation = \"softmax\" }"] {
        let model = with_loss(layers, Loss::SoftmaxCrossEntropy).unwrap();
        assert_eq!((last(&model), model.output_activation), (Some(linear), Activation::Softmax));
    }
    for layers in ["{ dense = 3, activation = \"softmax\" }", "{ dense = 4, activation = \"softmax\" }, { dense = 3 }"]
    {
        let model = with_loss(layers, Loss::Mse).unwrap();
        assert_eq!((model.layers[0].kind.activation(), model.output_activation), (Some(Activation::Softmax), linear));
    }
    let sigmoid = "{ dense = 1, activation = \"sigmoid\" }";
    let model = with_loss(sigmoid, Loss::BinaryCrossEntropy).unwrap();
    assert_eq!((last(&model), model.output_activation), (Some(linear), Activation::Sigmoid));
    for loss in [Loss::Mse, Loss::HalfMse] {
        let model = with_loss(sigmoid, loss).unwrap();
        assert_eq!((last(&model), model.output_activation), (Some(Activation::Sigmoid), linear));
    }
}

#[test]
fn errors_name_the_layer_and_the_remedy() {
    for (input, layers, expected) in [
        (&[784][..], "{ dense = 4 }, { conv2d = 4, kernel = 3 }", "layer 1 (conv2d): needs an image, but gets 4 flat"),
        (&[784], "{ max_pool = 2 }, { dense = 4 }", "layer 0 (max_pool): needs an image, but gets 784"),
        (&[784], "{ global_average_pool = true }", "layer 0 (global_average_pool): needs an image"),
        (
            &IMAGE,
            "{ max_pool = 20 }, { conv2d = 4, kernel = 3 }",
            "layer 1 (conv2d): its window is 3x3, but the image it gets is only 1x1",
        ),
        (
            &IMAGE,
            "{ conv2d = 4, kernel = 3, activation = \"softmax\" }, { dense = 4 }",
            "layer 0 (conv2d): softmax needs one row of numbers, but this is an image 26x26x4",
        ),
        (&IMAGE, "{ conv2d = 4, kernel = 3 }", "layer 0 (conv2d): gives an image 26x26x4, but loss"),
        (&IMAGE, "{ dense = 1 }", "layer 0 (dense): gives one output"),
        (
            &[9, 9, 4],
            "{ conv2d = 4, kernel = 3, groups = 3 }",
            "layer 0 (conv2d): makes 3 groups of 4 channels; give a number that divides them",
        ),
        (&[9, 9, 4], "{ conv2d = 6, kernel = 3, groups = 4 }", "layer 0 (conv2d): makes 4 groups of 6 filters"),
        (
            &[9, 9, 4],
            "{ conv2d = 4, kernel = 3, dilation = 5 }",
            "layer 0 (conv2d): its window is 11x11, but the image it gets is only 9x9",
        ),
        (
            &[9, 9, 4],
            "{ conv2d = 4, kernel = 1, stride = 4294967296 }",
            "layer 0 (conv2d): has a stride, window or padding of 4294967296 pixels, more than 1073741824",
        ),
        (
            &[9, 9, 4],
            "{ conv2d = 4, kernel = 3, padding = 9000000000000000000 }",
            "layer 0 (conv2d): has a stride, window or padding of 9000000000000000000 pixels",
        ),
        (
            &[9, 9, 4],
            "{ max_pool = 3, padding = 2 }",
            "layer 0 (max_pool): pads 2x2 pixels, more than half of its window of 3x3",
        ),
        (
            &[9, 9, 4],
            "{ conv2d_transpose = 4, kernel = 3, stride = 2, output_padding = 2 }",
            "layer 0 (conv2d_transpose): output_padding is 2x2, but must be below the stride 2x2",
        ),
        (
            &[9, 9, 4],
            "{ conv2d_transpose = 4, kernel = 3, padding = 6 }",
            "layer 0 (conv2d_transpose): makes of an image of 9x9 one of no pixels",
        ),
        (
            &[50],
            "{ reshape = [7, 7, 1] }",
            "layer 0 (reshape): makes 7x7x1 of 50, which are 49 and 50 values; both must be as many",
        ),
        (&[4], "{ dense = 5000000000 }", "layer 0 (dense): the output has 5000000000 numbers"),
        (&[4096], "{ dense = 4000000 }", "layer 0 (dense): the weight has 4000000 x 4096 numbers"),
        (&[4], "{ dense = 20000 }, { dense = 200000 }, { dense = 20000 }", "more than 4294967295 parameters"),
        (
            &[60000, 60000, 1],
            "{ conv2d = 4, kernel = 3, padding = \"same\" }",
            "layer 0 (conv2d): the output has 4 x 60000 x 60000",
        ),
        (&[65536, 65536, 2], "{ dense = 4 }", "model.input = [65536, 65536, 2] is no shape"),
        (&[2, 2], "{ dense = 4 }", "model.input = [2, 2] is no shape"),
        (&[], "{ dense = 4 }", "model.input is not given"),
    ] {
        let error = message(build(input, layers));
        assert!(error.contains(expected), "{layers}: {error}");
    }
    let error = message(with_loss("{ dense = 1, activation = \"tanh\" }", Loss::BinaryCrossEntropy));
    assert!(error.ends_with("needs a last layer with activation = \"sigmoid\", but this one has \"tanh\""), "{error}");
    assert!(message(with_loss("{ flatten = true }", Loss::BinaryCrossEntropy)).ends_with("but this one has none"));
}

/// What TOML cannot say, a program can.
#[test]
fn specs_made_by_programs_are_checked_too() {
    let base = spec(&IMAGE, "{ dense = 4 }", Loss::Mse);
    let with = |layers: Vec<LayerSpec>| message(Model::build(&ModelSpec { layers, ..base.clone() }, None));
    assert!(with(vec![]).contains("model.layers is empty"));
    assert!(with(vec![Flatten.into(); 5000]).contains("at most 4096"));
    assert!(with(vec![LayerSpec::dense(0, Activation::Linear)]).contains("layer 0 (dense): dense is 0"));
    let pool = |stride| Pool { pooling: Pooling::Max, size: [2, 2], stride, padding: Padding::Same }.into();
    let global = GlobalPool { pooling: Pooling::Average };
    assert!(with(vec![global.into(), pool([0, 1])]).contains("layer 1 (max_pool): stride is 0"));
    for rate in [1.0, -0.1, f32::NAN] {
        assert!(with(vec![Dropout { rate }.into()]).contains("layer 0 (dropout): rate is"));
    }
}

#[test]
fn the_data_stands_in_for_a_missing_input() {
    let image = |channels, height, width| Shape::Image { channels, height, width };
    let spec = |input: &[usize]| spec(input, "{ dense = 4 }", Loss::SoftmaxCrossEntropy);
    let input = |given: &[usize], data| Model::build(&spec(given), data).map(|model| model.input);
    assert_eq!(input(&[], Some(image(3, 8, 9))), Ok(image(3, 8, 9)));
    assert_eq!(input(&[784], Some(image(1, 28, 28))), Ok(Shape::Features(784)));
    assert_eq!(input(&IMAGE, None), Ok(image(1, 28, 28)));
    assert_eq!(input(&[], None), Err(ModelError::NoInput));
}

fn any_layer() -> impl Strategy<Value = LayerSpec> {
    let size = || [0usize..9, 0usize..9];
    let pixels = prop_oneof![8 => 0usize..5, 1 => Just(usize::MAX), 1 => Just(1usize << 32)];
    let padding = move || {
        prop_oneof![Just(Padding::Valid), Just(Padding::Same), pixels.clone().prop_map(|n| Padding::Pixels([n, 1]))]
    };
    let pooling = || prop_oneof![Just(Pooling::Max), Just(Pooling::Average)];
    let huge = prop_oneof![8 => 0usize..9, 1 => Just(usize::MAX), 1 => Just(1usize << 33)];
    prop_oneof![
        huge.prop_map(|units| LayerSpec::dense(units, Activation::Relu)),
        (0usize..99, size(), [size(), size()], padding(), 0usize..4).prop_map(
            |(filters, kernel, [stride, dilation], padding, groups)| {
                let (activation, bias, init, bias_init) = (Activation::Tanh, true, None, None);
                Conv2d { filters, kernel, stride, dilation, padding, groups, activation, bias, init, bias_init }.into()
            }
        ),
        (0usize..9, size(), [size(), size(), size()], padding(), 0usize..4).prop_map(
            |(filters, kernel, [stride, dilation, output_padding], padding, groups)| {
                let (activation, bias, init, bias_init) = (Activation::Tanh, true, None, None);
                Conv2dTranspose {
                    filters,
                    kernel,
                    stride,
                    dilation,
                    padding,
                    output_padding,
                    groups,
                    activation,
                    bias,
                    init,
                    bias_init,
                }
                .into()
            }
        ),
        [0usize..9, 0usize..9, 0usize..9].prop_map(|size| Reshape { size }.into()),
        (pooling(), size(), size(), padding()).prop_map(|(pooling, size, stride, padding)| Pool {
            pooling,
            size,
            stride,
            padding
        }
        .into()),
        pooling().prop_map(|pooling| GlobalPool { pooling }.into()),
        Just(Flatten.into()),
        (-1.0f32..2.0).prop_map(|rate| Dropout { rate }.into()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_layers_are_a_consistent_model_or_an_error(
        input in proptest::collection::vec(prop_oneof![8 => 0usize..40, 1 => Just(usize::MAX)], 0..5),
        layers in proptest::collection::vec(any_layer(), 0..6),
    ) {
        let spec = ModelSpec {
            input,
            layers,
            loss: Loss::Mse,
            label_smoothing: 0.0,
            delta: 1.0,
            init: Init::Zeros,
            bias_init: None,
        };
        if let Ok(model) = Model::build(&spec, None) {
            let mut shape = model.input;
            for layer in &model.layers {
                prop_assert_eq!(layer.input, shape);
                prop_assert!(!layer.output.is_empty());
                shape = layer.output;
            }
            prop_assert_eq!(shape, model.output());
            let counted: usize = model.layers.iter().map(|layer| model.layer_parameters(layer)).sum();
            prop_assert_eq!(counted, model.parameters_count());
            prop_assert_eq!(model.summary().parameters, counted);
        }
    }
}

#[test]
fn statistics_are_tensors_but_no_parameters() {
    let model =
        build(&[9, 7, 2], "{ conv2d = 3, kernel = 3 }, { batch_norm = true, momentum = 0.25 }, { dense = 5 }").unwrap();
    assert_eq!(model.parameters_count(), 3 * 18 + 3 + 6 + 5 * 105 + 5);
    assert_eq!(model.statistics_count(), 6);
    let names: Vec<&str> = model.tensors().skip(model.parameters.len()).map(|tensor| &*tensor.name).collect();
    assert_eq!(names, ["layers.1.running_mean", "layers.1.running_var"]);
    assert!(model.statistics.iter().all(|tensor| tensor.role == TensorRole::Statistic && tensor.shape == [3]));
    let initial = model.initialise(0);
    assert_eq!(initial[model.parameters.len()..], [vec![0.0; 3], vec![1.0; 3]]);
    let table = model.summary().to_string();
    let last: Vec<&str> = table.lines().rev().take(2).collect();
    assert!(last[1].contains("total") && last[1].ends_with("593"), "{table}");
    assert!(last[0].contains("running statistics, not trained") && last[0].ends_with('6'), "{table}");
}

#[test]
fn batch_norm_is_written_as_it_was_read() {
    let text = |layer: &str| format!("[model]\ninput = [4]\nlayers = [{layer}, {{ dense = 2 }}]");
    let parse = |layer: &str| Recipe::parse(&text(layer), "r.toml", &[]);
    let recipe = parse("{ batch_norm = true, momentum = 0.3, epsilon = 0.01, activation = \"silu\" }").unwrap();
    assert_eq!(Recipe::parse(&recipe.to_toml(), "r.toml", &[]).unwrap().model, recipe.model);
    let plain = parse("{ batch_norm = true }").unwrap();
    assert_eq!(plain, parse("{ batch_norm = true, momentum = 0.1, epsilon = 1e-5, activation = \"linear\" }").unwrap());
    for (layer, said) in [
        ("{ batch_norm = false }", "true; to go without the layer, remove it"),
        ("{ batch_norm = true, momentum = 1.5 }", "a number from 0 to 1"),
        ("{ batch_norm = true, epsilon = 0 }", "a number above 0"),
        ("{ batch_norm = true, momentun = 0.5 }", "did you mean \"momentum\"?"),
    ] {
        let error = parse(layer).unwrap_err().to_string();
        assert!(error.contains(said), "{layer}: {error}");
    }
}

#[test]
fn decay_of_biases_can_be_left_out() {
    let text = "[model]\nlayers = [{ dense = 2 }]\n[optimizer]\nkind = \"adamw\"";
    let parse = |line: &str| Recipe::parse(&format!("{text}\n{line}"), "r.toml", &[]).unwrap();
    let spares = parse("decay_bias = false");
    assert!(!spares.optimizer.decay_bias && parse("").optimizer.decay_bias);
    assert_eq!(Recipe::parse(&spares.to_toml(), "r.toml", &[]).unwrap().optimizer, spares.optimizer);
    assert!(!parse("decay_bias = true").to_toml().contains("decay_bias"), "recipes of before are written as before");
}

#[test]
fn only_filters_that_see_the_data_whiten_it() {
    let rest = "{ dense = 3 }";
    let first = |keys: &str| build(&[8, 7, 3], &format!("{{ {keys} }}, {rest}"));
    assert!(first("conv2d = 24, kernel = 2, padding = 1, stride = 2, init = \"whitening\"").is_ok());
    for keys in [
        "conv2d = 23, kernel = 2, init = \"whitening\"",
        "conv2d = 26, kernel = 2, init = \"whitening\"",
        "conv2d = 6, kernel = 2, groups = 3, init = \"whitening\"",
        "conv2d = 6, kernel = 2, dilation = 2, init = \"whitening\"",
        "conv2d = 6, kernel = 9, padding = \"same\", init = \"whitening\"",
        "conv2d = 6, kernel = 2, bias_init = \"whitening\"",
        "dense = 6, init = \"whitening\"",
        "conv2d_transpose = 6, kernel = 2, init = \"whitening\"",
    ] {
        let problem = message(first(keys));
        assert!(problem.contains("init = \"whitening\" is for the weights of a convolution of the data"), "{problem}");
    }
    let second = "{ conv2d = 4, kernel = 2 }, { conv2d = 4, kernel = 2, init = \"whitening\" }, { dense = 3 }";
    assert!(message(build(&[8, 7, 3], second)).contains("16 here"));
}
