"""Streams with everything in them that makes batching hard, for tests of the whole engine.

`played` feeds an engine one input at a time, answers it, and keeps the inputs in the order in which
they were fed: what any other way of feeding them must reproduce. Run as a program it prints a
digest of all outputs, for a comparison between processes.
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from headrace import (
    Answer,
    Engine,
    Event,
    LabelRequested,
    RetrainFinished,
    RetrainRequested,
    RoundOrdered,
    Settings,
    Tick,
)
from headrace.learn.retrain import retrain
from headrace.messages import Input, Output
from headrace.settings import parse

SMALL: dict[str, Any] = {
    "observe": {"window_n": 100, "reservoir_n": 150, "ids_n": 60},
    "query": {
        "strategy": "hybrid",
        "uncertainty_from": "disagreement",
        "budget": {"share": 0.25, "reserve": 2},
        "rounds": {"every_n": 10, "every_s": 45.0},
        "cold_start": {"per_class_n": 3, "labels_max": 30},
    },
    "label": {"deadline_s": 60.0, "answers_wanted": 1, "answers_max": 2, "closed_n": 50},
    "drift": {
        "check_every_n": 40,
        "hold_n": 60,
        "watch": [
            {"signal": "error", "detector": "ddm"},
            {"signal": "confidence", "detector": "adwin", "level": "warning"},
            {"signal": "class_mix", "detector": "psi", "level": "warning"},
            {"signal": "features", "detector": "psi"},
            {"signal": "features", "detector": "ks", "level": "warning"},
        ],
    },
    "learn": {
        "memory_n": 40,
        "retrain_every_n": 15,
        "retrain_every_s": 150.0,
        "retrain_labels_min": 10,
        "adopt_labels_n": 15,
        "adopt_margin": 0.0,
    },
    "evaluation": {"window_n": 100},
}


def settings_with(**sections: Any) -> Settings:
    """Small limits, with these sections or root values instead."""
    return parse({**SMALL, **sections})


def events_of(seed: int, n: int) -> list[Event]:
    """Late, missing, duplicate and new; with served probabilities, a new class, and a drift."""
    luck = random.Random(seed)
    at, events = 1_000.0, []
    for i in range(n):
        at += luck.random() * 2.0
        features: dict[str, Any] = {
            "a": luck.gauss(0.0, 1.0) + 4.0 * (i > n / 2),
            "b": luck.gauss(0.0, 1.0),
            "c": luck.choice("xyz"),
        }
        if luck.random() < 0.03:
            features[f"new {i // 60}"] = luck.choice([1.0, "text"])
        if luck.random() < 0.05:
            del features["a"]
        if luck.random() < 0.03:
            features["b"] = luck.choice([float("nan"), float("inf"), None, True, "odd"])
        probabilities = None
        if luck.random() < 0.3:
            probabilities = {"p": 0.2, "q": 0.8}
        elif luck.random() < 0.03:
            probabilities = {"zz": 0.6, "p": 0.4}
        event = Event(
            id=str(i if luck.random() > 0.03 else max(0, i - luck.choice([1, 5, 150]))),
            at=at - 30.0 * (luck.random() < 0.05) + 1e9 * (luck.random() < 0.01),
            features=features,
            probabilities=probabilities,
            predicted="p" if luck.random() < 0.05 else None,
        )
        events.append(event)
    return events


class After(NamedTuple):
    """How things stood after one input; `outputs` are those of this input alone."""

    outputs: tuple[Output, ...]
    events_n: int
    balance: int
    model_version: int
    is_look_due: bool


@dataclass(frozen=True)
class Played:
    """One run: settings, inputs in order, what came out, and the numbers at the end."""

    settings: Settings
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    report: bytes
    after: tuple[After, ...]


def played(settings: Settings, events: Sequence[Event], seed: int) -> Played:
    """Feed the events one by one, with answers, ticks, orders and finished jobs between them."""
    engine, luck = Engine(settings=settings), random.Random(seed)
    inputs: list[Input] = []
    after: list[After] = []
    due: list[tuple[int, Input | int]] = []

    def feed(message: Input) -> None:
        inputs.append(message)
        found = engine.feed([message])
        shard, version = engine.shard, engine.trainer.version
        balance, is_due = shard.asking.budget.balance, shard.asking.open.is_due(version)
        after.append(After(tuple(found), shard.events_n, balance, version, is_due))
        for output in found:
            if isinstance(output, LabelRequested) and luck.random() < 0.85:
                due.extend(_answers(output, i, luck))
            elif isinstance(output, RetrainRequested):
                due.append((i + luck.choice([1, 9]), output.job_id))

    for i, event in enumerate(events):
        feed(event)
        now, due = [d for d in due if d[0] <= i], [d for d in due if d[0] > i]
        for _, message in now:
            feed(_finished(engine, message, luck) if isinstance(message, int) else message)
        if luck.random() < 0.03:
            feed(Tick(at=engine.now + 40.0 * luck.random()))
        if luck.random() < 0.02:
            feed(RoundOrdered(at=engine.now, labels_n=luck.choice([None, 3])))
    outputs = tuple(output for one in after for output in one.outputs)
    report = msgspec.json.encode(engine.report)
    return Played(settings, tuple(inputs), outputs, report, tuple(after))


def _answers(request: LabelRequested, i: int, luck: random.Random) -> list[tuple[int, Input | int]]:
    """One answer some events later; sometimes twice, refused, corrected, or to nobody."""
    label: str | None = "p" if float(request.features.get("a") or 0.0) > 0.5 else "q"
    if luck.random() < 0.1:
        label = luck.choice([None, "third", "p"])
    when = i + luck.randrange(1, 60)
    answer = Answer(request_id=request.request_id, label=label, at=request.at, annotator="al")
    answers: list[tuple[int, Input | int]] = [(when, answer)]
    if luck.random() < 0.2:
        answers.append((when + luck.randrange(1, 60), answer))
    if luck.random() < 0.2:
        other = msgspec.structs.replace(answer, label="p", at=request.at + 1.0)
        answers.append((when + luck.randrange(1, 60), other))
    if luck.random() < 0.1:
        answers = [
            (when, msgspec.structs.replace(answer, label=None, annotator=name))
            for name in ("bo", "cy")
        ]
    if luck.random() < 0.05:
        answers.append((when, msgspec.structs.replace(answer, request_id="nobody's")))
    return answers


def _finished(engine: Engine, job_id: int, luck: random.Random) -> RetrainFinished:
    job = engine.open_job
    if job is None or job.job_id != job_id or luck.random() < 0.2:
        return RetrainFinished(job_id=job_id, at=engine.now, error="out of memory")
    return RetrainFinished(job_id=job_id, at=engine.now, challenger=retrain(job))


def encoded(outputs: Sequence[Output]) -> list[bytes]:
    """The outputs as bytes: equal bytes are equal bits."""
    return [msgspec.json.encode(output) for output in outputs]


ON_ARRIVAL: dict[str, Any] = {
    "ask": "arrival",
    "strategy": "margin",
    "uncertainty_from": "disagreement",
    "budget": {"share": 0.25, "reserve": 2, "start": 3},
    "cold_start": {"per_class_n": 3, "labels_max": 30},
}


@lru_cache(maxsize=32)
def reference(seed: int, model: str, n: int = 320, *, is_arrival: bool = False) -> Played:
    """The run that others are compared with; made once. Asked in rounds, or on arrival."""
    asked = {"query": ON_ARRIVAL} if is_arrival else {}
    settings = settings_with(seed=seed, model={"name": model}, **asked)
    return played(settings, events_of(seed, n), seed)


def digest(model: str) -> str:
    """SHA-256 of everything that a run of 180 events put out, and of its report."""
    run = reference(1, model, 180)
    return hashlib.sha256(b"".join([*encoded(run.outputs), run.report])).hexdigest()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(name, digest(name))
