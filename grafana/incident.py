"""The demo's incident as a history in Prometheus: three hours and twenty minutes in a few seconds.

    python -m grafana.incident [--port 9090] [--folder DIR]

plays `headrace demo` (12,000 events, drift at half time), scrapes its metrics every 15 seconds of
event time as if it had ended now, and serves them from a Prometheus on loopback until it is
interrupted: something to point a Grafana at. The engine, its decisions and all of its numbers are
real. What only a worker on a log has is played: lag, snapshots that are weighed and thrown away, a
rebalance, the age of events, and the time they take, or a slow machine would show.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry

from headrace.adapters.metrics.prometheus import registry_of
from headrace.adapters.metrics.timings import Timings
from headrace.chance import Chance
from headrace.commands.demo.duel import Side, make_stream, settings_of
from headrace.messages import Event
from headrace.observe.decode import batch_of
from headrace.report import Report, SnapshotsReport, WorkerReport
from headrace.report.building import build_report, describe_partition, move_times
from headrace.settings import ModelSettings, RoundSettings, Settings

from .prometheus import Prometheus, required

EVENTS_N = 12_000
SEED = 7
SCRAPE_S = 15
SNAPSHOT_S = 300
REPEATED_EVERY_N = 3_000
JOB, INSTANCE = "headrace", "worker-0:9464"
RULES = Path(__file__).parent / "rules" / "headrace.yml"
CONFIG = "global: {scrape_interval: 15s, evaluation_interval: 15s}"


@dataclass(frozen=True)
class History:
    """When it happened, seconds since 1970: the first event, the drift, the last event."""

    start: float

    @property
    def drift(self) -> float:
        return self.start + EVENTS_N // 2

    @property
    def end(self) -> float:
        return self.start + EVENTS_N - SCRAPE_S


def history(folder: Path, end: float) -> History:
    """Play it and write its blocks to `folder / "blocks"`, to be served by `Prometheus`."""
    made = History(float(int(end)) - EVENTS_N)
    text = folder / "history.om"
    text.write_text(openmetrics(made.start), encoding="utf-8")
    command = [required("promtool"), "tsdb", "create-blocks-from", "openmetrics", "--quiet"]
    done = subprocess.run(
        [*command, str(text), str(folder / "blocks")], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"promtool took no history: {done.stderr[-500:]}")
    text.unlink()
    return made


def openmetrics(start: float) -> str:
    """All samples of the run as text with their times, a family after the other."""
    families: dict[str, list[str]] = {}
    for moment, registry in _scrapes(start):
        for family in registry.collect():
            samples = families.setdefault(family.name, [f"# TYPE {family.name} {family.type}"])
            for sample in family.samples:
                value = sample.value
                if sample.name == "process_start_time_seconds":
                    value = start - 3_600.0
                samples.append(_line(sample.name, sample.labels, value, moment))
        up = families.setdefault("up", ["# TYPE up gauge"])
        up.append(_line("up", {}, 1.0, moment))
    return "\n".join(line for lines in families.values() for line in lines) + "\n# EOF\n"


def _line(name: str, labels: dict[str, str], value: float, moment: float) -> str:
    told = {**labels, "job": JOB, "instance": INSTANCE}
    inside = ",".join(f'{key}="{text}"' for key, text in told.items())
    return f"{name}{{{inside}}} {float(value)!r} {moment:.3f}"


def _settings() -> Settings:
    """Those of the demo, with what the dashboards show and the demo lacks: rounds, retraining."""
    demo = settings_of("margin", EVENTS_N, SEED)
    rounds = msgspec.structs.replace(demo.query, rounds=RoundSettings(every_n=50))
    return msgspec.structs.replace(demo, model=ModelSettings(name="logistic"), query=rounds)


def _scrapes(start: float) -> Iterator[tuple[float, CollectorRegistry]]:
    """The registry as it stood at each scrape; it is another one by the next."""
    side = Side("headrace", "margin", EVENTS_N, SEED, _settings())
    shell = _Shell(side, start)
    registry = registry_of(lambda: shell.report, shell.timings)
    events: list[Event] = []
    truths: list[str] = []
    for batch, known in make_stream(EVENTS_N, SEED):
        events += [batch.row(i) for i in range(len(batch))]
        truths += known
        while len(events) >= SCRAPE_S:
            shell.play(events[:SCRAPE_S], truths[:SCRAPE_S])
            del events[:SCRAPE_S], truths[:SCRAPE_S]
            yield shell.now, registry


class _Shell:
    """The worker around the engine, as far as its numbers show."""

    def __init__(self, side: Side, start: float) -> None:
        self.side, self.start, self.now = side, start, start
        self.timings = Timings(side.engine.settings.stream)
        self._chance = Chance(SEED)
        self._worker = WorkerReport(rebalances_n=1, rebalanced_at=start)
        self.report: Report = self._told()

    def play(self, events: list[Event], truths: list[str]) -> None:
        engine, retrained_n = self.side.engine, self.report.retraining.ordered_n
        self.side.play_batch((batch_of(events), truths))
        luck = self._chance.uniforms("age", self._chance.keys(e.id for e in events))
        self.timings.count_fed(
            len(events), len(events) * 1e-4 * (0.5 + float(luck[0])), 0.3 + 2.0 * luck
        )
        if engine.report.retraining.ordered_n > retrained_n:
            self.timings.count_retraining(0.2 + float(luck[0]))
        self.now = self.start + events[-1].at
        if engine.shard.events_n % REPEATED_EVERY_N < SCRAPE_S:
            engine.feed([events[-1]])  # A record comes twice, as it does on a log.
        self._snapshot()
        self.report = self._told()

    def _snapshot(self) -> None:
        last_at = self._worker.snapshots.written_at
        if last_at is None or self.now - last_at >= SNAPSHOT_S:
            size = len(self.side.engine.snapshot())
            snapshots = SnapshotsReport(written_at=self.now, bytes_n=size)
            self._worker = replace(self._worker, snapshots=snapshots)

    def _told(self) -> Report:
        engine = self.side.engine
        lag_s = 1.0 + 4.0 * self._chance.uniform("lag", f"{self.now:.0f}")
        partition = describe_partition(0, engine.shard, lag_n=int(lag_s), lag_s=lag_s)
        worker = replace(
            self._worker,
            partitions=(partition,),
            training_offset=engine.report.model.version,
            training_lag_n=0,
        )
        return move_times(build_report(engine, worker), lambda at: self.start + at)


def main() -> int:
    """Play, write, serve; ends with Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=9090, help="port on loopback")
    parser.add_argument("--folder", type=Path, help="an empty folder for its blocks")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as spare:
        folder = args.folder or Path(spare)
        folder.mkdir(parents=True, exist_ok=True)
        made = history(folder, time.time() - 60)
        with Prometheus(folder / "blocks", CONFIG, port=args.port, rules=[RULES]) as server:
            sys.stdout.write(_told(made, server.url))
            sys.stdout.flush()
            try:
                threading.Event().wait()
            except KeyboardInterrupt:
                return 0
    return 0


def _told(made: History, url: str) -> str:
    def clock(at: float) -> str:
        return time.strftime("%H:%M:%S", time.localtime(at))

    return (
        f"{url}: the demo from {clock(made.start)} to {clock(made.end)}, "
        f"with the drift at {clock(made.drift)}; Ctrl-C ends it\n"
    )


if __name__ == "__main__":
    sys.exit(main())
