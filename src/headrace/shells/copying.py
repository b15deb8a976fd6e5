"""A table as the log of a run: copied into its folder as JSON lines, which the journal refers to.

The copy may grow with the table, and never changes: what was fed stands in it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..adapters.tables.records import lines_of
from ..errors import BadInput
from ..settings import Settings

COPY = "table.jsonl"

CHUNK_BYTES = 1 << 20


def copy_table(path: Path, state: Path, settings: Settings, on_note: Callable[[str], None]) -> Path:
    """The copy of a table in a run's folder, made anew where rows were added; its place.

    Raises `BadInput` where the rows that were copied before are other ones now.
    """
    copy = state / COPY
    made = copy.with_name(f"{COPY}.new")
    with made.open("wb") as file:
        for lines in lines_of(path, settings, on_note):
            file.write(lines)
    if not _begins_with(made, copy):
        made.unlink()
        raise BadInput(
            f"{path} has changed since {state} was begun, or is read otherwise now: rows may be "
            "added to it, and [columns] keeps their kinds; put it back, or start with another "
            "--state"
        )
    made.replace(copy)
    return copy


def _begins_with(made: Path, before: Path) -> bool:
    """Whether a file begins with what stood in another."""
    if not before.exists():
        return True
    with made.open("rb") as new, before.open("rb") as old:
        while chunk := old.read(CHUNK_BYTES):
            if new.read(len(chunk)) != chunk:
                return False
    return True
