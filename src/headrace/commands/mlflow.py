"""`headrace mlflow`: show a stream in MLflow, and roll back when an alias is moved there.

This is a process of its own beside a run or the workers on Kafka. It reads the run's folder or the
workers' snapshots, and places orders as a command does, so that the run never waits for it. It may
be killed at any time: its progress is in `mlflow/state.json`, which is written after each step, and
a step that is done twice has the same result.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from ..adapters.mlflow_model import NAME_SAID, OPTIONS_SAID, SERIES
from ..adapters.mlflow_registry import (
    CHALLENGER,
    CHAMPION,
    Away,
    MetricPoint,
    Registry,
    faults_of_uri,
)
from ..adapters.printing import say
from ..adapters.snapshots.store import seal_snapshot
from ..bridges.bridge import Unreachable
from ..drivers.files.folder import replace_file
from ..drivers.files.orders import RunOrders
from ..errors import BadInput, BadSettings
from ..learn.scoring_model import ScoringModel
from ..learn.versions import Version, Versions
from ..messages import RollBackOrdered
from ..observe.schema import Schema
from ..settings import Settings, load_for_kafka
from ..settings.reading import decides_nothing, differing_fields
from .stopping import catch_stop_signals
from .tracked import Tracked, TrackedRun, TrackedWorkers

T = TypeVar("T")

FOLDER, STATE = "mlflow", "state.json"
_AROUND = ("kafka.", "worker.")
"""Settings of the surroundings of workers, which decide nothing either."""

WAIT_S, WAIT_S_MAX = 1.0, 60.0


class Progress(msgspec.Struct, kw_only=True):
    """The progress: the curve is logged up to `curve`, as `Tracked.read_points` counts.

    `champion` and `challenger` are the versions that the aliases pointed to when last seen or set.
    `moves_n` counts moves of `champion` by a person; the latest one asks for version `wanted`.
    """

    run_tag: str
    curve: int = 0
    champion: int | None = None
    challenger: int | None = None
    moves_n: int = 0
    wanted: int | None = None


class TrackerClient(Protocol):
    """The part of MLflow that a tracker uses: see `adapters.mlflow_registry.Registry`."""

    def open_run(self, *, stream: str, params: dict[str, str], settings: bytes) -> None: ...
    def log_points(self, points: list[MetricPoint]) -> None: ...
    def list_versions(self) -> dict[int, str]: ...
    def register_version(self, number: int, content: bytes, tags: dict[str, str]) -> str: ...
    def resolve_alias(self, alias: str) -> int | None: ...
    def set_alias(self, alias: str, version_n: str | None) -> None: ...


class Tracker:
    """Copies the curve and the model versions of a stream to MLflow, step by step.

    `tracked` is the stream, closed with the tracker; `folder` keeps the progress; `make` returns
    the record of a run by its tag; `note` is called with sentences for the user. Raises
    `BadSettings` where another process uses the folder.
    """

    def __init__(
        self,
        tracked: Tracked,
        folder: Path,
        make: Callable[[str], TrackerClient],
        note: Callable[[str], None],
    ) -> None:
        self.tracked = tracked
        self._settings = tracked.settings
        self._note, self._noted = note, ""
        self._folder = folder
        with ExitStack() as opened:
            opened.callback(tracked.close)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = opened.enter_context(closing((self._folder / "lock").open("ab")))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BadSettings(
                    f"another `headrace mlflow` goes on from {folder}; stop it first"
                ) from None
            self.progress = self._read_progress()
            self._record = make(self.progress.run_tag)
            self._is_open = False
            self._mark = ""
            self._there: dict[int, str] = {}
            self._versions = Versions(self._settings.learn)
            self._opened = opened.pop_all()

    def close(self) -> None:
        self._opened.close()

    def track_changes(self) -> bool:
        """Bring MLflow up to date; return whether it was behind. Raises `Away`, `BadSettings`."""
        if not self._is_open:
            encoded = msgspec.json.encode(self._settings)
            self._record.open_run(
                stream=self._settings.stream, params=params_of(self._settings), settings=encoded
            )
            self._is_open = True
        moved = self._log_curve()
        if self._settings.learn.versions_kept:
            moved |= self._follow_versions()
        return moved

    # ------------------------------------------------------------------------------- the curve

    def _log_curve(self) -> bool:
        points, reached = self.tracked.read_points(self.progress.curve)
        if not points:
            return False
        self._record.log_points(
            [MetricPoint(point.labels_n, point.at, point.values) for point in points]
        )
        self._save_progress(curve=reached)
        return True

    # ---------------------------------------------------------------------------- the versions

    def _follow_versions(self) -> bool:
        mark = self.tracked.read_mark()
        if not mark:
            return False
        moved = False
        if mark != self._mark:
            self._versions = self.tracked.read_versions()
            moved = self._register_versions()
            self._mark = mark
        return self._follow_alias() or moved

    def _register_versions(self) -> bool:
        self._there = self._record.list_versions()
        new = [version for version in self._versions.all if version.number not in self._there]
        for version in new:
            tags = {"headrace.labels": str(version.labels_n), "headrace.at": repr(version.at)}
            registered = self._record.register_version(
                version.number, self._sign_version(version), tags
            )
            self._there[version.number] = registered
        return bool(new)

    def _sign_version(self, version: Version) -> bytes:
        """Encode a version as a signed file, since it holds pickled objects of other packages."""
        settings, learner = self._settings, version.learner
        schema = learner.schema
        assert isinstance(schema, Schema)
        model = ScoringModel.of(settings, schema, learner, version.calibration)
        header: dict[str, int | str] = {NAME_SAID: settings.model.name}
        if settings.model.options:
            header[OPTIONS_SAID] = msgspec.json.encode(settings.model.options).decode()
        return seal_snapshot(
            model.freeze(),
            stream=settings.stream,
            series=SERIES,
            seq=version.number,
            said=header,
            keys=self.tracked.load_keys(),
        )

    def _follow_alias(self) -> bool:
        """Point the aliases to what is in use, or order what a person moved `champion` to."""
        progress, in_use = self.progress, self._versions.in_use or None
        challenger = self._versions.challenger
        try:
            pointed = self._record.resolve_alias(CHAMPION)
        except BadInput as error:
            self._note_once(str(error))
            pointed = progress.champion
        if pointed is not None and pointed != progress.champion:
            return self._order_version(pointed)
        if progress.wanted is not None:
            if not self._is_settled(progress.wanted):
                return False
            self._save_progress(wanted=None)
        moved = False
        if in_use is not None and in_use != progress.champion:
            moved |= self._point_alias(CHAMPION, in_use)
            self._save_progress(champion=in_use)
        number = None if challenger is None else challenger.number
        if number != progress.challenger:
            moved |= self._point_alias(CHALLENGER, number)
            self._save_progress(challenger=number)
        return moved

    def _order_version(self, number: int) -> bool:
        """Order the version to which a person moved the alias."""
        # Saved first, so that the order has the same key when this is done again.
        moves_n = self.progress.moves_n + (self.progress.wanted != number)
        self._save_progress(moves_n=moves_n, wanted=number)
        if number != self._versions.in_use:
            order = RollBackOrdered(
                at=time.time(),
                to=number,
                key=self._key,
                reason=f"the alias {CHAMPION} was moved to it in MLflow",
                by="mlflow",
            )
            if self._query_orders(lambda orders: orders.place(order)):
                self._note(f"the alias {CHAMPION} was moved to version {number}: ordered")
        self._save_progress(champion=number)
        return True

    @property
    def _key(self) -> str:
        return f"mlflow-{self.progress.run_tag[:8]}-{self.progress.moves_n}"

    def _is_settled(self, wanted: int) -> bool:
        """Whether the run has decided on the version that the alias asks for; notes a refusal."""
        order = RollBackOrdered(at=0.0, to=wanted, key=self._key)
        outcome = self._query_orders(lambda orders: orders.find_order(order))
        if outcome is None or outcome["state"] == "ordered":
            return self._versions.in_use == wanted
        if outcome["state"] == "refused":
            self._note_once(
                f"version {wanted} did not come back: {outcome['why']}; the alias goes back"
            )
            return True
        # The newest snapshot may be older than the roll-back, and not show it yet.
        return outcome["state"] == "rolled back" and self._versions.in_use == wanted

    def _query_orders(self, ask: Callable[[RunOrders], T]) -> T:
        """Call `ask` with the place of orders. Raises `Away` while it can't be reached."""
        try:
            return ask(self.tracked.orders)
        except Unreachable as error:
            raise Away(str(error), who="Kafka") from error

    def _note_once(self, sentence: str) -> None:
        if sentence != self._noted:
            self._noted = sentence
            self._note(sentence)

    def _point_alias(self, alias: str, number: int | None) -> bool:
        if number is not None and number not in self._there:
            return False
        self._record.set_alias(alias, None if number is None else self._there[number])
        return True

    # ------------------------------------------------------------------------------- the memory

    def _read_progress(self) -> Progress:
        path = self._folder / STATE
        if path.exists():
            try:
                return msgspec.json.decode(path.read_bytes(), type=Progress)
            except msgspec.MsgspecError as error:
                raise BadInput(
                    f"{path} can't be read: {error}; remove it, and MLflow gets a new run"
                ) from error
        progress = Progress(run_tag=uuid.uuid4().hex)
        replace_file(path, msgspec.json.encode(progress))
        return progress

    def _save_progress(self, **changes: Any) -> None:
        self.progress = msgspec.structs.replace(self.progress, **changes)
        replace_file(self._folder / STATE, msgspec.json.encode(self.progress))


