"""The labelled events that a committee keeps as evidence, and the course that led to them.

Scale and gaps are set at the start of a course: when settings move, columns are added, a label is
forgotten, or after `STEPS_MAX` labels. In between each label is one step, which costs members
little.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import msgspec
import numpy as np

from .encoding import Encoder
from .evidence import Course, Evidence, Floats

STEPS_MAX = 32
"""The most labels in a course; then members are solved anew, so that rounding errors do not add up.
"""

Features: TypeAlias = Mapping[Any, Any]


class LabelledEvent(msgspec.Struct, frozen=True):
    """A labelled event in the evidence; `order` is the number of its label."""

    at: float
    order: int
    key: Hashable
    x: Features
    code: int
    weight: float


class Keeping:
    """The part of a committee that stores labels, and solves nothing."""

    def __init__(self, memory_n: int) -> None:
        self.memory_n = memory_n
        self.encoder = Encoder()
        self.events_n = 0
        self.classes: list[Any] = []
        self._examples: list[LabelledEvent] = []
        self._by_key: dict[Hashable, LabelledEvent] = {}
        # What members are solved for: the evidence when scale and gaps were set last, then each
        # label since; the unscaled rows of both; and for each label since, which of these left.
        self._course: list[LabelledEvent] = []
        self._raw: list[Floats] = []
        self._gone: list[int] = []
        self._course_rows: Course | None = None
        self._now = 0.0
        self._first_at: float | None = None
        self._label_gap = self._event_gap = 1.0
        # For each member, whether it could be solved for the evidence; empty until that is tried.
        self._is_fit: list[bool] = []

    @property
    def evidence_age(self) -> float | None:
        """The mean age of the evidence at its newest event, in the unit of `at`; None if empty."""
        if not self._examples:
            return None
        return self._examples[-1].at - math.fsum(e.at for e in self._examples) / len(self._examples)

    @property
    def evidence_n(self) -> int:
        """The number of labelled events kept as evidence."""
        return len(self._examples)

    def remember(self, example: LabelledEvent) -> None:
        """Store a label; the previous one with its key leaves, and above `memory_n` the oldest.

        Args:
            example: The labelled event.
        """
        if example.key is not None:
            self.forget(example.key)
            self._by_key[example.key] = example
        has_grown = self.encoder.register(example.x)
        bisect.insort(self._examples, example, key=_place_of)
        self._course.append(example)
        self._raw.append(self.encoder.raw_rows([example.x])[0])
        gone = self._drop(0) if len(self._examples) > self.memory_n else None
        self._gone.append(-1 if gone is None else self._number_of(gone))
        if has_grown or len(self._gone) > STEPS_MAX or not self._base_n:
            self.start_course()
        elif self._course_rows is not None:
            self._course_rows.add(self._rows_from(len(self._course) - 1), self._gone[-1])

    @property
    def _base_n(self) -> int:
        """The number of labels at the start of the course."""
        return len(self._course) - len(self._gone)

    def _number_of(self, example: LabelledEvent) -> int:
        return next(n for n, other in enumerate(self._course) if other is example)

    def forget(self, key: Hashable) -> None:
        """Forget a label, e.g. one that became disputed; river members have learned it for good.

        Args:
            key: The key of the label; an unknown one is ignored.
        """
        example = self._by_key.get(key)
        if example is not None:
            self._drop(next(i for i, other in enumerate(self._examples) if other is example))
            self.start_course()

    def erase(self, is_gone: Callable[[Hashable, Features, float], bool]) -> int:
        """Forget labels, and texts that are in no other label; river members learned them for good.

        Args:
            is_gone: Whether to forget a label, by its key, features and time.

        Returns:
            How many were forgotten.
        """
        places = [n for n, x in enumerate(self._examples) if is_gone(x.key, x.x, x.at)]
        for place in reversed(places):
            self._drop(place)
        self.encoder.forget_texts([example.x for example in self._examples])
        self.start_course()
        return len(places)

    def _drop(self, place: int) -> LabelledEvent:
        example = self._examples.pop(place)
        if example.key is not None:
            del self._by_key[example.key]
        return example

    def start_course(self) -> None:
        """Start a course: members are solved anew for the evidence, with a new scale and gaps."""
        raw_of = {example.order: raw for example, raw in zip(self._course, self._raw, strict=True)}
        self._course = [*self._examples]
        self._raw = [raw_of[example.order] for example in self._course]
        self._gone, self._course_rows, self._is_fit = [], None, []
        self.encoder.rescale()
        if self._course:
            span = self._course[-1].at - self._course[0].at
            self._label_gap = max(span / max(1, len(self._course) - 1), 1e-9)
        since_first = self._now - (self._first_at or 0.0)
        self._event_gap = max(since_first / max(1, self.events_n - 1), 1e-9)

    def evidence(self) -> Evidence:
        """Return the evidence in order of time, and the course that led to it."""
        if self._course_rows is None:
            course = Course(self._rows_from(0, self._base_n))
            for number, gone in enumerate(self._gone, start=course.base_n):
                course.add(self._rows_from(number), gone)
            self._course_rows = course
        number_of = {example.order: n for n, example in enumerate(self._course)}
        present = np.array([number_of[example.order] for example in self._examples], dtype=np.intp)
        rows = self._course_rows.rows.take(present)
        return replace(rows, classes_n=len(self.classes), course=self._course_rows)

    def _rows_from(self, start: int, n: int = 1) -> Evidence:
        """The rows of `n` labels of the course, from number `start` on."""
        examples, raw_rows = self._course[start : start + n], self._raw[start : start + n]
        columns_n = self.encoder.columns_n
        if {*map(len, raw_rows)} == {columns_n}:
            raw = np.array(raw_rows)
        else:
            raw = np.zeros((n, columns_n))
            for i, row in enumerate(raw_rows):
                raw[i, : len(row)] = row
        return Evidence(
            Z=self.encoder.scale_rows(raw),
            codes=np.array([example.code for example in examples], dtype=np.intp),
            at=np.array([example.at for example in examples]),
            weights=np.array([example.weight for example in examples]),
            classes_n=len(self.classes),
            feature_of=self.encoder.feature_of,
            label_gap=self._label_gap,
            event_gap=self._event_gap,
        )


def _place_of(example: LabelledEvent) -> tuple[float, int]:
    return example.at, example.order
