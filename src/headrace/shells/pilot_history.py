"""The past that a pilot plays: a table of labelled rows as events, in the order of the table.

Reading files is the adapters'; here it is decided which columns are features, label and time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..adapters.tables import Column, Table
from ..errors import BadInput, BadSettings
from ..messages import EventBatch, Value, class_name
from ..observe.values import Refusal, seconds_of
from ..settings import InputSettings


@dataclass(frozen=True, eq=False)
class History:
    """n past events as columns, with the class of each.

    `numbers` holds an array of shape (n,) for each numeric feature, `texts` a list of n values for
    each other one; `names` is their order. `codes`, shape (n,), index `classes`. `at`, shape (n,),
    is in seconds, or None: then event i happens at second i.
    """

    name: str
    names: tuple[str, ...]
    numbers: dict[str, NDArray[np.generic]]
    texts: dict[str, list[Value]]
    classes: tuple[str, ...]
    codes: NDArray[np.int64]
    at: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.codes)

    def batches(self, size: int) -> Iterator[tuple[EventBatch, list[str]]]:
        """The events in order, `size` at a time, each with its class; ids are row numbers."""
        number_names = tuple(name for name in self.names if name in self.numbers)
        for start in range(0, len(self), size):
            stop = min(len(self), start + size)
            numbers = np.empty((stop - start, len(number_names)))
            for j, name in enumerate(number_names):
                numbers[:, j] = self.numbers[name][start:stop]
            at = np.arange(start, stop, dtype=np.float64)
            batch = EventBatch(
                ids=[str(i) for i in range(start, stop)],
                at=at if self.at is None else self.at[start:stop],
                names=self.names,
                number_names=number_names,
                numbers=numbers,
                texts={name: values[start:stop] for name, values in self.texts.items()},
            )
            yield batch, [self.classes[code] for code in self.codes[start:stop].tolist()]


def history_of(
    table: Table, name: str, label: str | None, at: str | None, fields: InputSettings
) -> tuple[History, list[str]]:
    """The table as a history, and sentences about what was left out of it.

    The label is the named column, else that of [input], else the last one. Columns that [input]
    gives another meaning (id, time, prediction, ...) are no features; where there are columns
    "features.*", only these are. Raises `BadSettings` for a missing column, `BadInput` for a time
    that is none.
    """
    columns = table.columns
    faults = [
        f"there is no column {wanted!r}; known are {', '.join(columns)}"
        for wanted in (label, at)
        if wanted is not None and wanted not in columns
    ]
    if faults or not columns:
        raise BadSettings(faults or f"{name} has no columns")
    label = label or (fields.label if fields.label in columns else next(reversed(columns)))
    features = _features(columns, (label, at), fields)
    if not features:
        raise BadSettings(f"{name} has no column but the label, {label!r}, that can be a feature")
    raw = columns[label]
    is_labelled = np.array(
        [v is not None and v == v for v in (raw if isinstance(raw, list) else raw.tolist())],  # noqa: PLR0124
        dtype=bool,
    )
    kept = np.flatnonzero(is_labelled)
    if not kept.size:
        raise BadInput(f"{name} has no row with a value in its label column, {label!r}")
    classes, codes = _classes(raw, kept)
    used = {label, at, *features, *(f"{fields.features}.{name}" for name in features)}
    unused = [column for column in columns if column not in used]
    notes = [f"The label is {label!r}."]
    if unused:
        notes.append(f"Not used as features: {', '.join(unused)}.")
    if kept.size < table.rows_n:
        notes.append(f"{table.rows_n - kept.size} rows without a label were left out.")
    numbers = {n: v[kept] for n, v in features.items() if not isinstance(v, list)}
    texts = {n: [v[i] for i in kept] for n, v in features.items() if isinstance(v, list)}
    times = None if at is None else _times(columns[at], kept, at)
    history = History(name, tuple(features), numbers, texts, classes, codes, times)
    return history, notes


def _features(
    columns: dict[str, Column], taken: tuple[str | None, ...], fields: InputSettings
) -> dict[str, Column]:
    """Columns that may be known when an event arrives, by the names they get."""
    other = (fields.id, fields.at, fields.key, fields.model_version, fields.predicted, *taken)
    features = {
        column: values
        for column, values in columns.items()
        if column not in other and not column.startswith(f"{fields.probabilities}.")
    }
    prefix = f"{fields.features}."
    if not fields.features or not any(column.startswith(prefix) for column in features):
        return features
    return {
        column.removeprefix(prefix): values
        for column, values in features.items()
        if column.startswith(prefix)
    }


def _classes(raw: Any, kept: NDArray[np.intp]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Classes in order, numbers by their size, and the code of each row kept."""
    values = raw if isinstance(raw, list) else raw.tolist()
    named = [class_name(values[i]) for i in kept]
    try:
        classes = sorted(set(named), key=lambda text: (float(text), text))
    except ValueError:
        classes = sorted(set(named))
    code_of = {text: code for code, text in enumerate(classes)}
    return tuple(classes), np.array([code_of[text] for text in named], np.int64)


def _times(raw: Any, kept: NDArray[np.intp], name: str) -> NDArray[np.float64]:
    values = raw if isinstance(raw, list) else raw.tolist()
    try:
        return np.array([seconds_of(values[i], name) for i in kept], np.float64)
    except Refusal as refusal:
        raise BadInput(f"--at {name}: {refusal.detail}") from refusal
