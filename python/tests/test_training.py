"""Recipes, runs and models."""

import pickle
import re
import signal
import subprocess
import sys
import threading
import tomllib
import warnings
from pathlib import Path

import numpy as np
import pytest

import gputrain

RECIPE = {
    "name": "spirals",
    "data": {"validation": 0.2, "scale": "none"},
    "model": {"input": [2], "layers": [{"dense": 16, "activation": "tanh"}, {"dense": 2}]},
    "optimizer": {"kind": "adam", "learning_rate": 0.01},
    "train": {"epochs": 4, "batch": 32},
}


def spirals(count=400):
    turn = 6 * (np.arange(count) // 2) / (count // 2)
    radius = np.where(np.arange(count) % 2, -1, 1) * (0.2 + turn / 6)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1), np.arange(count) % 2


def trained(**changes):
    return gputrain.train(RECIPE | changes, *spirals(), device="cpu")


def test_a_dict_and_arrays_are_trained():
    seen = []
    run = gputrain.train(RECIPE, *spirals(), seen.append, device="cpu")
    assert [epoch["epoch"] for epoch in seen] == [1, 2, 3, 4]
    assert seen == run.history
    assert run.summary["validation_loss"] is not None
    assert run.summary["parameter_hash"] == run.model.parameter_hash == trained().model.parameter_hash
    assert "<svg" in run._repr_html_()
    assert "spirals" in repr(run)


def test_a_file_is_trained_as_the_program_does(tmp_path):
    (tmp_path / "r.toml").write_text("[model]\ninput = [784]\nlayers = \"16:relu,10\"\n[train]\nepochs = 1\n")
    run = gputrain.train(tmp_path / "r.toml", device="cpu")
    arguments = ["--backend", "cpu", "--json", "train", str(tmp_path / "r.toml"), "--out", str(tmp_path / "run")]
    program = subprocess.run([sys.executable, "-m", "gputrain", *arguments], capture_output=True, text=True, check=True)
    assert run.model.parameter_hash in program.stdout
    assert gputrain.load(tmp_path / "run").parameter_hash == run.model.parameter_hash


def test_outputs_are_those_of_the_weights():
    X, y = spirals()
    model = trained().model
    weights = model.state_dict()
    hidden = np.tanh(X @ weights["layers.0.weight"].T + weights["layers.0.bias"])
    logits = hidden @ weights["layers.1.weight"].T + weights["layers.1.bias"]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.abs(model.predict_proba(X, "cpu") - shares).max() < 1e-5
    assert np.array_equal(model.predict(X, "cpu"), logits.argmax(axis=1))


def test_models_are_saved_pickled_and_exported(tmp_path):
    model = trained().model
    model.save(tmp_path / "m.safetensors")
    for read in [gputrain.load(tmp_path / "m.safetensors"), pickle.loads(pickle.dumps(model._native))]:
        assert read.parameter_hash == model.parameter_hash
    session = pytest.importorskip("onnxruntime")
    model.export(tmp_path / "m.onnx")
    X = spirals()[0].astype(np.float32)[:5]
    onnx = session.InferenceSession(tmp_path / "m.onnx")
    answer = onnx.run(None, {onnx.get_inputs()[0].name: X})[0]
    assert np.abs(answer - model.outputs(X, "cpu")).max() < 1e-5


def test_a_state_dict_loads_in_pytorch():
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2))
    names = {"layers.0": "0", "layers.1": "2"}
    model = trained().model
    state = {names[name.rsplit(".", 1)[0]] + "." + name.rsplit(".", 1)[1]: torch.tensor(v) for name, v in model.state_dict().items()}
    network.load_state_dict(state)
    X = spirals()[0].astype(np.float32)
    with torch.no_grad():
        shares = network(torch.tensor(X)).softmax(dim=1).numpy()
    assert np.abs(shares - model.outputs(X, "cpu")).max() < 1e-5


def test_a_run_begins_with_the_weights_of_another():
    first = trained(train={"epochs": 30, "batch": 32})
    second = gputrain.train(RECIPE, *spirals(), start=first.model, device="cpu")
    assert second.history[0]["train_loss"] < trained().history[0]["train_loss"]
    with pytest.raises(ValueError, match="4 tensors"):
        gputrain.train(RECIPE | {"model": {"input": [2], "layers": "2"}}, *spirals(), start=first.model, device="cpu")


