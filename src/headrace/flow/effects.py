"""What a flow is told, and what it wants done: data, and nothing that acts.

A driver hands inputs to `Flow.take` and carries out the effects that come back. An `Ask` is an
effect with an answer: when the driver has carried out its request it hands in `Done` with the same
number and the result that the request names.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

from ..learn.retrain import RetrainJob
from ..messages import Output
from .parcels import Post


class Part(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int


class Bounds(NamedTuple):
    """Offsets of a partition's first record, behind its last, and where the group stands.

    `topic_id` is the id of its topic; empty where the brokers tell none.
    """

    first: int
    end: int
    committed: int | None = None
    topic_id: str = ""


# ------------------------------------------------------------------------------------- inputs


@dataclass(frozen=True, slots=True)
class Woke:
    """The clock of the day, and one that never jumps; seconds. With every other input."""

    now: float
    elapsed: float


@dataclass(frozen=True, slots=True)
class Assigned:
    """What is ours from now on. `routes` has the bounds of what goes on where the group stands;
    `journals` where the journals of our shards end, by partition.
    """

    parts: tuple[Part, ...]
    routes: Mapping[Part, Bounds]
    journals: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Revoked:
    """The group is about to share out anew; it waits for `Released`."""


@dataclass(frozen=True, slots=True)
class Polled:
    """What the group's consumer read. `turn` is that of the flow when the reading began.

    `positions` are the offsets of the next records to read; None unless `Flow.is_commit_due`.
    """

    turn: int
    records: Mapping[Part, Sequence[Any]]
    positions: Mapping[Part, int] | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """The next records of the training log."""

    records: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Done:
    """The request of this number is carried out."""

    number: int
    result: Any


@dataclass(frozen=True, slots=True)
class Stopped:
    """Finish what is under way; it waits for `Ended`."""


Input: TypeAlias = Woke | Assigned | Revoked | Polled | Heard | Done | Stopped

# ----------------------------------------------------------------------------------- requests


@dataclass(frozen=True, slots=True)
class Produce:
    """Write these in order; done when all replicas have them. Result: their offsets."""

    posts: tuple[Post, ...]


@dataclass(frozen=True, slots=True)
class Commit:
    """Commit these offsets for the group. Result: why it was refused, or None."""

    offsets: Mapping[Part, int]


@dataclass(frozen=True, slots=True)
class Look:
    """Find out where these begin and end. Result: their `Bounds`, by part.

    With `is_of_group` also where the group stands; with `may_fail` None where no broker answers.
    """

    parts: tuple[Part, ...]
    is_of_group: bool = False
    may_fail: bool = False


@dataclass(frozen=True, slots=True)
class Find:
    """The first offset written since a moment, milliseconds; the end if there is none. Result:
    offsets, by part.
    """

    parts: tuple[Part, ...]
    since_ms: int


@dataclass(frozen=True, slots=True)
class Read:
    """Some records from offset `start` on, and the offset to go on from; result: both.

    There may be none only if none before `stop` is left.
    """

    part: Part
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Load:
    """A state as it was saved last: of the training log, a desk or a shard. Result: as `States`."""

    kind: Literal["training", "desk", "shard"]
    number: int = 0


@dataclass(frozen=True, slots=True)
class Saving:
    """One part to be saved; `training` is the state of the training log that a shard saw.

    It follows `erasures_n` orders to erase: what was saved before the last of them is to go.
    """

    kind: Literal["training", "desk", "shard"]
    number: int
    blob: bytes
    positions: Mapping[str, int | str]
    training: bytes = b""
    erasures_n: int = 0


@dataclass(frozen=True, slots=True)
class Save:
    """Save these. Result: why that failed, or None."""

    parts: tuple[Saving, ...]


@dataclass(frozen=True, slots=True)
class Retrain:
    """Run this retraining. Result: its challenger or None, and its error or None."""

    job: RetrainJob


Request: TypeAlias = Produce | Commit | Look | Find | Read | Load | Save | Retrain

# ------------------------------------------------------------------------------------ effects


@dataclass(frozen=True, slots=True)
class Ask:
    """Carry out a request, and hand in `Done` with its number."""

    number: int
    request: Request


@dataclass(frozen=True, slots=True)
class Follow:
    """Read the training log from this offset on, for ever; and join the group."""

    part: Part
    position: int


@dataclass(frozen=True, slots=True)
class Seek:
    """The group's consumer goes on reading a part from here."""

    part: Part
    position: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Read nothing of a part until `Resume`."""

    part: Part


@dataclass(frozen=True, slots=True)
class Resume:
    """Read a part again."""

    part: Part


@dataclass(frozen=True, slots=True)
class Fed:
    """So many events were fed; the clock of their shard is `now`."""

    events_n: int
    now: float


@dataclass(frozen=True, slots=True)
class Note:
    """Something that goes on, as a sentence; an operator should look at it if `is_warning`."""

    sentence: str
    is_warning: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What was decided and learned."""

    outputs: Sequence[Output]


@dataclass(frozen=True, slots=True)
class Released:
    """What is under way is finished: the group may share out anew."""


@dataclass(frozen=True, slots=True)
class Ended:
    """All is carried out, committed and saved."""


Effect: TypeAlias = Ask | Follow | Seek | Pause | Resume | Fed | Note | Told | Released | Ended

T = TypeVar("T")
Routine: TypeAlias = Generator[Request | None, Any, T]
"""What takes several steps: it yields a request and gets its result, or None and goes on when the
flow is next told something."""
