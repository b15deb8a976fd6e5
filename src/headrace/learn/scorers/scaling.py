"""Steps that compute with each number by itself, or with all numbers of a row."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any

import numpy as np

from ..schema_view import Floats
from .block import Block, BlockColumns, BlockStep, Bools, TextsOf, merge_columns, values_of


class _Scaler(BlockStep):
    """Base of the scalers: (number - shift) / width, in river's operations and so with its bits.

    A feature with the width 0 becomes 0. `read` sets `_shifts` and `_widths` for each number, None
    for "no shift" and "no width"; `_is_failing` where river raises for any value of a feature, NaN
    or not. What is no number raises, but for a feature of the width 0 it becomes 0 too; if
    `_is_strict`, it raises there as well.
    """

    def __init__(self, step: Any, *, zeroes_texts: bool) -> None:
        self._step = step
        self._zeroes_texts = zeroes_texts
        self._shifts: Floats | None = None
        self._widths: Floats | None = None
        self._is_flat: Bools = np.zeros(0, np.bool_)
        self._has_flat = False
        self._is_failing: Bools | None = None
        self._is_strict: Bools | bool = False

    def route(self, columns: BlockColumns, texts: TextsOf) -> BlockColumns:
        """As `BlockStep.route`; the texts become zeros, or river raises."""
        self._names = columns.names
        self._has_none = np.array([text.has_none for text in columns.texts], dtype=np.bool_)
        if not self._zeroes_texts:
            return BlockColumns(columns.names)
        return BlockColumns((*columns.names, *(text.name for text in columns.texts)))

    def _set_widths(self, widths: list[float]) -> None:
        """Set the widths, which may be 0."""
        found = np.array(widths, dtype=float)
        self._has_flat = 0.0 in widths
        self._is_flat = found == 0.0 if self._has_flat else np.zeros(len(widths), np.bool_)
        self._widths = np.where(self._is_flat, 1.0, found) if self._has_flat else found

    def _set_failing(self, is_failing: Any) -> None:
        self._is_failing = np.array(is_failing, dtype=np.bool_) if any(is_failing) else None

    def apply(self, block: Block) -> Block:
        """As `BlockStep.apply`."""
        numbers, is_absent, codes, has_failed, is_none = block
        if self._shifts is not None:
            numbers = numbers - self._shifts
        if self._widths is not None:
            numbers = self._divide(numbers, self._widths)
            if self._has_flat:
                numbers[:, self._is_flat] = 0.0
        block = Block(numbers, is_absent, codes, has_failed)
        if self._is_failing is not None:
            block = block.fail(~is_absent & self._is_failing)
        if is_none is not None:
            is_flat = self._is_flat if self._widths is not None else np.False_
            block = block.fail(is_none & ~(is_flat & ~np.asarray(self._is_strict)))
        if codes.shape[1] == 0:
            return block
        is_there = block.is_text() | self._has_none
        if self._zeroes_texts:
            return block.add_numbers(np.zeros(is_there.shape), ~is_there)
        return block.fail(is_there).drop_texts()

    def _divide(self, numbers: Floats, widths: Floats) -> Floats:
        return numbers / widths


class Standardise(_Scaler):
    """river's StandardScaler, with or without a window.

    If `is_last`, it multiplies by 1 / standard deviation, which is faster, and may move a last bit.
    """

    def __init__(self, step: Any, *, is_last: bool) -> None:
        super().__init__(step, zeroes_texts=step.with_std)
        self._is_last = is_last

    def read(self) -> None:
        """As `BlockStep.read`."""
        step, names = self._step, self._names
        if step.window_size is None:
            self._shifts = np.array([*map(step.means.get, names, repeat(0.0))], dtype=float)
            variances = [*map(step.vars.get, names, repeat(0.0))] if step.with_std else []
        else:
            self._shifts = np.array([_get(step.means, name, 0.0) for name in names], dtype=float)
            variances = [_get(step.vars, name, 0.0) for name in names] if step.with_std else []
            if any(v < 0.0 for v in variances):
                raise ValueError("a variance fell below 0 by rounding: its root is complex")
        if step.with_std and self._is_last:
            self._set_widths([1.0 / v**0.5 if v else 0.0 for v in variances])
        elif step.with_std:
            self._set_widths([v**0.5 for v in variances])

    def _divide(self, numbers: Floats, widths: Floats) -> Floats:
        return numbers * widths if self._is_last else numbers / widths


class ScaleToRange(_Scaler):
    """river's MinMaxScaler; a feature that it has not learned is NaN, in a window it raises."""

    def __init__(self, step: Any) -> None:
        super().__init__(step, zeroes_texts=False)

    def read(self) -> None:
        """As `BlockStep.read`."""
        lows = [_get(self._step.min, name, None) for name in self._names]
        highs = [_get(self._step.max, name, None) for name in self._names]
        if self._step.window_size is None:
            lows = [np.inf if low is None else low for low in lows]
            highs = [-np.inf if high is None else high for high in highs]
        self._shifts = values_of(lows)
        ranges = values_of(highs) - self._shifts
        self._set_widths(ranges.tolist())
        self._set_failing(np.isnan(ranges))