def test_a_recipe_names_what_its_run_begins_with(tmp_path):
    first = trained(train={"epochs": 30, "batch": 32})
    first.model.save(tmp_path / "first.safetensors")
    start = {"from": tmp_path / "first.safetensors", "freeze": ["layers.0"]}
    second = gputrain.train(RECIPE | {"start": start}, *spirals(), device="cpu")
    frozen = [run.model.state_dict()["layers.0.weight"] for run in (first, second)]
    assert np.array_equal(*frozen)
    assert any("4 of 4 tensors" in note for note in second.notes)


def test_classes_have_weights():
    run = trained(data={"scale": "none", "class_weights": [0.0, 1.0]}, train={"epochs": 30, "batch": 32})
    assert (run.model.predict(spirals()[0], "cpu") == 1).all()


@pytest.mark.parametrize(
    "error, words, call",
    [
        (ValueError, 'did you mean "dense"', lambda: gputrain.train({"model": {"input": [2], "layers": [{"dens": 3}]}})),
        (FileNotFoundError, "neither a file nor a bundled", lambda: gputrain.train("nosuch")),
        (FileNotFoundError, "neither a file nor a bundled", lambda: gputrain.train("nope.toml")),
        (FileNotFoundError, "no-mnist/mnist.*give its folder with data=", lambda: gputrain.train("mnist-mlp-adam", data="no-mnist")),
        (FileNotFoundError, "nope.npy", lambda: gputrain.train(RECIPE | {"data": {"train": {"images": "nope.npy", "labels": "nope.npy"}}})),
        (FileNotFoundError, "that of data=", lambda: trained(start={"from": "nope.safetensors"})),
        (ValueError, "leave one out", lambda: gputrain.train(RECIPE, *spirals(), data="folder")),
        (ValueError, "classes counted", lambda: gputrain.train(RECIPE, np.zeros((3, 2)), [0.5, 1, 0])),
        (ValueError, "not numbers", lambda: gputrain.train(RECIPE, [["a", "b"]], [0])),
        (ValueError, "X and y, or neither", lambda: gputrain.train(RECIPE, np.zeros((3, 2)))),
        (ValueError, "X_test and y_test, or neither", lambda: gputrain.train(RECIPE, *spirals(), X_test=spirals()[0])),
        (ValueError, r"X has the shape \(400, 2\) and y holds 399", lambda: gputrain.train(RECIPE, spirals()[0], spirals()[1][1:])),
        (ValueError, "X_test has the shape .* and y_test holds 3", lambda: gputrain.train(RECIPE, *spirals(), X_test=spirals()[0], y_test=[0, 1, 0])),
        (ValueError, "y_test is a float64 array", lambda: gputrain.train(RECIPE, *spirals(), X_test=[[1, 2]], y_test=[0.5])),
        (ValueError, r"X: has shape \(400, 1\)", lambda: trained().model.outputs(spirals()[0][:, :1], "cpu")),
        (FileNotFoundError, "nowhere", lambda: gputrain.load("nowhere")),
        (TypeError, "recipe.name is .* no recipe can hold", lambda: gputrain.train({"name": object()})),
        (TypeError, "recipe.data.scale is None, .*leave the key out", lambda: trained(data={"scale": None})),
        (TypeError, "recipe.model.layers.0.activation is None", lambda: trained(model={"layers": [{"dense": 2, "activation": None}]})),
        (RuntimeError, "device=nosuchgpu", lambda: gputrain.train(RECIPE, *spirals(), device="nosuchgpu")),
        (FloatingPointError, "learning_rate", lambda: trained(optimizer={"kind": "sgd", "learning_rate": 0.1, "l2": 1e38})),
    ],
)
def test_errors_have_the_right_types(error, words, call):
    with pytest.raises(error, match=words):
        call()


