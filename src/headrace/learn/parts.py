"""What a river model is made of: its steps, members and parameters, with the path to each."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from river import base, compose


def parts_of(model: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The model and every estimator inside it, with the path on which it is found."""
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
    """What kind of model it is, with its steps; of members nothing.

    >>> from river import naive_bayes, preprocessing
    >>> name_of(preprocessing.StandardScaler() | naive_bayes.GaussianNB())
    'StandardScaler | GaussianNB'
    """
    steps = model.steps.values() if is_pipeline(model) else [model]
    return " | ".join(type(step).__name__ for step in steps)


def is_pipeline(model: Any) -> bool:
    """Whether it is a pipeline itself."""
    # river answers isinstance(pipeline, X) for the last step as well, so the type itself is asked.
    return issubclass(type(model), compose.Pipeline)


def parameters_of(part: Any) -> list[str]:
    """Names of the parameters that it was made with; of a pipeline none."""
    if is_pipeline(part):
        return []
    return list(inspect.signature(type(part).__init__).parameters)[1:]
