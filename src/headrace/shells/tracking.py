"""`headrace mlflow`: shows a run in MLflow, and rolls its model back when an alias is moved there.

A process of its own beside the run: it reads the run's folder and appends to its file of orders, so
that the run neither waits for it nor knows whether it is there. It may be killed at any time: how
far it is stands in `mlflow/state.json`, written after what it says was done, and what is done twice
is the same again.
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
from typing import Any, Protocol

import msgspec

from ..adapters.jsonl import Tail
from ..adapters.mlflow_model import NAME_SAID, OPTIONS_SAID, SERIES
from ..adapters.mlflow_registry import (
    CHALLENGER,
    CHAMPION,
    Away,
    Point,
    Registry,
    faults_of_uri,
)
from ..adapters.snapshots import load_keys, sealed
from ..errors import BadInput, BadSettings
from ..learn.versions import Version, Versions
from ..messages import RollBackOrdered
from ..observe.schema import Schema
from ..scoring_model import ScoringModel
from ..settings import Settings
from .curve import CURVE, LINE_BYTES_MAX
from .curve import Point as CurvePoint
from .model import kept_versions
from .orders import place_order
from .printing import say
from .rounds_told import RoundsTold
from .run_folder import decides_nothing, replace_file, settings_of_run
from .stopping import told_to_stop

FOLDER, STATE = "mlflow", "state.json"
EVERY_S = 5.0
POINTS_N = 500
WAIT_S, WAIT_S_MAX = 1.0, 60.0
SNAPSHOTS = "snapshots"

_POINTS = msgspec.json.Decoder(CurvePoint)


class Progress(msgspec.Struct, kw_only=True):
    """How far all is: `curve` bytes of the curve are logged.

    `champion` is the number of the version that the alias pointed to when it was seen last, by us
    or by somebody. `moves_n` counts moves by somebody; the latest asked for version `wanted`.
    """

    run_tag: str
    curve: int = 0
    champion: int | None = None
    challenger: int | None = None
    moves_n: int = 0
    wanted: int | None = None


class Record(Protocol):
    """What a tracker wants of MLflow: see `adapters.mlflow_registry.Registry`."""

    def open_run(self, *, stream: str, params: dict[str, str], settings: bytes) -> None: ...
    def log(self, points: list[Point]) -> None: ...
    def versions(self) -> dict[int, str]: ...
    def register(self, number: int, content: bytes, tags: dict[str, str]) -> str: ...
    def alias(self, alias: str) -> int | None: ...
    def set_alias(self, alias: str, version_n: str | None) -> None: ...


class Tracker:
    """Brings MLflow up to what the folder of a run says, a step at a time.

    `make` gives the record of a run by its tag. Raises `BadInput` where there is no run, and
    `BadSettings` where another process tracks it.
    """

    def __init__(
        self, state: Path, make: Callable[[str], Record], note: Callable[[str], None]
    ) -> None:
        self._state, self._note, self._noted = state, note, ""
        self._settings = settings_of_run(state)
        self._folder = state / FOLDER
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with ExitStack() as opened:
            lock = opened.enter_context(closing((self._folder / "lock").open("ab")))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BadSettings(f"another `headrace mlflow` tracks the run in {state}") from None
            self.progress = self._read_progress()
            self._record = make(self.progress.run_tag)
            self._told = opened.enter_context(closing(RoundsTold(state / "decisions.jsonl")))
            self._is_open = False
            self._snapshot = ""
            self._there: dict[int, str] = {}
            self._versions = Versions(self._settings.learn)
            self._opened = opened.pop_all()

    def close(self) -> None:
        self._opened.close()

    def step(self) -> bool:
        """Do what there is to do; whether there was anything. Raises `Away`, `BadSettings`."""
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
        path = self._state / CURVE
        if not path.exists():
            return False
        tail = Tail(path, position=self.progress.curve, length_max=LINE_BYTES_MAX)
        with closing(tail):
            lines = tail.peek(POINTS_N, is_final=False)
            if not lines:
                return False
            found = [_POINTS.decode(line) for line in lines]
            self._record.log([Point(one.labels_n, one.at, one.values) for one in found])
            tail.advance(len(lines))
            self._remember(curve=tail.position)
        return True

    # ---------------------------------------------------------------------------- the versions

    def _follow_versions(self) -> bool:
        newest = max((self._state / SNAPSHOTS).glob("snapshot-*.hr"), default=None)
        if newest is None:
            return False
        moved = False
        if newest.name != self._snapshot:
            self._versions = kept_versions(self._state)
            moved = self._register()
            self._snapshot = newest.name
        return self._follow_alias() or moved

    def _register(self) -> bool:
        self._there = self._record.versions()
        new = [version for version in self._versions.all if version.number not in self._there]
        for version in new:
            tags = {"headrace.labels": str(version.labels_n), "headrace.at": repr(version.at)}
            made = self._record.register(version.number, self._content(version), tags)
            self._there[version.number] = made
        return bool(new)

    def _content(self, version: Version) -> bytes:
        """A version as a signed file: it holds a pickle of what is not ours."""
        settings, learner = self._settings, version.learner
        schema = learner.schema
        assert isinstance(schema, Schema)
        model = ScoringModel.of(settings, schema, learner, version.calibration)
        said: dict[str, int | str] = {NAME_SAID: settings.model.name}
        if settings.model.options:
            said[OPTIONS_SAID] = msgspec.json.encode(settings.model.options).decode()
        return sealed(
            model.freeze(),
            stream=settings.stream,
            series=SERIES,
            seq=version.number,
            said=said,
            keys=load_keys(self._state / SNAPSHOTS, makes_key=False),
        )

    def _follow_alias(self) -> bool:
        """Let the aliases say what is in use; where somebody moved one, order that it be so."""
        progress, in_use = self.progress, self._versions.in_use or None
        challenger = self._versions.challenger
        try:
            pointed = self._record.alias(CHAMPION)
        except BadInput as error:
            self._note_once(str(error))
            pointed = progress.champion
        if pointed is not None and pointed != progress.champion:
            return self._order(pointed)
        if progress.wanted is not None and not self._is_settled(progress.wanted):
            return False
        moved = False
        if in_use is not None and in_use != progress.champion:
            moved |= self._point(CHAMPION, in_use)
            self._remember(champion=in_use, wanted=None)
        number = None if challenger is None else challenger.number
        if number != progress.challenger:
            moved |= self._point(CHALLENGER, number)
            self._remember(challenger=number)
        return moved

    def _order(self, number: int) -> bool:
        """Somebody moved the alias to this version."""
        # Remembered first: the order has the same key when this is done again.
        moves_n = self.progress.moves_n + (self.progress.wanted != number)
        self._remember(moves_n=moves_n, wanted=number)
        if number != self._versions.in_use:
            order = RollBackOrdered(
                at=time.time(),
                to=number,
                key=self._key,
                reason=f"the alias {CHAMPION} was moved to it in MLflow",
                by="mlflow",
            )
            if place_order(self._state, order):
                self._note(f"the alias {CHAMPION} was moved to version {number}: ordered")
        self._remember(champion=number)
        return True

    @property
    def _key(self) -> str:
        return f"mlflow-{self.progress.run_tag[:8]}-{self.progress.moves_n}"

    def _is_settled(self, wanted: int) -> bool:
        """Whether the run has decided what the moved alias asked for; says so where it refused."""
        found = self._told.round(self._key)
        if found is None:
            return self._versions.in_use == wanted
        if found["state"] == "refused":
            self._note_once(
                f"version {wanted} did not come back: {found['why']}; the alias goes back"
            )
            return True
        # Until a snapshot shows it, the newest one is of before.
        return found["state"] == "rolled back" and self._versions.in_use == wanted

    def _note_once(self, sentence: str) -> None:
        if sentence != self._noted:
            self._noted = sentence
            self._note(sentence)

    def _point(self, alias: str, number: int | None) -> bool:
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
        made = Progress(run_tag=uuid.uuid4().hex)
        replace_file(path, msgspec.json.encode(made))
        return made

    def _remember(self, **changes: Any) -> None:
        self.progress = msgspec.structs.replace(self.progress, **changes)
        replace_file(self._folder / STATE, msgspec.json.encode(self.progress))


def params_of(settings: Settings) -> dict[str, str]:
    """What a run's decisions depend on and is not as by default, by its path.

    >>> from headrace.settings import parse
    >>> params_of(parse({"seed": 7, "query": {"budget": {"share": 0.2}}}))
    {'stream': 'default', 'seed': '7', 'query.budget.share': '0.2'}
    """
    set_here = _flat(msgspec.to_builtins(settings))
    defaults = _flat(msgspec.to_builtins(Settings()))
    found = {
        name: str(value)
        for name, value in set_here.items()
        if defaults.get(name) != value and not decides_nothing(name)
    }
    return {"stream": settings.stream, "seed": str(settings.seed)} | dict(sorted(found.items()))


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


# --------------------------------------------------------------------------------- command line


def register(subparsers: Any) -> None:
    """Add `headrace mlflow`."""
    parser = subparsers.add_parser(
        "mlflow",
        help="show a run in MLflow",
        description="Beside a `headrace run`: its learning curve and the versions of its model go "
        "to an MLflow server, with the aliases champion and challenger; when somebody moves "
        "champion to another version there, the run rolls back to it. The run does not wait for "
        "it. Ends with SIGTERM or Ctrl-C. See docs/MLFLOW.md.",
    )
    parser.add_argument("state", type=Path, metavar="DIR", help="the --state of a `headrace run`")
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
    """Run `headrace mlflow`; the exit code."""
    uri = arguments.server or os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri:
        raise BadSettings("no tracking server is named: give --server, or MLFLOW_TRACKING_URI")
    if faults := faults_of_uri(uri, allows_http=arguments.allow_http):
        raise BadSettings(faults)
    stream = settings_of_run(arguments.state).stream

    def make(run_tag: str) -> Registry:
        name = arguments.name or f"headrace-{stream}"
        return Registry(uri, experiment=arguments.experiment, name=name, run_tag=run_tag)

    with closing(Tracker(arguments.state, make, say)) as tracker, told_to_stop() as stop:
        say(f"{stream}: going to MLflow, until Ctrl-C")
        follow(tracker, stop, is_once=arguments.once)
    return 0


def follow(tracker: Tracker, stop: threading.Event, *, is_once: bool = False) -> None:
    """Step until told to stop; with `is_once` until there is nothing to do.

    Raises `BadSettings` for what MLflow refuses, and with `is_once` where it does not answer.
    """
    away_s = 0.0
    while not stop.is_set():
        try:
            moved = tracker.step()
        except Away as error:
            if is_once:
                raise BadSettings(f"MLflow does not answer: {error}") from None
            if not away_s:
                say(f"MLflow does not answer: {error}; trying again until it does")
            away_s = min(WAIT_S_MAX, 2 * away_s or WAIT_S)
            stop.wait(away_s)
            continue
        if away_s:
            say("MLflow is back")
            away_s = 0.0
        if not moved:
            if is_once:
                return
            stop.wait(EVERY_S)