def test_remedies_are_those_of_python(tmp_path):
    (tmp_path / "t.csv").write_text("when,a,y\n" + "2024-01-02,1,u\n2024-02-03,2,v\n" * 20)
    recipe = {"data": {"train": {"table": tmp_path / "t.csv", "target": "y"}}, "model": {"layers": "2"}}
    with pytest.raises(ValueError, match=re.escape('leave it out (recipe["data"]["drop"] = ["when"])')):
        gputrain.train(recipe, device="cpu")
    recipe["data"]["drop"] = ["when"]
    assert gputrain.train(recipe, device="cpu").summary["train_accuracy"] is not None
    with pytest.raises(ValueError, match="program's train --train .* trains on a folder of pictures"):
        gputrain.train(tmp_path)


def test_what_a_callback_raises_ends_the_run():
    def callback(metrics):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        gputrain.train(RECIPE, *spirals(), callback, device="cpu")


def test_an_interrupt_ends_the_run():
    recipe = RECIPE | {"train": {"epochs": 1_000_000, "batch": 32, "checkpoint_every": 0}}
    timer = threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
    # In the background of a shell the signal is ignored, and Python has no handler of its own.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    # Another thread's signal: the run must let it through, and have released the lock that threads need to run.
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            gputrain.train(recipe, *spirals(), device="cpu")
    finally:
        signal.signal(signal.SIGINT, before)


def test_threads_train_at_once():
    hashes = []
    threads = [threading.Thread(target=lambda: hashes.append(trained().model.parameter_hash)) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert hashes == [trained().model.parameter_hash] * 4


def test_the_recipe_of_a_model_is_a_dict():
    assert trained().model.recipe["optimizer"]["learning_rate"] == 0.01
    assert tomllib.loads(gputrain._native.resolve('{"model": {"input": [2], "layers": "2"}}', "recipe"))["seed"] == 0


def test_kernels_are_verified():
    report = gputrain.verify("cpu", ["sgd"])
    assert report["rows"] and all(row["passed"] for row in report["rows"])
    for wrong in (["gathr"], ["sgd", "gathr"]):
        with pytest.raises(ValueError, match='no kernel is called "gathr"; there are .*gather'):
            gputrain.verify("cpu", wrong)


def without_scale(X):
    recipe = RECIPE | {"data": {"validation": 0.2}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return gputrain.train(recipe, X, spirals()[1], device="cpu")


def test_measurements_are_standardized_where_no_scale_is_said(tmp_path):
    X, y = spirals()
    standard = trained(data={"validation": 0.2, "scale": "standard"})
    run = without_scale(X)
    assert run.model.parameter_hash == standard.model.parameter_hash
    assert run.model.recipe["data"]["scale"] == "standard"
    assert np.array_equal(gputrain._training.Model(pickle.loads(pickle.dumps(run.model._native))).outputs(X, "cpu"), run.model.outputs(X, "cpu"))
    # What may be a pixel is one, whether bytes or floats.
    bytes = np.clip(X * 50 + 100, 0, 255).astype(np.uint8)
    for pixels in (bytes, bytes.astype(np.float64), bytes / 255, np.clip(X, -1, 1)):
        assert without_scale(pixels).model.recipe["data"]["scale"] == "unit"
    # A file is read alike.
    (tmp_path / "r.toml").write_text('[data]\nvalidation = 0.2\n[model]\ninput = [2]\nlayers = "4:tanh,2"\n[train]\nepochs = 1\n')
    assert gputrain.train(tmp_path / "r.toml", X, y, device="cpu").model.recipe["data"]["scale"] == "standard"
    text = (tmp_path / "r.toml").read_text().replace("validation", 'scale = "unit"\nvalidation')
    (tmp_path / "r.toml").write_text(text)
    with pytest.warns(UserWarning, match="no pixel"):
        assert gputrain.train(tmp_path / "r.toml", X, y, device="cpu").model.recipe["data"]["scale"] == "unit"


def test_a_person_is_warned_before_training():
    seen = []
    recipe = RECIPE | {"data": {"scale": "unit"}}
    with pytest.warns(UserWarning, match=re.escape('recipe["data"]["scale"] = "standard" suits them')) as warned:
        run = gputrain.train(recipe, *spirals(), device="cpu")
    assert len(warned) == 1 and warned[0].filename == __file__
    for shown in (repr(run), run._repr_html_()):
        assert shown.count("no pixel") == 1
    assert "divided by 255" in run._repr_html_()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning):
            gputrain.train(recipe, *spirals(), seen.append, device="cpu")
    assert not seen


def test_a_sweep_is_left_aside_aloud():
    with pytest.warns(UserWarning, match="gputrain sweep"):
        trained(sweep={"optimizer.learning_rate": [0.1, 0.01]})


def test_the_example_of_the_readme_trains():
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    [example] = re.findall("```python\n(.*?)```", readme, re.DOTALL)
    # Without what needs files, or another device.
    lines = [line for line in example.splitlines() if not re.search("mnist-mlp-adam|vulkan|save", line)]
    known = {}
    exec("\n".join(lines), known)
    assert known["network"].score(known["X"], known["y"]) > 0.95
    assert known["run"].summary["train_accuracy"] > 0.95


def test_a_folder_of_data_is_looked_in_first(tmp_path):
    X, y = spirals()
    for folder, turn in (("here", 1), ("there", -1)):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "X.npy", (turn * X).astype(np.float32))
        np.save(tmp_path / folder / "y.npy", y.astype(np.uint8))
    text = '[data]\ntrain = { images = "X.npy", labels = "y.npy" }\nscale = "none"\n[model]\ninput = [2]\nlayers = "4:tanh,2"\n'
    (tmp_path / "here" / "r.toml").write_text(text)
    dict_of = tomllib.loads(text)
    hashes = [
        gputrain.train(recipe, data=folder, device="cpu").model.parameter_hash
        for recipe, folder in ((tmp_path / "here" / "r.toml", None), (tmp_path / "here" / "r.toml", tmp_path / "there"),
                               (dict_of, str(tmp_path / "here")), (dict_of, tmp_path / "there"))
    ]
    assert hashes[:2] == hashes[2:] and hashes[0] != hashes[1]


