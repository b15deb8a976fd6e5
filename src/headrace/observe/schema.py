"""Feature names, kinds and order; classes and categories as small integers; events as rows.

The first value of a feature in the stream decides its kind, unless the settings declare it. No row
is kept here and nothing is scaled: `rows` only puts each number in its place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import BadSettings
from ..messages import EventBatch, Features, class_name
from ..settings import ColumnsSettings, SchemaSettings
from ..state.stored_parts import OfParts, Parts, same_names
from .class_names import ClassNames, UnusedValues
from .values import DIGITS_MAX, is_free_text, is_number

Kind: TypeAlias = Literal["numeric", "categorical", "text"]
Rows: TypeAlias = NDArray[np.float64]

# The text that replaces every category beyond `categories_max`.
OTHER = "(other)"

ERASED = "(erased)"
"""Replaces the text of a forgotten category; its number is not reused."""

# Texts that mean "missing", in small letters: they decide no kind, and are missing as numbers.
MISSING_WORDS = frozenset(("", "-", "?", "n/a", "na", "nan", "nil", "none", "null", "<na>", "#n/a"))

NUMBERS_MIN = 10
"""If a feature has this many different texts, all of them numbers, they are likely quantities."""

_NUMBERS = frozenset((float, int, bool))


def says_missing(text: str) -> bool:
    """Whether a text stands for a missing value, where a number could be.

    >>> says_missing("N/A"), says_missing("NaN "), says_missing("12")
    (True, True, False)
    """
    return len(text) < 8 and text.strip().lower() in MISSING_WORDS


def number_of(value: float) -> float:
    """Return a number or a boolean as a float; an integer too large for one as an infinity."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def kind_of(value: object) -> Kind | None:
    """Return the kind of feature that a value suggests; None if it is missing or of no use.

    >>> kind_of(True), kind_of("a"), kind_of(None), kind_of(float("inf")), kind_of([])
    ('numeric', 'categorical', None, None, None)
    >>> kind_of("N/A"), kind_of("my order came late and one cup was broken")
    (None, 'text')
    """
    if isinstance(value, str):
        if says_missing(value):
            return None
        return "text" if is_free_text(value) else "categorical"
    if isinstance(value, float | int) and math.isfinite(number_of(value)):
        return "numeric"
    return None


# The fields of a schema's state that belong to its parts.
_PARTS: Parts = {
    "unused": (UnusedValues, same_names(*vars(UnusedValues()))),
    "class_names": (
        ClassNames,
        {
            "classes": "names",
            "classes_max": "most",
            "classes_ignored": "ignored",
            "_classes": "codes",
        },
    ),
}


