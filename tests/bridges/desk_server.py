"""The desk's own server on a free port, as the page's tests want it: away, late, strict on demand.

Everything but the run behind it is what is shipped; faults are put in before a call reaches it.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from bridges.requests import request
from headrace.bridges.bridge import Delivery
from headrace.bridges.desk.bridge import DeskBridge, DeskSettings, Estimated
from headrace.bridges.desk.people import People
from headrace.bridges.desk.routing import Comparisons
from headrace.bridges.desk.server import Server
from headrace.bridges.desk.store import UNDO_S
from headrace.commands.demo.duel import make_stream
from headrace.engine import Engine
from headrace.messages import Answer, Features, LabelRequested
from headrace.query.budgets import Share
from headrace.settings import parse

START_S_MAX = 60.0

FEATURES = [
    {"amount": 9120.5, "age": 35.0},
    *({"amount": 10.0 + i, "age": 20.0 + i} for i in range(59)),
]
CLASSES = ["ham", "spam", "phishing"]


class LittleRun:
    """A run whose model is right nine times of ten, known the better the more labels there are."""

    def __init__(self, classes: list[str]) -> None:
        self.declared = classes
        self.labels_n = 0
        self.is_told = True
        self.rounds: dict[str, dict[str, Any]] = {}

    def read_estimate(self) -> Estimated | None:
        if not self.is_told:
            return None
        n = 12 + self.labels_n
        # Wilson's interval of 0.9.
        z2 = 1.96**2
        middle = (0.9 + z2 / (2 * n)) / (1 + z2 / n)
        half = 1.96 * math.sqrt(0.09 / n + z2 / (4 * n * n)) / (1 + z2 / n)
        return Estimated(0.9, middle - half, middle + half, n)

    def read_comparisons(self) -> dict[str, Comparisons]:
        return {}

    def list_classes(self) -> list[str]:
        return self.declared

    def open_round(self, labels_n: int | None, reason: str, key: str, by: str = "") -> bool:
        is_new = key not in self.rounds
        order = {"state": "ordered", "asked": (labels_n, reason)}
        self.rounds.setdefault(key, order)
        return is_new

    def find_round(self, key: str) -> dict[str, Any] | None:
        return self.rounds.get(key)


class LiveRun(LittleRun):
    """An engine on the demo's stream, which asks at the desk and learns what is answered there."""

    OPEN_N = 3
    KNOWN_N = 20

    def __init__(self) -> None:
        super().__init__(["brickface", "cement", "foliage", "grass", "path", "sky", "window"])
        # What the page shows does not depend on the model, and a committee learns slowly.
        self._engine = Engine(
            settings=parse({"model": {"name": "logistic"}}),
            classes=self.declared,
            budget=Share(0.1),
            seed=7,
        )
        self._batches = make_stream(4_000, 7)
        self._event_of: dict[str, str] = {}
        self._truth: dict[str, str] = {}
        while self._engine.report.estimates.accuracy.labels_n < self.KNOWN_N:
            asked = self._ask_on()
            self._engine.feed([self._answer(each.request_id) for each in asked])

    def truth(self, request_id: str) -> str:
        return self._truth[self._event_of[request_id]]

    def read_estimate(self) -> Estimated:
        found = self._told
        assert found.accuracy is not None and found.low is not None and found.high is not None
        return Estimated(found.accuracy, found.low, found.high, found.labels_n)

    def carry(self, desk: DeskServer) -> None:
        """What was answered to the engine, and new questions to the desk."""
        replies = [msgspec.structs.replace(self._answer(r), label=a) for r, a in desk.handed_on()]
        self._engine.feed(replies)
        while desk.open_n < self.OPEN_N:
            desk.deliver(self._ask_on())
        self._told = self._engine.report.estimates.accuracy

    def _ask_on(self) -> list[LabelRequested]:
        batch, labels = next(self._batches)
        self._truth.update(zip(batch.ids, labels, strict=True))
        asked = [o for o in self._engine.feed([batch]) if isinstance(o, LabelRequested)]
        self._event_of.update((each.request_id, each.event_id) for each in asked)
        return asked

    def _answer(self, request_id: str) -> Answer:
        at = float(len(self._truth))
        return Answer(request_id=request_id, label=self.truth(request_id), at=at, annotator="ann")


