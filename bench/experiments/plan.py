"""Which runs there are: one list a question of the page, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bench.experiments.runs import ALL, Run
from bench.experiments.streams import COST, DEVELOPMENT, QUICK, STREAMS
from bench.experiments.variants import LATE_VARIANTS, VARIANTS

SEEDS_N = 5
LATE_N = 1000
QUICK_LATE_N = 100
PAIR = ("random", "default")
OLD_MODELS = ("logistic", "naive-bayes", "adaptive-tree")
OLD_STRATEGIES = ("random", "margin")
BUDGETS = (0.01, 0.05, 0.10)
CHANGING = ("arabic_digits", "sea_abrupt", "usenet1", "usenet2")
PUBLISHED = ("covtype", "kdd99_10pct", "hyperplane_incremental")
SIX = ("weather_noaa", "arabic_digits", "sea_abrupt", "agrawal_gradual", "hyperplane_incremental",
       "rbf_incremental")  # fmt: skip
"""Where labels cost seconds, parts are measured on these."""

NAMES = tuple(stream.name for stream in DEVELOPMENT)


def studies(seeds_n: int = SEEDS_N) -> dict[str, list[Run]]:
    """Runs by study. All seeds of a question come before the next one; a run may be in several."""
    return {
        "scarce": _pairs(NAMES, 0.01, seeds_n),
        "twentieth": _pairs(NAMES, 0.05, seeds_n),
        "tenth": _pairs(NAMES, 0.10, seeds_n),
        "late": _pairs(NAMES, 0.05, seeds_n, latency=LATE_N)
        + _old(NAMES, (0.05,), ("random",), seeds_n, latency=LATE_N)
        + _parts(NAMES, 0.05, seeds_n, LATE_VARIANTS, LATE_N),
        "drift": _pairs(("usenet1", "usenet2", "phishing"), 0.05, seeds_n) + _all_labels(),
        "published": _pairs(PUBLISHED, 0.20, seeds_n),
        "cost": [
            Run(stream=stream.name, budget=0.05, strategy="default", seed=seed)
            for seed in range(seeds_n)
            for stream in COST
        ],
        "apart": [run for budget in BUDGETS for run in _pairs(("kdd99_10pct",), budget, seeds_n)],
        "old": _old(NAMES, BUDGETS, OLD_STRATEGIES, seeds_n),
        "parts": _parts(NAMES, 0.01, seeds_n, VARIANTS),
        "more-parts": _parts(SIX, 0.05, seeds_n, VARIANTS),
    }


def quick() -> dict[str, list[Run]]:
    """A look at all of it in two minutes: two small streams, one seed."""
    names = tuple(stream.name for stream in QUICK)
    return {
        "twentieth": _pairs(names, 0.05, 1),
        "tenth": _pairs(names, 0.10, 1),
        "late": _pairs(names, 0.05, 1, latency=QUICK_LATE_N),
        "old": _old(names, (0.05,), OLD_STRATEGIES, 1),
        "drift": _all_labels(("sea_quick",)),
        "parts": _parts(names, 0.05, 1, ("no process", "rounds")),
    }


def playable(runs: list[Run], folder: Path | None) -> tuple[list[Run], list[str]]:
    """The runs whose stream is there, and the names of the streams that are not."""
    names = dict.fromkeys(run.stream for run in runs)
    missing = [name for name in names if not STREAMS[name].is_there(folder)]
    return [run for run in runs if run.stream not in missing], missing


def _pairs(names: tuple[str, ...], budget: float, seeds_n: int, latency: int = 0) -> list[Run]:
    """Random and the default, seed by seed, so that a stop leaves whole comparisons."""
    return [
        Run(stream=name, budget=budget, strategy=strategy, seed=seed, latency=latency)
        for seed in range(seeds_n)
        for name in names
        for strategy in PAIR
    ]


def _old(
    names: tuple[str, ...],
    budgets: tuple[float, ...],
    strategies: tuple[str, ...],
    seeds_n: int,
    latency: int = 0,
) -> list[Run]:
    """Single river models at the same budget."""
    return [
        Run(stream=name, budget=budget, strategy=strategy, model=model, seed=seed, latency=latency)
        for seed in range(seeds_n)
        for budget in budgets
        for model in OLD_MODELS
        for strategy in strategies
        for name in names
    ]


def _all_labels(names: tuple[str, ...] = CHANGING) -> list[Run]:
    return [
        Run(stream=name, budget=1.0, strategy=ALL, model=model)
        for name in names
        for model in OLD_MODELS[:2]
    ]


def _parts(
    names: tuple[str, ...],
    budget: float,
    seeds_n: int,
    variants: Iterable[str],
    latency: int = 0,
) -> list[Run]:
    """The default with one thing changed."""
    return [
        Run(
            stream=name,
            budget=budget,
            strategy="default",
            variant=variant,
            seed=seed,
            latency=latency,
        )
        for seed in range(seeds_n)
        for variant in variants
        for name in names
    ]