def params_of(settings: Settings) -> dict[str, str]:
    """Stream, seed, and the settings that decide something and are not at their defaults, by path.

    >>> from headrace.settings import parse
    >>> params_of(parse({"seed": 7, "query": {"budget": {"share": 0.2}}}))
    {'stream': 'default', 'seed': '7', 'query.budget.share': '0.2'}
    """
    default, now = msgspec.to_builtins(Settings()), msgspec.to_builtins(settings)
    changed = {
        path: str(value)
        for path, _, value in differing_fields(default, now)
        if not decides_nothing(path) and not path.startswith(_AROUND)
    }
    return {"stream": settings.stream, "seed": str(settings.seed)} | dict(sorted(changed.items()))


# --------------------------------------------------------------------------------- command line


def register(subparsers: Any) -> None:
    """Add `headrace mlflow`."""
    parser = subparsers.add_parser(
        "mlflow",
        help="show a run in MLflow",
        description="Beside a `headrace run`, or the workers on Kafka: the learning curve and the "
        "versions of the model go to an MLflow server, with the aliases champion and challenger; "
        "when somebody moves champion to another version there, the model is rolled back to it. "
        "Nobody waits for it. Ends with SIGTERM or Ctrl-C. See docs/MLFLOW.md.",
    )
    parser.add_argument(
        "state", type=Path, nargs="?", metavar="DIR", help="the --state of a `headrace run`"
    )
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help="TOML of the workers on Kafka, instead"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help="where it keeps how far it is (default: mlflow/ in DIR, or beside the settings)",
    )
    parser.add_argument(
        "--server",
        metavar="URI",
        help="address of the tracking server, or sqlite:///FILE (default: MLFLOW_TRACKING_URI)",
    )
    parser.add_argument(
        "--experiment", default="headrace", metavar="NAME", help="default: %(default)s"
    )
    parser.add_argument(
        "--name", metavar="NAME", help="of the registered model (default: headrace-STREAM)"
    )
    parser.add_argument(
        "--allow-http", action="store_true", help="speak plain HTTP with another machine too"
    )
    parser.add_argument(
        "--once", action="store_true", help="end when all that is there now is in MLflow"
    )
    parser.set_defaults(func=main)


