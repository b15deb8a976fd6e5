"""A desk with three people, behind its real server, and what the audit log is told of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from headrace.bridges.desk.bridge import DeskBridge, DeskSettings, Estimated
from headrace.bridges.desk.people import People
from headrace.bridges.desk.routing import Comparisons
from headrace.bridges.desk.server import Server
from headrace.errors import BadSettings
from headrace.messages import RoundOrdered
from headrace.query.orders import fault_of
from headrace.settings import SchemaSettings

CLASSES = ["ham", "spam"]


class FakeRun:
    def __init__(self) -> None:
        self.orders: dict[str, tuple[int | None, str]] = {}
        self.estimated: Estimated | None = None
        self.declared = list(CLASSES)
        self.people: dict[str, Comparisons] = {}

    def read_estimate(self) -> Estimated | None:
        return self.estimated

    def read_comparisons(self) -> dict[str, Comparisons]:
        return self.people

    def list_classes(self) -> list[str]:
        return self.declared

    def open_round(self, labels_n: int | None, reason: str, key: str, by: str) -> bool:
        order = RoundOrdered(at=0.0, labels_n=labels_n, reason=reason, key=key, by=by)
        if fault := fault_of(order):
            raise BadSettings(fault)
        is_new = key not in self.orders
        self.orders.setdefault(key, (labels_n, reason))
        return is_new

    def find_round(self, key: str) -> dict[str, Any] | None:
        return {"state": "ordered"} if key in self.orders else None


class World:
    """A desk with three people, and a client of its server."""

    def __init__(
        self, folder: Path, *, schema: SchemaSettings | None = None, **settings: Any
    ) -> None:
        self.folder = folder
        self.desk = DeskBridge(DeskSettings(**settings), folder)
        self.people = People(folder / "people.json")
        self.tokens = {role: self.people.add(role, role) for role in ("annotator", "operator")}
        self.tokens["viewer"] = self.people.add("viewer", "viewer")
        self.run = FakeRun()
        self.schema = schema
        self.acts: list[dict[str, Any]] = []
        self.client: Any = None

    def play(self, story: Callable[[World], Awaitable[None]]) -> None:
        async def told() -> None:
            parts = self.desk, self.people, self.run
            app = Server(*parts, schema=self.schema, on_act=self._told).app
            async with TestClient(TestServer(app)) as client:
                self.client = client
                await story(self)

        try:
            asyncio.run(told())
        finally:
            self.desk.close()

    async def call(
        self, method: str, path: str, body: Any = None, role: str = "annotator", **headers: str
    ) -> tuple[int, Any]:
        if role:
            headers["Authorization"] = f"Bearer {self.tokens[role]}"
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body)
        async with self.client.request(method, path, data=data, headers=headers) as reply:
            text = await reply.text()
            return reply.status, json.loads(text) if text else None

    def _told(self, what: str, **fields: Any) -> None:
        self.acts.append({"what": what, **fields})
