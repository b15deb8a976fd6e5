"""The numbers of an embedded run: a report made between two steps, and the port that serves it.

The engine knows nothing of files, clocks or snapshots; the report's numbers on those are added
here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ...bridges.desk.routing import Comparisons
from ...engine import Engine
from ...report import Report, SnapshotsReport, WorkerReport
from ...report.building import build_report, describe_partition
from ...settings import Settings

if TYPE_CHECKING:
    from ...adapters.metrics.serving import Served
    from ...adapters.metrics.timings import Timings

REPORT_S = 1.0
"""How old a report that is shown may be, about, in seconds."""


REPORT = "report.json"
"""The file with a running run's accuracy and annotators, for a desk beside it."""


class _People(msgspec.Struct):
    """The fields of `REPORT` that a desk reads besides the accuracy."""

    compared: dict[str, tuple[int, int]] = {}
    by_class: dict[str, dict[str, tuple[int, int]]] = {}


def write_report(folder: Path, report: Report) -> None:
    """Write the accuracy and the annotators for a desk, as far as anything is known yet."""
    fields: dict[str, object] = {}
    whole = report.estimates.accuracy_all
    if whole.accuracy is not None and whole.low is not None and whole.high is not None:
        fields = {name: getattr(whole, name) for name in ("accuracy", "low", "high", "labels_n")}
    people = {
        a.name: a for a in report.annotators.most_active if a.name and a.compared_n + a.gold_n
    }
    if people:
        fields["compared"] = {
            name: (a.compared_n + a.gold_n, a.agreed_n + a.gold_right_n)
            for name, a in people.items()
        }
        fields["by_class"] = {name: a.by_class for name, a in people.items()}
    if not fields:
        return
    new = folder / f"{REPORT}.new"
    new.write_bytes(msgspec.json.encode(fields))
    new.replace(folder / REPORT)


def read_compared(folder: Path) -> dict[str, Comparisons]:
    """Return by annotator how often they agreed with others' labels, or with known ones."""
    try:
        people = msgspec.json.decode((folder / REPORT).read_bytes(), type=_People)
        return {
            name: Comparisons(n, right_n, people.by_class.get(name, {}))
            for name, (n, right_n) in people.compared.items()
        }
    except (FileNotFoundError, msgspec.MsgspecError):
        return {}


class RunMetrics:
    """The latest report of a run, and its timings. `clock` returns the time of day, seconds.

    With a `folder` the accuracy is written there whenever the report is made. `on_note` is called
    with a sentence when an annotator's agreement fell since the first report.
    """

    report: Report

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], float],
        folder: Path | None = None,
        on_note: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.settings = settings
        self._note = on_note
        self._falls_n: dict[str, int] | None = None
        self._folder = folder
        self._clock = clock
        self._made_at = -math.inf
        self._snapshot_at: float | None = None
        self._snapshot_bytes: int | None = None
        self._refused_n = 0
        self._saved_n = (0, 0)
        self._timings: Timings | None = None

    # ------------------------------------------------------------------------------ the report

    @property
    def is_due(self) -> bool:
        """Whether the report is old enough to be made anew."""
        return time.monotonic() - self._made_at >= REPORT_S

    def make_report(
        self, engine: Engine, *, rejected_n: Mapping[str, int], read_bytes: int, lag_bytes: int
    ) -> Report:
        """Make and return the report.

        `rejected_n` counts lines that the engine never saw, by reason. Of the events' file
        `read_bytes` are fed and `lag_bytes` are not; the mean length so far estimates how many
        events that is.
        """
        lag_n: int | None = 0
        if lag_bytes:
            events_n = engine.shard.events_n
            lag_n = math.ceil(lag_bytes * events_n / read_bytes) if read_bytes else None
        lag_s = None if lag_bytes else 0.0
        worker = WorkerReport(
            partitions=(describe_partition(0, engine.shard, lag_n=lag_n, lag_s=lag_s),),
            snapshots=SnapshotsReport(
                written_at=self._snapshot_at,
                bytes_n=self._snapshot_bytes,
                refused_n=self._refused_n,
            ),
            rejected_n=dict(rejected_n),
        )
        self.report, self._made_at = build_report(engine, worker), time.monotonic()
        if self._folder is not None:
            write_report(self._folder, self.report)
        self._tell_falls()
        return self.report

    def _tell_falls(self) -> None:
        """Note whose agreement fell, but not what an earlier start of the run has noted."""
        falls_n = {a.name: a.falls_n for a in self.report.annotators.most_active if a.falls_n}
        for a in self.report.annotators.most_active:
            if self._falls_n is not None and a.falls_n > self._falls_n.get(a.name, 0):
                self._note(a.fall_sentence)
        self._falls_n = falls_n

    def note_restored(self, path: str | Path, blob: bytes) -> None:
        """Note that the run goes on from this snapshot."""
        self._snapshot_at, self._snapshot_bytes = Path(path).stat().st_mtime, len(blob)

    def note_written(self, blob: bytes, engine: Engine) -> None:
        """Note that this snapshot was just written."""
        self._snapshot_at, self._snapshot_bytes = self._clock(), len(blob)
        self.stands_at(engine)

    def stands_at(self, engine: Engine) -> None:
        """Note that everything up to now is saved."""
        self._saved_n = engine.shard.events_n, engine.trainer.versions.changes_n

    def is_snapshot_due(self, engine: Engine) -> bool:
        """Whether enough events came since the last snapshot, or the kept versions changed."""
        events_n, changes_n = self._saved_n
        new_n = engine.shard.events_n - events_n
        is_new = engine.trainer.versions.changes_n != changes_n
        return is_new or new_n >= self.settings.run.snapshot_every_n

    def note_refused(self, snapshots_n: int) -> None:
        """Count snapshots that were passed over."""
        self._refused_n += snapshots_n

    # ------------------------------------------------------------------------------- the times

    @contextmanager
    def time_feeding(self, engine: Engine) -> Iterator[None]:
        """Time the events that the engine is fed meanwhile; their age is that of the last."""
        events_n, started = engine.shard.events_n, time.perf_counter()
        yield
        if self._timings is not None:
            fed_n = engine.shard.events_n - events_n
            age_s = self._clock() - engine.now
            self._timings.count_fed(fed_n, time.perf_counter() - started, age_s)

    @contextmanager
    def time_retraining(self) -> Iterator[None]:
        """Time a retraining meanwhile, in whichever thread."""
        started = time.perf_counter()
        yield
        if self._timings is not None:
            self._timings.count_retraining(time.perf_counter() - started)

    # -------------------------------------------------------------------------------- the port

    def serve(self, on_note: Callable[[str], None]) -> Served | None:
        """Serve /metrics, /healthz and /readyz if the settings say so. Raises `BadSettings`."""
        if not self.settings.http.port:
            return None
        # Few runs serve metrics: only they import this.
        from ...adapters.metrics.serving import serve  # noqa: PLC0415
        from ...adapters.metrics.timings import Timings  # noqa: PLC0415

        self._timings = Timings(self.settings.stream)
        return serve(
            lambda: self.report,
            http=self.settings.http,
            ready=lambda: self.report.model.fault,
            timings=self._timings,
            on_note=on_note,
        )
