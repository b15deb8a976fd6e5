"""The process that retrains beside a run or a worker: it reads jobs from a pipe and writes results.

`refits` starts it, one for a run or worker, and ends it. Jobs and results are states as `state`
freezes them, each behind a mark and its length; both ends of the pipe belong to these two processes
alone. It ends by itself when the other end of the pipe is closed, even in the middle of a job.
"""

from __future__ import annotations

import os
import queue
import threading
from typing import BinaryIO

import msgspec

from ..errors import HeadraceError
from ..learn.retrain import attempt_job
from ..state import frozen

JOB, CHALLENGER = "retraining job", "challenger"
"""The kinds of the frozen states."""

_MARK = b"headrace-retraining\n"
_LENGTH_BYTES = 8


class Ordered(msgspec.Struct, frozen=True, array_like=True):
    """A frozen job, and the user's packages whose classes it may name, as `frozen.allowed_by`."""

    job: bytes
    allowed: list[str]


class RefitResult(msgspec.Struct, frozen=True, array_like=True):
    """A frozen challenger, or the `error` of the job; or the `fault` that keeps jobs from here."""

    challenger: bytes = b""
    error: str | None = None
    fault: str | None = None


def write_message(pipe: BinaryIO, message: Ordered | RefitResult) -> None:
    """Write a message. Raises `OSError` if nobody reads the pipe any more."""
    content = msgspec.msgpack.encode(message)
    pipe.write(_MARK + len(content).to_bytes(_LENGTH_BYTES, "big"))
    pipe.write(content)
    pipe.flush()


def read_message(pipe: BinaryIO) -> bytes | None:
    """Read and return the content of a message; None at the end of the pipe.

    What stands before its mark is passed over: a `sitecustomize` may have printed on the pipe,
    before the process began to read and write.
    """
    while (line := pipe.readline()) and not line.endswith(_MARK):
        pass
    head = pipe.read(_LENGTH_BYTES)
    length = int.from_bytes(head, "big")
    content = pipe.read(length) if len(head) == _LENGTH_BYTES else b""
    return content if len(head) == _LENGTH_BYTES and len(content) == length else None


def carry_out(ordered: Ordered) -> RefitResult:
    """Run a job and return its result."""
    allowed = frozenset(ordered.allowed)
    try:
        job = frozen.thaw(ordered.job, kind=JOB, allowed=allowed)
    except HeadraceError as error:
        return RefitResult(fault=str(error))
    challenger, error_of_job = attempt_job(job)
    if challenger is None:
        return RefitResult(error=error_of_job)
    try:
        return RefitResult(challenger=frozen.freeze(challenger, kind=CHALLENGER))
    except HeadraceError as error:
        return RefitResult(fault=str(error))


def main() -> None:
    """Carry out jobs until the pipe ends. The process has nothing else to do."""
    # Models may print and read: not on the pipe.
    orders, results = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read_orders() -> None:
        while (content := read_message(orders)) is not None:
            waiting.put(content)
        # Nobody waits for the job that may be running.
        os._exit(0)

    threading.Thread(target=read_orders, daemon=True).start()
    while True:
        write_message(results, carry_out(msgspec.msgpack.decode(waiting.get(), type=Ordered)))
