"""A deterministic simulation in virtual time: an engine, people who answer badly, and bad luck.

One seed draws the settings, the stream, its drift and all fault rates. After the bad times comes a
calm phase without faults, in which every request must end. What happened is returned as a journal
of JSON lines, so that an auditor can recount it without any code of the engine. No thread, no
clock, no file: two runs of one seed give the same bytes.

    python -m headrace.testing.simulation --seed 7

prints one line for the seed and exits with 1 when the run broke by itself: an exception, an open
request at the end, or a restart that decided otherwise. `--journal F` writes the journal.
"""

from __future__ import annotations

import argparse
import heapq
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from ..chance import Chance
from ..engine import Engine
from ..learn.retrain import finish_job
from ..messages import (
    Answer,
    Event,
    Input,
    LabelRequested,
    Output,
    RequestEnded,
    RetrainFinished,
    RetrainRequested,
    RoundOrdered,
    Tick,
)
from ..query.rules import RANK, RULES
from ..settings import Settings, parse
from .restarts import MortalEngine

EngineOf = Callable[[Settings], Engine]
DRIFTS = ("none", "sudden", "gradual", "incremental", "recurring")
WATCHES: tuple[list[dict[str, Any]], ...] = (
    [{"signal": "error", "detector": "ddm"}, {"signal": "confidence", "detector": "adwin"}],
    [
        {"signal": "features", "detector": "psi"},
        {"signal": "class_mix", "detector": "psi", "level": "warning"},
    ],
)
WEEK_S = 604_800.0
# The number of ticks after the last event; a request that is then still open never ends.
CLOSING_TICKS_MAX = 5_000


class Luck:
    """Random numbers, each a hash of purpose and count: repeatable, and independent by purpose."""

    def __init__(self, seed: int) -> None:
        self._chance = Chance(seed)
        self._drawn: dict[str, int] = {}

    def draw_uniform(self, purpose: str) -> float:
        """The next number in [0, 1) for this purpose."""
        n = self._drawn[purpose] = self._drawn.get(purpose, 0) + 1
        return self._chance.uniform(purpose, str(n))

    def is_hit(self, purpose: str, rate: float) -> bool:
        return self.draw_uniform(purpose) < rate

    def pick(self, purpose: str, choices: Sequence[Any]) -> Any:
        return choices[int(self.draw_uniform(purpose) * len(choices))]


@dataclass(frozen=True)
class Faults:
    """The fault rates of one world, each drawn between 0 and the limit in its metadata."""

    duplicate: float = field(metadata={"max": 0.1})
    lost: float = field(metadata={"max": 0.1})
    reordered: float = field(metadata={"max": 0.2})
    poison: float = field(metadata={"max": 0.05})
    missing: float = field(metadata={"max": 0.2})
    burst: float = field(metadata={"max": 0.05})
    quiet: float = field(metadata={"max": 0.005})
    silent: float = field(metadata={"max": 0.4})
    noisy: float = field(metadata={"max": 0.3})
    refusing: float = field(metadata={"max": 0.2})
    late: float = field(metadata={"max": 0.2})
    correcting: float = field(metadata={"max": 0.2})
    repeated: float = field(metadata={"max": 0.2})
    unknown: float = field(metadata={"max": 0.1})
    crash: float = field(metadata={"max": 0.04})
    failing_retrain: float = field(metadata={"max": 0.3})
    ordered: float = field(metadata={"max": 0.01})

    @classmethod
    def draw_rates(cls, luck: Luck) -> Faults:
        """Return random rates; each kind of fault is absent in a third of the worlds."""
        rates = {}
        for rate in fields(cls):
            is_absent = luck.is_hit("absent", 1 / 3)
            rates[rate.name] = (
                0.0 if is_absent else luck.draw_uniform("rate") * rate.metadata["max"]
            )
        return cls(**rates)

    @classmethod
    def none(cls) -> Faults:
        return cls(**{rate.name: 0.0 for rate in fields(cls)})