class DeskServer:
    """Questions with these features, asked in this order, for `ann`, who has `token`."""

    def __init__(
        self,
        folder: Path,
        features: Sequence[Features],
        classes: list[str],
        role: str,
        run: LittleRun | None,
        **settings: Any,
    ) -> None:
        self._path = folder / "desk.sqlite"
        self.run = run or LittleRun(classes)
        self._mark = ""
        self.people = People(folder / "people.json")
        self.token = self.people.add("ann", role)
        self.calls: list[str] = []
        self.refusals: dict[str, tuple[int, str]] = {}
        self.is_away = False
        self.behind_s = 0.0
        self._desk = DeskBridge(DeskSettings(port=0, **settings), folder)
        self._desk.store._clock = lambda: time.time() - self.behind_s
        self._desk.store.add_estimate(10, 0.71, 0.36, 0.92)
        self._asked_n = 0
        self.ask(features)
        self._server = Server(self._desk, self.people, self.run)
        self._server.app.middlewares.insert(0, self._put_in_faults)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._runner = web.AppRunner(self._server.app, access_log=None, shutdown_timeout=0.1)
        self._in_loop(self._runner.setup())
        self._in_loop(web.TCPSite(self._runner, "127.0.0.1", 0).start())
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"

    def close(self) -> None:
        self._in_loop(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._desk.close()

    def ask(self, features: Sequence[Features], **fields: Any) -> None:
        """More questions, each less useful than the one before."""
        deliveries = []
        for each in features:
            name, utility = f"r/{self._asked_n}", 1 - self._asked_n / 1000
            chances = {"ham": 0.62, "spam": 0.38} if self.run.declared else {}
            known = {"features": each, "reason": "round", "utility": utility, "prediction": chances}
            question = msgspec.structs.replace(request(name), **(known | fields))
            deliveries.append(Delivery(name, question))
            self._asked_n += 1
        self._desk.store.take_deliveries(deliveries)

    def deliver(self, requests: Sequence[LabelRequested]) -> None:
        self._desk.store.take_deliveries([Delivery(each.request_id, each) for each in requests])

    def handed_on(self) -> list[tuple[str, str | None]]:
        """What was answered since the call before, though it could still be taken back."""
        self.behind_s = -UNDO_S - 1
        receipt = self._desk.store.read_replies(self._mark)
        self.behind_s, self._mark = 0.0, receipt.mark
        return [(reply.request_id, reply.label) for reply in receipt.replies]

    @property
    def open_n(self) -> int:
        return self._rows("SELECT COUNT(*) FROM questions WHERE is_open = 1")[0][0]

    @property
    def leased(self) -> str:
        return self._rows("SELECT request_id FROM leases")[0][0]

    def withdraw(self, request_id: str) -> None:
        self._desk.store.take_deliveries([Delivery(request_id, None, "withdrawn")])

    def end_sessions(self) -> None:
        self.people._sessions.clear()

    @property
    def answers(self) -> list[dict[str, Any]]:
        """Those that stand, as they are kept, in order."""
        names = ("request_id", "person", "label", "note", "took_s", "saw_guess")
        wanted = f"SELECT {', '.join(names)} FROM answers WHERE is_undone = 0 ORDER BY n"
        return [dict(zip(names, row, strict=True)) for row in self._rows(wanted)]

    @property
    def skipped(self) -> list[str]:
        return [row[0] for row in self._rows("SELECT request_id FROM passed ORDER BY at")]

    def _rows(self, wanted: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._path)) as db:
            return db.execute(wanted).fetchall()

    def _in_loop(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(START_S_MAX)

    @web.middleware
    async def _put_in_faults(self, call: web.Request, handler: Any) -> web.StreamResponse:
        self.calls.append(f"{call.method} {call.raw_path}")
        if self.is_away and call.transport is not None:
            call.transport.abort()
            return web.Response()
        if call.path in self.refusals:
            status, words = self.refusals.pop(call.path)
            return web.json_response({"error": words, "fault": "yours"}, status=status)
        self.run.labels_n = len(self.answers)
        return await handler(call)


Open = Callable[..., DeskServer]
"""Opens a desk: with features, classes, a role for ann, a run and settings."""
