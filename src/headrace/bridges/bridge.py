"""What a bridge to a labelling tool is: it sends tasks to the tool and brings answers back.

A bridge knows its tool; the `Carrier` takes care of logs, files and crashes. Both methods of a
bridge are called from one thread, one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..messages import LabelRequested


class Unreachable(Exception):  # noqa: N818 - as BadInput and the others
    """The tool is away or busy: the carrier tries again later.

    `after_s` is how long the tool asks us to wait, in seconds; None if it does not say.
    """

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing to do in the tool: make a task of `request`, or remove it if that is None.

    `reason` is why a task is removed: the reason of its withdrawal, or "expired". `may_be_there`:
    an earlier `send` with this delivery was cut short, so the tool may have the task already.
    """

    request_id: str
    request: LabelRequested | None = None
    reason: str = ""
    may_be_there: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to one request, as it was given in the tool.

    - `label`: a class, or None if the annotator cannot tell. A tool in which an answer can be
      removed reports that as a reply with a label of None by the same annotator.
    - `at`: when the answer was given, in seconds since the epoch.
    - `reply_id`: identifies this reply and its revision; a reply with a known id is dropped. ""
      stands for a hash of the other fields.
    - `withdraw`: if not empty, the request is withdrawn for this reason, and there is no answer.
    """

    request_id: str
    label: str | None
    at: float
    annotator: str = ""
    reply_id: str = ""
    withdraw: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Replies from the tool, and the mark from which to go on.

    `faults` are sentences about things that can't be used: an unknown class, a task without a
    request.
    """

    replies: tuple[Reply, ...] = ()
    mark: str = ""
    faults: tuple[str, ...] = ()


class Bridge(Protocol):
    """A connection to a labelling tool, both ways.

    A bridge with open files or connections may also have `close()`. For a settings file its class
    has a struct `Settings`, and takes `(settings, folder)`: such settings, and a folder for files
    of its own. If the bridge has an attribute `reorders` that is true, a request is sent again when
    its priority has changed, with `may_be_there`.
    """

    def send(self, deliveries: Sequence[Delivery]) -> None:
        """Carry out deliveries in order; when this returns, the tool has taken them all.

        After a crash some are sent again, with `may_be_there`: they must not make a second task.
        Raises `Unreachable` when the tool is away.
        """

    def receive(self, mark: str) -> Receipt:
        """Return what is new in the tool since `mark`, the mark of an earlier receipt; "" at first.

        A call with the mark of a receipt means that its content is safe, and may be acknowledged.
        After a crash an earlier mark may come again. Where nothing is new, the receipt has the same
        mark. Raises `Unreachable` when the tool is away.
        """