class ScaleToLargest(_Scaler):
    """river's MaxAbsScaler."""

    def __init__(self, step: Any) -> None:
        super().__init__(step, zeroes_texts=True)

    def read(self) -> None:
        """As `BlockStep.read`."""
        largest = (_get(self._step.abs_max, name, 0.0) for name in self._names)
        self._set_widths([x or 0.0 for x in largest])


class ScaleByQuantiles(_Scaler):
    """river's RobustScaler; without its scaling texts stay what they are."""

    def __init__(self, step: Any) -> None:
        super().__init__(step, zeroes_texts=True)

    def route(self, columns: BlockColumns, texts: TextsOf) -> BlockColumns:
        """As `BlockStep.route`."""
        routed = super().route(columns, texts)
        return routed if self._step.with_scaling else columns

    def read(self) -> None:
        """As `BlockStep.read`."""
        step, names = self._step, self._names
        if step.with_centering:
            medians = [_get(step.median, name, None) for name in names]
            self._shifts = np.array([0.0 if x is None else x for x in medians], dtype=float)
            self._is_strict = np.array([x is not None for x in medians], dtype=np.bool_)
        if step.with_scaling:
            ranges = (_get(step.iqr, name, None) for name in names)
            self._set_widths([x or 0.0 for x in ranges])

    def apply(self, block: Block) -> Block:
        """As `BlockStep.apply`."""
        if self._step.with_scaling:
            return super().apply(block)
        return (
            block if self._shifts is None else block._replace(numbers=block.numbers - self._shifts)
        )


class StandardiseFading(_Scaler):
    """river's AdaptiveStandardScaler."""

    def __init__(self, step: Any) -> None:
        super().__init__(step, zeroes_texts=False)
        self._is_strict = True

    def read(self) -> None:
        """As `BlockStep.read`."""
        variances = [_get(self._step.vars, name, 0.0) for name in self._names]
        self._shifts = np.array([_get(self._step.means, name, 0.0) for name in self._names])
        self._set_widths([v**0.5 if v > 0.0 else 0.0 for v in variances])