def main(arguments: argparse.Namespace) -> int:
    """Run `headrace mlflow`; return the exit code."""
    uri = arguments.server or os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri:
        raise BadSettings("no tracking server is named: give --server, or MLFLOW_TRACKING_URI")
    if faults := faults_of_uri(uri, allows_http=arguments.allow_http):
        raise BadSettings(faults)
    with ExitStack() as opened:
        tracked, folder = _open_tracked(arguments)
        stream = tracked.settings.stream

        def make_registry(run_tag: str) -> Registry:
            name = arguments.name or f"headrace-{stream}"
            return Registry(uri, experiment=arguments.experiment, name=name, run_tag=run_tag)

        tracker = opened.enter_context(closing(Tracker(tracked, folder, make_registry, say)))
        stop = opened.enter_context(catch_stop_signals())
        say(f"{stream}: going to MLflow, until Ctrl-C")
        follow_run(tracker, stop, is_once=arguments.once)
    return 0


def _open_tracked(arguments: argparse.Namespace) -> tuple[Tracked, Path]:
    """Open a stream and choose the progress's folder. Raises `BadInput`, `BadSettings`."""
    state, settings = arguments.state, arguments.settings
    if (state is None) == (settings is None):
        raise BadSettings(
            "give the DIR of a run, or --settings FILE of the workers on Kafka; one of them"
        )
    if state is not None:
        return TrackedRun(state), arguments.folder or state / FOLDER
    tracked = TrackedWorkers(load_for_kafka(settings), say)
    return tracked, arguments.folder or settings.parent / FOLDER


def follow_run(tracker: Tracker, stop: threading.Event, *, is_once: bool = False) -> None:
    """Call `track_changes` until `stop` is set; with `is_once`, until there is nothing to do.

    Raises `BadSettings` for what MLflow refuses, and with `is_once` where it does not answer.
    """
    away_s, who = 0.0, ""
    while not stop.is_set():
        try:
            moved = tracker.track_changes()
        except Away as error:
            if is_once:
                raise BadSettings(str(error)) from None
            if not away_s:
                say(f"{error}; trying again until it does")
            who = error.who
            away_s = min(WAIT_S_MAX, 2 * away_s or WAIT_S)
            stop.wait(away_s)
            continue
        if away_s:
            say(f"{who} is back")
            away_s = 0.0
        if not moved:
            if is_once:
                return
            stop.wait(tracker.tracked.every_s)
