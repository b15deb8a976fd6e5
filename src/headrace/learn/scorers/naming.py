"""Steps that choose features by type or name, or rename them; they change no value."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any

import numpy as np

from ..schema_view import Floats
from .block import Block, BlockColumns, BlockStep, TextsOf, merge_columns, values_of


class SelectTypes(BlockStep):
    """river's SelectType: the numbers, the texts, both or neither; never what is None."""

    def __init__(self, *, has_numbers: bool, has_texts: bool) -> None:
        self._has_numbers = has_numbers
        self._has_texts = has_texts

    def route(self, columns: BlockColumns, texts: TextsOf) -> BlockColumns:
        """As `BlockStep.route`."""
        chosen = tuple(text._replace(has_none=False) for text in columns.texts)
        return BlockColumns(
            columns.names if self._has_numbers else (), chosen if self._has_texts else ()
        )

    def apply(self, block: Block) -> Block:
        """As `BlockStep.apply`."""
        numbers, is_absent, codes, has_failed, is_none = block
        if not self._has_numbers:
            numbers, is_absent = numbers[:, :0], is_absent[:, :0]
        elif is_none is not None:
            is_absent = is_absent | is_none
        return Block(numbers, is_absent, codes if self._has_texts else codes[:, :0], has_failed)


class PickNames(BlockStep):
    """river's Select and Discard: features by name. Select raises for a feature that is absent."""

    def __init__(self, keys: Set[Any], *, is_discarding: bool) -> None:
        self._keys = keys
        self._is_discarding = is_discarding

    def route(self, columns: BlockColumns, texts: TextsOf) -> BlockColumns:
        """As `BlockStep.route`."""
        keys, gone = self._keys, self._is_discarding
        numbers = [j for j, name in enumerate(columns.names) if (name in keys) != gone]
        chosen = [j for j, text in enumerate(columns.texts) if (text.name in keys) != gone]
        self._numbers = np.array(numbers, dtype=np.intp)
        self._texts = np.array(chosen, dtype=np.intp)
        kept = BlockColumns(
            tuple(columns.names[j] for j in numbers), tuple(columns.texts[j] for j in chosen)
        )
        known = {*kept.names, *(text.name for text in kept.texts)}
        self._is_lacking = not gone and not keys <= known
        self._can_be_absent = np.array([not text.has_none for text in kept.texts], dtype=np.bool_)
        return kept

    def apply(self, block: Block) -> Block:
        """As `BlockStep.apply`."""
        block = self._pick(block)
        if self._is_discarding:
            return block
        if self._is_lacking:
            return block.fail_all()
        return block.fail(block.is_absent).fail(np.isnan(block.codes) & self._can_be_absent)

    def _pick(self, block: Block) -> Block:
        return block.take(self._numbers)._replace(codes=block.codes.take(self._texts, axis=1))


class KeepNames(PickNames):
    """Features by name, of those that are there; none need be."""

    def __init__(self, keys: Set[Any]) -> None:
        super().__init__(keys, is_discarding=False)

    def apply(self, block: Block) -> Block:
        """As `BlockStep.apply`."""
        return self._pick(block)


class Rename(BlockStep):
    """river's Prefixer and Suffixer."""

    def __init__(self, rename: Callable[[str], str]) -> None:
        self._rename = rename

    def route(self, columns: BlockColumns, texts: TextsOf) -> BlockColumns:
        """As `BlockStep.route`."""
        return columns.rename(self._rename)


class Replace(BlockStep):
    """One name of river's Renamer; a feature that has the new name already is replaced."""

    def __init__(self, old: str, new: str) -> None:
        self._old, self._new = old, new

    def route(self, columns: BlockColumns, texts: TextsOf) -> BlockColumns:
        """As `BlockStep.route`."""
        names, old, new = columns.names, self._old, self._new
        kinds = [{*names}, {text.name for text in columns.texts}]
        # A number that replaces a text, or the reverse, would be both.
        self._is_mixed = any(old in a and new in b for a, b in (kinds, kinds[::-1]))
        self._is_mixed |= {old, new} <= kinds[1]
        self._places = None
        if old in names and new in names and old != new:
            order = [[j] for j, name in enumerate(names) if name not in (old, new)]
            self._places = [[names.index(old), names.index(new)], *order]
            names = (new, *(names[j] for [j] in order))
            return BlockColumns(names, columns.texts)
        return columns.rename(lambda name: new if name == old else name)

    @property
    def is_left_to_river(self) -> bool:
        """As `BlockStep.is_left_to_river`."""
        return self._is_mixed

    def apply(self, block: Block) -> Block:
        """As `BlockStep.apply`."""
        return block if self._places is None else merge_columns(block, self._places)


class DropFlat(BlockStep):
    """river's VarianceThreshold: features of little variance are left out."""

    def __init__(self, step: Any) -> None:
        self._step = step

    def route(self, columns: BlockColumns, texts: TextsOf) -> BlockColumns:
        """As `BlockStep.route`."""
        self._columns = columns
        return columns

    def read(self) -> None:
        """As `BlockStep.read`."""
        is_kept, columns = self._step.check_feature, self._columns
        self._is_flat = np.array([not is_kept(name) for name in columns.names], dtype=np.bool_)
        gone = [not is_kept(text.name) for text in columns.texts]
        self._gone_texts = np.array(gone, dtype=np.bool_)

    def apply(self, block: Block) -> Block:
        """As `BlockStep.apply`."""
        codes, is_none = block.codes, block.is_none
        if self._gone_texts.any():
            codes = np.where(self._gone_texts, np.nan, codes)
        if is_none is not None:
            is_none = is_none & ~self._is_flat
        is_absent = block.is_absent | self._is_flat
        return block._replace(is_absent=is_absent, codes=codes, is_none=is_none)


class Impute(BlockStep):
    """river's StatImputer and PreviousImputer: `find(name)` is what replaces None.

    `wanted` are names without which river raises.
    """

    def __init__(self, find: Callable[[str], Any], wanted: tuple[Any, ...] | None) -> None:
        self._find = find
        self._wanted = wanted

    def route(self, columns: BlockColumns, texts: TextsOf) -> BlockColumns:
        """As `BlockStep.route`."""
        self._names = columns.names
        names, wanted = columns.names, self._wanted
        self._has_texts = any(
            wanted is None or text.name in wanted for text in columns.texts if text.has_none
        )
        absent_texts = {text.name for text in columns.texts if not text.has_none}
        self._has_texts |= wanted is not None and any(name in absent_texts for name in wanted)
        known = {*names, *(text.name for text in columns.texts)}
        self._is_lacking = any(name not in known for name in wanted or ())
        # The value for a number is a text only if it is a constant one.
        self._has_texts |= any(isinstance(self._find(name), str) for name in names)
        self._is_wanted = np.array([name in (wanted or ()) for name in names], dtype=np.bool_)
        return columns

    @property
    def is_left_to_river(self) -> bool:
        """As `BlockStep.is_left_to_river`: texts to be imputed, or a text for numbers."""
        return self._has_texts

    def read(self) -> None:
        """As `BlockStep.read`."""
        self._fills: Floats = values_of(self._find(name) for name in self._names)

    def apply(self, block: Block) -> Block:
        """As `BlockStep.apply`."""
        if self._is_lacking:
            return block.fail_all()
        if self._is_wanted.any():
            block = block.fail(block.is_absent & self._is_wanted)
        if block.is_none is None:
            return block
        is_filled = block.is_none & ~np.isnan(self._fills)
        numbers = np.where(is_filled, self._fills, block.numbers)
        return block._replace(numbers=numbers, is_none=block.is_none & ~is_filled)
