"""River classifiers by name, and the check that a classifier is fit for the core.

This is not a model zoo: it has the committee, which is the default, six presets that scale numbers
and encode categories where the learner needs it, and `module:function` for a model of your own.
"""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Mapping
from typing import Any

from river import active, base

from ..chance import Chance
from ..errors import BadSettings
from ..importing import import_function, suggest_nearest
from . import presets
from .committee.committee import Committee
from .estimator import SklearnClassifier, faults_of, is_estimator
from .parts import is_pipeline, parameters_of, parts_of
from .presets import RiverClassifier


def build(
    name_or_path: str, seed: int, classes_n: int, options: Mapping[str, Any] | None = None
) -> RiverClassifier:
    """Build a preset, or call `module:function`, which may be a class.

    Args:
        name_or_path: The name of a preset, or `module:function`.
        seed: The seed of a preset.
        classes_n: The number of classes known so far: with exactly two, `logistic` is river's
            LogisticRegression, else SoftmaxRegression.
        options: The arguments of the function; a preset has none.

    Returns:
        An unlearned classifier.

    Raises:
        BadSettings: There is no such model, it can't be called with the options, or it does not
            pass `check_model`.

    >>> build("logistic", seed=7, classes_n=2)["model"].__class__.__name__
    'LogisticRegression'
    >>> build("forrest", seed=7, classes_n=2)
    Traceback (most recent call last):
    headrace.errors.BadSettings: model.name is 'forrest'; known are committee, logistic, \
naive-bayes, tree, adaptive-tree, forest, knn, or module:function; did you mean forest?
    """
    if ":" in name_or_path:
        model = as_model(_make_own(name_or_path, options or {}))
    elif options:
        raise BadSettings(
            f"model.options are for module:function, and model.name is {name_or_path!r}, which "
            "has none"
        )
    elif name_or_path in PRESETS:
        model = PRESETS[name_or_path](Chance(seed).integer("model"), classes_n)
    else:
        raise BadSettings(
            f"model.name is {name_or_path!r}; known are {', '.join(PRESETS)}, or module:function"
            f"{suggest_nearest(name_or_path, PRESETS)}"
        )
    check_model(model)
    return model


def as_model(model: Any) -> Any:
    """The model; an estimator of scikit-learn is wrapped so that it learns as river's models do.

    >>> from sklearn.linear_model import LogisticRegression
    >>> type(as_model(LogisticRegression())).__name__
    'SklearnClassifier'
    """
    return SklearnClassifier(model) if is_estimator(model) else model


def check_model(model: Any) -> None:
    """Check that a model is a classifier of river which can be reproduced and stored.

    Args:
        model: The model. The engine wraps a classifier of scikit-learn before it checks it.

    Raises:
        BadSettings: The model is a class, no classifier of river, one that decides by itself what
            to ask, a committee that has learned labels, a model with a part without a seed, or one
            that can't be cloned or pickled.

    >>> from river import linear_model
    >>> check_model(linear_model.LinearRegression())
    Traceback (most recent call last):
    headrace.errors.BadSettings: the model is LinearRegression, which is not a river classifier; \
pass one whose last step predicts a class
    """
    if inspect.isclass(model):
        raise BadSettings(
            f"the model is the class {model.__name__}; pass {model.__name__}() instead"
        )
    if not isinstance(model, base.Classifier) or isinstance(model, base.MultiLabelClassifier):
        raise BadSettings(
            f"the model is {type(model).__name__}, which is not a river classifier; "
            "pass one whose last step predicts a class"
        )
    if isinstance(model, Committee) and model.labels_n:
        raise BadSettings(
            f"the committee has learned {model.labels_n} labels already, and the engine numbers "
            "classes otherwise; pass one that has learned none, and feed the labels as answers"
        )
    faults = [fault for path, part in parts_of(model) for fault in _part_faults(path, part)]
    if faults:
        raise BadSettings(faults)
    try:
        pickle.dumps(model)
        model.clone()
    except Exception as error:
        raise BadSettings(
            f"the model cannot be copied and stored ({type(error).__name__}: {error}); "
            "use functions at the top of a module instead of lambdas in its steps"
        ) from error


def _build_committee(seed: int, classes_n: int) -> RiverClassifier:
    return Committee()


PRESETS: dict[str, Callable[[int, int], RiverClassifier]] = {
    "committee": _build_committee,
    "logistic": presets.build_logistic,
    "naive-bayes": presets.build_naive_bayes,
    "tree": presets.build_tree,
    "adaptive-tree": presets.build_adaptive_tree,
    "forest": presets.build_forest,
    "knn": presets.build_knn,
}


# ------------------------------------------------------------------------------ models of yours


def _make_own(path: str, options: Mapping[str, Any]) -> Any:
    function = import_function("model.name", path)
    try:
        return function(**options)
    except Exception as error:
        given = f"with {', '.join(options)}" if options else "without arguments"
        raise BadSettings(
            f"model.name is {path!r}; calling it {given} raised {type(error).__name__}: {error}"
        ) from error


def _part_faults(path: str, part: Any) -> list[str]:
    kind = type(part).__name__
    where = f"{path} ({kind})" if path else kind
    if isinstance(part, SklearnClassifier):
        return faults_of(part)
    if isinstance(part, active.base.ActiveLearningClassifier) and not is_pipeline(part):
        return [f"{where} already decides what to ask; pass the classifier that it wraps"]
    if "seed" in parameters_of(part) and getattr(part, "seed", None) is None:
        return [f"{where} has no seed, so no two runs are alike; write {kind}(..., seed=7)"]
    return []