def settings_of(luck: Luck) -> Settings:
    """Return the settings of one world: with small limits, so that they are reached."""
    wanted_n = luck.pick("wanted", (1, 1, 2, 3))
    if luck.is_hit("by share", 0.7):
        budget: dict[str, Any] = {"share": luck.pick("share", (0.05, 0.1, 0.2))}
    else:
        budget = {"per_hour": luck.pick("rate", (60.0, 200.0))}
    budget |= {"burst": 100_000, "start": luck.pick("start", (0, 0, 5))}
    budget["reserve"] = luck.pick("reserve", (0, 3))
    strategy = luck.pick("strategy", ("random", "margin", "entropy", "hybrid"))
    rounds: dict[str, Any] = {"every_n": luck.pick("every", (5, 20))}
    if luck.is_hit("dated", 0.3):
        rounds["every_s"] = 1_800.0
    arrival = {}
    if strategy != "hybrid" and luck.is_hit("on arrival", 0.6):
        rounds = {}
        if strategy == "margin":
            arrival = {"rule": luck.pick("rule", (RANK, *(n for n in RULES if n != "iwal")))}
    return parse(
        {
            "seed": int(luck.draw_uniform("seed") * 1e9),
            "stream": "simulated",
            "model": {"name": luck.pick("model", ("logistic", "naive-bayes", "committee"))},
            "observe": {"window_n": 100, "reservoir_n": 50},
            "query": {
                "strategy": strategy,
                "budget": budget,
                "rounds": rounds,
                "arrival": arrival,
                "control_share": luck.pick("control", (0.1, 0.5)),
                "cold_start": {"labels_max": 20},
            },
            "label": {
                "deadline_s": luck.pick("deadline", (600.0, 3_600.0)),
                "answers_wanted": wanted_n,
                "answers_max": wanted_n + luck.pick("more", (0, 2)),
                "late_answers": luck.pick("late", ("taken", "refused")),
            },
            "drift": {"check_every_n": 50, "hold_n": 100, "watch": luck.pick("watch", WATCHES)},
            "learn": {
                "memory_n": 60,
                "retrain_every_n": luck.pick("retrain", (15, 40)),
                "retrain_labels_min": 10,
                "adopt_labels_n": 20,
            },
        }
    )


class Stream:
    """Events of two or three classes over virtual time, and their true classes."""

    def __init__(self, luck: Luck, faults: Faults, events_n: int) -> None:
        self.luck = luck
        self.faults = faults
        self.at = 1_700_000_000.0
        self.truths: dict[str, str] = {}
        self.drift = luck.pick("drift", DRIFTS)
        self._events_n = events_n
        self._burst_n = 0
        self._n = 0

    def make_next(self) -> tuple[list[tuple[float, Event]], float]:
        """The deliveries, (time, event), of one event, and the quiet before it in seconds."""
        luck, faults = self.luck, self.faults
        quiet_s = (
            2 * WEEK_S * luck.draw_uniform("quiet time")
            if luck.is_hit("quiet", faults.quiet)
            else 0.0
        )
        if luck.is_hit("burst", faults.burst):
            self._burst_n = 30
        self._burst_n = max(0, self._burst_n - 1)
        gap_s = 0.001 if self._burst_n else 1.0 - 30.0 * math.log(1.0 - luck.draw_uniform("gap"))
        self.at += quiet_s + gap_s
        event = self._make_event()
        if luck.is_hit("poison", faults.poison):
            event = self._poison_event(event)
        if luck.is_hit("lost", faults.lost):
            return [], quiet_s
        late_s = (
            200.0 * luck.draw_uniform("by how much")
            if luck.is_hit("late", faults.reordered)
            else 0.0
        )
        arrivals = [(self.at + late_s, event)]
        if luck.is_hit("twice", faults.duplicate):
            arrivals.append((self.at + late_s + 300.0 * luck.draw_uniform("when again"), event))
        return arrivals, quiet_s

    def _make_event(self) -> Event:
        luck, n = self.luck, self._n
        self._n += 1
        truth = luck.pick("truth", ("ham", "spam", "spam", "eggs") if n > 200 else ("ham", "spam"))
        centre = {"ham": -1.0, "spam": 1.0, "eggs": 3.0}[truth]
        if luck.is_hit("drift now", self._chance_of_drift(n / self._events_n)):
            centre = -centre
        features: dict[str, Any] = {
            "x": centre + luck.draw_uniform("x") - luck.draw_uniform("x"),
            "y": luck.draw_uniform("y"),
            "where": luck.pick("where", ("here", "there")),
        }
        for name in tuple(features):
            if luck.is_hit("missing", self.faults.missing):
                features[name] = luck.pick("how missing", (None, math.inf, "?", math.nan))
        identity = f"e{n}"
        self.truths[identity] = truth
        served = luck.pick("served", (None, None, {"ham": 0.7, "spam": 0.3}))
        return Event(id=identity, at=self.at, features=features, probabilities=served)

    def _chance_of_drift(self, part: float) -> float:
        """Return the chance that an event at this part of the stream, 0 to 1, has drifted."""
        if self.drift == "sudden":
            return float(part > 0.5)
        if self.drift == "gradual":
            return min(1.0, max(0.0, 4.0 * part - 1.5))
        if self.drift == "incremental":
            return min(1.0, part)
        if self.drift == "recurring":
            return float(int(part * 6) % 2)
        return 0.0

    def _poison_event(self, event: Event) -> Event:
        worse: dict[str, Any] = self.luck.pick(
            "poison kind",
            (
                {"at": math.nan},
                {"at": 1e18},
                {"at": event.at + 1e9},
                {"id": ""},
                {"id": "long" * 200},
                {"features": {"x": 10**400, "y": "\x00", "": None}},
                {"features": {}},
            ),
        )
        return msgspec.structs.replace(event, **worse)


