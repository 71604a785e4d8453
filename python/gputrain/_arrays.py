"""Arrays as the native part takes them."""

import numpy as np

from . import _native


def examples(X, y, loss, known, names=("X", "y")):
    """Examples as ``features`` and ``targets`` give them, the columns in the order of the names that a model knows."""
    X, y = features(in_order(X, known), names[0]), targets(y, loss, names[1])
    if len(X) != len(y):
        raise ValueError(f"{names[0]} has the shape {X.shape} and {names[1]} holds {len(y)}; give a target for each example")
    return X, y


def features(values, name="X"):
    """Examples one after the other: bytes as they are, all else in single precision. Copies only where it must."""
    array = np.asarray(values)
    if array.dtype != np.uint8:
        if array.dtype.kind not in "buif":
            raise ValueError(f"{name} holds {array.dtype}, not numbers; encode it first, such as with scikit-learn's OneHotEncoder")
        array = array.astype(np.float32, copy=False)
    if array.ndim < 2:
        raise ValueError(f"{name} has the shape {array.shape}; it is (N, features), or of pictures (N, height, width[, channels])")
    return np.ascontiguousarray(array)


def are_no_pixels(values):
    """Whether they are rows of numbers that can be no pixels."""
    array = features(values)
    return array.ndim == 2 and array.dtype != np.uint8 and _native.are_no_pixels(array)


def names(values):
    """The names of a DataFrame's columns; none where they are not all text."""
    columns = getattr(values, "columns", ())
    return [str(name) for name in columns] if all(isinstance(name, str) for name in columns) else []


def in_order(values, known):
    """A DataFrame's columns in the order of the names that a model knows; other values as they are."""
    found = names(values)
    if not found or not known or found == known:
        return values
    missing = [name for name in known if name not in found]
    if missing:
        raise ValueError(f"X has no column {missing[0]!r}; the model takes {', '.join(map(repr, known))}")
    return values[known]


def targets(values, loss, name="y"):
    """Classes from 0 on where the loss counts classes, else (N, outputs) in single precision."""
    array = np.asarray(values)
    if loss == "softmax_cross_entropy":
        if array.ndim != 1 or array.dtype.kind not in "bui":
            raise ValueError(
                f"{name} is a {array.dtype} array of the shape {array.shape}; {loss} takes N whole numbers, the classes counted "
                "from 0: np.unique(y, return_inverse=True)[1] makes them of anything"
            )
        if array.size and not 0 <= int(array.min()) <= int(array.max()) < 2**31:
            raise ValueError(f"{name} holds {array.min()} to {array.max()}; classes are counted from 0")
        return np.ascontiguousarray(array, dtype=np.uint32)
    if array.dtype.kind not in "buif":
        raise ValueError(f"{name} holds {array.dtype}, not numbers")
    if array.ndim not in (1, 2):
        raise ValueError(f"{name} has the shape {array.shape}; it is (N,) or (N, outputs)")
    return np.ascontiguousarray(array.reshape(len(array), -1), dtype=np.float32)


def weights(values, X):
    """A weight of each example, 0 or more."""
    array = np.asarray(values)
    if X is None:
        raise ValueError("sample_weight weighs examples in memory: give X and y, or name data.sample_weights in the recipe")
    if array.dtype.kind not in "buif" or array.shape != (len(X),):
        raise ValueError(f"sample_weight is a {array.dtype} array of the shape {array.shape}; it is a number for each of {len(X)} examples")
    array = np.ascontiguousarray(array, dtype=np.float32)
    if not (np.isfinite(array).all() and (array >= 0).all() and array.any()):
        raise ValueError("sample_weight holds numbers that are not finite, or below 0, or nothing but 0")
    return array