def test_arrays_take_the_place_of_a_recipes_files():
    X, y = np.random.default_rng(0).integers(0, 256, (60, 784)).astype(np.uint8), np.arange(60) % 10
    recipe = gputrain.recipe("mnist-mlp-adam")
    assert "train" in recipe["data"] and isinstance(recipe["data"]["test"], dict)
    recipe["train"]["epochs"] = 1
    recipe["data"]["validation"] = 10
    run = gputrain.train(recipe, X, y, X_test=X[:20], y_test=y[:20], device="cpu")
    assert run.summary["validation_loss"] is not None and run.summary["test_loss"] is not None
    assert "train" not in run.model.recipe["data"]
    assert gputrain.train(recipe, X, y, device="cpu").summary["test_loss"] is None
    assert "train" in recipe["data"], "the dict is the caller's"
    # What a recipe would hold out for the test is trained on where there are arrays for it.
    parted = gputrain.train(RECIPE | {"data": {"scale": "none", "test": 0.5}}, *spirals(), device="cpu")
    whole = gputrain.train(RECIPE | {"data": {"scale": "none", "test": 0.5}}, *spirals(), X_test=spirals()[0], y_test=spirals()[1], device="cpu")
    assert (parted.summary["steps"], whole.summary["steps"]) == (4 * 7, 4 * 13)


def test_an_autoencoder_needs_no_targets():
    X = np.random.default_rng(0).random((100, 6))
    recipe = {"data": {"targets": "inputs"}, "model": {"input": [6], "layers": "3:tanh,6", "loss": "mse"}, "train": {"epochs": 2}}
    run = gputrain.train(recipe, X, X_test=X[:10], device="cpu")
    assert run.model.outputs(X, "cpu").shape == X.shape
    assert run.summary["test_loss"] is not None


