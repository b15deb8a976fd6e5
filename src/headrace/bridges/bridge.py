"""What a bridge to a labelling tool is: it sends tasks to the tool and brings answers back.

A bridge knows its tool; the `BridgeCarrier` takes care of logs, files and crashes. Both methods of
a bridge are called from one thread, one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..messages import LabelRequested


class Unreachable(Exception):  # noqa: N818 - as BadInput and the others
    """The tool is away or busy: the carrier tries again later.

    Args:
        reason: What happened, in words.
        after_s: How long the tool asks us to wait, seconds; None if it does not say.
    """

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing to do in the tool: make a task, or remove it.

    Attributes:
        request_id: The id of the request.
        request: The request to make a task of; None removes the task.
        reason: Why a task is removed: the reason of its withdrawal, or "expired".
        may_be_there: Whether an earlier `send` with this delivery was cut short, so that the tool
            may have the task already.

    >>> Delivery("r1", reason="expired").request is None
    True
    """

    request_id: str
    request: LabelRequested | None = None
    reason: str = ""
    may_be_there: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to one request, as it was given in the tool.

    Attributes:
        request_id: The id of the request.
        label: A class, or None if the annotator cannot tell. A tool in which an answer can be
            removed reports that as a reply with a label of None by the same annotator.
        at: When the answer was given, seconds since the epoch.
        annotator: Who answered; "" if the tool does not say.
        reply_id: Identifies this reply and its revision; a reply with a known id is dropped. ""
            stands for a hash of the other fields.
        withdraw: If not empty, the request is withdrawn for this reason, and there is no answer.

    >>> Reply("r1", "fraud", at=60.0, annotator="ada").label
    'fraud'
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

    Attributes:
        replies: The replies, in order.
        mark: Where to go on; passed to the next `receive`.
        faults: Sentences about things that can't be used: an unknown class, a task without a
            request.

    >>> Receipt(replies=(Reply("r1", "fraud", at=60.0),), mark="1").faults
    ()
    """

    replies: tuple[Reply, ...] = ()
    mark: str = ""
    faults: tuple[str, ...] = ()


class Bridge(Protocol):
    """A connection to a labelling tool, both ways.

    A bridge with open files or connections may also have `close()`. For a settings file its class
    has a struct `Settings`, and takes `(settings, folder)`: such settings, and a folder for files
    of its own. If the bridge has an attribute `reorders` that is true, a request is sent again when
    its priority has changed, with `may_be_there`. `headrace.testing.check_bridge` checks a bridge.

    >>> class Printing:
    ...     def send(self, deliveries):
    ...         for delivery in deliveries: print(delivery.request_id)
    ...     def receive(self, mark): return Receipt(mark=mark)
    >>> Printing().send([Delivery("r1")])
    r1
    """

    def send(self, deliveries: Sequence[Delivery]) -> None:
        """Carry out deliveries in order; when this returns, the tool has taken them all.

        After a crash some are sent again, with `may_be_there`: they must not make a second task.

        Args:
            deliveries: Tasks to make or to remove.

        Raises:
            Unreachable: The tool is away.
        """

    def receive(self, mark: str) -> Receipt:
        """Return what is new in the tool.

        A call with the mark of a receipt means that its content is safe, and may be acknowledged.
        After a crash an earlier mark may come again.

        Args:
            mark: The mark of an earlier receipt; "" at first.

        Returns:
            What is new since the mark; where nothing is, the receipt has the same mark.

        Raises:
            Unreachable: The tool is away.
        """
