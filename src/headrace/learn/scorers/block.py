"""Rows as river's steps see them: numbers under names, and texts as codes.

A step is asked three things. `route` names the columns behind it, once for each change of the
schema; `read` copies the state of river's step into arrays, after each label; `apply` transforms a
block of rows. The bits of a row depend neither on the other rows nor on columns without a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..schema_view import Floats

Bools: TypeAlias = NDArray[np.bool_]
TextsOf: TypeAlias = Mapping[int, Sequence[str]]
"""The texts of each categorical column of the schema, by code."""


class Text(NamedTuple):
    """A column of texts. `place` is its column in the schema, -1 if its texts can't be told.

    `is_coded`: it stands for one feature per text, `name_text`, which is 1. `has_none`: a missing
    text is None there.
    """

    name: str
    place: int
    is_coded: bool = False
    has_none: bool = False


@dataclass(frozen=True)
class BlockColumns:
    """The names of a block's numbers, and its columns of texts."""

    names: tuple[str, ...] = ()
    texts: tuple[Text, ...] = ()

    def rename(self, rename: Callable[[str], str]) -> BlockColumns:
        """The columns under other names."""
        texts = tuple(text._replace(name=rename(text.name)) for text in self.texts)
        return BlockColumns(tuple(map(rename, self.names)), texts)


class Block(NamedTuple):
    """n rows: `numbers` (n, d), `codes` of texts (n, t), NaN without a text.

    `is_absent` (n, d): the row's dict has no such feature; a NaN elsewhere is a NaN of river's.
    `has_failed` (n,): river has raised. `is_none` (n, d): the feature is None. Both are None for
    "nowhere".
    """

    numbers: Floats
    is_absent: Bools
    codes: Floats
    has_failed: Bools | None = None
    is_none: Bools | None = None

    def fail(self, is_failing: Bools) -> Block:
        """The block in which river raises for these cells of the rows, shape (n, any)."""
        is_failing = np.logical_or.reduce(is_failing, axis=1)
        if self.has_failed is not None:
            is_failing |= self.has_failed
        return self._replace(has_failed=is_failing)

    def fail_all(self) -> Block:
        """The block in which river raises for every row."""
        return self._replace(has_failed=np.ones(len(self.numbers), np.bool_))

    def is_text(self) -> Bools:
        """Where there are texts, shape (n, t)."""
        return ~np.isnan(self.codes)

    def drop_texts(self) -> Block:
        """The block without its texts."""
        return self if self.codes.shape[1] == 0 else self._replace(codes=self.codes[:, :0])

    def add_numbers(self, numbers: Floats, is_absent: Bools) -> Block:
        """The block with more columns of numbers, without its texts."""
        is_none = self.is_none
        if is_none is not None:
            is_none = np.concatenate([is_none, np.zeros(numbers.shape, np.bool_)], axis=1)
        return Block(
            np.concatenate([self.numbers, numbers], axis=1),
            np.concatenate([self.is_absent, is_absent], axis=1),
            self.codes[:, :0],
            self.has_failed,
            is_none,
        )

    def take(self, numbers: NDArray[np.intp]) -> Block:
        """The block with these columns of numbers only, as copies."""
        none = self.is_none
        return self._replace(
            numbers=self.numbers.take(numbers, axis=1),
            is_absent=self.is_absent.take(numbers, axis=1),
            is_none=None if none is None else none.take(numbers, axis=1),
        )


class BlockStep:
    """A step of a pipeline; the base changes nothing."""

    def route(self, columns: BlockColumns, texts: TextsOf) -> BlockColumns:
        """The columns behind this step, for these before it."""
        return columns

    def growing(self) -> list[BlockStep]:
        """The steps, of this one and those inside, that may name new columns after a label."""
        return []

    def has_grown(self) -> bool:
        """Whether one of `growing` has learned new features, so that `route` is due again."""
        return False

    def read(self) -> None:
        """Read the state of river's step."""

    def apply(self, block: Block) -> Block:
        """The block behind this step."""
        return block

    @property
    def is_left_to_river(self) -> bool:
        """Whether columns arrived, at the last `route`, for which only river knows the answer."""
        return False


