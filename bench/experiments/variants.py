"""What is changed, one thing at a time, to see what a part of the default is worth."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from headrace.learn.committee.committee import Committee
from headrace.learn.committee.discriminant import Discriminant
from headrace.learn.committee.gaussian_process import GaussianProcess
from headrace.learn.committee.stacker import Stacker
from headrace.learn.presets import build_adaptive_tree, build_logistic, build_naive_bayes
from headrace.settings import Settings, parse


@dataclass(frozen=True)
class Variant:
    """`about` is what the page says; `settings` differ from the default.

    `constants` are numbers of modules, "module:NAME", for what no setting switches off.
    """

    about: str
    settings: dict[str, Any] = field(default_factory=dict)
    constants: Mapping[str, float] = field(default_factory=dict)


def _modelled(about: str, function: str) -> Variant:
    return Variant(about, {"model": {"name": f"{__name__}:{function}"}})


def without_process() -> Committee:
    """No Gaussian process."""
    return Committee([Discriminant(), *_river_members()])


def without_discriminant() -> Committee:
    """No discriminant."""
    return Committee([GaussianProcess(), *_river_members()])


def without_regression() -> Committee:
    """No softmax regression."""
    return Committee([GaussianProcess(), Discriminant(), build_naive_bayes(0, 0)])


def without_bayes() -> Committee:
    """No naive Bayes."""
    return Committee([GaussianProcess(), Discriminant(), build_logistic(0, 0)])


def without_river() -> Committee:
    """The two members that are solved anew, alone."""
    return Committee([GaussianProcess(), Discriminant()])


def with_tree() -> Committee:
    """An adaptive tree more."""
    return Committee(
        [GaussianProcess(), Discriminant(), *_river_members(), build_adaptive_tree(1, 0)]
    )


def without_stacker() -> Committee:
    """All members weigh the same."""
    return Committee(pools=False)


def without_trusts() -> Committee:
    """No member is trusted more than another before labels judge them."""
    committee = Committee()
    committee.stacker = Stacker([1.0] * len(committee.member_names()))
    return committee


def without_tuning() -> Committee:
    """The process keeps the settings it starts with."""
    return Committee(tunes=False)


def without_time() -> Committee:
    """Evidence does not age in the process."""
    return Committee([GaussianProcess(has_time=False), Discriminant(), *_river_members()])


def without_relevance() -> Committee:
    """One length for all features."""
    return Committee([GaussianProcess(has_relevance=False), Discriminant(), *_river_members()])


def half_memory() -> Committee:
    """Half of the evidence."""
    return Committee(memory_n=150)


def _river_members() -> list[Any]:
    return [build_logistic(0, 0), build_naive_bayes(0, 0)]


VARIANTS: dict[str, Variant] = {
    "no process": _modelled("no Gaussian process", "without_process"),
    "no discriminant": _modelled("no discriminant", "without_discriminant"),
    "no regression": _modelled("no softmax regression", "without_regression"),
    "no bayes": _modelled("no naive Bayes", "without_bayes"),
    "no river": _modelled("no river member at all", "without_river"),
    "tree": _modelled("an adaptive tree as one more member", "with_tree"),
    "no stacker": _modelled("members weigh the same", "without_stacker"),
    "no trusts": _modelled("members are trusted alike before labels judge them", "without_trusts"),
    "no tuning": _modelled("the process keeps its first settings", "without_tuning"),
    "no time": _modelled("evidence does not age in the process", "without_time"),
    "no relevance": _modelled("one relevance for all features", "without_relevance"),
    "half memory": _modelled("150 labels remembered instead of 300", "half_memory"),
    "rounds": Variant(
        "rounds of ten events instead of asking on arrival", {"query": {"rounds": {"every_n": 10}}}
    ),
    "no drift": Variant("no round on drift", {"query": {"rounds": {"drift_n": 0}}}),
}
"""By name, as rows know them."""

LATE_VARIANTS: dict[str, Variant] = {
    "no leaning": Variant(
        "the draw does not lean to random while labels are late",
        constants={
            "headrace.query.online:LATE_LABELS_SHARE": 1e12,
            "headrace.query.online:LATE_LABELS_SHARPNESS": 1e12,
        },
    )
}
"""Those that are run with late labels."""


def variant_of(name: str) -> Variant:
    """The variant; "" is the default itself."""
    return {**VARIANTS, **LATE_VARIANTS}[name] if name else Variant("the default")


def settings_of_variant(name: str) -> Settings:
    """The default settings with the changes of the variant."""
    return parse(variant_of(name).settings)


@contextmanager
def changed(name: str) -> Iterator[None]:
    """The constants of the variant, for as long as it runs."""
    before: list[tuple[Any, str, float]] = []
    for path, value in variant_of(name).constants.items():
        module_name, _, constant = path.partition(":")
        module = importlib.import_module(module_name)
        before.append((module, constant, getattr(module, constant)))
        setattr(module, constant, value)
    try:
        yield
    finally:
        for module, constant, value in before:
            setattr(module, constant, value)
