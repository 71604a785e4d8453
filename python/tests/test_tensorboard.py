"""The event files of ``--tensorboard``, read back by TensorBoard's own reader."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gputrain import load

RECIPE = """
name = "told"
[data]
test = 9000
validation = 500
examples = 200
[model]
input = [28, 28, 1]
layers = [{{ conv2d = 4, kernel = 5, activation = "relu" }}, {{ max_pool = 4 }}, {{ dense = 10 }}]
[train]
epochs = {epochs}
batch = 50
log_every = 2
record = ["gradient_norms"]
"""


def gputrain(*arguments):
    subprocess.run([sys.executable, "-m", "gputrain", "--backend", "cpu", "--quiet", *map(str, arguments)], check=True)


def read(folder):
    # 0: all of each kind, not a sample.
    everything = {kind: 0 for kind in ("scalars", "images", "histograms", "compressedHistograms", "tensors")}
    return EventAccumulator(str(folder), size_guidance=everything).Reload()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("tensorboard")
    recipe = place / "told.toml"
    recipe.write_text(RECIPE.format(epochs=2))
    gputrain("train", recipe, "--out", place / "run", "--tensorboard")
    return place / "run"


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_scalars_are_those_of_the_logs(run):
    told = read(run)
    epochs, steps = lines(run / "metrics.jsonl"), lines(run / "steps.jsonl")
    assert [epoch["step"] for epoch in epochs] == [4, 8]
    for tag, key, log in [
        ("loss/train", "train_loss", epochs),
        ("accuracy/validation", "validation_accuracy", epochs),
        ("learning_rate", "learning_rate", epochs),
        ("loss/batch", "loss", steps),
    ]:
        found = told.Scalars(tag)
        assert [event.step for event in found] == [line["step"] for line in log], tag
        np.testing.assert_allclose([event.value for event in found], [line[key] for line in log], rtol=1e-6)
        assert all(event.wall_time > 1.6e9 for event in found)
    norms = [line["gradient_norms"]["layers.0.weight"] for line in steps]
    found = told.Scalars("gradient_norm/layers.0.weight")
    np.testing.assert_allclose([event.value for event in found], norms, rtol=1e-6)
    summary = json.loads((run / "summary.json").read_text())
    final = told.Scalars("final_f1_macro/test")
    assert [event.step for event in final] == [8]
    assert final[0].value == pytest.approx(summary["metrics"]["test"]["f1_macro"], rel=1e-6)


def test_histograms_are_those_of_the_weights(run):
    told, weights = read(run), load(run / "model.safetensors").state_dict()
    for name, values in weights.items():
        found = told.Histograms(f"weights/{name}")
        assert [event.step for event in found] == [0, 4, 8], name
        last = found[-1].histogram_value
        assert last.num == sum(last.bucket) == values.size
        assert last.min == values.min() and last.max == values.max()
        assert last.sum == pytest.approx(values.sum(dtype=np.float64), rel=1e-6, abs=1e-6)
    assert not (run / "weights").exists(), "they are kept in files only where the recipe says so"


def test_pictures_are_drawings_of_the_report(run):
    told = read(run)
    tags = told.Tags()["images"]
    assert {"First layer", "Training examples"} < set(tags) and any("test images" in tag for tag in tags)
    for tag in tags:
        [event] = told.Images(tag)
        picture = Image.open(io.BytesIO(event.encoded_image_string))
        assert picture.format == "PNG" and picture.size == (event.width, event.height) and event.step == 8


def test_a_run_that_goes_on_begins_another_file(tmp_path):
    recipe = tmp_path / "told.toml"
    recipe.write_text(RECIPE.format(epochs=2))
    gputrain("train", recipe, "--out", tmp_path / "run", "--tensorboard")
    gputrain("train", "--resume", tmp_path / "run", "--epochs", 3)
    assert len(list((tmp_path / "run").glob("events.out.tfevents.*"))) == 2
    found = read(tmp_path / "run").Scalars("loss/train")
    assert [event.step for event in found] == [4, 8, 12]


def test_each_run_of_a_sweep_has_its_own(tmp_path):
    recipe = tmp_path / "told.toml"
    recipe.write_text(RECIPE.format(epochs=1) + "[sweep]\noptimizer.learning_rate = [0.1, 0.01]\n")
    gputrain("sweep", recipe, "--out", tmp_path / "sweep", "--tensorboard")
    runs = [file.parent for file in (tmp_path / "sweep").rglob("events.out.tfevents.*")]
    assert len(set(runs)) == 2
    first, second = (read(run).Scalars("loss/train")[-1].value for run in sorted(runs))
    assert first != second
