"""Converts single values from outside: times, texts, features, probabilities.

Each function returns a value that the core can use, or raises `Refusal` with the reason. `payloads`
finds the value of each field; `admission` checks an event against the others.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any

import msgspec

from ..messages import Features, Reason, class_name

FEATURES_MAX = 4_096  # of one event, after flattening
DEPTH_MAX = 16  # of nested features
CSV_MAX = 131_072  # characters of a line; csv's own limit may differ from process to process
CLASSES_MAX = 1_000  # with a probability each, in one event
DIGITS_MAX = 15  # A float can represent every whole number of up to 15 digits.
WORDS_MIN = 8
SECONDS_MAX = 1e11  # the year 5138; a larger number is in milliseconds or less

_UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_JSON = msgspec.json.Decoder()
_NUMBER = re.compile(r"[+-]?(?!0\d)(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")

_PAIRS = (
    ("classes", "scores"),
    ("classes", "probabilities"),
    ("labels", "scores"),
    ("displayNames", "confidences"),
)
_SCALARS = frozenset((float, int, bool, str, type(None)))


class Refusal(Exception):  # noqa: N818 - it is caught where lines are decoded, and never leaves
    """A value can't be used; the caller turns this into an `InputRejected`."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def format_value(value: object) -> str:
    """Return the repr of a value from outside, cut to 60 characters for use in a sentence."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def text_of(value: object) -> str | None:
    """Return a text, number or boolean as text; None when missing (NaN too) or none of these."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) or (isinstance(value, float) and not math.isnan(value)):
        return class_name(value)
    return None


def check_status(found: Any, path: str, good: Sequence[str], setting: str) -> None:
    """Raise `Refusal` for a status that is not among the good ones; a missing one counts as "".

    >>> check_status(200, "status_code", ["200"], "input.status_ok")
    """
    if ("" if found is None else text_of(found)) not in good:
        fault = f"{path} is {format_value(found)}; {setting} has {', '.join(map(repr, good))}"
        raise Refusal(Reason.LEFT_OUT, fault)


def is_free_text(text: str) -> bool:
    """Whether a text is free: it has at least eight words, as no category would.

    >>> is_free_text("not in universe"), is_free_text("my order came late and one cup was broken")
    (False, True)
    """
    return len(text) >= 2 * WORDS_MIN - 1 and len(text.split()) >= WORDS_MIN


def identity_of(value: object, path: str) -> str:
    """Return an event's id, a number as text. Raises `Refusal`."""
    if value is None:
        raise Refusal(Reason.NO_ID, f"there is nothing at {path}")
    name = None if isinstance(value, bool) else text_of(value)
    if name is None:
        raise Refusal(Reason.BAD_ID, f"{path} is {format_value(value)}; must be a text or a number")
    return name


def is_number(text: str) -> bool:
    """Whether a text is written as a number; with leading zeros it is taken as a code.

    >>> is_number("-1.5e3"), is_number("007"), is_number("12 km")
    (True, False, False)
    """
    return _NUMBER.fullmatch(text) is not None


_BLANK_BEFORE_OFFSET = re.compile(r"(?<=\d) (?=[+-]\d\d:?\d\d$)")
"""As Snowflake and Python's logs write it."""

_NO_HOUR = re.compile(r"(\d{4}-\d\d-\d\d|\d{8})[-+\d]")
"""A date and an offset, or a number. Python takes what follows the date for the time of day."""

_LEAP_SECOND = re.compile(r"(?<=\d\d:\d\d:)60")
"""The second that is added to a day. Unix time has none: it is the first one of the next day."""


