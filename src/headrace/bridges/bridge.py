"""What a bridge to a labelling tool is: it sends tasks there and brings back what people said.

A bridge knows its tool and nothing of logs, files or crashes: the `Carrier` keeps those. Both
methods are called from one thread, one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..messages import LabelRequested


class Unreachable(Exception):  # noqa: N818 - as BadInput and the others
    """The tool is away, or says that it is busy: what was tried is tried again later.

    `after_s` is how long the tool wants to be left alone, in seconds; None where it does not say.
    """

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing to do in the tool: make a task of `request`, or, where that is None, remove it.

    `reason` says why a task goes: it was withdrawn, or it expired. `may_be_there`: a `send` that
    held this one was cut before it returned, so the tool may know the task already.
    """

    request_id: str
    request: LabelRequested | None = None
    reason: str = ""
    may_be_there: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What somebody said in the tool about one request.

    `label` is a class, or None where they cannot tell. `at` is when they said it, in seconds since
    the epoch. `reply_id` names this reply and this revision of it in the tool: one that was brought
    before is dropped. An empty one is made of the other fields. With `withdraw` the question itself
    is taken back, for that reason.

    A tool in which an answer can be taken away says so with a label of None by the same annotator.
    """

    request_id: str
    label: str | None
    at: float
    annotator: str = ""
    reply_id: str = ""
    withdraw: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was brought from the tool, and the mark from which to go on.

    `faults` are sentences about what could not be used: a class that is none of ours, a task that
    nobody asked for.
    """

    replies: tuple[Reply, ...] = ()
    mark: str = ""
    faults: tuple[str, ...] = ()


class Bridge(Protocol):
    """A way to a labelling tool and back.

    A bridge that holds something open may also have `close()`. Its class takes `(settings, folder)`
    where it can be named in a settings file: the struct `Settings` of the class, and a folder for
    files of its own. With an attribute `reorders` that is true it is sent a request once more whose
    priority has changed; by `may_be_there` it is known.
    """

    def send(self, deliveries: Sequence[Delivery]) -> None:
        """Carry out these deliveries, in order; when this returns the tool has taken them all.

        After a crash some may come again, with `may_be_there`: they must not make a second task.
        Raises `Unreachable` when the tool is away.
        """

    def receive(self, mark: str) -> Receipt:
        """What is new in the tool since `mark`, the mark of an earlier receipt; empty at first.

        To be called with the mark of a receipt means that all it held is safe, and may be
        acknowledged. After a crash the mark before may come again. Where nothing is new, a receipt
        with the same mark. Raises `Unreachable` when the tool is away.
        """
