"""A bridge to a fake Label Studio as its carrier holds it, and what is sent through it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from headrace.bridges import make_bridge
from headrace.bridges.bridge import Bridge, Delivery, Receipt, Reply
from headrace.bridges.label_studio import LabelStudio
from headrace.messages import LabelRequested

CLASSES = ["ham", "spam & <eggs>"]


def asked(request_id: str = "q1", **fields: Any) -> LabelRequested:
    given: dict[str, Any] = {
        "request_id": request_id,
        "event_id": "e1",
        "at": 0.0,
        "event_at": 0.0,
        "deadline": 60.0,
        "features": {"x": 1.5, "mail": "<b>hi</b>", "photo": "https://example.org/1.png"},
        "reason": "round",
        "strategy": "margin",
        "utility": 0.5,
        "threshold": 0.1,
        "propensity": 0.5,
        "model_version": 7,
        "prediction": {"ham": 0.3, "spam & <eggs>": 0.7},
        "round_n": 1,
        "seq": 1,
    }
    return LabelRequested(**{**given, **fields})


def deliveries(*request_ids: str, cut: bool = False) -> list[Delivery]:
    return [Delivery(one, asked(one), may_be_there=cut) for one in request_ids]


class Studio:
    """A bridge as the carrier holds it: every mark that it gives comes back.

    `tool` is a Label Studio, a fake or a real one; `fake` is a short name for it.
    """

    def __init__(self, tool: Any, folder: Path, **settings: Any) -> None:
        self.fake = tool
        self.folder = folder
        self.settings = {"url": tool.url, "classes": CLASSES, "poll_s": 0.0, **settings}
        self.mark = ""
        self.faults: list[str] = []
        self.bridge = self.restarted()

    def restarted(self) -> LabelStudio:
        """The bridge of a process that was just started, with the settings as they are now."""
        made = make_bridge("label-studio", {"label-studio": self.settings}, self.folder)
        assert isinstance(made, LabelStudio)
        self.bridge = made
        return made

    def poll(self) -> list[Reply]:
        receipt = self.bridge.receive(self.mark)
        self.mark = receipt.mark
        self.faults += receipt.faults
        return list(receipt.replies)

    def said(self) -> list[tuple[str, str | None, str]]:
        return [(one.request_id, one.label, one.annotator) for one in self.poll()]


class Renamed:
    """A bridge to Label Studio whose annotators have the names that `check_bridge` gave them."""

    def __init__(self, inner: Bridge, names: Mapping[str, str]) -> None:
        self._inner = inner
        self._names = names

    def send(self, deliveries: Sequence[Delivery]) -> None:
        self._inner.send(deliveries)

    def receive(self, mark: str) -> Receipt:
        receipt = self._inner.receive(mark)
        return replace(receipt, replies=tuple(map(self._named, receipt.replies)))

    def close(self) -> None:
        assert isinstance(self._inner, LabelStudio)
        self._inner.close()

    def _named(self, reply: Reply) -> Reply:
        number = reply.annotator.removeprefix("label-studio:")
        return replace(reply, annotator=self._names.get(number, number))
