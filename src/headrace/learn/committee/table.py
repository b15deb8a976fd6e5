"""A committee that scores rows of a table, over a schema's columns, many at a time.

It does for a committee what `scoring` does for river's models: answers agree with those of
`predict_proba_one` to about 1e-10, and the bits of a row are the same in any batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...messages import Features
from ...observe.originals import OriginalOf
from ...observe.schema import OTHER
from ..parts import name_of
from ..schema_view import SchemaView
from .committee import Committee
from .encoding import Encoder
from .evidence import Floats, Rows

BLOCK_N = 512
"""Rows scored at once; intermediate arrays have this size times the size of the evidence."""


class _Heard(NamedTuple):
    """The latest scores: the fit they come from, and rows, times and opinions of each block."""

    fitted: Sequence[bool]
    blocks: list[tuple[Floats, Floats, Floats]]


class CommitteeTable:
    """A committee behind the columns of a schema; all its state can be made from these two."""

    def __init__(self, committee: Committee, schema: SchemaView) -> None:
        self.committee = committee
        self.schema = schema
        self._read_for: tuple[int, int] = (-1, -1)
        self._from = self._to = np.zeros(0, dtype=np.intp)
        self._categories: dict[int, list[Floats]] = {}
        self._texts: list[tuple[int, str]] = []
        self._shared: dict[int, int] = {}
        self._heard = _Heard((), [])

    def score(
        self, X: Floats, at: Floats | None, original_of: OriginalOf | None = None
    ) -> tuple[list[Any], Floats]:
        """The classes learned so far, and pooled probabilities of rows (n, width) at times (n,)."""
        blocks, heard = [], list[tuple[Floats, Floats, Floats]]()
        for i in range(0, len(X), BLOCK_N):
            times = None if at is None else at[i : i + BLOCK_N]
            block_original_of = (
                None if original_of is None else partial(_shift_originals, original_of, i)
            )
            rows = self.rows(X[i : i + BLOCK_N], times, block_original_of)
            said, has_failed = self.committee.heard(rows)
            blocks.append(self.committee.pooled_of(said, has_failed))
            if times is not None and not self._texts:
                # Copied, because the caller may reuse the arrays.
                heard.append((X[i : i + BLOCK_N].copy(), times.copy(), said))
        self._heard = _Heard(self.committee.fitted, heard)
        k = len(self.committee.classes)
        return self.committee.classes, np.concatenate([np.zeros((0, k)), *blocks])

    def read_opinions(self, row: Floats, at: float, original: Features | None) -> Floats:
        """Each member's opinion of one event, shape (members, classes), as it was scored before.

        It is computed anew if a label came since, or if the event may have texts that are not in
        its row.
        """
        heard = self._heard
        if heard.fitted is self.committee.fitted and not self._texts:
            for X, times, said in heard.blocks:
                for i in (times == at).nonzero()[0].tolist():
                    if X[i].tobytes() == row.tobytes():
                        return np.asarray(said[:, i])
        rows = self.rows(row[np.newaxis], np.array([at]), lambda _: original)
        return self.committee.opinions(rows)[:, 0]

    @property
    def members_alone(self) -> str:
        """The names of river members that are asked row by row; empty if there are none."""
        alone = [
            name_of(member.model)
            for member in self.committee.river_members()
            if member.is_alone(self.schema)
        ]
        return f"the committee's {', '.join(dict.fromkeys(alone))}" if alone else ""

    def rows(self, X: Floats, at: Floats | None, original_of: OriginalOf | None = None) -> Rows:
        """The members' input for rows of shape (n, width); the default of the times is the present.

        `original_of(i)` are the features of event i as they came; without it, free texts are
        missing.
        """
        committee, schema = self.committee, self.schema
        times = np.full(len(X), committee.now) if at is None else at
        Z = committee.encoder.scale_rows(self._raw(X, original_of))
        return Rows(Z, times, len(committee.classes), lambda i: schema.features(X[i]), X, schema)

    def _raw(self, X: Floats, original_of: OriginalOf | None) -> Floats:
        encoder, schema = self.committee.encoder, self.schema
        if self._read_for != (encoder.columns_n, schema.width):
            self._map_columns(encoder)
        raw = np.zeros((len(X), encoder.columns_n))
        if X.shape[1] < schema.width:
            X = np.pad(X, ((0, 0), (0, schema.width - X.shape[1])), constant_values=np.nan)
        # A feature that the table lacks is missing in every row.
        raw[:, list(encoder.numbers.values())] = np.nan
        raw[:, self._to] = X[:, self._from]
        for j, texts in self._categories.items():
            self._add_texts(raw, j, X[:, j], texts)
        if original_of is not None:
            self._add_originals(raw, X, original_of)
        return raw

    def _map_columns(self, encoder: Encoder) -> None:
        """Find the column of the encoder for each column of the table."""
        schema = self.schema
        numbers = [
            (j, encoder.numbers[name])
            for j, (name, kind) in enumerate(zip(schema.names, schema.kinds, strict=True))
            if kind == "numeric" and name in encoder.numbers
        ]
        self._from = np.array([j for j, _ in numbers], dtype=np.intp)
        self._to = np.array([column for _, column in numbers], dtype=np.intp)
        texts = set(encoder.texts)
        known = enumerate(zip(schema.names, schema.kinds, strict=True))
        known_texts = [(j, name, kind) for j, (name, kind) in known if name in texts]
        self._categories = {j: [] for j, _, kind in known_texts if kind == "categorical"}
        self._texts = [(j, name) for j, name, _ in known_texts]
        self._read_for = (encoder.columns_n, schema.width)

    def _add_originals(self, raw: Floats, X: Floats, original_of: OriginalOf) -> None:
        """Add free texts, and categories that share one code in the table, to the raw rows."""
        for j, name in self._texts:
            texts, free = self._categories.get(j), ~np.isnan(X[:, j])
            if texts is not None:
                # The category that stands for all others has the last code, and adds nothing.
                free &= np.isin(X[:, j], self._shared.get(j, -1))
            for i in np.flatnonzero(free).tolist():
                value = (original_of(i) or {}).get(name)
                if isinstance(value, str):
                    raw[i] += self.committee.encoder.text_row(name, value)

    def _add_texts(self, raw: Floats, j: int, codes: Floats, texts: list[Floats]) -> None:
        """Add the categories in column `j` of the table to the raw rows."""
        is_known = ~np.isnan(codes)
        if not is_known.any():
            return
        known: NDArray[np.intp] = codes[is_known].astype(np.intp)
        name = self.schema.names[j]
        while len(texts) <= known.max():
            row = np.full(self.schema.width, np.nan)
            row[j] = len(texts)
            text = str(self.schema.features(row)[name])
            if text == OTHER:
                self._shared[j] = len(texts)
            encoder = self.committee.encoder
            is_other = text == OTHER
            texts.append(np.zeros(encoder.columns_n) if is_other else encoder.text_row(name, text))
        raw[is_known] += np.array(texts)[known]


def _shift_originals(original_of: OriginalOf, start: int, i: int) -> Features | None:
    return original_of(start + i)
