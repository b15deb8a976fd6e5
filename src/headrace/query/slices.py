"""Slices of the stream: predicates over features, written in the settings.

The grammar, in which `and` binds closer than `or`, and `not` closer than both:

    either      = both ("or" both)*
    both        = single ("and" single)*
    single      = "not" single | "(" either ")" | test
    test        = feature comparison value | feature ["not"] "in" "(" value ("," value)* ")"
                | feature "is" ["not"] "missing"
    comparison  = "<" | "<=" | ">" | ">=" | "=" | "==" | "!="
    feature     = a name, its dots included, or any text in backticks
    value       = a number, a text in quotes, or true or false

Only the test `is missing` holds for a missing value. Numbers are compared with numbers, and
categories with texts, spelled as in requests.
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
from ..importing import suggest_nearest
from ..messages import class_name

Value: TypeAlias = float | str
Bools: TypeAlias = NDArray[np.bool_]

DEPTH_MAX = 50
"""The deepest nesting of parentheses and `not`."""


class Features(Protocol):
    """The part of a schema that describes the columns of a row."""

    names: tuple[str, ...]
    categories: dict[str, list[str]]


class Predicate(Protocol):
    """A predicate that decides which rows belong to a slice."""

    def holds(self, rows: NDArray[np.float64], features: Features) -> Bools:
        """Return whether the predicate holds for each of the rows, shape (n, d); shape (n,)."""

    @property
    def tests(self) -> tuple[Condition, ...]:
        """The tests that the predicate consists of."""


@dataclass(frozen=True)
class Condition:
    """A test of one feature against values; `negated` reverses it for values that are present."""

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
        # Rows from before the feature was first seen lack its column.
        column = rows[:, j] if 0 <= j < rows.shape[1] else np.full(n, np.nan)
        is_present = ~np.isnan(column)
        if self.op == "missing":
            return is_present if self.negated else ~is_present
        texts = features.categories.get(self.feature)
        if self.op == "in":
            fulfils = np.zeros(n, dtype=np.bool_)
            for value in self.values:
                fulfils |= column == _as_stored(value, texts)
        elif texts is not None:
            # Categories have no order.
            fulfils = np.zeros(n, dtype=np.bool_)
        else:
            fulfils = _ORDER[self.op](column, float(self.values[0]))
        return is_present & (~fulfils if self.negated else fulfils)


def _as_stored(value: Value, texts: list[str] | None) -> float:
    """Return the number by which a row stores this value; NaN where there is none."""
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
    """The rows that are in all of these slices, or with `is_any` in at least one of them."""

    of: tuple[Predicate, ...]
    is_any: bool

    @property
    def tests(self) -> tuple[Condition, ...]:
        return tuple(test for one in self.of for test in one.tests)

    def holds(self, rows: NDArray[np.float64], features: Features) -> Bools:
        belongs = self.of[0].holds(rows, features)
        for predicate in self.of[1:]:
            other = predicate.holds(rows, features)
            belongs = belongs | other if self.is_any else belongs & other
        return belongs


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
    """Parse an expression into a predicate. Raises `BadSettings` that says where it is wrong.

    >>> parse_slice("amount > 1000 and country in ('CH', 'FR')").tests[1].values
    ('CH', 'FR')
    >>> parse_slice("amount >")
    Traceback (most recent call last):
    headrace.errors.BadSettings: query.slices is 'amount >'; a value is expected and not its end
    """
    reader = _SliceParser(_tokens_of(text, setting), f"{setting} is {text!r}")
    predicate = reader.read_either(0)
    if reader.token.kind != "end":
        reader.raise_unexpected("'and', 'or' or its end")
    return predicate


def _tokens_of(text: str, setting: str) -> list[_Token]:
    tokens, place = [], 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None:
            rest = text[place:].strip()
            raise BadSettings(f"{setting} is {text!r}; nothing begins with {rest[:20]!r}")
        kind = str(match.lastgroup)
        token = match.group(kind)
        if kind == "name" and token in _WORDS:
            kind = "word"
        tokens.append(_Token("name" if kind == "quoted" else kind, token))
        place = match.end()
    return [*tokens, _Token("end", "")]


class _SliceParser:
    """A recursive-descent parser of one expression, by the grammar of the module."""

    def __init__(self, tokens: list[_Token], said: str) -> None:
        self._tokens = tokens
        self._said = said
        self._i = 0

    @property
    def token(self) -> _Token:
        return self._tokens[self._i]

    def raise_unexpected(self, wanted: str) -> None:
        raise BadSettings(f"{self._said}; {wanted} is expected and not {self.token}")

    def _accept(self, *said: str) -> str | None:
        """Consume and return the next word or sign, if it is one of these."""
        token = self.token
        if token.kind not in ("word", "sign") or token.said not in said:
            return None
        self._i += 1
        return token.said

    def read_either(self, depth: int) -> Predicate:
        predicates = [self._read_both(depth)]
        while self._accept("or"):
            predicates.append(self._read_both(depth))
        return predicates[0] if len(predicates) == 1 else Joined(tuple(predicates), is_any=True)

    def _read_both(self, depth: int) -> Predicate:
        predicates = [self._read_single(depth)]
        while self._accept("and"):
            predicates.append(self._read_single(depth))
        return predicates[0] if len(predicates) == 1 else Joined(tuple(predicates), is_any=False)

    def _read_single(self, depth: int) -> Predicate:
        if depth > DEPTH_MAX:
            raise BadSettings(f"{self._said}; it is nested more than {DEPTH_MAX} deep")
        if self._accept("not"):
            return Not(self._read_single(depth + 1))
        if self._accept("("):
            predicate = self.read_either(depth + 1)
            self._demand_sign(")")
            return predicate
        return self._read_test()

    def _demand_sign(self, sign: str) -> None:
        if self._accept(sign) is None:
            self.raise_unexpected(repr(sign))

    def _read_test(self) -> Condition:
        if self.token.kind != "name":
            self.raise_unexpected("a feature")
        feature = self.token.said
        self._i += 1
        if self._accept("is"):
            negated = self._accept("not") is not None
            self._demand_sign("missing")
            return Condition(feature, "missing", negated=negated)
        if self._accept("not"):
            self._demand_sign("in")
            return Condition(feature, "in", self._read_values(), negated=True)
        if self._accept("in"):
            return Condition(feature, "in", self._read_values())
        op = self._accept("=", "==", "!=", *_ORDER)
        if op is None:
            self.raise_unexpected("'<', '<=', '>', '>=', '=', '!=', 'in' or 'is missing'")
        value = self._read_value()
        if op in _ORDER:
            if isinstance(value, str):
                raise BadSettings(f"{self._said}; only numbers come in order, {value!r} is a text")
            return Condition(feature, str(op), (value,))
        return Condition(feature, "in", (value,), negated=op == "!=")

    def _read_values(self) -> tuple[Value, ...]:
        self._demand_sign("(")
        values = [self._read_value()]
        while self._accept(","):
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
        word = self._accept("true", "false")
        if word is None:
            hint = f" (a text stands in quotes: '{token.said}')" if token.kind == "name" else ""
            raise BadSettings(f"{self._said}; a value is expected and not {token}{hint}")
        return float(word == "true")


# ------------------------------------------------------------------------------------ faults


def faults_of_slices(slices: dict[str, str], declared: dict[str, str]) -> list[str]:
    """Return the faults of expressions, given by name.

    `declared` are the kinds of all features, if all are declared; else features are not checked.
    """
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
        hint = suggest_nearest(test.feature, declared)
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
    """Return features of these expressions that no event has had, each with a hint at a known one.

    >>> unknown_features(["amout > 3"], ["amount", "x"])
    {'amout': '; did you mean amount?'}
    """
    names = list(known)
    asked = (test.feature for text in slices for test in parse_slice(text).tests)
    return {name: suggest_nearest(name, names) for name in asked if name not in names}
