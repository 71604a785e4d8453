//! Recipes: defaults, overrides, and errors that name the line, the key and the remedy.

use gputrain::layers::{
    ActivationLayer, Conv2d, Conv2dTranspose, Dense, Dropout, Flatten, GlobalPool, Pool, Pooling, Reshape,
};
use gputrain::recipe::*;

const BASE: &str = r#"name = "base"
[data]
validation = 0.1
[model]
input = [784]
layers = [
  { dense = 128 },
  { dense = 64, activation = "relu", bias = true },
  { dense = 10 },
]
[optimizer]
kind = "adam"
learning_rate = 0.001
[train]
epochs = 10
"#;

fn parse(text: &str) -> Result<Recipe, RecipeError> {
    Recipe::parse(text, "r.toml", &[])
}

fn with(overrides: &[(&str, &str)]) -> Result<Recipe, RecipeError> {
    let owned: Vec<_> = overrides.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    Recipe::parse(BASE, "r.toml", &owned)
}

fn set(key: &str, value: &str) -> Recipe {
    with(&[(key, value)]).unwrap_or_else(|error| panic!("{key}={value}: {error}"))
}

/// The message, which must be one line.
fn message<T: std::fmt::Debug>(result: Result<T, RecipeError>) -> String {
    let message = result.unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

fn model(layers: &str) -> String {
    format!("[model]\ninput = [28, 28, 1]\nlayers = [{layers}]\n")
}

fn layers(text: &str) -> Vec<LayerSpec> {
    parse(&model(text)).unwrap().model.layers
}

#[test]
fn defaults_are_those_of_pytorch_and_the_contract() {
    let recipe = parse("[model]\nlayers = [{ dense = 10 }]").unwrap();
    let expected = Recipe {
        name: "r".into(),
        seed: 0,
        precision: Precision::F32,
        data: DataSpec { train: None, test: Holdout::None, validation: Holdout::None, ..DataSpec::default() },
        model: ModelSpec {
            input: vec![],
            layers: vec![LayerSpec::dense(10, Activation::Linear)],
            loss: Loss::SoftmaxCrossEntropy,
            label_smoothing: 0.0,
            delta: 1.0,
            init: Init::GlorotUniform,
            bias_init: None,
        },
        start: StartSpec::default(),
        augment: AugmentSpec::NONE,
        optimizer: OptimizerSpec {
            kind: OptimizerKind::Adam,
            learning_rate: 0.001,
            momentum: 0.0,
            nesterov: false,
            beta1: 0.9,
            beta2: 0.999,
            alpha: 0.99,
            centered: false,
            epsilon: 1e-8,
            l2: 0.0,
            weight_decay: 0.0,
            decay_bias: true,
            clip_norm: None,
            ns_steps: 5,
            adjust_lr_fn: LearningRateAdjustment::Original,
            adam_learning_rate: 0.001,
        },
        schedule: Schedule { kind: ScheduleKind::Constant, warmup_steps: 0, warmup_epochs: 0.0 },
        train: TrainSpec {
            epochs: 10,
            batch: Batch::Size(128),
            shuffle: true,
            drop_last: false,
            log_every: 0,
            validate_every: 0,
            early_stop: None,
            checkpoint_every: 1,
            checkpoint_steps: 0,
            record: vec![],
            accumulate: 1,
            ema: None,
        },
        sweep: None,
    };
    assert_eq!(recipe, expected);
    assert_eq!(set("optimizer.kind", "adamw").optimizer.weight_decay, 0.01);
}

#[test]
fn every_layer_kind() {
    let relu = Activation::Relu;
    let text = r#"
        { conv2d = 16, kernel = 3, activation = "relu" },
        { conv2d = 8, kernel = [3, 5], stride = 2, padding = "same", dilation = [2, 1], groups = 4, bias = false, init = "he_normal" },
        { max_pool = 2, padding = 1 }, { average_pool = [2, 3], stride = 1, padding = "same" },
        { conv2d_transpose = 3, kernel = 2, stride = [2, 1], output_padding = [1, 0] }, { reshape = [7, 5, 64] },
        { activation = "tanh" }, { dropout = 0.5 }, { flatten = true }, { global_average_pool = true },
        { dense = 5, bias_init = { constant = 0.01 }, init = { normal = 0.1 } }"#;
    let expected: Vec<LayerSpec> = vec![
        Conv2d {
            filters: 16,
            kernel: [3, 3],
            stride: [1, 1],
            dilation: [1, 1],
            padding: Padding::Valid,
            groups: 1,
            activation: relu,
            bias: true,
            init: None,
            bias_init: None,
        }
        .into(),
        Conv2d {
            filters: 8,
            kernel: [3, 5],
            stride: [2, 2],
            dilation: [2, 1],
            padding: Padding::Same,
            groups: 4,
            activation: Activation::Linear,
            bias: false,
            init: Some(Init::HeNormal),
            bias_init: None,
        }
        .into(),
        Pool { pooling: Pooling::Max, size: [2, 2], stride: [2, 2], padding: Padding::Pixels([1, 1]) }.into(),
        Pool { pooling: Pooling::Average, size: [2, 3], stride: [1, 1], padding: Padding::Same }.into(),
        Conv2dTranspose {
            filters: 3,
            kernel: [2, 2],
            stride: [2, 1],
            dilation: [1, 1],
            padding: Padding::Valid,
            output_padding: [1, 0],
            groups: 1,
            activation: Activation::Linear,
            bias: true,
            init: None,
            bias_init: None,
        }
        .into(),
        Reshape { size: [7, 5, 64] }.into(),
        ActivationLayer(Activation::Tanh).into(),
        Dropout { rate: 0.5 }.into(),
        Flatten.into(),
        GlobalPool { pooling: Pooling::Average }.into(),
        Dense {
            units: 5,
            activation: Activation::Linear,
            bias: true,
            init: Some(Init::Normal(0.1)),
            bias_init: Some(Init::Constant(0.01)),
        }
        .into(),
    ];
    assert_eq!(layers(text), expected);
}

#[test]
fn padding_is_a_word_a_number_or_a_pair() {
    let padding = |text: &str| {
        let recipe = parse(&format!("[model]\nlayers = [{{ conv2d = 2, kernel = 3, padding = {text} }}]"));
        recipe.map(|recipe| recipe.model.layers[0].toml()).map_err(|error| error.to_string())
    };
    for (text, written) in [
        ("\"valid\"", "\"valid\""),
        ("\"same\"", "\"same\""),
        ("0", "\"valid\""),
        ("2", "[2, 2]"),
        ("[0, 1]", "[0, 1]"),
    ] {
        assert!(padding(text).unwrap().contains(&format!("padding = {written}, ")), "{text}");
    }
    for text in ["\"some\"", "-1", "1.5", "[1]", "[1, 2, 3]", "true"] {
        assert!(padding(text).unwrap_err().contains("padding"), "{text}");
    }
    assert!(padding("\"smae\"").unwrap_err().contains("(did you mean \"same\"?)"));
}

#[test]
fn a_model_wide_activation_fills_hidden_layers_only() {
    let text = "[model]\nactivation = \"tanh\"\nlayers = [{ dense = 8 }, { dense = 4, activation = \"linear\" }, \
                { dense = 3 }, { activation = \"softmax\" }]";
    let activations = |recipe: Recipe| -> Vec<_> { recipe.model.layers.iter().map(|l| l.kind.activation()).collect() };
    use Activation::{Linear, Softmax, Tanh};
    assert_eq!(activations(parse(text).unwrap()), [Tanh, Linear, Linear, Softmax].map(Some));
    let short = parse("[model]\nactivation = \"tanh\"\nlayers = \"8,4:linear,3\"").unwrap();
    assert_eq!(activations(short), [Tanh, Linear, Linear].map(Some));
}

#[test]
fn a_single_dense_layer_may_be_a_number() {
    assert_eq!(set("model.layers", "10").model.layers, parse_layers("10").unwrap());
    assert_eq!(set("model.layers", "10"), set("model.layers", "\"10\""));
    let error = message(with(&[("model.layers", "0")]));
    assert!(error.contains("layer 0 is \"0\": expected units, 1 or more"), "{error}");
}

#[test]
fn overrides_replace_add_and_index() {
    assert_eq!(set("optimizer.learning_rate", "1e-2").optimizer.learning_rate, 0.01);
    assert_eq!(set("optimizer.learning_rate", ".5").optimizer.learning_rate, 0.5);
    assert_eq!(set("train.batch", "full").train.batch, Batch::Full);
    assert_eq!(set("train.batch", "\"full\"").train.batch, Batch::Full);
    assert_eq!(set("name", "2020-01-02").name, "2020-01-02");
    assert_eq!(set("seed", "18446744073709551615").seed, u64::MAX);
    assert_eq!(set("model.layers.0.dense", "32").model.layers[0], LayerSpec::dense(32, Activation::Linear));
    assert_eq!(set("model.layers", "16:relu,10").model.layers.len(), 2);
    assert_eq!(set("model.layers", "[{ dense = 7 }]").model.layers, [LayerSpec::dense(7, Activation::Linear)]);
    assert_eq!(
        set("schedule", "{ kind = \"cosine\" }").schedule.kind,
        ScheduleKind::Cosine { min: 0.0, by: By::Epoch }
    );
    let files = with(&[("data.validation.images", "x.npy"), ("data.validation.labels", "y.npy")]).unwrap();
    assert_eq!(
        files.data.validation,
        Holdout::Files(Source::Arrays { images: "x.npy".into(), labels: "y.npy".into() })
    );
    // The last one wins, and a wrong value that is replaced does no harm.
    assert_eq!(with(&[("train.epochs", "-1"), ("train.epochs", "3")]).unwrap().train.epochs, 3);
}

#[test]
fn unknown_keys_name_line_path_and_the_nearest_key() {
    let text = BASE.replace("learning_rate", "learnig_rate");
    assert_eq!(
        message(parse(&text)),
        "r.toml:13: unknown key \"optimizer.learnig_rate\"; did you mean \"learning_rate\"?; known here: kind, \
         learning_rate, momentum, nesterov, ns_steps, adjust_lr_fn, adam_learning_rate, beta1, beta2, alpha, centered, \
         epsilon, l2, weight_decay, decay_bias, clip_norm"
    );
    let text = BASE.replace("activation = \"relu\"", "activaton = \"relu\"");
    let error = message(parse(&text));
    assert!(
        error.starts_with("r.toml:8: unknown key \"model.layers.1.activaton\"; did you mean \"activation\"?"),
        "{error}"
    );
    let error = message(parse(&format!("{BASE}[trian]\nepochs = 3")));
    assert!(error.starts_with("r.toml:16: unknown key \"trian\"; did you mean \"train\"?"), "{error}");
    let error = message(parse(&model("{ dnese = 3 }")));
    assert!(error.contains("\"model.layers.0.dnese\"; did you mean \"dense\"?"), "{error}");
    let error = message(with(&[("train.epoch", "3")]));
    assert!(error.starts_with("--set train.epoch=3: unknown key \"train.epoch\"; did you mean \"epochs\"?"), "{error}");
}

#[test]
fn keys_of_other_programs_are_recognised() {
    let meant = |key: &str| {
        let error = message(with(&[(key, "1")]));
        error.split("did you mean \"").nth(1).map(|rest| rest.split('"').next().unwrap().to_string())
    };
    assert_eq!(meant("optimizer.lr").as_deref(), Some("learning_rate"));
    assert_eq!(meant("optimizer.LR").as_deref(), Some("learning_rate"));
    assert_eq!(meant("train.batch_size").as_deref(), Some("batch"));
    assert_eq!(meant("train.n_epochs").as_deref(), Some("epochs"));
    assert_eq!(meant("optimizer.xy"), None);
    // Short keys still find what is spelled like them.
    assert_eq!(meant("optimizer.l1").as_deref(), Some("l2"));
}

#[test]
fn what_is_no_recipe_is_told_what_would_be() {
    let error = message(RecipeText::find("digit"));
    assert!(error.starts_with("no recipe \"digit\""), "{error}");
    assert!(error.contains("did you mean \"digits\"?; bundled are digits, mnist-mlp-adam, "), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().to_str().unwrap();
    let error = message(RecipeText::find(name));
    assert!(
        error.contains(" is a folder, not a recipe; give a recipe file") && error.contains("; --train "),
        "{error}"
    );
    std::fs::write(folder.path().join("recipe.toml"), BASE).unwrap();
    let error = message(RecipeText::find(name));
    assert!(error.contains("recipe.toml to train the same anew, or --resume"), "{error}");
    for (file, remedy) in
        [("t.csv", "--target COLUMN trains on a table"), ("x.npy", "--train-labels FILE trains on arrays")]
    {
        let path = folder.path().join(file);
        std::fs::write(&path, "a,b\n1,2\n").unwrap();
        let error = message(RecipeText::find(path.to_str().unwrap()));
        assert!(error.contains("is data, not a recipe") && error.contains(remedy), "{error}");
    }
}

#[test]
fn a_folder_is_no_data_file() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().to_str().unwrap();
    let mut recipe = with(&[("data.train", &format!("{{ images = \"{name}\", labels = \"{name}\" }}"))]).unwrap();
    let error = message(recipe.resolve_data(None));
    assert!(
        error.starts_with("data.train.images = ") && error.contains("is a folder; give a file of examples"),
        "{error}"
    );
    // Nor is what is neither the one nor the other.
    if cfg!(unix) {
        let mut recipe = with(&[("data.train", "{ images = \"/dev/null\", labels = \"/dev/null\" }")]).unwrap();
        let error = message(recipe.resolve_data(None));
        assert!(error.contains("/dev/null is a pipe, a device or a socket, not a file"), "{error}");
    }
}

#[test]
fn wrong_values_list_what_is_allowed() {
    assert_eq!(
        message(parse(&BASE.replace("\"adam\"", "\"adma\""))),
        "r.toml:12: optimizer.kind = \"adma\": expected one of \"sgd\", \"adam\", \"adamw\", \"rmsprop\", \"lion\", \"muon\" \
         (did you mean \"adam\"?)"
    );
    assert_eq!(
        message(with(&[("train.epochs", "ten")])),
        "--set train.epochs=ten: train.epochs = \"ten\": expected a whole number, 1 or more"
    );
    let wrong = [
        ("train.epochs", "0", "1 or more"),
        ("train.epochs", "5000000000", "not as large"),
        ("train.epochs", "2.5", "whole number"),
        ("train.batch", "0", "\"full\""),
        ("train.batch", "all", "\"full\""),
        ("train.shuffle", "1", "true or false"),
        ("train.record", "[\"weight\"]", "did you mean \"weights\"?"),
        ("train.early_stop", "3", "{ metric ="),
        ("train.early_stop", "{ metric = \"train_loss\" }", "train.early_stop.patience is missing"),
        ("optimizer.learning_rate", "0", "above 0"),
        ("optimizer.learning_rate", "-0.1", "above 0"),
        ("optimizer.learning_rate", "nan", "above 0"),
        ("optimizer.learning_rate", "inf", "above 0"),
        ("optimizer.learning_rate", "1e-60", "above 0"),
        ("optimizer.learning_rate", "1e60", "above 0"),
        ("optimizer.beta1", "1.0", "below 1"),
        ("optimizer.epsilon", "0.0", "above 0"),
        ("optimizer.clip_norm", "0", "above 0"),
        ("optimizer.l2", "-1", "0 or more"),
        ("optimizer.momentum", "0.9", "belongs to kind = \"sgd\""),
        ("optimizer", "{ kind = \"sgd\", beta1 = 0.9 }", "belongs to kind = \"adam\" and \"adamw\""),
        ("optimizer", "{ kind = \"sgd\", nesterov = true }", "needs a momentum"),
        (
            "optimizer",
            "{ kind = \"lion\", epsilon = 1e-8 }",
            "belongs to kind = \"adam\" and \"adamw\" and \"rmsprop\"",
        ),
        ("optimizer", "{ kind = \"muon\", ns_steps = 0 }", "1 or more"),
        ("optimizer", "{ kind = \"adamw\", adam_learning_rate = 0.1 }", "belongs to kind = \"muon\""),
        ("model.label_smoothing", "1.5", "at most 1"),
        ("model.delta", "1.0", "is for loss = \"huber\""),
        ("schedule", "{ kind = \"one_cycle\", pct_start = 2 }", "at most 1"),
        ("schedule", "{ kind = \"step\", every = 1, factor = 0.5, by = \"step\" }", "unknown key"),
        ("schedule", "{ warmup_steps = 1, warmup_epochs = 1 }", "keep one of them"),
        ("train.accumulate", "0", "1 or more"),
        ("augment.flip", "sideways", "\"horizontal\""),
        ("augment.translate", "-1", "0 or more"),
        ("augment.rotate", "200", "from 0 to 180"),
        ("augment.scale", "[1.1, 0.9]", "the smallest and the largest"),
        ("augment.scale", "1.1", "the smallest and the largest"),
        ("augment.scale", "[0, 1]", "from 0.1 to 10"),
        ("augment.brightness", "2", "from 0 to 1"),
        ("augment.erase", "1.5", "from 0 to 1"),
        ("augment.mixup", "0.001", "from 0.01 to 100"),
        ("augment.mixup", "-1", "from 0.01 to 100"),
        ("augment.blur", "1", "unknown key"),
        ("train.ema", "1.0", "below 1"),
        ("seed", "-1", "0 or more"),
        ("seed", "18446744073709551616", "not as large"),
        ("name", "a/b", "can be a folder"),
        ("name", "..", "can be a folder"),
        ("train", "{ log_every = 10, validate_every = 25 }", "a multiple of train.log_every = 10"),
        ("precision", "f16", "\"mixed\""),
        ("data.validation", "1.0", "a count"),
        ("data.validation", "-3", "a count"),
        ("data.validation", "{ images = \"x.npy\" }", "data.validation.labels is missing"),
        ("data.scale", "255", "\"unit\""),
        ("data.normalize", "{ mean = [0.5], std = [0.0] }", "a number above 0 for each channel"),
        ("data.normalize", "{ mean = [0.5], std = [0.5, 0.5] }", "1 means and 2 deviations"),
        ("data.normalize", "{ mean = [0.5] }", "data.normalize.std is missing"),
        ("data", "{ scale = \"none\", normalize = { mean = [0.5], std = [0.5] } }", "the scale \"unit\""),
        ("model.input", "[28, 28]", "[height, width, channels]"),
        ("model.input", "[0]", "1 or more"),
        ("model.layers", "[]", "at least one layer"),
        ("model.layers", "128:rleu", "did you mean relu?"),
        ("model.layers", "[{ bias = true }]", "unknown key \"model.layers.0.bias\""),
        ("model.layers", "[{}]", "a layer: { dense = UNITS }"),
        ("model.layers", "[{ dense = 3, conv2d = 4 }]", "both dense and conv2d"),
        ("model.layers", "[{ conv2d = 4 }]", "model.layers.0.kernel is missing"),
        ("model.layers", "[{ conv2d = 4, kernel = [1, 2, 3] }]", "[height, width]"),
        ("model.layers", "[{ flatten = false }]", "remove it"),
        ("model.layers", "[{ dropout = 1.0 }]", "below 1"),
        ("model.layers.3.dense", "4", "expected 0 to 2"),
        ("model.loss", "cross_entropy", "\"softmax_cross_entropy\""),
        ("model.init", "he", "\"he_uniform\""),
        ("model.init", "{ normal = -1 }", "0 or more"),
        ("model.init", "{ normal = 1, uniform = 1 }", "{ uniform = BOUND }"),
        ("schedule", "{ kind = \"cosin\" }", "\"cosine\""),
        ("schedule", "{ kind = \"step\", every = 3 }", "schedule.factor is missing"),
        ("schedule", "{ kind = \"step\", every = 0, factor = 0.1 }", "1 or more"),
        ("schedule", "{ kind = \"cosine\", factor = 0.1 }", "known here: kind, min, by, warmup_steps, warmup_epochs"),
        ("schedule", "{ kind = \"multi_step\", epochs = [4, 2], factor = 0.5 }", "ascending"),
        ("schedule", "[]", "a list of phases"),
        ("schedule", "{ kind = \"plateau\", factor = 1.5 }", "between 0 and 1"),
        ("schedule", "{ kind = \"plateau\", threshold = 1 }", "0 or more, below 1"),
        ("schedule", "{ kind = \"plateau\", min_lr = -1 }", "a learning rate, 0 or more"),
        ("sweep", "{ trial = 3 }", "did you mean \"trials\"?"),
        ("sweep", "{ trials = 0 }", "1 or more"),
        ("sweep", "{ \"train.epochs\" = 3 }", "a list of values"),
    ];
    for (key, value, expected) in wrong {
        let error = message(with(&[(key, value)]));
        assert!(error.contains(expected), "{key}={value}: {error}");
        assert!(error.contains(&format!("--set {key}={value}")), "{error}");
    }
}

#[test]
fn shares_must_leave_training_examples() {
    let error = message(with(&[("data.test", "0.9")]));
    assert_eq!(error, "r.toml:3: data.validation: test = 0.9 and validation = 0.1 leave no examples for training");
    assert_eq!(set("data.test", "0.89").data.test, Holdout::Fraction(0.89));
}

#[test]
fn overrides_that_are_no_keys_are_refused() {
    for key in ["", ".", "a..b", "a b", "[x]", "a=b", "a\nb", "#", "\"open"] {
        let error = with(&[(key, "1")]).unwrap_err().to_string();
        assert!(error.contains("is no key") || error.contains("unknown key"), "{key:?}: {error}");
    }
}

#[test]
fn a_watched_metric_needs_its_examples() {
    let stop = "{ metric = \"test_loss\", patience = 2 }";
    assert_eq!(set("train.early_stop", stop).train.early_stop.unwrap().metric, Metric::of(Set::Test, Measure::Loss));
    let error = message(with(&[("data.validation", "0"), ("train.early_stop.patience", "2")]));
    assert!(
        error.contains("train.early_stop: the metric is validation_loss, but there is no validation set"),
        "{error}"
    );
    let files = "{ images = \"x.npy\", labels = \"y.npy\" }";
    let error = message(with(&[("data.train", files), ("schedule", "{ kind = \"plateau\", metric = \"test_loss\" }")]));
    assert!(error.contains("schedule.metric: the metric is test_loss, but there is no test set"), "{error}");
    let error = message(with(&[("data.validation", "0"), ("sweep.seed", "[1, 2]")]));
    assert!(error.contains("sweep: the metric is validation_accuracy"), "{error}");
}

#[test]
fn phases_may_stand_in_place_of_the_table_and_count_the_epochs() {
    let phases = "[{ epochs = 3, learning_rate = 0.1 }, { epochs = 4, learning_rate = 0.01 }]";
    let text = format!("schedule = {phases}\n[model]\nlayers = [{{ dense = 2 }}]");
    let list = parse(&text).unwrap();
    let table = format!("schedule = {{ kind = \"phases\", phases = {phases} }}\n[model]\nlayers = [{{ dense = 2 }}]");
    assert_eq!(list, parse(&table).unwrap());
    assert_eq!(list.train.epochs, 7);
    assert_eq!(list.schedule.learning_rate(1.0, 3, 7), 0.01);
}

#[test]
fn hostile_files_are_errors_with_a_line() {
    for (text, expected) in [
        ("a = ".to_string(), "r.toml:1: not valid TOML"),
        ("\n\nname = \"x\"\nname = \"y\"".to_string(), "r.toml:4: not valid TOML: duplicate key"),
        (format!("x = {}", "[".repeat(100_000)), "not valid TOML"),
        (format!("x = {}1{}", "{a=".repeat(50_000), "}".repeat(50_000)), "not valid TOML"),
        ("a.".repeat(100_000) + "b = 1", "not valid TOML"),
        (format!("seed = 1{}", "0".repeat(100)), "out of range"),
        ("#".repeat(2 << 20), "too many for a recipe"),
        ("name = 3".to_string(), "r.toml:1: name = 3: expected a name"),
        ("model = 3".to_string(), "r.toml:1: model = 3: expected a table"),
        ("seed = 1".to_string(), "model.layers is missing"),
        ("\u{feff}name = 3".to_string(), "name = 3"),
    ] {
        let error = parse(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_missing_file_is_an_error_that_names_it() {
    let error = message(Recipe::load("no/such.toml".as_ref(), &[]));
    assert!(error.starts_with("no/such.toml: cannot read the recipe"), "{error}");
}
