"""A run over its folder: what is fed goes into the journal first, its outputs into the files.

After a kill it reads the newest snapshot, feeds the journal's records behind that again, and skips
the outputs that the files hold already. Its callers choose what is fed next: `run` for a run that
goes on, `erase` for one that stands still.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec

from ...adapters.journal import Record, Span, Spans, hash_content, pair_asked
from ...adapters.sealing import load_sealer
from ...adapters.secret_files import load_privacy
from ...adapters.snapshots.store import SnapshotStore
from ...engine import Engine
from ...errors import BadInput
from ...learn.retrain import Challenger
from ...messages import Output
from ...settings import Settings
from .base import base_store, restore_base
from .curve import CurveWriter
from .folder import RunFolder
from .outlet import Outlet
from .outputs import OutputLogs
from .player import Player
from .run_metrics import RunMetrics


class Feeder:
    """The engine of a run, brought to where it was.

    - `state`, `requests`: the run's folder, and the file of requests
    - `opened`: closes what is opened here
    - `stop`: set to stop feeding the journal again
    - `on_note`: called with sentences of what a person should know and is no error
    - `on_outputs`: called with all outputs, as they are written
    - `shown`: makes the reports

    Raises `BadInput` and `BadSettings` with a sentence that says what to do.
    """

    def __init__(
        self,
        state: Path,
        requests: Path,
        settings: Settings,
        opened: ExitStack,
        *,
        stop: threading.Event,
        on_note: Callable[[str], None],
        on_outputs: Callable[[Sequence[Output]], None],
        shown: RunMetrics,
    ) -> None:
        self.stop = stop
        self.settings = settings
        self.state = state
        self._note = on_note
        self._shown = shown
        # Called before the journal is begun anew, so that its followers read the rest.
        self.before_anew: Callable[[], None] = lambda: None
        folder = opened.enter_context(closing(RunFolder(state, settings)))
        for sentence in folder.edited:
            self._note(sentence)
        self.journal = folder.journal
        self.player = opened.enter_context(closing(Player(folder)))
        self.store = SnapshotStore(
            state / "snapshots", stream=settings.stream, kept_n=settings.run.snapshots_kept
        )
        positions = self._restore_engine(folder)
        self._snapshot_at = int(positions.get("journal", 0))
        self._shown.stands_at(self.engine)
        self.privacy = load_privacy(settings.privacy)
        is_new = self.journal.is_new
        sealer = load_sealer(settings.sealing, settings.stream)
        logs = OutputLogs(requests, state, positions, self.privacy, sealer, is_new=is_new)
        opened.callback(logs.close)
        self._outlet = Outlet(logs, self.journal, self.player, on_outputs)
        self._curve = opened.enter_context(closing(CurveWriter(state)))
        self._go_on()

    @property
    def engine(self) -> Engine:
        return self.player.engine

    def _go_on(self) -> None:
        """Feed the journal's records behind the snapshot, until the end or until `stop` is set."""
        self._fed_to = self._snapshot_at
        for record, end, asked in pair_asked(self.journal.read_records(self._snapshot_at)):
            is_last = end == self.journal.size
            outputs = self.player.play_record(record, asked=asked)
            self._outlet.let_out_again(outputs, asked, is_last=is_last)
            self.engine.check_model()
            self._fed_to = self.journal.size if is_last else end
            if self.stop.is_set() and not is_last:
                self._note(
                    f"stopped at byte {end} of {self.journal.size} of {self.journal.path}, which "
                    "is fed again at a start; the next one goes on from there"
                )
                break
        if sentence := self._outlet.describe_differences():
            self._note(sentence)

    def feed_span(self, source: int, start: int, content: bytes) -> None:
        """Feed these bytes, which stand at byte `start` of a source."""
        span = Span(
            source=source, start=start, stop=start + len(content), digest=hash_content(content)
        )
        self._feed_record(span, content)

    def _feed_record(
        self, record: Record, content: bytes | None = None, challenger: Challenger | None = None
    ) -> None:
        """The one way in: first the journal, then the engine, then the outputs."""
        self.journal.append(record)
        with self._shown.time_feeding(self.engine):
            outputs = self.player.play_record(record, content, challenger)
        self._outlet.let_out(outputs)
        self._fed_to = self.journal.size
        self._note_outputs(outputs)
        self.engine.check_model()

    def _note_outputs(self, outputs: Sequence[Output]) -> None:
        """Take the outputs that were just let out; a run overrides this."""

    def write_snapshot(self) -> None:
        """Make all that was written durable, then write a snapshot from which to go on."""
        self._curve.add_point(self.engine, every_n=1)
        blob = self._write_state(self.store)
        self._shown.note_written(blob, self.engine)
        self._snapshot_at = self._fed_to

    def begin_anew(self) -> None:
        """Begin the journal anew here: nothing that was fed before is needed or in it any more.

        After a kill meanwhile there is the old journal or the new one, each with its state.
        """
        self.before_anew()
        base = base_store(self.state, self.settings)
        self._fed_to = self.journal.size
        self._write_state(base)
        self.journal.begin_anew()
        base.remove_before(self.journal.origin)
        self._fed_to = self.journal.size
        self.write_snapshot()
        self.store.remove_before(self._fed_to)

    def _write_state(self, store: SnapshotStore) -> bytes:
        """Make all that was written durable; write the state as of `_fed_to` and return it."""
        self.journal.sync()
        self._outlet.logs.sync()
        now, size = self.engine.now, self._fed_to
        positions: dict[str, int | str] = {**self._outlet.logs.positions}
        positions["journal"] = size
        positions["rejected_n"] = msgspec.json.encode(self.player.rejected_n).decode()
        blob = self.engine.snapshot()
        store.write(size, blob, positions, at=now if math.isfinite(now) else None)
        return blob

    def _restore_engine(self, folder: RunFolder) -> dict[str, int | str]:
        """Bring the engine to the newest snapshot; return the positions in that."""
        origin = self.journal.origin
        snapshot = self.store.read_latest(
            lambda found: self.engine.restore(found.blob), seq_min=origin
        )
        self._shown.note_refused(len(self.store.refused))
        for sentence in self.store.first_refused():
            self._note(f"a snapshot is passed over: {sentence}")
        if snapshot is None and not origin:
            return {}
        snapshot = snapshot or restore_base(folder, self.engine)
        if int(snapshot.positions["journal"]) > self.journal.size:
            raise BadInput(
                f"{self.journal.path} ends before {snapshot.path} was written; put it back, or "
                "start with another --state"
            )
        self._shown.note_restored(snapshot.path, snapshot.blob)
        self.player.rejected_n = msgspec.json.decode(
            str(snapshot.positions["rejected_n"]), type=dict[str, int]
        )
        return snapshot.positions

    def find_fed(self, source: int) -> Spans:
        """Return what was fed of a source, after a check that it is still the same file."""
        if source in self.journal.last:
            self.player.read_span(self.journal.last[source])
        return self.journal.fed[source]
