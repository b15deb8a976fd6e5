"""Thirty worlds of bad luck, audited; and broken engines that the audit must not let pass."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from headrace.engine import Engine
from headrace.label import consensus
from headrace.label.desk import Desk
from headrace.label.ledger import Ledger
from headrace.observe.admission import Run
from headrace.query.asking import Asking
from headrace.query.budgets import Budget
from headrace.query.remembered import Remembered
from headrace.shard.shard import Shard
from headrace.testing import simulation
from headrace.testing.simulation import main, simulate
from simulation.auditor import audit

SEEDS = range(30)
EVENTS_N = 200
SHORT = (5, 10, 15)
"""Of every run of the tests are the worlds from these on, the others of `make test-long`."""
SEEN_SEEDS = range(5, 12)
COSTLY = (0, 4, 23)
"""They take ten times as long as the others, so a broken engine meets them last."""


@cache
def journal_of(seed: int) -> tuple[bytes, ...]:
    """What happened in one world, in which every restart decided the same again."""
    world = simulate(seed, events_n=EVENTS_N)
    assert world.mortal.is_same, said_again(seed)
    return tuple(world.journal)


def said_again(seed: int) -> str:
    return f"python -m headrace.testing.simulation --seed {seed} --events {EVENTS_N}"


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(i, marks=[] if i in SHORT else pytest.mark.long)
        for i in range(0, len(SEEDS), 5)
    ],
)
@pytest.mark.default_n(1)
def test_every_world_passes_the_audit(first: int) -> None:
    for seed in SEEDS[first : first + 5]:
        faults = audit(journal_of(seed))
        again = said_again(seed)
        assert not faults, f"{again} --journal F; python {audit.__module__}.py F: {faults[:3]}"


def test_the_worlds_hold_everything_that_is_audited() -> None:
    seen: Counter[str] = Counter()
    for seed in SEEN_SEEDS:
        for line in journal_of(seed):
            row = json.loads(line)
            seen[row["kind"]] += 1
            for message in row.get("inputs", []) + row.get("outputs", []):
                kind = message["type"]
                seen[f"{kind} {message['reason']}" if kind == "InputRejected" else kind] += 1
                seen[message.get("level", "")] += 1
                seen["revision"] += message.get("revision", 0) > 0
    wanted = [
        "Event",
        "Answer",
        "Tick",
        "RoundOrdered",
        "RetrainFinished",
        "LabelRequested",
        "LabelSettled",
        "LabelDisputed",
        "RequestExpired",
        "revision",
        "WARNING",
        "DRIFT",
        "RoundClosed",
        "ModelAdopted",
        "ModelKept",
        "InputRejected duplicate_id",
        "InputRejected future",
        "InputRejected bad_time",
        "InputRejected bad_id",
        "InputRejected unknown_request",
        "restart",
    ]
    assert [kind for kind in wanted if not seen[kind]] == []


def test_a_seed_on_the_command_line_prints_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    journal = tmp_path / "journal.jsonl"
    code = main(["--seed", "3", "--events", "60", "--journal", str(journal)])
    printed = capsys.readouterr().out
    assert code == 0
    assert printed.startswith("seed 3: ")
    assert printed.count("\n") == 1
    assert audit(journal.read_bytes().splitlines()) == []


# ----------------------------------------------------------------------------- broken engines


def overspends_by_one(patch: pytest.MonkeyPatch) -> None:
    available = Budget.available_n.fget
    patch.setattr(Budget, "available_n", property(lambda self: available(self) + 1))


def forgets_a_refund(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Budget, "refund", lambda self, n=1, **of: None)


def refunds_what_was_settled(patch: pytest.MonkeyPatch) -> None:
    ended = Asking.end_request
    patch.setattr(
        Asking,
        "end_request",
        lambda self, event_id, now, is_answered, worth=None: ended(
            self, event_id, now, is_answered=False
        ),
    )


def ends_a_request_twice(patch: pytest.MonkeyPatch) -> None:
    answered = Desk.take_answer
    patch.setattr(Desk, "take_answer", lambda self, answer, now: 2 * answered(self, answer, now))


def asks_an_event_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Shard, "_mark_asked", lambda self, events, row: None)
    patch.setattr(Remembered, "has", lambda self, key: False)
    patch.setattr(Asking, "are_known", lambda self, keys: np.zeros(len(keys), dtype=bool))


def takes_the_time_of_the_batch(patch: pytest.MonkeyPatch) -> None:
    begin = Run.__init__

    def with_one_time(self: Run, *arguments: Any, **named: Any) -> None:
        begin(self, *arguments, **named)
        self.clock[:] = self.clock[-1]

    patch.setattr(Run, "__init__", with_one_time)


def loses_an_answer(patch: pytest.MonkeyPatch) -> None:
    answered = Desk.take_answer
    patch.setattr(
        Desk,
        "take_answer",
        lambda self, answer, now: [] if int(answer.at) % 20 == 0 else answered(self, answer, now),
    )


def counts_an_answer_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(consensus, "voice", lambda answer, wanted_n: (str(answer.at), 0.0, ""))


def settles_with_a_minority(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        consensus,
        "_find_majority",
        lambda tally: min(tally, key=lambda name: (tally[name], name), default=None),
    )


def forgets_deadlines(patch: pytest.MonkeyPatch) -> None:
    due = Ledger.pop_due
    patch.setattr(Ledger, "pop_due", lambda self, now: due(self, now)[1:])


def expires_too_early(patch: pytest.MonkeyPatch) -> None:
    due = Ledger.pop_due
    patch.setattr(Ledger, "pop_due", lambda self, now: due(self, now + 300.0))


def wakes_up_with_other_money(patch: pytest.MonkeyPatch) -> None:
    restore = Engine.restore

    def with_a_gift(self: Engine, blob: bytes) -> None:
        restore(self, blob)
        self.shard.asking.budget.refund(3)

    patch.setattr(Engine, "restore", with_a_gift)


BROKEN: list[tuple[Callable[[pytest.MonkeyPatch], None], int]] = [
    (overspends_by_one, 5),
    (forgets_a_refund, 14),
    (refunds_what_was_settled, 5),
    (ends_a_request_twice, 5),
    (asks_an_event_twice, 11),
    (takes_the_time_of_the_batch, 11),
    (loses_an_answer, 5),
    (counts_an_answer_twice, 11),
    (settles_with_a_minority, 5),
    (forgets_deadlines, 5),
    (expires_too_early, 11),
    (wakes_up_with_other_money, 15),
]
"""What is broken, and the first of the worlds that are tried: the audit sees it there."""


@pytest.mark.parametrize(("broken", "first"), BROKEN, ids=lambda one: getattr(one, "__name__", ""))
@pytest.mark.default_n(5)
def test_a_broken_engine_is_caught(
    broken: Callable[[pytest.MonkeyPatch], None], first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    # Whatever never ends shows by then too: of whole engines none needs a hundred.
    monkeypatch.setattr(simulation, "CLOSING_TICKS_MAX", 500)
    seeds = sorted(SEEDS, key=lambda seed: (seed in COSTLY, seed < first, seed))
    assert any(audit(simulate(seed, events_n=100).journal) for seed in seeds)
