import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ._native import Moment, Watch

class Model:
    def outputs(self, X: npt.ArrayLike, device: str = "auto") -> npt.NDArray[np.float32]: ...
    def predict(self, X: npt.ArrayLike, device: str = "auto") -> npt.NDArray[Any]: ...
    def predict_proba(self, X: npt.ArrayLike, device: str = "auto") -> npt.NDArray[np.float32]: ...
    def state_dict(self) -> dict[str, npt.NDArray[np.float32]]: ...
    def save(self, path: str | os.PathLike[str]) -> None: ...
    def export(self, path: str | os.PathLike[str]) -> None: ...
    def summary(self) -> str: ...
    @property
    def recipe(self) -> dict[str, Any]: ...
    @property
    def loss(self) -> str: ...
    @property
    def class_names(self) -> list[str]: ...
    @property
    def feature_names(self) -> list[str]: ...
    @property
    def parameter_hash(self) -> str: ...

class Run:
    model: Model
    history: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    summary: dict[str, Any]
    weights: list[dict[str, npt.NDArray[np.float32]]]
    notes: list[str]
    def _repr_html_(self) -> str: ...

def train(
    recipe: dict[str, Any] | str | os.PathLike[str],
    X: npt.ArrayLike | None = None,
    y: npt.ArrayLike | None = None,
    on_epoch: Callable[[dict[str, Any]], object] | None = None,
    *,
    sample_weight: npt.ArrayLike | None = None,
    X_test: npt.ArrayLike | None = None,
    y_test: npt.ArrayLike | None = None,
    start: Model | None = None,
    device: str = "auto",
    data: str | os.PathLike[str] | None = None,
    verbose: bool = False,
) -> Run: ...
def train_folds(
    texts: Sequence[str],
    Xs: Sequence[npt.ArrayLike],
    ys: Sequence[npt.ArrayLike],
    watch: Watch | None = None,
    weights: Sequence[npt.NDArray[np.float32]] = (),
    X_test: npt.ArrayLike | None = None,
    y_test: npt.ArrayLike | None = None,
    start: Sequence[Model] | None = None,
    device: str = "auto",
    origin: str = "recipe",
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[str] = (),
    moment: Moment | None = None,
    keeps_moment: bool = False,
    data: str | os.PathLike[str] | None = None,
) -> list[Run]: ...
def recipe(name: str | os.PathLike[str]) -> dict[str, Any]: ...
def load(path: str | os.PathLike[str]) -> Model: ...
def verify(device: str = "auto", kernels: Sequence[str] = ()) -> dict[str, Any]: ...