class Schema(OfParts):
    """The features and classes of one stream, in order of first sight.

    Features are registered by their first value that is not missing, row by row, and within a row
    by name: any split of the same events, and any order of the fields in a record, gives the same
    schema. A number in a categorical feature is the category with that spelling (`1234.0` is
    "1234"). A free text is not stored: in a row it is 1.0. A text that means "missing" decides no
    kind, and is missing in a numeric feature. Beyond `features_max`, or when the settings declare
    the features, no others are registered.

    A value is missing when it is absent, None or NaN (how a batch spells missing); it is made
    missing when it is infinite or not of its feature's kind. `unused` counts values that are not
    used as they came, `appeared_n` features whose first value came after the first event.

    Raises `BadSettings` when more features or classes are declared than are allowed.

    >>> from headrace.messages import Event
    >>> from headrace.observe.decode import batch_of
    >>> schema = Schema(SchemaSettings())
    >>> schema.rows(batch_of([Event(id="1", at=0.0, features={"x": 2, "colour": "red"})]))
    array([[0., 2.]])
    >>> schema.names, schema.kinds
    (('colour', 'x'), ('categorical', 'numeric'))
    >>> schema.features(np.array([0.0, 2.0]))
    {'colour': 'red', 'x': 2.0}
    """

    PARTS: ClassVar[Parts] = _PARTS

    def __init__(self, settings: SchemaSettings, columns: ColumnsSettings | None = None) -> None:
        faults = [
            f"schema.{what} declares {len(declared)}; must be at most schema.{what}_max, "
            f"which is {most}"
            for what, declared, most in (
                ("features", settings.features, settings.features_max),
                ("classes", settings.classes, settings.classes_max),
            )
            if len(declared) > most
        ]
        if faults:
            raise BadSettings(faults)
        self.features_max = settings.features_max
        self.categories_max = settings.categories_max
        self.is_declared = bool(settings.features)
        self.names: tuple[str, ...] = ()
        self.kinds: tuple[Kind, ...] = ()
        # The texts of each categorical feature; the index is the code.
        self.categories: dict[str, list[str]] = {}
        self.class_names = ClassNames(settings.classes, settings.classes_max)
        self.seen_n: NDArray[np.int64] = np.zeros(0, np.int64)
        self.events_n = self.appeared_n = 0
        self.unused = UnusedValues()
        declared = columns or ColumnsSettings()
        self._declared: dict[str, Kind] = dict.fromkeys(declared.numeric, "numeric")
        self._declared.update(dict.fromkeys(declared.categorical, "categorical"))
        self._declared.update(dict.fromkeys(declared.text, "text"))
        self._texts: dict[str, None] = {}
        self._columns: dict[str, int] = {}
        self._codes: dict[str, dict[str, int]] = {}
        self._add_features(list(settings.features.items()))

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before version 2 excess categories and classes without room were not counted."""
        return fields | {"full": dict.fromkeys(fields["full"], 0), "classes_ignored": {}}

    @property
    def classes(self) -> list[str]:
        """The names of the classes; the index of a name is the number of its class."""
        return self.class_names.names

    @property
    def width(self) -> int:
        """The number of known features: the least number of columns of the next rows."""
        return len(self.names)

    def rows(self, batch: EventBatch) -> Rows:
        """Return the events as numbers, shape (n, `width`), C-contiguous; missing is NaN.

        New features and categories are registered. A categorical feature has its category's code, a
        boolean is 1.0 or 0.0. Don't write to the rows: they may be the batch's own matrix.
        """
        if batch.number_names == self.names and not batch.texts and set(self.kinds) <= {"numeric"}:
            rows = self._drop_infinite(batch.numbers)
        else:
            begun = self._register_features(batch)
            rows = self._gather_columns(batch, begun)
        present = np.isfinite(rows)
        is_complete = np.logical_and.reduce(present, axis=None)
        self.seen_n += len(batch) if is_complete else np.count_nonzero(present, axis=0)
        self.events_n += len(batch)
        return rows

    def knows(self, names: Sequence[str]) -> bool:
        """Whether all of these are features of the schema."""
        return names == self.names or all(name in self._columns for name in names)

    def next_news(self, batch: EventBatch, start: int) -> int:
        """Return the first event after `start` with a feature's first value; n if there is none.

        Features of event `start` itself don't count: they are known before the event after it.
        """
        firsts = self._find_firsts(batch, start)
        return min((i for i, _, _ in firsts if i > start), default=len(batch))

    def row(self, features: Features, *, is_read_only: bool = False) -> NDArray[np.float64]:
        """Return one event's features as numbers, shape (`width`,): the inverse of `features`.

        Unknown features and categories are registered; nothing is counted. With `is_read_only` they
        are missing instead, and the schema does not change.
        """
        columns, codes = self._columns, self._codes
        if not (codes or self._texts) and features.keys() == columns.keys():
            plain = [features[name] for name in self.names]
            # If the sum is finite, each number is.
            if {*map(type, plain)} == {float} and math.isfinite(sum(plain)):  # type: ignore[arg-type]
                return np.array(plain)
        new = [] if self.is_declared or is_read_only else sorted(features.keys() - columns.keys())
        registered = [(name, kind) for name in new if (kind := kind_of(features[name])) is not None]
        if registered:
            self._add_features(registered[: self.features_max - self.width])
        row = [math.nan] * self.width
        for name, value in features.items():
            j = columns.get(name)
            if j is None or value is None or value != value:  # noqa: PLR0124 - NaN is missing
                continue
            if name in codes:
                text = value if isinstance(value, str) else class_name(number_of(value))
                if is_read_only and text not in codes[name]:
                    # Once there are categories beyond the limit, they share the last code.
                    is_shared = len(self.categories[name]) > self.categories_max
                    row[j] = self.categories_max if is_shared else math.nan
                else:
                    row[j] = self._code_category(name, codes[name], text)
            elif name in self._texts:
                row[j] = 1.0 if value != "" else math.nan
            elif not isinstance(value, str):
                number = number_of(value)
                row[j] = number if math.isfinite(number) else math.nan
        return np.array(row)

    def features(self, row: NDArray[np.float64], original: Features | None = None) -> Features:
        """Return one row as a dict for river: missing values left out, categories as texts.

        A row from when the schema was narrower is fine. With `original`, the event's features as
        they came, values are taken from it, including free texts and categories beyond the limit;
        without it free texts are left out.
        """
        plain, is_numeric = row.tolist(), not (self._texts or self.categories)
        # The usual case: only numbers, all there, in this order. A sum with a NaN is NaN.
        if (
            is_numeric
            and original is not None
            and (*original,) == self.names
            and math.isfinite(sum(plain))
            and len(plain) == len(original)
            and _NUMBERS.issuperset(map(type, original.values()))
        ):
            return dict(original)
        values = zip(self.names, plain, strict=False)
        # NaN is the only number that differs from itself; this is the fastest check.
        features: Features = {name: x for name, x in values if x == x}  # noqa: PLR0124
        for name, texts in self.categories.items():
            if name in features:
                features[name] = texts[int(features[name])]  # type: ignore[arg-type]
        if original is None:
            for name in self._texts:
                features.pop(name, None)
            return features
        if is_numeric and _NUMBERS.issuperset(map(type, map(original.get, features))):
            return {name: original[name] for name in features}
        for name in features:
            value = original.get(name)
            is_text = isinstance(value, str)
            if name in self._texts:
                features[name] = value if is_text else class_name(value)
            elif value is not None and is_text == (name in self.categories):
                features[name] = value
        return features

    def find_vanished(self, window_rows: Rows) -> tuple[str, ...]:
        """Return features that had values once but none in these rows, shape (m, w), w <= `width`.

        Columns that the rows lack count as missing. Without rows no feature has vanished.
        """
        if len(window_rows) == 0:
            return ()
        has_values = np.zeros(self.width, bool)
        has_values[: window_rows.shape[1]] = (~np.isnan(window_rows)).any(axis=0)
        gone = np.flatnonzero((self.seen_n > 0) & ~has_values)
        return tuple(self.names[j] for j in gone)

    def numbers_as_texts(self) -> tuple[str, ...]:
        """Return undeclared categorical features whose categories are all numbers.

        Only features with at least `NUMBERS_MIN` categories count.
        """
        if self.is_declared:
            return ()
        return tuple(
            name
            for name, texts in self.categories.items()
            if name not in self._declared and _are_numbers(texts)
        )

    def class_code(self, label: str) -> int | None:
        """Return the number of a class, adding a new one; None when there is no room for it."""
        return self.class_names.add(label)

    def code_of(self, label: str) -> int | None:
        """Return the number of a class; None when it is not known."""
        return self.class_names.codes.get(label)

    def forget_categories(self, rows: Sequence[NDArray[np.float64]]) -> int:
        """Forget categories that are in none of these rows, (d,) each; return how many they were.

        All objects that hold numbers of categories have to read the schema anew.
        """
        gone_n = 0
        for name, codes in self._codes.items():
            j, texts = self._columns[name], self.categories[name]
            shown = {float(row[j]) for row in rows if j < len(row)}
            kept = {int(code) for code in shown if not math.isnan(code)}
            for text, code in [*codes.items()]:
                if code not in kept:
                    del codes[text]
                    texts[code] = ERASED
                    gone_n += 1
        return gone_n

    # ------------------------------------------------------------------------------- features

    def _register_features(self, batch: EventBatch) -> dict[str, int]:
        """Add the features with their first value in this batch; return its event, by feature."""
        firsts = sorted(self._find_firsts(batch))[: self.features_max - self.width]
        self.appeared_n += sum(self.events_n + i > 0 for i, _, _ in firsts)
        self._add_features([(name, kind) for _, name, kind in firsts])
        return {name: i for i, name, _ in firsts}

    def _find_firsts(self, batch: EventBatch, start: int = 0) -> list[tuple[int, str, Kind]]:
        """Return the first value, from event `start` on, of each feature that may be added.

        They are as (event, name, kind).
        """
        if self.is_declared or self.width >= self.features_max:
            return []
        unknown = [name for name in batch.names if name not in self._columns]
        if not unknown:
            return []
        column_of = {name: k for k, name in enumerate(batch.number_names)}
        firsts: list[tuple[int, str, Kind]] = []
        for name in unknown:
            if name in batch.texts:
                kinds = enumerate(map(kind_of, batch.texts[name][start:]), start)
                firsts += [(i, name, kind) for i, kind in kinds if kind is not None][:1]
            else:
                present = np.flatnonzero(np.isfinite(batch.numbers[start:, column_of[name]]))
                firsts += [(start + i, name, "numeric") for i in present[:1].tolist()]
        return firsts

    def _add_features(self, features: list[tuple[str, Kind]]) -> None:
        features = [(name, self._declared.get(name, kind)) for name, kind in features]
        for j, (name, kind) in enumerate(features, start=self.width):
            if kind == "text":
                self._texts[name] = None
            self._columns[name] = j
            if kind == "categorical":
                self.categories[name] = []
                self._codes[name] = {}
        self.names += tuple(name for name, _ in features)
        self.kinds += tuple(kind for _, kind in features)
        self.seen_n = np.concatenate([self.seen_n, np.zeros(len(features), np.int64)])

    # ------------------------------------------------------------------------------- columns

    def _drop_infinite(self, numbers: Rows) -> Rows:
        """Return the numbers with every infinity replaced by NaN and counted."""
        infinite = np.isinf(numbers)
        if np.logical_or.reduce(infinite, axis=None):
            self.unused.not_finite_n += int(np.count_nonzero(infinite))
            numbers = np.where(infinite, np.nan, numbers)
        return np.ascontiguousarray(numbers, dtype=np.float64)

    def _gather_columns(self, batch: EventBatch, begun: Mapping[str, int]) -> Rows:
        """Return rows with every column of the batch in its place; `begun` as for one column."""
        numbers = self._drop_infinite(batch.numbers)
        rows = np.full((len(batch), self.width), np.nan)
        sources, targets = [], []
        for k, name in enumerate(batch.number_names):
            j = self._columns.get(name)
            if j is not None and name not in self._codes and name not in self._texts:
                sources.append(k)
                targets.append(j)
                continue
            if j is None:
                self.unused.count_ignored(name, int(np.count_nonzero(np.isfinite(numbers[:, k]))))
            else:
                rows[:, j] = self._read_column(name, numbers[:, k].tolist())
        rows[:, targets] = numbers if len(sources) == numbers.shape[1] else numbers[:, sources]
        for name, values in batch.texts.items():
            column = self._read_column(name, values, begun.get(name, 0))
            if name in self._columns:
                rows[:, self._columns[name]] = column
        return rows

    def _read_column(
        self, name: str, values: list[float | int | bool | str | None], begun: int = 0
    ) -> list[float]:
        """Return raw values as numbers: a category's code, 1 for a free text, or the number.

        `begun` is the event with the feature's first value; texts before it mean "missing".
        """
        column = [math.nan] * len(values)
        is_known, codes = name in self._columns, self._codes.get(name)
        is_text, unused = name in self._texts, self.unused
        for i, value in enumerate(values):
            if isinstance(value, float | int):
                number = number_of(value)
                if not math.isfinite(number):
                    unused.not_finite_n += math.isinf(number)
                elif not is_known:
                    unused.count_ignored(name)
                elif codes is not None:
                    unused.count_number_in_text(name)
                    column[i] = self._code_category(
                        name, codes, class_name(number), is_counted=True
                    )
                else:
                    column[i] = 1.0 if is_text else number
            elif not isinstance(value, str):
                unused.mistyped_n += value is not None
            elif i < begun:
                continue
            elif codes is not None:
                column[i] = self._code_category(name, codes, value, is_counted=True)
            elif is_text:
                column[i] = 1.0 if value else math.nan
            elif not says_missing(value):
                (unused.count_mistyped if is_known else unused.count_ignored)(name)
        return column

    def _code_category(
        self, name: str, codes: dict[str, int], text: str, *, is_counted: bool = False
    ) -> int:
        """Return the code of a category, adding a new one; those beyond the limit share one."""
        code = codes.get(text)
        if code is not None:
            return code
        texts = self.categories[name]
        if len(texts) < self.categories_max:
            code = codes[text] = len(texts)
            texts.append(text)
            return code
        if len(texts) == self.categories_max:
            texts.append(OTHER)
        if is_counted:
            self.unused.count_shared(name)
        return self.categories_max


def _are_numbers(categories: Sequence[str]) -> bool:
    """Whether these look like a quantity: enough numbers, none with too many digits for a float."""
    texts = [text.strip() for text in categories if text not in (OTHER, ERASED)]
    return len(texts) >= NUMBERS_MIN and all(
        is_number(text) and not (text.isdigit() and len(text) > DIGITS_MAX) for text in texts
    )