def seconds_of(
    value: object,
    path: str,
    zone: tzinfo | None = None,
    unit: str = "s",
    section: str = "input",
) -> float:
    """Return seconds since the epoch, from a number or a text of RFC 3339. Raises `Refusal`.

    - `path`: where the value comes from, for the message.
    - `zone`: the time zone of texts without one; None refuses such texts.
    - `unit`: the unit of numbers: "s", "ms", "us" or "ns".
    - `section`: the section of the settings with `zone` and `at_unit`, for the message.
    """
    if isinstance(value, str):
        text = value.strip().upper()
        if text.endswith((" UTC", " GMT")):
            text = f"{text[:-4]}+00:00"
        text, leap_s = _LEAP_SECOND.subn("59", _BLANK_BEFORE_OFFSET.sub("", text))
        # Python takes digits of other lengths for dates: "2024123" for one in December.
        is_plain = text.isdecimal() and len(text) != 8
        try:
            moment = datetime.fromisoformat("" if is_plain or _NO_HOUR.match(text) else text)
        except ValueError:
            fault = "must be a number of seconds, or RFC 3339 as in 2024-05-01T12:00:00Z"
            raise Refusal(Reason.BAD_TIME, f"{path} is {format_value(value)}; {fault}") from None
        if moment.tzinfo is None and zone is None:
            fault = f"must say its zone, as Z or +02:00; or set {section}.zone"
            raise Refusal(Reason.BAD_TIME, f"{path} is {format_value(value)}; {fault}")
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() + leap_s
        if seconds > SECONDS_MAX:
            fault = "must be before the year 5138"
            raise Refusal(Reason.BAD_TIME, f"{path} is {format_value(value)}; {fault}")
        return seconds
    if value is None:
        raise Refusal(Reason.NO_TIME, f"there is nothing at {path}")
    found = fault_of_seconds(value, path, unit, section)
    if found is not None:
        raise Refusal(Reason.BAD_TIME, found)
    assert isinstance(value, float | int)
    return value / _UNITS[unit]


def fault_of_seconds(
    value: object, path: str, unit: str = "s", section: str = "input"
) -> str | None:
    """Return why a value is no time in numbers, as a sentence; None if it is one.

    The parameters are those of `seconds_of`.

    >>> fault_of_seconds(math.nan, "at")
    'at is nan; must be a number of seconds'
    """
    if isinstance(value, bool) or not isinstance(value, float | int) or not -math.inf < value:
        return f"{path} is {format_value(value)}; must be a number of seconds"
    if abs(value) > SECONDS_MAX * _UNITS[unit]:  # a whole number may be too large to divide
        fault = f"must be {_UNIT_NAMES[unit]}"
        finer = [name for name, n in _UNITS.items() if abs(value) <= SECONDS_MAX * n]
        if finer:
            n = _UNITS[finer[0]] / _UNITS[unit]
            fault += f"; divide {_UNIT_NAMES[finer[0]]} by {n:.0f}, or set {section}.at_unit = "
            fault += f'"{finer[0]}"'
        return f"{path} is {format_value(value)}; {fault}"
    return None


def optional_text(value: object, path: str) -> str | None:
    """Return a text, a number as text, or None; "" counts as absent. Raises `Refusal`."""
    if value is None or type(value) is str:
        return value or None
    if isinstance(value, dict | list):
        raise Refusal(
            Reason.BAD_FIELD, f"{path} is {format_value(value)}; must be a text or a number"
        )
    return text_of(value)


def features_of(
    found: Any, path: str, array_names: Sequence[str], hidden: Sequence[str] = ()
) -> Features:
    """Return features from an object or an array, with nested ones flattened. Raises `Refusal`.

    `path` is where they come from, for the message. `array_names` are the names of an array's
    items. Features whose flattened name is in `hidden`, or below one that is, are left out.
    """
    if isinstance(found, str):
        found = open_text(found, array_names)
    if isinstance(found, list):
        if len(array_names) != len(found):
            raise Refusal(
                Reason.BAD_FEATURES,
                f"the features are an array of {len(found)}; input.feature_names has "
                f"{len(array_names)}",
            )
        found = dict(zip(array_names, found, strict=True))
    elif not isinstance(found, dict):
        what = "missing" if found is None else format_value(found)
        fault = f"{path} is {what}; must be an object or an array, or read by input.decoder"
        if isinstance(found, str) and "\n" in found.strip():
            fault += '; a text with an event a line is one for input.batch = "instances"'
        raise Refusal(Reason.BAD_FEATURES, fault)
    features: Features = found
    if not _SCALARS.issuperset(map(type, features.values())):
        features = {}
        _flatten_fields(found, "", 0, features)
    for prefix in hidden:
        below = prefix + "."
        features = {k: v for k, v in features.items() if k != prefix and not k.startswith(below)}
    if len(features) > FEATURES_MAX:
        raise Refusal(
            Reason.BAD_FEATURES,
            f"there are {len(features)} features; at most {FEATURES_MAX} in one event: let "
            "input.features lead to fewer, or input.decoder choose them",
        )
    return features


