//! Layers that take more than what the layer before gives: names, `from`, `add`, `concat`, residual blocks.

use gputrain::layers::Input;
use gputrain::model::{Model, Shape};
use gputrain::recipe::Recipe;

fn recipe(input: &str, layers: &str) -> Result<Recipe, String> {
    let text = format!("[model]\ninput = {input}\nloss = \"mse\"\nlayers = [{layers}]");
    Recipe::parse(&text, "r.toml", &[]).map_err(|error| error.to_string())
}

fn build(input: &str, layers: &str) -> Result<Model, String> {
    Model::build(&recipe(input, layers)?.model, None).map_err(|error| error.to_string())
}

const BRANCHES: &str = "{ name = \"stem\", conv2d = 4, kernel = 3, padding = \"same\" }, \
                        { name = \"a.conv\", conv2d = 2, kernel = 1 }, \
                        { from = \"stem\", name = \"b\", conv2d = 3, kernel = 1, bias = false }, \
                        { concat = [\"stem\", \"a.conv\", \"b\"] }, { global_max_pool = true }, { dense = 2 }";

#[test]
fn layers_take_what_they_name() {
    let model = build("[6, 5, 2]", BRANCHES).unwrap();
    let inputs: Vec<_> = model.layers.iter().map(|layer| layer.inputs.clone()).collect();
    let of = |index| Input::Layer(index);
    assert_eq!(
        inputs,
        [vec![Input::Data], vec![of(0)], vec![of(0)], vec![of(0), of(1), of(2)], vec![of(3)], vec![of(4)]]
    );
    assert_eq!(model.layers[3].output, Shape::Image { channels: 9, height: 6, width: 5 });
    // Named layers call their tensors by their name, the others keep their number among all that have tensors.
    let names: Vec<&str> = model.parameters.iter().map(|p| &*p.name).collect();
    let expected =
        ["stem.weight", "stem.bias", "a.conv.weight", "a.conv.bias", "b.weight", "layers.3.weight", "layers.3.bias"];
    assert_eq!(names, expected);
}

#[test]
fn the_summary_says_where_inputs_come_from() {
    let text = build("[6, 5, 2]", BRANCHES).unwrap().summary().to_string();
    let lines = [
        "0  conv2d 4, 3x3, same, named stem",
        "2  conv2d 3, 1x1, no bias, of stem, named b",
        "3  concat, of stem and a.conv and b",
    ];
    for line in lines {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn a_residual_block_is_its_layers_and_an_addition() {
    let block = "{ dense = 3 }, { name = \"sum\", residual = [{ dense = 7, activation = \"relu\" }, { dense = 5 }], \
                 shortcut = [{ dense = 5, bias = false }], activation = \"tanh\" }, { residual = [{ dense = 5 }] }";
    let model = build("[4]", block).unwrap();
    let words: Vec<&str> = model.layers.iter().map(|layer| layer.kind.word()).collect();
    assert_eq!(words, ["dense", "dense", "dense", "dense", "add", "dense", "add"]);
    let of = |index| Input::Layer(index);
    assert_eq!(model.layers[3].inputs, [of(0)]);
    assert_eq!(model.layers[4].inputs, [of(2), of(3)]);
    assert_eq!(model.layers[4].name, "sum");
    assert_eq!(model.layers[6].inputs, [of(5), of(4)]);
    let first = build("[4]", "{ residual = [{ dense = 4 }] }, { dense = 1 }").unwrap();
    assert_eq!(first.layers[1].inputs, [of(0), Input::Data]);
}

#[test]
fn a_graph_is_written_as_it_was_read() {
    let block = "{ name = \"x\", dense = 4 }, { residual = [{ residual = [{ dense = 4 }] }], shortcut = [{ dense = 4 }] }, \
                 { name = \"y\", dense = 4, from = \"input\" }, { add = [\"x\", \"y\"], activation = \"silu\" }";
    let recipe = recipe("[4]", block).unwrap();
    let text = recipe.to_toml();
    assert_eq!(Recipe::parse(&text, "r.toml", &[]).unwrap().model, recipe.model, "{text}");
}

#[test]
fn errors_of_graphs_name_the_layer_and_the_remedy() {
    let cases = [
        (
            "{ dense = 4 }, { from = \"stem\", dense = 2 }",
            "layer 1 (dense): takes the output of \"stem\", but no layer before it",
        ),
        ("{ name = \"stem\", dense = 4 }, { from = \"sten\", dense = 2 }", "did you mean \"stem\"?"),
        (
            "{ name = \"a\", dense = 4 }, { name = \"a\", dense = 2 }",
            "layer 1 (dense): is called \"a\", as another layer is",
        ),
        (
            "{ dense = 4 }, { from = \"input\", dense = 2 }",
            "layer 0 (dense): gives an output that no other layer takes",
        ),
        (
            "{ name = \"a\", dense = 4 }, { name = \"b\", dense = 3 }, { add = [\"a\", \"b\"] }",
            "layer 2 (add): adds 4 and 3",
        ),
        ("{ residual = [{ dense = 3 }] }", "layer 0 (residual): adds 3 and 4"),
        ("{ residual = [{ dense = 4 }, { dropout = 2.0 }] }", "model.layers.0.residual.1.dropout"),
        (
            "{ residual = [{ flatten = true }, { conv2d = 1, kernel = 1 }] }",
            "layer 0.residual.1 (conv2d): needs an image",
        ),
        ("{ residual = [] }", "at least one layer"),
        ("{ name = \"a\", dense = 4 }, { add = [\"a\"] }", "two or more names"),
        ("{ name = \"a\", dense = 4 }, { from = \"a\", add = [\"a\", \"input\"] }", "leave \"from\" out"),
        ("{ name = \"layers.1\", dense = 4 }", "a name of letters"),
        ("{ name = \"a b\", dense = 4 }", "a name of letters"),
        ("{ name = \"input\", dense = 4 }", "a name of letters"),
        ("{ name = \"a\", frm = \"b\", dense = 4 }", "did you mean \"from\"?"),
        ("{ name = \"a\" }", "name"),
    ];
    for (layers, expected) in cases {
        let message = build("[4]", layers).unwrap_err();
        assert!(message.contains(expected), "{layers}: {message}");
    }
    let message =
        build("[4, 4, 1]", "{ name = \"a\", conv2d = 2, kernel = 3 }, { concat = [\"a\", \"input\"] }").unwrap_err();
    assert!(message.contains("layer 1 (concat): joins 2x2x2 and 4x4x1"), "{message}");
}