@pytest.mark.parametrize(
    "layers, loss",
    [
        ('[{ dense = 8, activation = "relu" }, { dense = 2 }]', "softmax_cross_entropy"),
        ("[{ embedding = 4 }, { dense = 2 }]", "softmax_cross_entropy"),
        ('[{ dense = 1, activation = "sigmoid" }]', "binary_cross_entropy"),
        ("[{ dense = 1 }]", "mse"),
    ],
)
def test_a_model_of_a_table_takes_its_columns(tmp_path, layers, loss):
    pandas = pytest.importorskip("pandas")
    draw = np.random.default_rng(0)
    frame = pandas.DataFrame({"size": draw.normal(size=200), "kind, or none": draw.choice(["u", "v;w", 'x"y'], 200)})
    frame.loc[::7, "size"] = np.nan
    frame["answer"] = np.where(frame["kind, or none"] == "u", "yes", "no")
    if loss == "mse":
        frame["answer"] = 1000 + 50 * (frame["kind, or none"] == "u") + frame["size"].fillna(0)
    frame.to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "r.toml").write_text(
        f"""[data]\ntrain = {{ table = "t.csv", target = "answer" }}\nmissing = "mean"\n[model]\nlayers = {layers}\nloss = "{loss}"
[optimizer]\nlearning_rate = 0.05\n[train]\nepochs = 40\nbatch = 20\n"""
    )
    with warnings.catch_warnings():
        # A column tells the answer.
        warnings.simplefilter("ignore")
        model = gputrain.train(tmp_path / "r.toml", device="cpu").model
    X = frame.drop(columns="answer")[["kind, or none", "size"]]
    answers = model.predict(X, "cpu")
    if loss == "mse":
        assert np.abs(answers - frame["answer"]).mean() < 5
    else:
        assert list(answers) == list(frame["answer"])
    # The program gives the same.
    model.save(tmp_path / "m.safetensors")
    X.to_csv(tmp_path / "x.csv", index=False)
    arguments = ["--backend", "cpu", "predict", tmp_path / "m.safetensors", tmp_path / "x.csv", "--out", tmp_path / "out.csv"]
    subprocess.run([sys.executable, "-m", "gputrain", *arguments], check=True, capture_output=True)
    assert np.abs(pandas.read_csv(tmp_path / "out.csv").iloc[:, -1] - model.outputs(X, "cpu")[:, -1]).max() < 1e-3
    with pytest.raises(ValueError, match="X: .*kind, or none"):
        model.predict(X[["size"]], "cpu")
    with pytest.raises(ValueError, match="as a DataFrame"):
        model.predict(np.zeros((3, 2)), "cpu")


def test_logged_steps_and_weights_are_kept():
    run = trained(train={"epochs": 3, "batch": 32, "log_every": 4, "record": ["gradient_norms", "weights"]})
    assert [step["step"] for step in run.steps] == list(range(4, 31, 4))
    assert all(step["gradient_norms"]["layers.0.weight"] > 0 for step in run.steps)
    first, *_, last = run.weights
    assert len(run.weights) == 4
    assert all(np.array_equal(last[name], values) for name, values in run.model.state_dict().items())
    assert not np.array_equal(first["layers.0.weight"], last["layers.0.weight"])
    assert trained().steps == trained().weights == []


def test_a_line_says_how_far_training_is(capsys):
    gputrain.train(RECIPE, *spirals(), device="cpu")
    assert capsys.readouterr().out == ""
    gputrain.train(RECIPE, *spirals(), device="cpu", verbose=True)
    out = capsys.readouterr().out
    assert out.endswith("\n") and out.count("\n") == 1
    last = out.rstrip().split("\r")[-1]
    assert re.match(r"step 40( of 40)?, epoch 4: train loss 0\.\d{4}, accuracy .* %; validation loss .*; \d+\.\d s", last), last
    # An error leaves the line whole, too.
    with pytest.raises(ZeroDivisionError):
        gputrain.train(RECIPE, *spirals(), lambda _: 1 / 0, device="cpu", verbose=True)
    assert capsys.readouterr().out.endswith("\n")
    with pytest.raises(FloatingPointError):
        gputrain.train(RECIPE | {"optimizer": {"kind": "sgd", "l2": 1e38}}, *spirals(), device="cpu", verbose=True)
    assert "the loss is not finite" in capsys.readouterr().out
    # A long epoch is told of before its end.
    X = np.zeros((200_000, 64), dtype=np.float32)
    recipe = {"data": {"scale": "none"}, "model": {"input": [64], "layers": "256:relu,2"}, "train": {"epochs": 1, "batch": 32}}
    gputrain.train(recipe, X, X[:, 0].astype(int), device="cpu", verbose=True)
    assert re.search(r"step \d+ of 6250 *\r", capsys.readouterr().out)
