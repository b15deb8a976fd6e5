"""The contract of a bridge to a labelling tool, checked with a crash at every step."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Protocol

from ..bridges.bridge import Bridge, Delivery, Receipt, Reply
from ..bridges.carrier import BridgeCarrier
from ..bridges.outbox import BridgeOutbox
from ..messages import Answer, ForAnnotators, LabelRequested, RequestWithdrawn, Withdrawal

STEPS_MAX = 50
CLASSES = ("fine", "fraud")


class Rig(Protocol):
    """A labelling tool as the check sees it: new for each run, and it survives crashes."""

    def bridge(self) -> Bridge:
        """Return a new bridge to the tool, as a process that has just started makes it."""

    def tasks(self) -> Sequence[str]:
        """Return the request ids of the tasks that are in the tool now, one for each task."""

    def answer(self, request_id: str, label: str | None, annotator: str) -> None:
        """Let an annotator label a task, or correct an earlier label; None: "cannot tell"."""


class Crash(BaseException):
    """Raised where the process is killed."""


class MemoryEnd:
    """Requests and answers in lists that survive a crash, as a folder or a topic does."""

    def __init__(self) -> None:
        self.requests: list[ForAnnotators] = []
        self.answers: list[Answer | Withdrawal] = []
        self.faults: list[str] = []
        self.sealer = None

    def read(self, place: str, n: int) -> tuple[list[ForAnnotators], str]:
        start = int(place or 0)
        requests = self.requests[start : start + n]
        return requests, str(start + len(requests)) if requests else place

    def write(self, answers: Sequence[Answer | Withdrawal]) -> None:
        self.answers += answers

    def close(self) -> None:
        pass


def check_bridge(
    new: Callable[[Path], Rig], *, may_repeat: bool = False, acts: Iterable[int] | None = None
) -> None:
    """Check that a bridge carries every task and every answer, whenever its process is killed.

    Eight requests are sent, one of them written to the log twice; some are answered, one answer is
    a refusal and one is corrected; one request is withdrawn and one expires. The process is killed
    before each of its acts in turn, and once with half of its tasks sent; then a new process goes
    on. In the end the tool must have one task for each open request, and never have had two; every
    answer must be in the log, and the last answer of each annotator must be the last there.

    Args:
        new: Returns a tool without tasks, a `Rig`, which may keep files in the folder that is
            passed to it.
        may_repeat: Whether a task may be in the tool twice: a queue can't search its tasks, so its
            readers recognise repeated tasks by their request.
        acts: The process is killed only before the acts with these numbers, from 0.

    Raises:
        AssertionError: It breaks a rule; the text says which, and before which act it was killed.

    >>> from headrace.testing.bridges import ListRig
    >>> check_bridge(ListRig)
    >>> check_bridge(lambda folder: ListRig(folder, looks=False))
    Traceback (most recent call last):
    AssertionError: killed before act 6 (remember what was sent): the tool has 2 tasks for r0...
    """
    for number in count() if acts is None else acts:
        with tempfile.TemporaryDirectory() as folder:
            if not _Try(new, Path(folder), number, may_repeat).run_scenario():
                break
    with tempfile.TemporaryDirectory() as folder:
        _Try(new, Path(folder), 3, may_repeat, is_half_sent=True).run_scenario()


class _Try:
    """One run of the scenario, with a crash before one act."""

    def __init__(
        self,
        new: Callable[[Path], Rig],
        folder: Path,
        crash_at: int,
        may_repeat: bool,
        *,
        is_half_sent: bool = False,
    ) -> None:
        self._rig = new(folder / "tool")
        self._end = MemoryEnd()
        self._path = folder / "outbox.sqlite"
        self._crash_at = crash_at
        self._may_repeat = may_repeat
        self._is_half_sent = is_half_sent
        self._acts_n = 0
        self._where = "without a crash"
        self._said: dict[tuple[str, str], str | None] = {}
        self._now = 1_000.0

    def run_scenario(self) -> bool:
        """Run the scenario; return whether there was a crash."""
        requests = [make_request(i, deadline=5_000.0 if i == 7 else 1e9) for i in range(8)]
        self._end.requests += requests[:5]
        self._carry_all()
        self._expect_tasks({f"r{i}" for i in range(5)})
        self._send_answer("r0", "fine", "ann")
        self._send_answer("r1", None, "ann")
        self._send_answer("r1", "fraud", "bob")
        self._end.requests += [*requests[4:], requests[2]]
        self._carry_all()
        self._send_answer("r0", "fraud", "ann")
        self._end.requests.append(
            RequestWithdrawn(request_id="r5", event_id="e5", at=1_001.0, reason="withdrawn")
        )
        self._carry_all()
        self._now = 10_000.0
        self._carry_all()
        self._expect_tasks(
            {f"r{i}" for i in (2, 3, 4, 6)} | (set(self._rig.tasks()) & {"r0", "r1"})
        )
        self._expect_answers()
        return self._acts_n > self._crash_at or self._is_half_sent

    def _send_answer(self, request_id: str, label: str | None, annotator: str) -> None:
        self._rig.answer(request_id, label, annotator)
        self._said[request_id, annotator] = label

    def _carry_all(self) -> None:
        """Step until nothing is left to carry; go on in a new process after a crash."""
        for _ in range(STEPS_MAX):
            try:
                if self._live_once():
                    return
            except Crash:
                continue
        raise AssertionError(f"{self._where}: there is no end of carrying")

    def _live_once(self) -> bool:
        bridge = self._rig.bridge()
        if self._is_half_sent:
            bridge, self._is_half_sent = _HalfSent(bridge), False
            self._where = "killed with half of the tasks sent"
        try:
            with closing(BridgeOutbox(self._path, outlives_power=False)) as outbox:
                carrier = BridgeCarrier(
                    bridge, self._end, outbox, clock=lambda: self._now, on_act=self._crash_if_due
                )
                for _ in range(STEPS_MAX):
                    if not carrier.step():
                        return True
                    self._expect_single()
        finally:
            if hasattr(bridge, "close"):
                bridge.close()
        return False

    def _crash_if_due(self, act: str) -> None:
        if self._is_half_sent:
            return
        self._acts_n += 1
        if self._acts_n - 1 == self._crash_at and "half" not in self._where:
            self._where = f"killed before act {self._crash_at} ({act})"
            raise Crash

    # ------------------------------------------------------------------------------- claims

    def _expect_single(self) -> None:
        for request_id, n in Counter(self._rig.tasks()).items():
            if n > 1 and not self._may_repeat:
                raise AssertionError(f"{self._where}: the tool has {n} tasks for {request_id}")

    def _expect_tasks(self, wanted: set[str]) -> None:
        self._expect_single()
        tasks = set(self._rig.tasks())
        if missing := sorted(wanted - tasks):
            raise AssertionError(f"{self._where}: the tool has no task for {', '.join(missing)}")
        if extra := sorted(tasks - wanted):
            raise AssertionError(
                f"{self._where}: the tool still has tasks for {', '.join(extra)}, which were "
                "withdrawn or have expired"
            )

    def _expect_answers(self) -> None:
        last: dict[tuple[str, str], str | None] = {}
        for answer in self._end.answers:
            if isinstance(answer, Answer):
                last[answer.request_id, answer.annotator] = answer.label
        for (request_id, annotator), label in self._said.items():
            if (request_id, annotator) not in last:
                raise AssertionError(
                    f"{self._where}: the answer of {annotator} to {request_id} was lost"
                )
            if last[request_id, annotator] != label:
                raise AssertionError(
                    f"{self._where}: {annotator} said {label} of {request_id} last, and the log "
                    f"has {last[request_id, annotator]} last"
                )
        if more := sorted(set(last) - set(self._said)):
            raise AssertionError(f"{self._where}: nobody gave the answers {more}")


class _HalfSent:
    """A bridge whose process dies when half of the tasks that it sends are in the tool."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def send(self, deliveries: Sequence[Delivery]) -> None:
        self._bridge.send(deliveries[: len(deliveries) // 2])
        raise Crash

    def receive(self, mark: str) -> Receipt:
        return self._bridge.receive(mark)

    def close(self) -> None:
        if hasattr(self._bridge, "close"):
            self._bridge.close()


def make_request(number: int, *, deadline: float) -> LabelRequested:
    """Return a request whose features are hard for files: a formula, a tag, an accent."""
    return LabelRequested(
        request_id=f"r{number}",
        event_id=f"e{number}",
        at=1_000.0,
        event_at=1_000.0,
        deadline=deadline,
        features={"amount": 12.5 + number, "text": f"=1+{number}; <b>né</b>", "card": True},
        reason="doubt",
        strategy="margin",
        utility=0.1 * number,
        threshold=0.0,
        propensity=0.5,
        model_version=3,
        prediction={"fine": 0.75, "fraud": 0.25},
        round_n=1,
        seq=number,
    )


class ListRig:
    """A tool that is a list; with `looks` false it does not look for a task before it adds it."""

    def __init__(self, folder: Path, *, looks: bool = True) -> None:
        self._looks = looks
        self._tasks: list[str] = []
        self._replies: list[tuple[str, str | None, str]] = []

    def bridge(self) -> Bridge:
        return self

    def tasks(self) -> list[str]:
        return self._tasks

    def answer(self, request_id: str, label: str | None, annotator: str) -> None:
        self._replies.append((request_id, label, annotator))

    def send(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            if delivery.request is None:
                self._tasks = [task for task in self._tasks if task != delivery.request_id]
            elif not (self._looks and delivery.may_be_there and delivery.request_id in self._tasks):
                self._tasks.append(delivery.request_id)

    def receive(self, mark: str) -> Receipt:
        start = int(mark or 0)
        replies = tuple(
            Reply(request_id, label, float(start + i), annotator, f"{start + i}")
            for i, (request_id, label, annotator) in enumerate(self._replies[start:])
        )
        return Receipt(replies, str(start + len(replies)))
