"""One history for all processes of a pilot: each maps the same files, and none has a copy.

Only numbers are shared; texts are sent to each process.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from ...errors import BadSettings
from .history import History


@dataclasses.dataclass(frozen=True)
class SharedHistory:
    """A history whose numbers lie in `folder`, a file for each of `number_names`."""

    rest: History
    folder: Path
    number_names: tuple[str, ...]

    def open(self) -> History:
        """Return the history; its numbers are read from the files when they are needed."""
        numbers = {
            name: np.asarray(np.load(self.folder / f"{i}.npy", mmap_mode="r"))
            for i, name in enumerate(self.number_names)
        }
        return dataclasses.replace(self.rest, numbers=numbers)


def share_history(history: History, folder: Path) -> SharedHistory:
    """Write the numbers of a history into an empty folder.

    Raises `BadSettings` if there is no room.
    """
    names = tuple(history.numbers)
    try:
        for i, name in enumerate(names):
            np.save(folder / f"{i}.npy", history.numbers[name])
    except OSError as error:
        raise BadSettings(
            f"{folder.parent} can't take the numbers that the processes share "
            f"({error.strerror}): name a folder with room in TMPDIR, or give --processes 1"
        ) from error
    return SharedHistory(dataclasses.replace(history, numbers={}), folder, names)
