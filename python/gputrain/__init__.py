"""Trains neural networks on any GPU.

``train`` takes the recipes of the program ``gputrain``, as a dict or a file, and arrays in place of files; ``recipe`` gives a bundled
one as a dict; ``load`` opens what it or the program saved. ``MLPClassifier``, ``MLPRegressor`` and ``ConvClassifier`` follow
scikit-learn's rules, and ``SearchCV`` and ``RandomSearchCV`` search their parameters with all candidates side by side. ``verify``
proves every kernel on a device.
"""

from ._training import Model, Run, load, recipe, train, verify

__all__ = [
    "ConvClassifier", "MLPClassifier", "MLPRegressor", "Model", "RandomSearchCV", "Run", "SearchCV", "load", "recipe", "train",
    "verify",
]

_LATE = {
    "ConvClassifier": "_estimators",
    "MLPClassifier": "_estimators",
    "MLPRegressor": "_estimators",
    "RandomSearchCV": "_search",
    "SearchCV": "_search",
}


def __getattr__(name):
    # scikit-learn takes a second to import, which the program and `train` do without.
    if name in _LATE:
        from importlib import import_module

        return getattr(import_module(f".{_LATE[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
