"""The inputs of a flow, and the effects it wants carried out: data, and nothing that acts.

A driver passes inputs to `Flow.take_inputs` and carries out the effects that it returns. An `Ask`
is an effect with a result: once the driver has carried out its request, it passes in `Done` with
the same number and the result that the request's docstring names.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

from ..learn.retrain import RetrainJob
from ..messages import Output
from .produce import ProducerRecord


class Part(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int


class Bounds(NamedTuple):
    """Offsets of a partition: its first record, one past its last, and what the group committed.

    `topic_id` is the id of its topic; empty where the brokers have none.
    """

    first: int
    end: int
    committed: int | None = None
    topic_id: str = ""


# ------------------------------------------------------------------------------------- inputs


@dataclass(frozen=True, slots=True)
class Woke:
    """`now` by the clock of the day, `elapsed` by one that never jumps; seconds.

    Comes along with every other input.
    """

    now: float
    elapsed: float


@dataclass(frozen=True, slots=True)
class Assigned:
    """The partitions that are ours from now on. `routes` has the bounds of those that are read from
    where the group stands; `journals` where the journals of our shards end, by partition.
    """

    parts: tuple[Part, ...]
    routes: Mapping[Part, Bounds]
    journals: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Revoked:
    """The group is about to reassign its partitions; it waits for `Released`."""


@dataclass(frozen=True, slots=True)
class Polled:
    """Records that the group's consumer read. `turn` is the flow's when the reading began.

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
    """The request of this number was carried out."""

    number: int
    result: Any


@dataclass(frozen=True, slots=True)
class Stopped:
    """The flow must finish what is under way; the driver waits for `Ended`."""


Input: TypeAlias = Woke | Assigned | Revoked | Polled | Heard | Done | Stopped

# ----------------------------------------------------------------------------------- requests


@dataclass(frozen=True, slots=True)
class Produce:
    """Write these records in order; done when all replicas have them. Result: their offsets."""

    records: tuple[ProducerRecord, ...]


@dataclass(frozen=True, slots=True)
class Commit:
    """Commit these offsets for the group. Result: why it was refused, or None."""

    offsets: Mapping[Part, int]


@dataclass(frozen=True, slots=True)
class Look:
    """Find out where these parts begin and end. Result: their `Bounds`, by part.

    `is_of_group` also asks where the group stands; with `may_fail` the result is None if no broker
    answers.
    """

    parts: tuple[Part, ...]
    is_of_group: bool = False
    may_fail: bool = False


@dataclass(frozen=True, slots=True)
class Find:
    """Find each part's first offset written since a moment, in milliseconds, or else its end.
    Result: offsets, by part.
    """

    parts: tuple[Part, ...]
    since_ms: int


@dataclass(frozen=True, slots=True)
class Read:
    """Read some records from offset `start` on. Result: the records, and where to go on.

    The records may be none only if none is left before `stop`.
    """

    part: Part
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Load:
    """Load the newest saved state of the training log, a desk or a shard. Result: as `States`.

    Of a shard the newest one saved `before` the one with these positions, if they are given.
    """

    kind: Literal["training", "desk", "shard"]
    number: int = 0
    before: Mapping[str, int | str] | None = None


@dataclass(frozen=True, slots=True)
class Saving:
    """One part to be saved, frozen; `training` is the frozen training log that a shard saw.

    The part has carried out `erasures_n` orders to erase: older snapshots must be removed.
    """

    kind: Literal["training", "desk", "shard"]
    number: int
    blob: bytes
    positions: Mapping[str, int | str]
    training: bytes = b""
    erasures_n: int = 0


@dataclass(frozen=True, slots=True)
class Save:
    """Save these parts. Result: why that failed, or None."""

    parts: tuple[Saving, ...]


@dataclass(frozen=True, slots=True)
class Retrain:
    """Run this retraining. Result: its challenger or None, and its error or None."""

    job: RetrainJob


Request: TypeAlias = Produce | Commit | Look | Find | Read | Load | Save | Retrain

# ------------------------------------------------------------------------------------ effects


@dataclass(frozen=True, slots=True)
class Ask:
    """Carry out a request, and pass in `Done` with its number."""

    number: int
    request: Request


@dataclass(frozen=True, slots=True)
class Follow:
    """Read the training log from this offset on, for ever; and join the group."""

    part: Part
    position: int


@dataclass(frozen=True, slots=True)
class Seek:
    """Have the group's consumer go on reading a part from this offset."""

    part: Part
    position: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Stop reading a part until `Resume`."""

    part: Part


@dataclass(frozen=True, slots=True)
class Resume:
    """Read a part again."""

    part: Part


@dataclass(frozen=True, slots=True)
class Fed:
    """Reports that `events_n` events were fed; the clock of their shard is `now`."""

    events_n: int
    now: float


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence about what goes on; an operator should look at it if `is_warning`."""

    sentence: str
    is_warning: bool = False


@dataclass(frozen=True, slots=True)
class Emitted:
    """Reports what was decided and learned."""

    outputs: Sequence[Output]


@dataclass(frozen=True, slots=True)
class Released:
    """Everything under way is finished: the group may reassign its partitions."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Everything is carried out, committed and saved."""


Effect: TypeAlias = Ask | Follow | Seek | Pause | Resume | Fed | Note | Emitted | Released | Ended

T = TypeVar("T")
Routine: TypeAlias = Generator[Request | None, Any, T]
"""Work in several steps: it yields a request and is sent the result, or it yields None and is
resumed at the flow's next input."""
