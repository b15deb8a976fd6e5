"""How soon is a change told, by all watches together and by each alone, and how often falsely?

    PYTHONPATH=. python bench/drift_delay.py [--streams 20] [--steady 100000] [--jobs 2]

The stream is that of `bench/false_alarms.py`: 12 features, two of them categories, predictions that
follow two of them, honest guesses, a label for one event in 20, one in five of them drawn at
random. After 6,000 events something changes (`CHANGES`), and whatever watches has 10,000 events to
tell. *All watches* are the defaults; one that is alone has the whole allowance of false alarms.
Of a watch alone any rise of the level counts, be it one that may only warn.

For each change the mean delay in events over the streams in which it was told, and in brackets the
share in which it was not. *False* are rises of the level in 100,000 events in which nothing
happens. The table of docs/DRIFT.md is this script's.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import msgspec
import numpy as np
from bench.false_alarms import CONTROL_EVERY_N, LABEL_EVERY_N, LEVELS, Steady, table

from headrace.messages import DriftChanged
from headrace.observe.drift import DriftMonitor
from headrace.observe.reservoir import Reservoir
from headrace.observe.window import Columns, Window
from headrace.settings import DriftSettings
from headrace.settings.drift import WatchSettings

CHANGE_AT, WITHIN_N = 6_000, 10_000
DEFAULT = DriftSettings()
RIVERS = ("adwin", "ddm", "eddm", "hddm_a", "hddm_w", "fhddm", "page_hinkley")


@dataclass(frozen=True)
class Change:
    """`turned` of the labels turn into the other class, after `ramp_n` events all of that share.

    With `only` just those of events predicted as this class do; `shift` moves three features that
    the predictions do not follow, in standard deviations.
    """

    turned: float = 0.0
    ramp_n: int = 1
    only: int | None = None
    shift: float = 0.0


CHANGES = {
    "labels turn": Change(turned=0.4),
    "over 4,000 events": Change(turned=0.4, ramp_n=4_000),
    "of one class": Change(turned=0.5, only=0),
    "inputs move too": Change(turned=0.4, shift=1.0),
    "inputs move, no harm": Change(shift=1.0),
}


def watchers() -> dict[str, tuple[DriftSettings, str]]:
    """What watches, and the level that counts."""
    found = {"all watches, DRIFT": (DEFAULT, "DRIFT"), "all watches, WARNING": (DEFAULT, "WARNING")}
    for watch in DEFAULT.watch:
        found[f"{watch.signal} by {watch.detector} alone"] = (_alone(watch), "WARNING")
    for name in RIVERS:
        watch = WatchSettings(signal="error", detector=name, level="drift")
        found[f"error by river's {name} alone"] = (_alone(watch), "WARNING")
    return found


def _alone(watch: WatchSettings) -> DriftSettings:
    return msgspec.structs.replace(DEFAULT, watch=(watch,))


def rises(
    seed: int, change: Change, events_n: int, settings: DriftSettings, level: str
) -> Iterator[int]:
    """The events at which the level rose to this one, or past it."""
    stream = Steady(seed, correlation=0.5)
    monitor = DriftMonitor(settings, stream.chance)
    monitor.end_cold_start(0)
    window, reservoir = Window(2_000), Reservoir(2_000, None, stream.chance)
    for seq0 in range(0, events_n, settings.check_every_n):
        block = stream.block(seq0, settings.check_every_n)
        if seq0 >= CHANGE_AT and change.shift:
            block.rows[:, 2:5] += change.shift
        told = list(_scored(monitor, block, seq0))
        window.append(block)
        reservoir.offer(block)
        told += _labelled(monitor, stream.luck, block, change)
        seq = seq0 + len(block)
        found = monitor.compare_windows(
            window.since(0), reservoir.columns(), stream.schema, float(seq), seq
        )
        told.append((seq, found))
        for at, one in told:
            if one is not None:
                before, now = LEVELS.index(one.previous), LEVELS.index(one.level)
                if before < LEVELS.index(level) <= now:
                    yield at


def _scored(
    monitor: DriftMonitor, block: Columns, seq0: int
) -> Iterator[tuple[int, DriftChanged | None]]:
    predicted, i = block.probabilities.argmax(axis=1), 0
    while i < len(block):
        n, found = monitor.watch_confidences(
            block.confidence[i:], predicted[i:], block.at[i:], seq0 + i
        )
        i += n
        yield seq0 + i, found


def _labelled(
    monitor: DriftMonitor, luck: np.random.Generator, block: Columns, change: Change
) -> Iterator[tuple[int, DriftChanged | None]]:
    predicted = block.probabilities.argmax(axis=1)
    for k, i in enumerate(range(0, len(block), LABEL_EVERY_N)):
        seq, guess, code = int(block.seq[i]), float(block.confidence[i]), int(predicted[i])
        since = max(0, seq - CHANGE_AT + 1)
        turned = change.turned * min(1.0, since / change.ramp_n)
        is_turned = luck.random() < turned and change.only in (None, code)
        is_wrong = bool(luck.random() >= guess) != bool(is_turned)
        label = "ab"[code ^ int(is_wrong)]
        yield seq, monitor.watch_surprise(is_wrong, guess, float(seq), seq)
        if k % CONTROL_EVERY_N == 0:
            yield seq, monitor.watch_error(is_wrong, float(seq), seq)
            yield seq, monitor.watch_recall(label, is_wrong, float(seq), seq)


def delay(seed: int, change: Change, settings: DriftSettings, level: str) -> int | None:
    """Events from the change to the first rise after it; None for none in time."""
    for at in rises(seed, change, CHANGE_AT + WITHIN_N, settings, level):
        if at >= CHANGE_AT:
            return at - CHANGE_AT
    return None


def row(watcher: tuple[str, tuple[DriftSettings, str]], streams_n: int, steady_n: int) -> list[str]:
    """One line of the table."""
    name, (settings, level) = watcher
    cells = [name]
    for change in CHANGES.values():
        delays = [delay(seed, change, settings, level) for seed in range(streams_n)]
        found = [one for one in delays if one is not None]
        mean = f"{statistics.mean(found):,.0f}" if found else "–"
        cells.append(f"{mean} ({100 * (1 - len(found) / streams_n):.0f} %)")
    seeds = range(1_000, 1_000 + max(1, round(steady_n / 20_000)))
    false_n = sum(len(list(rises(seed, Change(), 20_000, settings, level))) for seed in seeds)
    return [*cells, f"{100_000 * false_n / (20_000 * len(seeds)):.1f}"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=20)
    parser.add_argument("--steady", type=int, default=400_000, help="events without a change")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    with ProcessPoolExecutor(arguments.jobs) as pool:
        run = partial(row, streams_n=arguments.streams, steady_n=arguments.steady)
        rows = list(pool.map(run, watchers().items()))
    table(["told by", *CHANGES, "false in 100,000"], rows)


if __name__ == "__main__":
    main()
