"""The contract of workflows, as a check to call from your own tests."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

from ..query.schedule import Schedule, Situation, Workflow
from .claims import claim


def check_workflow(make: Callable[[], Workflow]) -> None:
    """Check a workflow.

    It must return whole numbers of at least 0 in any situation; the same situations in the same
    order must give the same numbers, in a copy and after pickling too. With nothing open and labels
    to spend it must ask something in the end, so that no stream waits for ever; also where open
    questions are scored again and all of them are withdrawn before any has an answer.

    Args:
        make: Returns a new workflow on each call.

    Raises:
        AssertionError: It breaks a rule; the text says which.

    >>> from headrace.query.schedule import Sequential
    >>> check_workflow(Sequential)
    """
    name = type(make()).__name__
    situations = _make_situations()
    workflow = make()
    claim(isinstance(workflow.waits, bool), f"{name}.waits must be True or False")
    batches: list[int] = []
    copies: list[Workflow] = []
    for i, situation in enumerate(situations):
        n = workflow.batch_n(situation)
        claim(type(n) is int and n >= 0, f"{name} wants {n!r} in {situation}; must be an int >= 0")
        batches.append(n)
        if i == len(situations) // 2:
            copies = [copy.deepcopy(workflow), pickle.loads(pickle.dumps(workflow))]
    again = make()
    claim([again.batch_n(s) for s in situations] == batches, f"{name} decides otherwise again")
    rest = len(situations) // 2 + 1
    for other in copies:
        went_on = [other.batch_n(s) for s in situations[rest:]]
        claim(went_on == batches[rest:], f"{name} forgets something when it is copied or pickled")
    quiet = Situation(1e6, 50, 10, 0, 5, 0, 0.01, True)
    workflow = make()
    asked = [workflow.batch_n(quiet) for _ in range(10)]
    claim(any(asked), f"{name} asks nothing, with nothing open and 50 labels to spend")
    _check_withdrawals(name, Schedule(make()))


def _check_withdrawals(name: str, schedule: Schedule) -> None:
    """Check that a batch whose questions were all withdrawn is over, and its labels asked again."""
    asked_n, rounds_n = 0, 0
    for i in range(20):
        now = 60.0 * i
        n = schedule.wanted_n(now=now, can_ask_n=30, labels_n=0, open_n=0)
        keys = list(range(asked_n, asked_n + n))
        schedule.note_batch(keys)
        asked_n, rounds_n = asked_n + n, rounds_n + (n > 0)
        for left_n, key in zip(reversed(range(n)), keys, strict=True):
            schedule.note_end(key, now, left_n, is_answered=False)
    claim(rounds_n > 1, f"{name} asks nothing any more once its open questions were withdrawn")


def _make_situations() -> list[Situation]:
    """Return situations of all kinds, except impossible ones."""
    situations = []
    for i in range(240):
        batch_n, open_n = (i * 7) % 23, (i * 5) % 31
        situations.append(
            Situation(
                now=60.0 * i,
                can_ask_n=1 + (i * 11) % 40,
                labels_n=i // 2,
                open_n=open_n,
                batch_n=batch_n,
                batch_open_n=min(batch_n, open_n),
                answers_per_s=None if i % 9 == 0 else 0.001 * ((i * 13) % 50 + 1),
                is_idle=open_n == 0 or i % 4 == 0,
            )
        )
    return situations