class Deliveries:
    """Inputs that have not arrived yet, ordered by the time of arrival, seconds."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Input]] = []
        self._pushed_n = 0

    @property
    def next_at(self) -> float | None:
        """The time, seconds, when the next input arrives; None if there is none."""
        return self._due[0][0] if self._due else None

    def push(self, at: float, message: Input) -> None:
        """Add an input that arrives at this time; at one time, inputs arrive in the order added."""
        self._pushed_n += 1
        heapq.heappush(self._due, (at, self._pushed_n, message))

    def pop_arrived(self, until: float) -> Iterator[Input]:
        """Yield the inputs that arrive up to this time, including those pushed meanwhile."""
        while self._due and self._due[0][0] <= until:
            yield heapq.heappop(self._due)[2]


class World:
    """The simulation of one seed: `play` returns the journal, one JSON object a line."""

    def __init__(self, seed: int, engine_of: EngineOf, events_n: int) -> None:
        self.luck = Luck(seed)
        self.settings = settings_of(self.luck)
        self.faults = Faults.draw_rates(self.luck)
        self.stream = Stream(self.luck, self.faults, events_n)
        self.mortal = MortalEngine(partial(engine_of, self.settings))
        self.events_n = events_n
        self.journal: list[bytes] = []
        self.open: dict[str, LabelRequested] = {}
        self._deliveries = Deliveries()
        self._retrain_s = self.luck.pick("retrain time", (0.0, 60.0, 7_200.0))

    def play(self) -> list[bytes]:
        """Play bad times, then calm ones, then ticks until every request has ended."""
        self._write_row(kind="settings", settings=msgspec.to_builtins(self.settings))
        self._live_through(self.events_n)
        self.stream.faults = self.faults = Faults.none()
        self._write_row(kind="calm")
        self._live_through(self.events_n)
        self._write_row(kind="closing")
        for _ in range(CLOSING_TICKS_MAX):
            arrives_at = self._deliveries.next_at
            due = [] if arrives_at is None else [arrives_at]
            due += [request.deadline for request in self.open.values()]
            if not due:
                break
            self._deliver_until(min(due))
            self._feed_inputs([Tick(at=max(min(due), self.stream.at))])
        self._write_row(kind="end", open_n=len(self.open))
        return self.journal

    def _live_through(self, events_n: int) -> None:
        for _ in range(events_n):
            before = self.stream.at
            arrivals, quiet_s = self.stream.make_next()
            if quiet_s:
                self._pass_time(before, self.stream.at - 1.0)
            for at, event in arrivals:
                self._deliveries.push(at, event)
            if self.luck.is_hit("order", self.faults.ordered):
                labels_n = self.luck.pick("how many", (None, 1, 5))
                self._deliveries.push(
                    self.stream.at, RoundOrdered(at=self.stream.at, labels_n=labels_n)
                )
            # Arrivals pile up for a while, so that they are fed in batches of all sizes.
            if self.luck.is_hit("deliver", 0.3):
                self._deliver_until(self.stream.at)
        self._deliver_until(self.stream.at)

    def _pass_time(self, start: float, end: float) -> None:
        """Pass quiet time by ticks, some of them at the engine's own deadlines."""
        self._deliver_until(start)
        now = start
        while now < end:
            now = min(end, now + WEEK_S / 14)
            deadline = self.mortal.engine.next_deadline()
            if deadline is not None and start < deadline < now:
                now = deadline
            start = now
            self._deliver_until(now)
            self._feed_inputs([Tick(at=now)])

    def _deliver_until(self, until: float) -> None:
        events: list[Input] = []
        for message in self._deliveries.pop_arrived(until):
            if isinstance(message, Event):
                events.append(message)
                continue
            self._feed_inputs(events)
            events = []
            self._feed_inputs([message])
        self._feed_inputs(events)

    def _feed_inputs(self, inputs: list[Input]) -> None:
        if not inputs:
            return
        outputs = self.mortal.feed(inputs)
        self._write_row(
            kind="feed",
            inputs=[_to_plain(message) for message in inputs],
            outputs=[_to_plain(output) for output in outputs],
        )
        if self.luck.is_hit("snapshot", 0.05):
            self.mortal.save()
        if self.luck.is_hit("crash", self.faults.crash):
            inputs_n, is_same = self.mortal.crash()
            self._write_row(kind="restart", inputs_n=inputs_n, is_same=is_same)
        for output in outputs:
            self._react_to(output)

    def _react_to(self, output: Output) -> None:
        if isinstance(output, LabelRequested):
            self.open[output.request_id] = output
            self._ask_people(output)
        elif isinstance(output, RequestEnded):
            self.open.pop(output.request_id, None)
        elif isinstance(output, RetrainRequested):
            at = output.at + self._retrain_s * self.luck.draw_uniform("retrain")
            job = self.mortal.engine.trainer.retrainings.job(output.job_id)
            if self.luck.is_hit("failing", self.faults.failing_retrain):
                self._deliveries.push(
                    at, RetrainFinished(job_id=output.job_id, at=at, error="out of memory")
                )
            elif job is not None:
                self._deliveries.push(at, finish_job(job, at))

    def _ask_people(self, request: LabelRequested) -> None:
        luck, faults = self.luck, self.faults
        if luck.is_hit("unknown", faults.unknown):
            self._deliveries.push(
                request.at, Answer(request_id="nobody's", label="ham", at=request.at)
            )
        for turn in range(request.answers_wanted + 2 * luck.is_hit("crowd", 0.2)):
            if luck.is_hit("silent", faults.silent):
                continue
            delay_s = -60.0 * math.log(1.0 - luck.draw_uniform("answer delay"))
            if luck.is_hit("late answer", faults.late):
                delay_s += (request.deadline - request.at) * 2.0 * luck.draw_uniform("how late")
            answer = Answer(
                request_id=request.request_id,
                label=self._give_opinion(request),
                at=request.at + delay_s,
                annotator=f"annotator-{turn}",
            )
            self._deliveries.push(answer.at, answer)
            if luck.is_hit("again", faults.repeated):
                self._deliveries.push(answer.at + 500.0 * luck.draw_uniform("again after"), answer)
            if luck.is_hit("correct", faults.correcting):
                at = answer.at + 900.0 * luck.draw_uniform("correct after")
                corrected = msgspec.structs.replace(
                    answer, at=at, label=self._give_opinion(request)
                )
                self._deliveries.push(at, corrected)

    def _give_opinion(self, request: LabelRequested) -> str | None:
        if self.luck.is_hit("refuse", self.faults.refusing):
            return None
        if self.luck.is_hit("wrong", self.faults.noisy):
            return str(self.luck.pick("mistake", ("ham", "spam", "eggs", "bread")))
        return self.stream.truths.get(request.event_id, "ham")

    def _write_row(self, **row: Any) -> None:
        self.journal.append(msgspec.json.encode(row))


