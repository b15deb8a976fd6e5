"""`headrace desk`: a page on which people label, for a run or for the workers on Kafka."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from ..adapters.printing import say
from ..adapters.sealing import Sealer
from ..bridges import settings_of
from ..bridges.carrier import BridgeCarrier
from ..bridges.desk.bridge import FILE, DeskBridge, Estimated
from ..bridges.desk.routing import Comparisons
from ..bridges.desk.store import DeskStore
from ..drivers.audit.acts import Acts
from ..drivers.files.run_metrics import REPORT, read_compared
from ..errors import BadInput, BadSettings
from ..messages import RoundOrdered
from ..settings import Settings
from .bridge import acts_of, add_places, open_carrier, open_end
from .ordering import orders_at
from .stopping import catch_stop_signals
from .worker_accuracy import Accuracy, SavedAccuracy, WorkerAccuracy

NAME = "desk"
EVERY_S = 0.3
STOP_S = 5.0
FIRST = "operator"
"""The name of the person who starts a desk that has no people yet."""
PORT = "port"
"""The file with the port at which the desk was last opened: links that are given lead there."""


def register(subparsers: Any) -> None:
    """Add `headrace desk`."""
    parser = subparsers.add_parser(
        "desk",
        help="label in the browser",
        description="Serve a page on which people label what a run asks: with --state beside a "
        "`headrace run --follow`, without it beside the workers on Kafka. On loopback unless "
        "[bridges.desk] says otherwise. Ends with SIGTERM or Ctrl-C.",
    )
    add_places(parser)
    parser.add_argument("--port", type=int, metavar="N", help="instead of bridges.desk.port")
    parser.add_argument(
        "--demo",
        action="store_true",
        help="begin a run on the demo's stream in a new folder, and label there",
    )
    people = parser.add_mutually_exclusive_group()
    people.add_argument("--add", metavar="NAME", help="give somebody a link, and end")
    people.add_argument("--remove", metavar="NAME", help="take somebody's token away, and end")
    people.add_argument(
        "--notes",
        action="store_true",
        help="print the notes beside answers, each a line of JSON, and end",
    )
    parser.add_argument(
        "--role",
        default="annotator",
        help="with --add: annotator (labels), operator (orders rounds too), viewer (looks on)",
    )
    parser.set_defaults(func=main)


def main(arguments: argparse.Namespace) -> int:
    """Run `headrace desk`; return the exit code."""
    try:
        from ..bridges.desk.people import People  # noqa: PLC0415 - an extra
        from ..bridges.desk.server import Server  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "aiohttp":
            raise
        raise BadSettings(
            "the desk needs aiohttp, which is not here; run pip install 'headrace[desk]'"
        ) from error

    with ExitStack() as opened:
        if arguments.demo:
            from .desk_demo import begin_demo  # noqa: PLC0415

            arguments.state = begin_demo(arguments.state, opened)
        settings, end, folder = open_end(arguments, NAME, opened)
        _, desk_settings = settings_of(NAME, settings.bridges)
        if arguments.port is not None:
            if not 0 <= arguments.port <= 65_535:
                raise BadSettings(f"--port is {arguments.port}; must be 0 to 65535")
            desk_settings = msgspec.structs.replace(desk_settings, port=arguments.port)
        if arguments.state is None and desk_settings.expertise_share:
            raise BadSettings(
                "bridges.desk.expertise_share is set, and workers on Kafka do not tell the desk "
                "how good people are; take it out, or label beside a run on files with --state"
            )
        if arguments.notes:
            _print_notes(folder / NAME, end.sealer)
            return 0
        people = People(folder / NAME / "people.json")
        acts = acts_of(arguments, settings)
        if arguments.add is not None or arguments.remove is not None:
            if arguments.port is None and (port := _read_port(folder / NAME / PORT)):
                desk_settings = msgspec.structs.replace(desk_settings, port=port)
            _change_people(people, arguments, desk_settings, acts)
            return 0
        desk = DeskBridge(desk_settings, folder / NAME, sealer=end.sealer)
        opened.callback(desk.close)
        carrier = open_carrier(NAME, desk, end, folder, opened)
        run = JoinedRun(settings, arguments.state, desk_settings.metrics)
        opened.callback(run.close)
        server = Server(desk, people, run, schema=settings.schema, on_act=acts.record)
        acts.record("desk_started")
        place = folder / NAME / PORT
        with catch_stop_signals() as stop:
            asyncio.run(_serve_desk(server, people, carrier, stop, acts, place=place))
    return 0


def _change_people(people: Any, arguments: argparse.Namespace, settings: Any, acts: Acts) -> None:
    if arguments.remove is not None:
        people.remove(arguments.remove)
        acts.record("token_removed", of=arguments.remove)
        say(f"{arguments.remove} can no longer log in")
        return
    token = people.add(arguments.add, arguments.role)
    acts.record("token_given", to=arguments.add, role=arguments.role)
    say(f"a link for {arguments.add} ({arguments.role}); it is shown only now:")
    say(f"  {_make_link(settings, settings.port, token)}")


def _print_notes(folder: Path, sealer: Sealer | None) -> None:
    if not (folder / FILE).exists():
        raise BadInput(f"{folder} has no {FILE}: nobody has labelled here yet")
    with contextlib.closing(DeskStore(folder / FILE, lease_s=0.0, sealer=sealer)) as store:
        for note in store.list_notes():
            sys.stdout.write(msgspec.json.encode(note).decode() + "\n")


def _read_port(place: Path) -> int | None:
    try:
        return int(place.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _make_link(settings: Any, port: int, token: str) -> str:
    scheme = "https" if settings.cert_file else "http"
    host = settings.public[0] if settings.public else settings.host
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}:{port}/#token={token}"


async def _serve_desk(
    server: Any,
    people: Any,
    carrier: BridgeCarrier,
    stop: threading.Event,
    acts: Acts,
    *,
    place: Path,
) -> None:
    """Serve the page while another thread carries requests, until `stop` ends that thread.

    The port is written to the file `place`.
    """
    from aiohttp import web  # noqa: PLC0415 - an extra

    from ..bridges.desk.server import tls_of  # noqa: PLC0415

    runner = web.AppRunner(server.app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    settings = server.settings
    try:
        site = web.TCPSite(runner, settings.host, settings.port, ssl_context=tls_of(settings))
        try:
            await site.start()
        except OSError as error:
            raise BadSettings(
                f"{settings.host}:{settings.port} can't be had: {error.strerror}; set --port"
            ) from error
        port = runner.addresses[0][1]
        place.write_text(f"{port}\n")
        if people.everybody:
            say(f"the desk is at {_make_link(settings, port, '').partition('#')[0]}")
            say("headrace desk --add NAME gives somebody a link; Ctrl-C ends this")
        else:
            token = people.add(FIRST, "operator")
            acts.record("token_given", to=FIRST, role="operator")
            say("the desk is open; this link is yours, and is shown only now:")
            say(f"  {_make_link(settings, port, token)}")
        done = asyncio.Event()
        loop = asyncio.get_running_loop()
        failed: list[BaseException] = []

        def carry_records() -> None:
            try:
                carrier.run(stop, EVERY_S)
            except BaseException as error:
                failed.append(error)
            loop.call_soon_threadsafe(done.set)

        thread = threading.Thread(target=carry_records, name="headrace-desk-carrier", daemon=True)
        thread.start()
        await done.wait()
        thread.join()
        if failed:
            raise failed[0]
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(runner.cleanup(), STOP_S)


class JoinedRun:
    """The run in the folder `state`, or the workers on Kafka: the desk reads them and orders there.

    `metrics` is the address of a worker's /metrics; empty: the workers' snapshots are read.
    """

    def __init__(self, settings: Settings, state: Path | None, metrics: str = "") -> None:
        self._settings = settings
        self._state = state
        self._accuracy = None if state is not None else _accuracy_of(settings, metrics)
        if self._accuracy is not None:
            self._accuracy.start()
        self._orders = orders_at(state, settings)
        # Calls come from several threads, and a connection serves one at a time.
        self._turn = threading.Lock()

    def read_estimate(self) -> Estimated | None:
        """The accuracy that the run reports, at most a second old; None where there is none.

        Of workers it is as old as their latest snapshots, or as the latest look at `metrics`.
        """
        if self._accuracy is not None and (accuracy := self._accuracy.latest) is not None:
            return accuracy
        if self._state is None:
            return None
        try:
            return msgspec.json.decode((self._state / REPORT).read_bytes(), type=Estimated)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    def read_comparisons(self) -> dict[str, Comparisons]:
        """How often each person was right, as far as the run knows; at most a second old."""
        return {} if self._state is None else read_compared(self._state)

    def list_classes(self) -> list[str]:
        return list(self._settings.schema.classes)

    def open_round(self, labels_n: int | None, reason: str, key: str, by: str) -> bool:
        """Order a round of at most `labels_n` labels; False if `key` was ordered before."""
        order = RoundOrdered(at=time.time(), labels_n=labels_n, key=key, reason=reason, by=by)
        try:
            with self._turn:
                return self._orders.place(order)
        except BadInput as error:
            raise BadSettings(str(error)) from error

    def find_round(self, key: str) -> dict[str, Any] | None:
        with self._turn:
            return self._orders.find_order(RoundOrdered(at=0.0, key=key))

    def close(self) -> None:
        if self._accuracy is not None:
            self._accuracy.close()
        self._orders.close()


def _accuracy_of(settings: Settings, metrics: str) -> Accuracy:
    """The accuracy of one worker, read at `metrics`, or of all workers from their snapshots."""
    if metrics:
        return WorkerAccuracy(metrics, say)
    return SavedAccuracy(settings, say)