def probabilities_of(found: Any, array_classes: Sequence[str]) -> dict[str, float] | None:
    """Return probabilities by class, each from 0 to 1; their sum is not checked.

    `array_classes` are the classes of an array's items. Raises `Refusal`.
    """
    if found is None:
        return None
    if isinstance(found, str):
        found = open_text(found, array_classes)
    if type(found) in (float, int) and len(array_classes) == 2:
        found = [1.0 - found, found]
    if isinstance(found, list) and found and all(isinstance(one, dict) for one in found):
        found = _read_scores(found)
    elif isinstance(found, dict):
        found = _pair_scores(found)
    if isinstance(found, list):
        if len(array_classes) != len(found):
            raise Refusal(
                Reason.BAD_PROBABILITIES,
                f"the probabilities are an array of {len(found)}; input.classes has "
                f"{len(array_classes)}",
            )
        found = dict(zip(array_classes, found, strict=True))
    if not isinstance(found, dict) or len(found) > CLASSES_MAX:
        raise Refusal(
            Reason.BAD_PROBABILITIES,
            f"the probabilities are {format_value(found)}; must be an array, or an object of at "
            f"most {CLASSES_MAX} classes",
        )
    for name, p in found.items():
        # A model that computes in single precision may return a little more than 1.
        is_share = isinstance(p, float | int) and not isinstance(p, bool)
        if p is not None and (not is_share or p < 0 or p > 1.000_01):
            raise Refusal(
                Reason.BAD_PROBABILITIES,
                f"the probability of {format_value(name)} is {format_value(p)}; must be from 0 to "
                "1, at input.probabilities by class",
            )
    return {name: p for name, p in found.items() if p is not None and not math.isnan(p)} or None


def open_text(text: str, names: Sequence[str] = ()) -> Any:
    """Parse a text that is JSON, a number or, if there are names, a line of CSV; else return it."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return _JSON.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return text
    if len(names) > 1 and "," in text and len(text) <= CSV_MAX:
        try:
            (cells,) = csv.reader([text.strip()], strict=True)
        except csv.Error:  # several lines in one, an open quote, a cell without end
            return text
        return [_read_cell(cell.strip()) for cell in cells]
    return float(text) if is_number(text.strip()) else text


def _read_cell(text: str) -> Any:
    """Return a value of CSV as None if empty, a number, or a text."""
    if not text:
        return None
    return float(text) if is_number(text) else text


def _read_scores(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return scores by class from a list of {label, score}, as classifier pipelines return it."""
    scores: dict[str, Any] = {}
    for entry in found:
        label = text_of(entry.get("label"))
        if label is None or "score" not in entry or label in scores:
            fault = f"{format_value(entry)} is not a label and its score, each label once"
            raise Refusal(Reason.BAD_PROBABILITIES, fault)
        scores[label] = entry["score"]
    return scores


def _pair_scores(found: dict[str, Any]) -> dict[str, Any]:
    """Return scores by class from an object with two arrays, classes and scores, if it is one."""
    for classes, scores in _PAIRS:
        names, values = found.get(classes), found.get(scores)
        if isinstance(names, list) and isinstance(values, list):
            texts = [text_of(name) for name in names]
            if None in texts or len(set(texts)) < len(texts) or len(texts) != len(values):
                fault = f"{classes} and {scores} are not a text and its score, each text once"
                raise Refusal(Reason.BAD_PROBABILITIES, fault)
            return dict(zip(texts, values, strict=True))  # type: ignore[arg-type]  # no None
    return found


def _flatten_fields(value: object, name: str, depth: int, features: Features) -> None:
    """Add a value to `features`, with the items of objects and arrays as `a.b`, `a.0`."""
    parts: Sequence[tuple[object, object]]
    if isinstance(value, dict):
        parts = list(value.items())
    elif isinstance(value, list):
        parts = list(enumerate(value))
    else:
        if name in features:
            raise Refusal(Reason.BAD_FEATURES, f"two features are named {format_value(name)}")
        features[name] = value  # type: ignore[assignment]
        return
    if depth > DEPTH_MAX or len(parts) > FEATURES_MAX:
        raise Refusal(
            Reason.BAD_FEATURES,
            f"{format_value(name)} holds {len(parts)} values at depth {depth}; at most "
            f"{FEATURES_MAX} at depth {DEPTH_MAX}",
        )
    for part, inner in parts:
        _flatten_fields(inner, f"{name}.{part}" if depth else str(part), depth + 1, features)
