"""The parts of a river model: its steps, members and parameters, with the path to each."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from river import base, compose


def parts_of(model: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The model and every estimator inside it, each with its path."""
    yield path, model
    if isinstance(model, compose.TransformerUnion) or is_pipeline(model):
        inner = model.transformers if hasattr(model, "transformers") else model.steps
    else:
        inner = {name: getattr(model, name, None) for name in parameters_of(model)}
    for name, value in inner.items():
        below = f"{path}.{name}" if path else str(name)
        if isinstance(value, base.Base):
            yield from parts_of(value, below)
        elif isinstance(value, list | tuple):
            for i, element in enumerate(value):
                if isinstance(element, base.Base):
                    yield from parts_of(element, f"{below}[{i}]")
        elif isinstance(value, dict):
            for key, element in value.items():
                if isinstance(element, base.Base):
                    yield from parts_of(element, f"{below}[{key!r}]")


def name_of(model: Any) -> str:
    """The name of the model's class, or of each step of a pipeline; members are not named.

    >>> from river import naive_bayes, preprocessing
    >>> name_of(preprocessing.StandardScaler() | naive_bayes.GaussianNB())
    'StandardScaler | GaussianNB'
    """
    steps = model.steps.values() if is_pipeline(model) else [model]
    return " | ".join(type(step).__name__ for step in steps)


def is_pipeline(model: Any) -> bool:
    """Whether the model itself is a pipeline."""
    # In river isinstance(pipeline, X) is also true for the last step's X, so the type is checked.
    return issubclass(type(model), compose.Pipeline)


def parameters_of(part: Any) -> list[str]:
    """The names of the constructor's parameters; none for a pipeline."""
    if is_pipeline(part):
        return []
    return list(inspect.signature(type(part).__init__).parameters)[1:]
