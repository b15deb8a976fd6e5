"""The streams of the experiments: files of a folder that the caller names, and synthetic ones.

Nothing is encoded or scaled here: events carry numbers and texts as the files have them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from river.datasets import synth

from headrace.adapters.tables import read_table
from headrace.commands.pilot.history import History, history_of
from headrace.messages import class_name

Pairs = Iterable[tuple[dict[Any, Any], Any]]

SEED = 7

LOOK_N = 500
"""Events fed at once; after each batch the live interval is looked at."""


@dataclass(frozen=True)
class Stream:
    """Where the events come from: rows of a file, or a generator. `changes` are known abrupt ones.

    `about` is a line for the reader of the page, `batch_n` how many events are fed at once,
    unless `is_single`: then one.
    """

    name: str
    about: str
    rows: tuple[int, int | None] = (0, None)
    make: Callable[[], Pairs] | None = None
    changes: tuple[int, ...] = ()
    batch_n: int = LOOK_N
    is_single: bool = False

    def file(self, folder: Path | None) -> Path | None:
        """The file it is read from; None for a generator or without a folder."""
        return None if self.make or folder is None else folder / f"{self.name}.parquet"

    def is_there(self, folder: Path | None) -> bool:
        """Whether it can be played."""
        file = self.file(folder)
        return self.make is not None or (file is not None and file.exists())


def sea(events_n: int) -> Pairs:
    """Four concepts, a jump at each quarter, 10 % of the labels wrong."""
    return itertools.chain.from_iterable(
        synth.SEA(variant=variant, seed=SEED + variant, noise=0.1).take(events_n // 4)
        for variant in (0, 2, 1, 3)
    )


def agrawal(events_n: int) -> Pairs:
    """Two changes, each spread over about 1,000 events."""
    first, second, third = (
        synth.Agrawal(classification_function=function, seed=SEED + i, perturbation=0.05)
        for i, function in enumerate((0, 3, 6))
    )
    change = {"position": events_n // 3, "width": 1000}
    rest = synth.ConceptDriftStream(second, third, seed=SEED, **change)
    return synth.ConceptDriftStream(first, rest, seed=SEED + 1, **change).take(events_n)


def hyperplane(events_n: int) -> Pairs:
    """Ten features, five of which turn slowly, 5 % of the labels wrong."""
    return synth.Hyperplane(
        seed=SEED,
        n_features=10,
        n_drift_features=5,
        mag_change=0.001,
        noise_percentage=0.05,
        sigma=0.1,
    ).take(events_n)


def rbf(events_n: int) -> Pairs:
    """Thirty centres of four classes, all of them moving."""
    return synth.RandomRBFDrift(
        seed_model=SEED,
        seed_sample=SEED,
        n_classes=4,
        n_features=10,
        n_centroids=30,
        change_speed=0.001,
        n_drift_centroids=30,
    ).take(events_n)


def twenty(events_n: int) -> Pairs:
    """Twenty features, a plane that stands still."""
    return synth.Hyperplane(seed=SEED, n_features=20, n_drift_features=0, mag_change=0.0).take(
        events_n
    )


DEVELOPMENT = (
    Stream("elec2", "electricity price up or down, half-hourly"),
    Stream("weather_noaa", "rain or not, daily over 50 years"),
    Stream("powersupply", "hour of the day from power drawn, 24 classes", (0, 12_000)),
    Stream("arabic_digits", "spoken digits, speakers swap", changes=(2200, 4400, 6600)),
    Stream("occupancy", "room occupied or not, minutely"),
    Stream("nycflights", "flight late or not; carrier and airports are texts", (0, 15_000)),
    # The first 15,120 rows are a sample with classes of equal size, unlike all the others.
    Stream("covtype", "forest cover, seven classes, by place", (300_000, 310_000)),
    Stream(
        "sea_abrupt",
        "three numbers, four concepts, 10 % noise",
        make=lambda: sea(12_000),
        changes=(3000, 6000, 9000),
    ),
    Stream("agrawal_gradual", "loans, two gradual changes", make=lambda: agrawal(12_000)),
    Stream("hyperplane_incremental", "a plane that turns", make=lambda: hyperplane(12_000)),
    Stream("rbf_incremental", "moving centres, four classes", make=lambda: rbf(12_000)),
)
"""Every mean of the page is over these."""

TUNING = ("elec2", "arabic_digits", "sea_abrupt", "rbf_incremental")
"""The only streams on which settings were chosen."""

OTHERS = (
    Stream("kdd99_10pct", "network attacks, in long blocks of one label", (0, 15_000)),
    Stream("usenet1", "mail of interest, interest flips", changes=(300, 600, 900, 1200)),
    Stream("usenet2", "mail of interest, milder flips", changes=(300, 600, 900, 1200)),
    Stream("phishing", "web pages, no drift known"),
)

COST = (
    Stream(
        "twenty_batches",
        "20 numbers, in batches of 1,000",
        make=lambda: twenty(20_000),
        batch_n=1000,
    ),
    Stream(
        "twenty_singles", "20 numbers, one at a time", make=lambda: twenty(4000), is_single=True
    ),
)
"""What an event and a label cost; how right the engine is there is not reported."""

QUICK = (
    Stream("sea_quick", "four concepts", make=lambda: sea(6000), changes=(1500, 3000, 4500)),
    Stream("rbf_quick", "moving centres", make=lambda: rbf(5000)),
)
"""Small ones for a look and for the tests of the harness; never reported."""

STREAMS = {stream.name: stream for stream in (*DEVELOPMENT, *OTHERS, *COST, *QUICK)}


@lru_cache(maxsize=1)
def load(name: str, folder: Path | None) -> History:
    """The stream as a history. Raises `OSError` or `BadInput` where its file can't be read."""
    stream = STREAMS[name]
    file = stream.file(folder)
    if file is not None:
        table = read_table(file, stream.rows)
        return history_of(table, name, "label")[0]
    if stream.make is None:
        raise FileNotFoundError(f"{name} is a file; name its folder with --data")
    return history_of_pairs(name, stream.make())


def history_of_pairs(name: str, pairs: Pairs) -> History:
    """Features and label of each event, as river's generators give them."""
    features, labels = zip(*pairs, strict=True)
    names = tuple(str(key) for key in features[0])
    columns = np.array([[float(value) for value in row.values()] for row in features])
    classes = tuple(sorted({class_name(int(label)) for label in labels}, key=int))
    codes = np.array([classes.index(class_name(int(label))) for label in labels], np.int64)
    numbers = {column: columns[:, j] for j, column in enumerate(names)}
    return History(name, names, numbers, {}, classes, codes)