class Threshold(BlockStep):
    """river's Binarizer; texts stay what they are."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold

    def apply(self, block: Block) -> Block:
        """As `BlockStep.apply`."""
        return block._replace(numbers=(block.numbers > self._threshold).astype(float))


class Normalise(BlockStep):
    """river's Normalizer: a row's numbers divided by their norm; river raises for the norm 0."""

    def __init__(self, order: int) -> None:
        self._order = order

    def route(self, columns: BlockColumns, texts: TextsOf) -> BlockColumns:
        """As `BlockStep.route`; river raises for a text."""
        self._has_none = np.array([text.has_none for text in columns.texts], dtype=np.bool_)
        return BlockColumns(columns.names)

    def apply(self, block: Block) -> Block:
        """As `BlockStep.apply`."""
        block = block.fail(block.is_text() | self._has_none)
        if block.is_none is not None:
            block = block.fail(block.is_none)
        block = block.drop_texts()._replace(is_none=None)
        if block.numbers.shape[1] == 0:
            return block
        sizes = np.abs(np.where(block.is_absent, 0.0, block.numbers))
        norms = add_up(sizes) if self._order == 1 else np.sqrt(add_up(sizes * sizes))
        block = block.fail(~block.is_absent & (norms == 0.0)[:, np.newaxis])
        return block._replace(
            numbers=block.numbers / np.where(norms == 0.0, 1.0, norms)[:, np.newaxis]
        )


class Multiply(BlockStep):
    """river's PolynomialExtender: the products of up to `degree` numbers that are there.

    Where a product has the name of another feature, the longer product counts, as in river.
    """

    def __init__(self, step: Any) -> None:
        self._step = step
        self._names: tuple[str, ...] | None = None

    def route(self, columns: BlockColumns, texts: TextsOf) -> BlockColumns:
        """As `BlockStep.route`; river raises for a text."""
        self._has_none = np.array([text.has_none for text in columns.texts], dtype=np.bool_)
        if columns.names != self._names:
            self._names = columns.names
            self._route_products(columns.names)
        return BlockColumns(self._products)

    def _route_products(self, names: tuple[str, ...]) -> None:
        combine: Callable[[Iterable[int], int], Iterable[tuple[int, ...]]] = (
            itertools.combinations
            if self._step.interaction_only
            else itertools.combinations_with_replacement
        )
        self._factors: list[tuple[int, ...]] = []
        places: dict[str, list[int]] = {}
        for size in range(1, self._step.degree + 1):
            for factors in combine(range(len(names)), size):
                name = "*".join(sorted(names[j] for j in factors))
                places.setdefault(name, []).insert(0, len(self._factors))
                self._factors.append(factors)
        if self._step.include_bias:
            places[self._step.bias_name] = [len(self._factors)]
        self._products = tuple(places)
        self._places = list(places.values())
        by_size = itertools.groupby(self._factors, key=len)
        self._by_size = [np.array(list(group), dtype=np.intp).T for _, group in by_size]

    def apply(self, block: Block) -> Block:
        """As `BlockStep.apply`."""
        block = block.fail(block.is_text() | self._has_none)
        if block.is_none is not None:
            block = block.fail(block.is_none)
        n = len(block.numbers)
        numbers, is_absent = [np.zeros((n, 0))], [np.zeros((n, 0), np.bool_)]
        for factors in self._by_size:
            product, is_gone = block.numbers[:, factors[0]], block.is_absent[:, factors[0]]
            for place in factors[1:]:
                product = product * block.numbers[:, place]
                is_gone = is_gone | block.is_absent[:, place]
            numbers.append(product)
            is_absent.append(is_gone)
        if self._step.include_bias:
            numbers.append(np.ones((n, 1)))
            is_absent.append(np.zeros((n, 1), np.bool_))
        products = Block(
            np.concatenate(numbers, axis=1),
            np.concatenate(is_absent, axis=1),
            block.codes[:, :0],
            block.has_failed,
        )
        is_plain = len(self._places) == products.numbers.shape[1]
        return products if is_plain else merge_columns(products, self._places)


def _get(stats: Any, name: str, otherwise: Any) -> Any:
    """The value of a statistic of this feature, without making one."""
    stat = stats.get(name)
    return otherwise if stat is None else stat.get()


def add_up(sizes: Floats) -> Floats:
    """The sum of each row, one number after the other: a column of zeros moves no bit."""
    return np.asarray(np.add.accumulate(sizes, axis=1)[:, -1])
