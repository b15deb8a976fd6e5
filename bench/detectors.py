"""Which detector finds a rise of the error soonest, and which cries wolf least?

    python bench/detectors.py [--streams 200] [--jobs 2]

Streams of errors are coins: the error of control labels, and nothing else, is what the watch on
`error` is fed. `surprise` is fed the same coins less what was guessed, guesses being honest before
the rise; as all labels tell of it, its labels come several times as fast.

*Delay* is counted in labels from the rise to the first alarm after it, over streams in which it
came within 1,000 labels; *missed* is the share of the others. *False* is alarms for each 1,000
labels at a steady error. A stream has 500 labels before the rise; an alarm before it is no find.
Only alarms that the shard would act on count: a rise, at the level of a drift. The table of
docs/DRIFT.md is this script's.
"""

from __future__ import annotations

import argparse
import statistics
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import TypeAlias

from headrace.chance import Chance
from headrace.observe.drift.detectors import Feed
from headrace.observe.drift.glr import Glr
from headrace.observe.drift.lines import Lines

BEFORE_N, AFTER_N, STEADY_N = 500, 1_000, 20_000
RISES = ((0.1, 0.4), (0.2, 0.4), (0.1, 0.2))
STEADY = (0.2, 0.3, 0.45)
LINES = Lines(every_n=10_000, check_every_n=500, watches_n=9, drift_watches_n=3)
Detector: TypeAlias = tuple[str, str, dict[str, float]]
DETECTORS: tuple[Detector, ...] = (
    # The lines of the default watches at a budget of 5 %, with a fifth of it for control.
    ("error", "glr", {"threshold": round(LINES.glr_drift(0.01), 2)}),
    ("surprise", "glr", {"threshold": round(LINES.glr_drift(0.05), 2)}),
    ("error", "adwin", {"clock": 1, "delta": 0.02}),
    ("error", "adwin", {}),
    ("error", "hddm_w", {}),
    ("error", "hddm_a", {}),
    ("error", "fhddm", {}),
    ("error", "ddm", {}),
    ("error", "eddm", {}),
    ("error", "page_hinkley", {}),
    ("error", "kswin", {}),
    ("surprise", "page_hinkley", {"delta": 0.08, "threshold": 3.0}),
    ("surprise", "adwin", {"clock": 1, "delta": 0.02}),
)


def fed(
    signal: str, seed: int, shares: list[tuple[float, int]], is_coin: bool = False
) -> list[float]:
    """What a watch of this signal is fed: coins of the shares of heads given, so many of each."""
    chance, coins = Chance(seed), []
    for share, n in shares:
        coins += [float(chance.uniform("error", str(len(coins) + i)) < share) for i in range(n)]
    if signal == "error" or is_coin:
        return coins
    guess = 1.0 - shares[0][0]
    return [(coin + guess) / 2.0 for coin in coins]


class Ratio:
    """The likelihood ratio behind the same door as river's detectors."""

    def __init__(self, line: float, expected: float | None) -> None:
        self.glr = Glr()
        self.line = line
        self.expected = expected

    def feed_number(self, x: float) -> int:
        """Feed one number; 2 for an alarm."""
        self.glr.add_outcome(x > 0.5, self.expected, 0.0)
        if self.glr.statistic < self.line:
            return 0
        self.glr.restart()
        return 2


def feed_of(detector: Detector, share: float, seed: int) -> Feed | Ratio:
    """A feed unfed; `share` is the error that is expected of labels whose chances were guessed."""
    signal, name, options = detector
    if name == "glr":
        return Ratio(options["threshold"], share if signal == "surprise" else None)
    return Feed(name, options, is_one_sided=True, seed=seed)


def found_after(detector: Detector, rise: tuple[float, float], seed: int) -> int:
    """Labels from the rise to the first alarm after it; -1 for none."""
    feed = feed_of(detector, rise[0], seed)
    steps = [(rise[0], BEFORE_N), (rise[1], AFTER_N)]
    values = fed(detector[0], seed, steps, is_coin=detector[1] == "glr")
    for i, value in enumerate(values):
        if feed.feed_number(value) == 2 and i >= BEFORE_N:
            return i - BEFORE_N + 1
    return -1


def alarms(detector: Detector, share: float, seed: int) -> int:
    """Alarms in a long steady stream."""
    feed = feed_of(detector, share, seed)
    values = fed(detector[0], seed, [(share, STEADY_N)], is_coin=detector[1] == "glr")
    return sum(feed.feed_number(value) == 2 for value in values)


def row(detector: Detector, streams_n: int) -> str:
    """One line of the table."""
    signal, name, options = detector
    if name == "kswin":
        # Each label costs it 0.4 ms, a hundred times what the others take.
        streams_n = max(1, streams_n // 4)
    cells = []
    for rise in RISES:
        delays = [found_after(detector, rise, seed) for seed in range(streams_n)]
        finds = [delay for delay in delays if delay > 0]
        missed = 1 - len(finds) / len(delays)
        delay = f"{statistics.mean(finds):.0f}" if finds else "–"
        cells.append(f"{delay} ({100 * missed:.0f} %)")
    steady_n = max(2, streams_n // 10)
    for share in STEADY:
        total = sum(alarms(detector, share, 1_000_000 + seed) for seed in range(steady_n))
        cells.append(f"{1000 * total / (steady_n * STEADY_N):.3f}")
    given = ", ".join(f"{option} = {value}" for option, value in options.items())
    return f"| {signal} | {name}{f' ({given})' if given else ''} | " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    rises = [f"{a} to {b}" for a, b in RISES]
    steady = [f"false at {share}" for share in STEADY]
    print("| signal | detector | " + " | ".join(rises + steady) + " |")
    print("|" + "---|" * (2 + len(rises) + len(steady)))
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for line in pool.map(partial(row, streams_n=arguments.streams), DETECTORS):
            print(line, flush=True)


if __name__ == "__main__":
    main()
