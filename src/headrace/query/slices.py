"""Slices of the stream: a predicate over features, written in the settings, over many rows at once.

The grammar, in which `and` binds closer than `or`, and `not` closer than both:

    either      = both ("or" both)*
    both        = single ("and" single)*
    single      = "not" single | "(" either ")" | test
    test        = feature comparison value | feature ["not"] "in" "(" value ("," value)* ")"
                | feature "is" ["not"] "missing"
    comparison  = "<" | "<=" | ">" | ">=" | "=" | "==" | "!="
    feature     = a name, its dots included, or any text in backticks
    value       = a number, a text in quotes, or true or false

No test but `is missing` is fulfilled by a value that is missing. Numbers are compared with numbers
and categories with the texts that they are spelled by, as in requests.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import BadSettings
from ..importing import nearest
from ..messages import class_name

Value: TypeAlias = float | str
Bools: TypeAlias = NDArray[np.bool_]

DEPTH_MAX = 50
"""Parentheses and `not` within each other, at most."""


class Features(Protocol):
    """The part of a schema that says what the columns of a row are."""

    names: tuple[str, ...]
    categories: dict[str, list[str]]


class Predicate(Protocol):
    """Which rows belong to a slice."""

    def holds(self, rows: NDArray[np.float64], features: Features) -> Bools:
        """Of rows of shape (n, d), shape (n,)."""

    @property
    def tests(self) -> tuple[Condition, ...]:
        """The tests it is made of."""


@dataclass(frozen=True)
class Condition:
    """One feature against values; `negated` turns it round for values that are there."""

    feature: str
    op: str
    values: tuple[Value, ...] = ()
    negated: bool = False

    @property
    def tests(self) -> tuple[Condition, ...]:
        return (self,)

    def holds(self, rows: NDArray[np.float64], features: Features) -> Bools:
        n = len(rows)
        j = features.names.index(self.feature) if self.feature in features.names else -1
        # A row may be of a time when there were fewer features.
        column = rows[:, j] if 0 <= j < rows.shape[1] else np.full(n, np.nan)
        is_there = ~np.isnan(column)
        if self.op == "missing":
            return is_there if self.negated else ~is_there
        texts = features.categories.get(self.feature)
        if self.op == "in":
            found = np.zeros(n, dtype=np.bool_)
            for value in self.values:
                found |= column == _as_stored(value, texts)
        elif texts is not None:
            # Nothing is above a category.
            found = np.zeros(n, dtype=np.bool_)
        else:
            found = _ORDER[self.op](column, float(self.values[0]))
        return is_there & (~found if self.negated else found)


def _as_stored(value: Value, texts: list[str] | None) -> float:
    """The number that stands in a row for this value; NaN where none does."""
    if texts is None:
        return math.nan if isinstance(value, str) else float(value)
    text = class_name(value)
    return float(texts.index(text)) if text in texts else math.nan


_ORDER = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


@dataclass(frozen=True)
class Not:
    """The rows that are not in another slice."""

    of: Predicate

    @property
    def tests(self) -> tuple[Condition, ...]:
        return self.of.tests

    def holds(self, rows: NDArray[np.float64], features: Features) -> Bools:
        return np.asarray(~self.of.holds(rows, features))


@dataclass(frozen=True)
class Joined:
    """The rows that are in all of these slices, or with `is_any` in one of them at least."""

    of: tuple[Predicate, ...]
    is_any: bool

    @property
    def tests(self) -> tuple[Condition, ...]:
        return tuple(test for one in self.of for test in one.tests)

    def holds(self, rows: NDArray[np.float64], features: Features) -> Bools:
        found = self.of[0].holds(rows, features)
        for one in self.of[1:]:
            other = one.holds(rows, features)
            found = found | other if self.is_any else found & other
        return found


# ----------------------------------------------------------------------------------- reading

_TOKEN = re.compile(
    r"\s*(?:(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?![\w.])"
    r"|(?P<text>'[^']*'|\"[^\"]*\")|`(?P<quoted>[^`]+)`|(?P<name>[^\W\d][\w.\-]*)"
    r"|(?P<sign><=|>=|==|!=|[<>=(),]))"
)

_WORDS = ("and", "or", "not", "in", "is", "missing", "true", "false")


@dataclass(frozen=True)
class _Token:
    kind: str
    said: str

    def __str__(self) -> str:
        return repr(self.said) if self.said else "its end"


@lru_cache(maxsize=256)
def parse_slice(text: str, setting: str = "query.slices") -> Predicate:
    """The predicate that an expression says. Raises `BadSettings` with where it goes wrong.

    >>> parse_slice("amount > 1000 and country in ('CH', 'FR')").tests[1].values
    ('CH', 'FR')
    >>> parse_slice("amount >")
    Traceback (most recent call last):
    headrace.errors.BadSettings: query.slices is 'amount >'; a value is expected and not its end
    """
    reader = _Reader(_tokens_of(text, setting), f"{setting} is {text!r}")
    found = reader.read_either(0)
    if reader.token.kind != "end":
        reader.fail("'and', 'or' or its end")
    return found


def _tokens_of(text: str, setting: str) -> list[_Token]:
    tokens, place = [], 0
    while text[place:].strip():
        found = _TOKEN.match(text, place)
        if found is None:
            rest = text[place:].strip()
            raise BadSettings(f"{setting} is {text!r}; nothing begins with {rest[:20]!r}")
        kind = str(found.lastgroup)
        said = found.group(kind)
        if kind == "name" and said in _WORDS:
            kind = "word"
        tokens.append(_Token("name" if kind == "quoted" else kind, said))
        place = found.end()
    return [*tokens, _Token("end", "")]


class _Reader:
    """Goes through the tokens of one expression, by the grammar of the module."""

    def __init__(self, tokens: list[_Token], said: str) -> None:
        self._tokens = tokens
        self._said = said
        self._i = 0

    @property
    def token(self) -> _Token:
        return self._tokens[self._i]

    def fail(self, wanted: str) -> None:
        raise BadSettings(f"{self._said}; {wanted} is expected and not {self.token}")

    def _takes(self, *said: str) -> str | None:
        """The next word or sign, if it is one of these."""
        token = self.token
        if token.kind not in ("word", "sign") or token.said not in said:
            return None
        self._i += 1
        return token.said

    def read_either(self, depth: int) -> Predicate:
        found = [self._read_both(depth)]
        while self._takes("or"):
            found.append(self._read_both(depth))
        return found[0] if len(found) == 1 else Joined(tuple(found), is_any=True)

    def _read_both(self, depth: int) -> Predicate:
        found = [self._read_single(depth)]
        while self._takes("and"):
            found.append(self._read_single(depth))
        return found[0] if len(found) == 1 else Joined(tuple(found), is_any=False)

    def _read_single(self, depth: int) -> Predicate:
        if depth > DEPTH_MAX:
            raise BadSettings(f"{self._said}; it is nested more than {DEPTH_MAX} deep")
        if self._takes("not"):
            return Not(self._read_single(depth + 1))
        if self._takes("("):
            found = self.read_either(depth + 1)
            self._demand_sign(")")
            return found
        return self._read_test()

    def _demand_sign(self, sign: str) -> None:
        if self._takes(sign) is None:
            self.fail(repr(sign))

    def _read_test(self) -> Condition:
        if self.token.kind != "name":
            self.fail("a feature")
        feature = self.token.said
        self._i += 1
        if self._takes("is"):
            negated = self._takes("not") is not None
            self._demand_sign("missing")
            return Condition(feature, "missing", negated=negated)
        if self._takes("not"):
            self._demand_sign("in")
            return Condition(feature, "in", self._read_values(), negated=True)
        if self._takes("in"):
            return Condition(feature, "in", self._read_values())
        op = self._takes("=", "==", "!=", *_ORDER)
        if op is None:
            self.fail("'<', '<=', '>', '>=', '=', '!=', 'in' or 'is missing'")
        value = self._read_value()
        if op in _ORDER:
            if isinstance(value, str):
                raise BadSettings(f"{self._said}; only numbers come in order, {value!r} is a text")
            return Condition(feature, str(op), (value,))
        return Condition(feature, "in", (value,), negated=op == "!=")

    def _read_values(self) -> tuple[Value, ...]:
        self._demand_sign("(")
        values = [self._read_value()]
        while self._takes(","):
            values.append(self._read_value())
        self._demand_sign(")")
        return tuple(values)

    def _read_value(self) -> Value:
        token = self.token
        if token.kind == "number":
            self._i += 1
            return float(token.said)
        if token.kind == "text":
            self._i += 1
            return token.said[1:-1]
        said = self._takes("true", "false")
        if said is None:
            hint = f" (a text stands in quotes: '{token.said}')" if token.kind == "name" else ""
            raise BadSettings(f"{self._said}; a value is expected and not {token}{hint}")
        return float(said == "true")


# ------------------------------------------------------------------------------------ faults


def faults_of_slices(slices: dict[str, str], declared: dict[str, str]) -> list[str]:
    """Faults of expressions by name; `declared` are the kinds of all features, if all are known."""
    faults = []
    for name, text in slices.items():
        setting = f"query.slices.{name}"
        try:
            tests = parse_slice(text, setting).tests
        except BadSettings as error:
            faults += error.faults
            continue
        for test in tests if declared else ():
            faults += _faults_of(test, f"{setting} is {text!r}", declared)
    return faults


def _faults_of(test: Condition, said: str, declared: dict[str, str]) -> list[str]:
    kind = declared.get(test.feature)
    if kind is None:
        hint = nearest(test.feature, declared)
        return [f"{said}; {test.feature!r} is no feature of schema.features{hint}"]
    if test.op == "missing":
        return []
    if kind == "text":
        return [f"{said}; {test.feature!r} is free text, of which only `is missing` can be asked"]
    if test.op in _ORDER and kind == "categorical":
        return [f"{said}; {test.feature!r} is categorical and has no order"]
    texts = [value for value in test.values if isinstance(value, str)]
    if texts and kind == "numeric":
        return [f"{said}; {test.feature!r} is numeric and {texts[0]!r} is a text"]
    return []


def unknown_features(slices: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Features of these expressions that no event has had, each with the nearest known one's hint.

    >>> unknown_features(["amout > 3"], ["amount", "x"])
    {'amout': '; did you mean amount?'}
    """
    names = list(known)
    asked = (test.feature for text in slices for test in parse_slice(text).tests)
    return {name: nearest(name, names) for name in asked if name not in names}