def simulate(
    seed: int, engine_of: EngineOf = lambda settings: Engine(settings=settings), events_n: int = 300
) -> World:
    """Play one seed with `events_n` events in bad times and as many in calm ones.

    `engine_of` makes the engine from its settings; it is called again for every restart.

    >>> world = simulate(7, events_n=60)
    >>> world.journal == simulate(7, events_n=60).journal, len(world.open)
    (True, 0)
    """
    world = World(seed, engine_of, events_n)
    world.play()
    return world


def _to_plain(message: Input | Output) -> Any:
    """Return a message as plain values for JSON, without the model of a finished retraining."""
    if isinstance(message, RetrainFinished):
        message = msgspec.structs.replace(message, challenger=None)
    if isinstance(message, Event):
        huge = {k: str(v) for k, v in message.features.items() if isinstance(v, int)}
        message = msgspec.structs.replace(message, features=message.features | huge)
    return msgspec.to_builtins(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m headrace.testing.simulation", description=__doc__
    )
    parser.add_argument("--seed", type=int, required=True, help="the world to play")
    parser.add_argument("--events", type=int, default=300, help="events in each of both phases")
    parser.add_argument("--journal", type=Path, help="write the journal to this file")
    options = parser.parse_args(arguments)
    world = simulate(options.seed, events_n=options.events)
    if options.journal:
        options.journal.write_bytes(b"\n".join(world.journal) + b"\n")
    faults = [f"{len(world.open)} requests never ended"] if world.open else []
    faults += [] if world.mortal.is_same else ["a restart decided otherwise"]
    verdict = "; ".join(faults) or "every request ended, every restart decided the same"
    asked_n = world.mortal.engine.report.asking.requests_n
    sys.stdout.write(f"seed {options.seed}: {asked_n} requests; {verdict}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
