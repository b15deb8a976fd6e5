"""What an embedded run shows of itself: a report made between two steps, and the port that has it.

The engine knows nothing of files, clocks or snapshots; what the report says of them is added here.
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
"""A report that is shown is at most about so old."""


REPORT = "report.json"
"""The accuracy and the annotators as a run that goes on tells them, for a desk beside it."""


class _People(msgspec.Struct):
    """What a desk reads of `REPORT` besides the accuracy."""

    compared: dict[str, tuple[int, int]] = {}
    by_class: dict[str, dict[str, tuple[int, int]]] = {}


def write_report(folder: Path, report: Report) -> None:
    """Write what a desk is told of a run, as far as anything is known yet."""
    told: dict[str, object] = {}
    whole = report.estimates.accuracy_all
    if whole.accuracy is not None and whole.low is not None and whole.high is not None:
        told = {name: getattr(whole, name) for name in ("accuracy", "low", "high", "labels_n")}
    people = {
        a.name: a for a in report.annotators.most_active if a.name and a.compared_n + a.gold_n
    }
    if people:
        told["compared"] = {
            name: (a.compared_n + a.gold_n, a.agreed_n + a.gold_right_n)
            for name, a in people.items()
        }
        told["by_class"] = {name: a.by_class for name, a in people.items()}
    if not told:
        return
    new = folder / f"{REPORT}.new"
    new.write_bytes(msgspec.json.encode(told))
    new.replace(folder / REPORT)


def read_compared(folder: Path) -> dict[str, Comparisons]:
    """By annotator, how often they named a label that others gave too, or a known one."""
    try:
        people = msgspec.json.decode((folder / REPORT).read_bytes(), type=_People)
        return {
            name: Comparisons(n, right_n, people.by_class.get(name, {}))
            for name, (n, right_n) in people.compared.items()
        }
    except (FileNotFoundError, msgspec.MsgspecError):
        return {}


class RunMetrics:
    """The latest report of a run, and the times that were taken. `clock` is the time of day.

    With a `folder` the accuracy is written there whenever the report is made. `on_note` is told
    when an annotator's agreement fell since the first report.
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
        """The report is old enough to be made anew."""
        return time.monotonic() - self._made_at >= REPORT_S

    def look(
        self, engine: Engine, *, rejected_n: Mapping[str, int], read_bytes: int, lag_bytes: int
    ) -> Report:
        """Make the report. Of the events' file so many bytes are fed, and so many are not.

        How many records these are is told by the mean length so far.
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
        """Say whose agreement fell; what a run before has said is not said again."""
        falls_n = {a.name: a.falls_n for a in self.report.annotators.most_active if a.falls_n}
        for a in self.report.annotators.most_active:
            if self._falls_n is not None and a.falls_n > self._falls_n.get(a.name, 0):
                self._note(a.fall_sentence)
        self._falls_n = falls_n

    def found(self, path: str | Path, blob: bytes) -> None:
        """The run goes on from this snapshot."""
        self._snapshot_at, self._snapshot_bytes = Path(path).stat().st_mtime, len(blob)

    def wrote(self, blob: bytes, engine: Engine) -> None:
        """This snapshot was written just now."""
        self._snapshot_at, self._snapshot_bytes = self._clock(), len(blob)
        self.stands_at(engine)

    def stands_at(self, engine: Engine) -> None:
        """There is nothing to save yet that came later."""
        self._saved_n = engine.shard.events_n, engine.trainer.versions.changes_n

    def is_snapshot_due(self, engine: Engine) -> bool:
        """Whether enough events came since the last one, or the kept versions changed."""
        events_n, changes_n = self._saved_n
        new_n = engine.shard.events_n - events_n
        is_new = engine.trainer.versions.changes_n != changes_n
        return is_new or new_n >= self.settings.run.snapshot_every_n

    def refused(self, snapshots_n: int) -> None:
        """So many snapshots were there, and were passed over."""
        self._refused_n += snapshots_n

    # ------------------------------------------------------------------------------- the times

    @contextmanager
    def feeding(self, engine: Engine) -> Iterator[None]:
        """Whatever events the engine is fed meanwhile are timed; their age is that of the last."""
        events_n, started = engine.shard.events_n, time.perf_counter()
        yield
        if self._timings is not None:
            fed_n = engine.shard.events_n - events_n
            age_s = self._clock() - engine.now
            self._timings.fed(fed_n, time.perf_counter() - started, age_s)

    @contextmanager
    def retraining(self) -> Iterator[None]:
        """What is retrained meanwhile is timed, in whichever thread."""
        started = time.perf_counter()
        yield
        if self._timings is not None:
            self._timings.retrained(time.perf_counter() - started)

    # -------------------------------------------------------------------------------- the port

    def serve(self, on_note: Callable[[str], None]) -> Served | None:
        """/metrics, /healthz and /readyz as the settings say, if they do. Raises `BadSettings`."""
        if not self.settings.http.port:
            return None
        # Few runs want it.
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
