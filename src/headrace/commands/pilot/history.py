"""The past that a pilot plays: a table of labelled rows as events, in the order of the table.

The adapters read files; this module decides which columns are features, label and time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...adapters.tables import Raw, Table
from ...adapters.tables.kinds import MISSING, Column, Kinds
from ...adapters.tables.table import feature_columns, times_of, values_of
from ...errors import BadInput, BadSettings
from ...messages import EventBatch, Value, class_name
from ...observe.clock import clock_of, describe_off_clock
from ...observe.declared import Declared, number_with_point
from ...observe.values import Refusal, seconds_of
from ...settings import InputSettings, Settings
from ...settings.fields import zone_of

CLASSES_SHOWN, NAMES_SHOWN = 8, 20

NUMBERS_MIN = 20
"""With more classes than this, numbers with decimals that hardly repeat are no classes."""

TIMES_N = 20
"""Values of a text feature that are checked for being times."""


class ColumnsRead(msgspec.Struct, frozen=True, kw_only=True):
    """How columns were read: `rows` of (role, column names), and sentences in `notes`."""

    rows: list[tuple[str, str]] = []
    notes: list[str] = []


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

    def take_first(self, n: int) -> History:
        """The first n events, or all where there are fewer."""
        return History(
            name=self.name,
            names=self.names,
            numbers={name: values[:n] for name, values in self.numbers.items()},
            texts={name: values[:n] for name, values in self.texts.items()},
            classes=self.classes,
            codes=self.codes[:n],
            at=None if self.at is None else self.at[:n],
        )

    def iterate_batches(self, size: int) -> Iterator[tuple[EventBatch, list[str]]]:
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
    table: Table,
    name: str,
    label: str | None = None,
    at: str | None = None,
    settings: Settings | None = None,
) -> tuple[History, ColumnsRead]:
    """Turn the table into a history called `name`, and report how its columns were read.

    The label is the column `label`, else that of [input], else the last one; `at` is the column of
    the time. Columns that [input] gives another meaning (id, time, prediction, ...) are no
    features; where there are columns "features.*", only these are. A class is the text in the
    table. Raises `BadSettings` for a missing column, or one whose values are no classes; `BadInput`
    for a value that is no time.
    """
    settings = settings or Settings()
    columns = table.columns
    label = _label_of(columns, name, label, at, settings)
    raws = feature_columns(columns, (label, at), settings.input, settings.columns)
    if not raws:
        raise BadSettings(
            f"{name} has no column but the label, {label!r}, that can be a feature; values of a "
            "line are separated by a comma, a semicolon, a tab or |"
        )
    named = _name_classes(columns[label], settings)
    labelled = np.array([i for i, text in enumerate(named) if text is not None], np.intp)
    if not labelled.size:
        raise BadInput(f"{name} has no row with a value in its label column, {label!r}")
    classes, codes = _encode_classes([text for text in named if text is not None], label)
    kinds = Kinds(table, settings.columns)
    read = {feature: kinds.make_column(feature, raw) for feature, raw in raws.items()}
    features = {feature: column for feature, column in read.items() if column is not None}
    numbers = {n: v[labelled] for n, v in features.items() if not isinstance(v, list)}
    texts = {n: [v[i] for i in labelled] for n, v in features.items() if isinstance(v, list)}
    times = None if at is None else _read_times(table, labelled, at, settings.input)
    history = History(name, tuple(features), numbers, texts, classes, codes, times)
    counts = Counter(codes.tolist())
    shown = [f"{text} {counts[code]:,}" for code, text in enumerate(classes)]
    rows = [("label", f"{label!r}: {_list_names(shown, CLASSES_SHOWN)}")]
    rows += [] if at is None else [("time", at)]
    rows += _describe_kinds(features, kinds)
    used = {label, at, *raws, *(f"{settings.input.features}.{feature}" for feature in raws)}
    if unused := [column for column in columns if column not in used]:
        rows.append(("not used", _list_names(unused, NAMES_SHOWN)))
    notes = [
        *table.notes,
        *kinds.describe_doubts(),
        *_notes_of_label(label, classes, counts, settings),
    ]
    fields = settings.input
    if fields.batch != "none" or fields.decoder or fields.join.id:
        notes.append(
            "A pilot takes each row for one event, with its class beside it: input.batch, "
            "input.decoder and input.join are for logs, and not used."
        )
    if labelled.size < table.rows_n:
        notes.append(f"{table.rows_n - labelled.size:,} rows without a label were left out.")
    notes += _notes_of_unnamed_times(texts) if times is None else _notes_of_times(times, settings)
    features_max = settings.schema.features_max
    if len(features) > features_max:
        notes.append(
            f"{len(features) - features_max:,} of {len(features):,} features are not used: "
            f"schema.features_max is {features_max:,}."
        )
    return history, ColumnsRead(rows=rows, notes=notes)


def _label_of(
    columns: dict[str, Raw], name: str, label: str | None, at: str | None, settings: Settings
) -> str:
    """The name of the label's column. Raises `BadSettings`."""
    if not columns:
        raise BadSettings(f"{name} has no columns")
    wanted = label or settings.input.label
    nested = [column for column in columns if column.startswith(f"{wanted}.")]
    if wanted not in columns and nested:
        raise BadSettings(
            f"the label {wanted!r} holds objects or arrays ({_list_names(nested, 3)}): an event "
            "has one class, several labels are not supported; name one of these columns with "
            "--label"
        )
    faults = [
        f"there is no column {one!r}; known are {_list_names(list(columns), NAMES_SHOWN)}"
        for one in (label, at)
        if one is not None and one not in columns
    ]
    if faults:
        raise BadSettings(faults)
    return wanted if wanted in columns else next(reversed(columns))


