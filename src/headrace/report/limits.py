"""Limits that were reached: each once, with how much it cost and the setting that helps.

Every adapter reads them from the `Report`; here they are collected from the parts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from ..query.slices import unknown_features

if TYPE_CHECKING:
    from ..observe.schema import Schema
    from .sections import EstimatesReport

LIMITS = (
    "features",
    "categories",
    "classes",
    "mistyped",
    "numbers_in_texts",
    "numbers_as_texts",
    "not_finite",
    "draws_waiting",
    "slices",
    "row_by_row",
    "unserved",
    "classes_apart",
)
"""The closed list of kinds."""

ROW_BY_ROW_N = 10_000
"""Scoring row by row is reported from this many events on; before, it costs little."""

APART_N = 12
"""Labels from which it is reported that no predicted class was answered."""

NAMES_MAX = 5
"""At most this many names are shown, followed by how many more there are."""


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """One reached limit. `n` counts its cost: values, features, classes, draws or events."""

    kind: str
    n: int
    sentence: str


def limits_reached(
    schemas: Sequence[Schema],
    given_up_n: int = 0,
    slices: Iterable[str] = (),
    row_by_row: tuple[str, int] = ("", 0),
    unserved: tuple[int, int] = (0, 0),
) -> tuple[Limit, ...]:
    """Return the limits that were reached.

    - `schemas`: one a shard, with the counts of values that were not used.
    - `given_up_n`: draws that waited for money or room and were given up.
    - `slices`: the predicates of `query.slices`; a feature in them that no event had is reported.
    - `row_by_row`: the name of what can't be scored in batches, and the number of events.
    - `unserved`: latest events without the served model's prediction, which is judged, and all.

    >>> from headrace.observe.schema import Schema
    >>> from headrace.settings import SchemaSettings
    >>> limits_reached([Schema(SchemaSettings())])
    ()
    """
    limits = (
        _check_features(schemas),
        _check_categories(schemas),
        _check_classes(schemas),
        _check_mistyped(schemas),
        _numbers_in_texts(schemas),
        _numbers_as_texts(schemas),
        _not_finite(schemas),
        _draws_waiting(given_up_n),
        _check_slices(schemas, slices),
        _row_by_row(*row_by_row),
        _unserved(*unserved),
    )
    return tuple(limit for limit in limits if limit.n)


def find_classes_apart(estimates: EstimatesReport) -> tuple[Limit, ...]:
    """Return the limit that no class of the served model was ever answered, if that is so.

    >>> from headrace.report.sections import EstimatesReport
    >>> find_classes_apart(EstimatesReport())
    ()
    """
    recall, precision = estimates.quality.recall, estimates.quality.precision
    n = sum(rate.labels_n for rate in recall.values())
    if estimates.judged != "served" or n < APART_N or not recall.keys().isdisjoint(precision):
        return ()
    text = (
        f"{n:,} labels of {join_names(recall)}, where the served model predicted "
        f"{join_names(precision)}: no class is in both, so that nothing counts as right; "
        "input.class_names and answers.class_names give classes other names"
    )
    return (Limit(kind="classes_apart", n=n, sentence=text),)


def _check_features(schemas: Sequence[Schema]) -> Limit:
    n = sum(schema.unused.unknown_n for schema in schemas)
    names = join_names(dict.fromkeys(name for schema in schemas for name in schema.unused.ignored))
    if any(schema.is_declared for schema in schemas):
        text = f"{n:,} values of features that schema.features does not declare ({names})"
        return Limit(kind="features", n=n, sentence=f"{text}: declare them, or leave it empty")
    most = max((schema.features_max for schema in schemas), default=0)
    text = f"{n:,} values of features that found no room ({names}): schema.features_max is {most:,}"
    return Limit(kind="features", n=n, sentence=text)


def _check_categories(schemas: Sequence[Schema]) -> Limit:
    by_name = _add_counts(schema.unused.full for schema in schemas)
    n, most = sum(by_name.values()), max((s.categories_max for s in schemas), default=0)
    text = (
        f"{n:,} values of features with more than {most:,} categories, told apart no more "
        f"({join_names(by_name)}): raise schema.categories_max, or name them in columns.text or "
        "columns.ignored"
    )
    return Limit(kind="categories", n=n, sentence=text)


def _check_classes(schemas: Sequence[Schema]) -> Limit:
    names = dict.fromkeys(name for schema in schemas for name in schema.class_names.ignored)
    most = max((schema.class_names.most for schema in schemas), default=0)
    text = (
        f"{len(names):,} classes that found no room ({join_names(names)}): schema.classes_max is "
        f"{most:,}; or map them by input.class_names"
    )
    return Limit(kind="classes", n=len(names), sentence=text)


def _check_mistyped(schemas: Sequence[Schema]) -> Limit:
    by_name = _add_counts(schema.unused.mistyped for schema in schemas)
    n = sum(schema.unused.mistyped_n for schema in schemas)
    text = (
        f"{n:,} values of another kind than their feature has, taken as missing "
        f"({join_names(by_name)}): name the features in columns.categorical, or what stands for a "
        "missing value in columns.missing"
    )
    return Limit(kind="mistyped", n=n, sentence=text)


def _numbers_in_texts(schemas: Sequence[Schema]) -> Limit:
    by_name = _add_counts(schema.unused.numbers_in_texts for schema in schemas)
    n = sum(by_name.values())
    text = (
        f"{n:,} numbers in features whose first value was a text, taken as categories "
        f"({join_names(by_name)}): name the features in columns.numeric if numbers they are, else "
        "in columns.categorical"
    )
    return Limit(kind="numbers_in_texts", n=n, sentence=text)


def _numbers_as_texts(schemas: Sequence[Schema]) -> Limit:
    names = dict.fromkeys(name for schema in schemas for name in schema.numbers_as_texts())
    text = (
        f"texts that are all numbers, taken as categories ({join_names(names)}): name the "
        "features in columns.numeric if they are quantities, else in columns.categorical"
    )
    return Limit(kind="numbers_as_texts", n=len(names), sentence=text)


def _not_finite(schemas: Sequence[Schema]) -> Limit:
    n = sum(schema.unused.not_finite_n for schema in schemas)
    return Limit(
        kind="not_finite", n=n, sentence=f"{n:,} values that are infinite, taken as missing"
    )


def _draws_waiting(n: int) -> Limit:
    text = (
        f"{n:,} events that were drawn were given up, since too many waited for money or room: "
        "raise query.budget or label.open_max"
    )
    return Limit(kind="draws_waiting", n=n, sentence=text)


def _check_slices(schemas: Sequence[Schema], slices: Iterable[str]) -> Limit:
    known = dict.fromkeys(name for schema in schemas for name in schema.names)
    hints = unknown_features(slices, known) if known else {}
    text = (
        f"{len(hints):,} features of query.slices that no event has had, so that nothing is in "
        f"them: {join_names(f'{name}{hint}' for name, hint in hints.items())}"
    )
    return Limit(kind="slices", n=len(hints), sentence=text)


def _row_by_row(model: str, events_n: int) -> Limit:
    text = (
        f"{events_n:,} events, and {model} is asked about each by itself: it can't be scored in "
        "batches, or has grown too large for that, which takes several times as long; set "
        "model.name to one that can (any preset), unless it is worth that"
    )
    is_told = bool(model) and events_n >= ROW_BY_ROW_N
    return Limit(kind="row_by_row", n=events_n if is_told else 0, sentence=text)


def _unserved(n: int, all_n: int) -> Limit:
    text = (
        f"{n:,} of the latest {all_n:,} events without a prediction of the served model, though "
        "evaluation.judged is 'served': our model's are judged there; see input.predicted and "
        "input.probabilities"
    )
    return Limit(kind="unserved", n=n, sentence=text)


def _add_counts(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total = Counter[str]()
    for part in parts:
        total.update(part)
    return total


def join_names(names: Iterable[str]) -> str:
    """Return the first names in a list, and how many more there are."""
    shown = [name[:60] for name in names]
    more_n = len(shown) - NAMES_MAX
    return ", ".join(shown[:NAMES_MAX]) + (f" and {more_n:,} more" if more_n > 0 else "")