class Chain(BlockStep):
    """Steps one after the other."""

    def __init__(self, steps: Iterable[BlockStep]) -> None:
        self._steps = list(steps)
        self._growing = self.growing()

    def route(self, columns: BlockColumns, texts: TextsOf) -> BlockColumns:
        """As `BlockStep.route`."""
        for step in self._steps:
            columns = step.route(columns, texts)
        return columns

    def growing(self) -> list[BlockStep]:
        """As `BlockStep.growing`."""
        return [growing for step in self._steps for growing in step.growing()]

    def has_grown(self) -> bool:
        """As `BlockStep.has_grown`, for any of the steps."""
        return any(step.has_grown() for step in self._growing)

    def read(self) -> None:
        """As `BlockStep.read`, for each step."""
        for step in self._steps:
            step.read()

    def apply(self, block: Block) -> Block:
        """As `BlockStep.apply`, one step after the other."""
        for step in self._steps:
            block = step.apply(block)
        return block

    @property
    def is_left_to_river(self) -> bool:
        """As `BlockStep.is_left_to_river`, for any of the steps."""
        return any(step.is_left_to_river for step in self._steps)


class Union(Chain):
    """Branches side by side; where two have a feature of the same name, the first one counts."""

    def route(self, columns: BlockColumns, texts: TextsOf) -> BlockColumns:
        """The columns of all branches."""
        routed = [branch.route(columns, texts) for branch in self._steps]
        places: dict[str, list[int]] = {}
        start = 0
        for of_branch in routed:
            for j, name in enumerate(of_branch.names, start):
                places.setdefault(name, []).append(j)
            start += len(of_branch.names)
        self._numbered = [i for i, of_branch in enumerate(routed) if of_branch.names] or [0]
        self._texted = [i for i, of_branch in enumerate(routed) if of_branch.texts] or [0]
        self._places = list(places.values()) if len(places) < start else None
        self._is_quick = len(routed) == 2 and len(self._numbered) == len(self._texted) == 1
        return BlockColumns(
            tuple(places), tuple(t for of_branch in routed for t in of_branch.texts)
        )

    def apply(self, block: Block) -> Block:
        """As `BlockStep.apply`, the branches side by side."""
        blocks = [branch.apply(block) for branch in self._steps]
        if self._is_quick:
            # The usual case, without anything to join.
            numbers, is_absent, _, has_failed, is_none = blocks[self._numbered[0]]
            _, _, codes, also_failed, _ = blocks[self._texted[0]]
            if has_failed is None or also_failed is None:
                either = also_failed if has_failed is None else has_failed
                return Block(numbers, is_absent, codes, either, is_none)
        failed = [b.has_failed for b in blocks if b.has_failed is not None]
        has_failed = np.logical_or.reduce(failed) if failed else None
        numbered = [blocks[i] for i in self._numbered]
        codes = _join([blocks[i].codes for i in self._texted])
        is_none = None
        if any(b.is_none is not None for b in numbered):
            nones = [
                np.zeros(b.numbers.shape, np.bool_) if b.is_none is None else b.is_none
                for b in numbered
            ]
            is_none = _join(nones)
        numbers = _join([b.numbers for b in numbered])
        joined = Block(numbers, _join([b.is_absent for b in numbered]), codes, has_failed, is_none)
        return joined if self._places is None else merge_columns(joined, self._places)


def _join(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def merge_columns(block: Block, places: list[list[int]]) -> Block:
    """One column for each list of columns: in each row the first of them that is not absent."""
    merged = block.take(np.array([of[0] for of in places], dtype=np.intp))
    for j, of in enumerate(places):
        for other in of[1:]:
            rows = merged.is_absent[:, j] & ~block.is_absent[:, other]
            merged.numbers[rows, j] = block.numbers[rows, other]
            if merged.is_none is not None and block.is_none is not None:
                merged.is_none[rows, j] = block.is_none[rows, other]
            merged.is_absent[rows, j] = False
    return merged


def values_of(found: Iterable[Any]) -> Floats:
    """These numbers of river's, NaN for what is none; TypeError for a complex one.

    >>> values_of([1, True, None, "v"]).tolist()
    [1.0, 1.0, nan, nan]
    """
    kinds = int | float | complex | np.number
    return np.array([float(x) if isinstance(x, kinds) else np.nan for x in found], dtype=float)  # type: ignore[arg-type]