def _name_classes(raw: Raw, settings: Settings) -> list[str | None]:
    """The class of each row, as text; None where there is none."""
    declared = Declared(settings.columns)
    return [
        None if value is None or value == "" or declared.is_missing(value) else class_name(value)
        for value in values_of(raw)
    ]


def _encode_classes(named: list[str], label: str) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the classes in order, numbers by their size, and the code of each row's class."""
    different = sorted(set(named))
    sizes = [number_with_point(text) for text in different]
    if all(size is not None for size in sizes):
        decimals = [text for text in different if "." in text]
        if decimals and len(different) > max(NUMBERS_MIN, len(named) // 2):
            raise BadSettings(
                f"the label {label!r} holds numbers that hardly repeat, such as {decimals[0]}: an "
                "event has a class, a number can't be predicted; choose another with --label"
            )
        size_of = dict(zip(different, sizes, strict=True))
        different.sort(key=lambda text: (size_of[text] or 0.0, text))
    code_of = {text: code for code, text in enumerate(different)}
    return tuple(different), np.array([code_of[text] for text in named], np.int64)


def _notes_of_unnamed_times(texts: dict[str, list[Value]]) -> list[str]:
    """Note features whose first values are all times: one may be the time of the event."""
    heads = {name: [v for v in values[:TIMES_N] if v is not None] for name, values in texts.items()}
    names = [name for name, head in heads.items() if head and all(map(_is_time, head))]
    if not names:
        return []
    return [
        f"Features that are times: {_list_names(names, NAMES_SHOWN)}. --at {names[0]} takes it as "
        "when the event happened; columns.ignored leaves it out."
    ]


def _is_time(value: Value) -> bool:
    # `seconds_of` takes eight digits for a date; they are more often a code.
    if not isinstance(value, str) or "-" not in value:
        return False
    try:
        seconds_of(value, "", UTC)
    except Refusal:
        return False
    return True


def _notes_of_times(times: NDArray[np.float64], settings: Settings) -> list[str]:
    """Note the times that are far from the clock of a run."""
    clock = clock_of(settings)
    for time in times.tolist():
        clock.add_time(time)
    sentence = describe_off_clock(clock.ahead_n + clock.waiting_n, clock.behind_n)
    return [f"The clock: {sentence}."] if sentence else []


def _notes_of_label(
    label: str, classes: tuple[str, ...], counts: Counter[int], settings: Settings
) -> list[str]:
    return [
        f"{text!r} is taken for a class of {label!r}, in {counts[code]:,} rows; if it stands for "
        "none, name it in columns.missing."
        for code, text in enumerate(classes)
        if text in MISSING and text not in settings.schema.classes
    ]


def _describe_kinds(features: dict[str, Column], kinds: Kinds) -> list[tuple[str, str]]:
    """List the features of each kind; categorical ones with their number of values."""
    names_of: dict[str, list[str]] = {}
    for name, values in features.items():
        kind, text = kinds.kinds[name], name
        if isinstance(values, list) and kind == "categorical":
            n = len(set(values) - {None})
            text = f"{name} ({n:,} value{'s' * (n != 1)})"
        names_of.setdefault(kind, []).append(text)
    return [(kind, _list_names(names, NAMES_SHOWN)) for kind, names in sorted(names_of.items())]


def _list_names(names: list[str], shown_n: int) -> str:
    more = len(names) - shown_n
    return ", ".join(names[:shown_n]) + (f" and {more:,} more" if more > 0 else "")


def _read_times(
    table: Table, kept: NDArray[np.intp], name: str, fields: InputSettings
) -> NDArray[np.float64]:
    values, zone = times_of(table, name, fields), zone_of(fields.zone)
    try:
        times = [seconds_of(values[i], name, zone, fields.at_unit) for i in kept]
        return np.array(times, np.float64)
    except Refusal as refusal:
        raise BadInput(f"--at {name}: {refusal.detail}") from refusal
