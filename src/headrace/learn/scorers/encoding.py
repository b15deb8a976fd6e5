"""Steps that turn texts into numbers: river's OneHotEncoder and OrdinalEncoder."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..schema_view import Floats
from .block import Block, BlockColumns, BlockStep, Bools, TextsOf, values_of


class Code(BlockStep):
    """river's OneHotEncoder in front of a model that reads texts by their codes: see `Text`."""

    def route(self, columns: BlockColumns, texts: TextsOf) -> BlockColumns:
        """As `BlockStep.route`."""
        self._has_numbers = bool(columns.names)
        return BlockColumns(texts=tuple(text._replace(is_coded=True) for text in columns.texts))

    @property
    def is_left_to_river(self) -> bool:
        """As in `BlockStep`: 3, 3.0 and True are one number here, and features in river."""
        return self._has_numbers

    def apply(self, block: Block) -> Block:
        """As `BlockStep.apply`."""
        return Block(block.numbers[:, :0], block.is_absent[:, :0], block.codes, block.has_failed)


class OneHot(BlockStep):
    """river's OneHotEncoder: a number for each feature and text."""

    def __init__(self, step: Any) -> None:
        self._step = step
        self._learned_n = 0

    def growing(self) -> list[BlockStep]:
        """As `BlockStep.growing`: it names the texts that it learned."""
        return [self]

    def has_grown(self) -> bool:
        """As `BlockStep.has_grown`."""
        return len(self._step._zero_dict) != self._learned_n

    def route(self, columns: BlockColumns, texts: TextsOf) -> BlockColumns:
        """As `BlockStep.route`."""
        step = self._step
        zeros = {} if step.drop_zeros else step._zero_dict
        self._learned_n, self._has_numbers = len(step._zero_dict), bool(columns.names)
        places: dict[str, int] = {name: j for j, name in enumerate(zeros)}
        self._is_zero_absent = np.ones(0, np.bool_)
        self._of_texts: list[tuple[Any, bool]] = []
        for column in columns.texts:
            known = None if step.categories is None else step.categories.get(column.name)
            # The last entry is for a missing text, which may be None.
            values = [*texts.get(column.place, ()), None]
            places_of = [
                places.setdefault(f"{column.name}_{value}", len(places))
                if (value is not None or column.has_none)
                and (step.categories is None or value in (known or ()))
                else -1
                for value in values
            ]
            is_unnamed = step.categories is not None and known is None
            self._of_texts.append((np.array(places_of, dtype=np.intp), is_unnamed))
        self._has_none = np.array([text.has_none for text in columns.texts], dtype=np.bool_)
        self._is_new = np.array([name not in zeros for name in places], dtype=np.bool_)
        self._by_name = np.array(
            [j for _, j in sorted((name, j) for name, j in places.items())], dtype=np.intp
        )
        return BlockColumns(tuple(places))

    @property
    def is_left_to_river(self) -> bool:
        """As in `BlockStep`: 3, 3.0 and True are one number here, and features in river."""
        return self._has_numbers

    def apply(self, block: Block) -> Block:
        """As `BlockStep.apply`."""
        n, d = len(block.codes), len(self._is_new)
        # One column more, for what is no feature.
        numbers = np.zeros((n, d + 1))
        is_absent = np.empty((n, d + 1), np.bool_)
        is_absent[:, :d] = self._is_new
        rows = np.arange(n)
        is_there = block.is_text() | self._has_none
        is_failing = np.zeros((n, 1), np.bool_)
        for i, (places_of, is_unnamed) in enumerate(self._of_texts):
            codes = block.codes[:, i]
            entries = np.where(np.isnan(codes), len(places_of) - 1, codes)
            places = places_of[np.minimum(entries, len(places_of) - 1).astype(np.intp)]
            numbers[rows, places] = 1.0
            is_absent[rows, places] = False
            if is_unnamed:
                is_failing[:, 0] |= is_there[:, i]
        numbers, is_absent = numbers[:, :d], is_absent[:, :d]
        if self._step.drop_first:
            is_failing[:, 0] |= is_absent.all(axis=1)
            if d:
                first = self._by_name[(~is_absent[:, self._by_name]).argmax(axis=1)]
                is_absent[rows, first] = True
        encoded = Block(numbers, is_absent, block.codes[:, :0], block.has_failed)
        return encoded.fail(is_failing) if is_failing.any() else encoded


class Ordinal(BlockStep):
    """river's OrdinalEncoder, of numbers too."""

    def __init__(self, step: Any) -> None:
        self._step = step

    def route(self, columns: BlockColumns, texts: TextsOf) -> BlockColumns:
        """As `BlockStep.route`."""
        self._columns = columns
        self._texts_of = [texts.get(text.place, ()) for text in columns.texts]
        names = (*columns.names, *(text.name for text in columns.texts))
        fixed = self._step.categories
        self._is_unnamed = np.array(
            [fixed is not None and name not in fixed for name in names], dtype=np.bool_
        )
        return BlockColumns(names)

    def read(self) -> None:
        """As `BlockStep.read`."""
        self._tables = [
            self._encode(text.name, [*values, None])
            for text, values in zip(self._columns.texts, self._texts_of, strict=True)
        ]

    def _encode(self, name: str, values: list[Any]) -> Floats:
        """The codes of river for these values of a feature; NaN for its None."""
        step = self._step
        codes = step.values.get(name) or {}
        missing = step.none_value
        return values_of(
            missing if value is None else codes.get(value, step.unknown_value) for value in values
        )

    def apply(self, block: Block) -> Block:
        """As `BlockStep.apply`."""
        has_none = np.array([text.has_none for text in self._columns.texts], dtype=np.bool_)
        is_absent = np.concatenate([block.is_absent, ~(block.is_text() | has_none)], axis=1)
        encoded = np.empty(is_absent.shape)
        for j, name in enumerate(self._columns.names):
            values, places = np.unique(block.numbers[:, j], return_inverse=True)
            encoded[:, j] = self._encode(name, values.tolist())[places]
        if block.is_none is not None:
            d = len(self._columns.names)
            encoded[:, :d][block.is_none] = self._encode("", [None])[0]
        for i, table in enumerate(self._tables, start=len(self._columns.names)):
            codes = block.codes[:, i - len(self._columns.names)]
            encoded[:, i] = table[np.where(np.isnan(codes), len(table) - 1, codes).astype(np.intp)]
        is_none: Bools = np.isnan(encoded) & ~is_absent
        whole = Block(
            encoded,
            is_absent,
            block.codes[:, :0],
            block.has_failed,
            is_none if is_none.any() else None,
        )
        return whole.fail(~is_absent & self._is_unnamed) if self._is_unnamed.any() else whole
