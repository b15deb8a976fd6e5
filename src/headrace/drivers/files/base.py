"""The base of a run whose journal was begun anew: the state from which it is decided again.

After an erasure nothing may depend on what was fed before: so the state at that moment is stored,
signed like any snapshot, and restarts and replays begin there. Unlike a snapshot it is precious:
there is nothing else from which it could be made.
"""

from __future__ import annotations

from pathlib import Path

from ...adapters.snapshots.store import Snapshot, SnapshotStore
from ...engine import Engine
from ...errors import BadInput
from ...settings import Settings
from .folder import RunFolder

BASE = "base"
"""The base's folder in that of the run."""


def base_store(state: Path, settings: Settings) -> SnapshotStore:
    """Return the store of a run's base: two while a new one takes the place of the old."""
    return SnapshotStore(state / BASE, stream=settings.stream, kept_n=2)


def restore_base(folder: RunFolder, engine: Engine) -> Snapshot:
    """Bring an engine to where the journal begins; return that snapshot. Raises `BadInput`."""
    origin = folder.journal.origin
    store = base_store(folder.path, folder.settings)

    def read_base(found: Snapshot) -> None:
        if found.seq != origin:
            raise BadInput(f"its number is {found.seq}, and the journal begins at {origin}")
        engine.restore(found.blob)

    snapshot = store.read_latest(read_base, seq_min=origin)
    if snapshot is None:
        why = "; ".join(store.first_refused()) or "it is not there"
        raise BadInput(
            f"{folder.path / BASE} has no state from which this run could go on: {why}. After an "
            "erasure nothing else holds it; put it back, or start with another --state"
        )
    return snapshot
