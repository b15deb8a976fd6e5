"""Writes the strategies into docs/STRATEGIES.md: paper, options, cost, and what each picks.

    python docs/strategies.py [--check]

With --check nothing is measured or written: the names and options on the page are held to the code.
"""

from __future__ import annotations

import argparse
import inspect
import os  # noqa: TID251 - not the core
import re
import sys
import time  # noqa: TID251 - costs are measured
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from headrace.chance import Chance
from headrace.query.pool import Labelled, Pool, Sample
from headrace.query.strategies import STRATEGIES, needs_of

HERE = Path(__file__).parent
PAGE, PICTURE = HERE / "STRATEGIES.md", HERE / "img" / "strategies.png"
GROUPS = {
    "One candidate at a time": (
        "uncertainty",
        "On arrival or in rounds. A candidate's utility does not depend on the others.",
    ),
    "Members that disagree": (
        "committee", "In rounds. The model has to be a committee or one of river's ensembles."
    ),
    "Cover the space": (
        "diversity", "In rounds. They pick greedily, as many candidates as are wanted."
    ),
    "Speak for many": ("density", "In rounds."),
    "Change the model": ("change", "In rounds. They are computed without training the model."),
    "Gain where it is asked": (
        "probabilistic",
        "In rounds. They use the labels near a candidate, and the model's probabilities.",
    ),
    "Made of others": ("combined", "In rounds. Options name the strategies that they combine."),
    "Learn from what they asked": (
        "mixed", "In rounds. What they have learned is saved in every snapshot."
    ),
}  # fmt: skip
SIZES = (1_000, 10_000, 100_000)
WANTED_N = 10
RUNS_N = 5
RESERVOIR_N = 2_000
ASKED = np.array([[-1.6, 0.0], [1.6, 0.0]])


def main() -> int:
    """Write the page and its picture, or check the page; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    if parser.parse_args().check:
        stale = _told(PAGE.read_text(encoding="utf-8")) != {n: _options(n) for n in STRATEGIES}
        sys.stdout.write("docs/STRATEGIES.md: stale; run `make docs`\n" if stale else "")
        return int(stale)
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    draw()
    return 0


def _told(text: str) -> dict[str, str]:
    """The options of each strategy, as the page has them."""
    return dict(re.findall(r"^### `(\w+)`.*?^Options: (.*?)\.$", text, re.MULTILINE | re.DOTALL))


def _options(name: str) -> str:
    strategy = STRATEGIES[name]
    if not is_dataclass(strategy):
        return "none"
    options = [one for one in fields(strategy) if one.init]
    found = [f"`{one.name}` = {getattr(strategy, one.name)!r}" for one in options]
    return ", ".join(found) or "none"


def _module(name: str) -> str:
    strategy: Any = STRATEGIES[name]
    found = strategy.__module__ if inspect.isfunction(strategy) else type(strategy).__module__
    return str(found).rsplit(".", maxsplit=1)[-1]


def page(before: str) -> str:
    """The page: what was written by hand at its head, then each strategy, its cost measured now."""
    about, _, _ = before.partition(f"## {next(iter(GROUPS))}\n")
    parts = [about.rstrip()]
    for title, (module, about) in GROUPS.items():
        names = [n for n in STRATEGIES if _module(n) == module or (n, module) in _ELSEWHERE]
        parts += [f"## {title}", about]
        for name in names:
            parts.append(f"### `{name}`")
            parts.append(_doc(name))
            needs = [_NEEDS[need] for need in dict.fromkeys(needs_of(STRATEGIES[name]))]
            parts.append("\n".join([
                f"Reads {' and '.join(['the candidates', *needs])}.",
                f"Options: {_options(name)}.",
                f"A round of {WANTED_N} costs {_cost(name)}.",
            ]))  # fmt: skip
            parts += _describe_options(name)
    return "\n\n".join(parts) + "\n"


_ELSEWHERE = {("hybrid", "combined")}
_NEEDS = {
    "members": "what each member says of them",
    "asked": "what was asked before",
    "labelled": "the labelled examples",
    "reservoir": "the reservoir",
    "costs": "what their labels cost",
}


def _docstring(name: str) -> str:
    strategy: Any = STRATEGIES[name]
    return inspect.getdoc(strategy if inspect.isfunction(strategy) else type(strategy)) or ""


def _doc(name: str) -> str:
    """The prose of a strategy's docstring, without its sections and examples."""
    return re.split(r"^(?:\w+:$|>>>)", _docstring(name), maxsplit=1, flags=re.MULTILINE)[0].strip()


def _describe_options(name: str) -> list[str]:
    """The list of a strategy's options with their meaning, as a part of the page; empty if none."""
    section = re.search(r"^Attributes:\n((?: {4}.*\n)+)", _docstring(name), re.MULTILINE)
    items = re.findall(
        r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section[1] if section else "", re.MULTILINE
    )
    lines = [
        f"- `{option}`: {' '.join(meaning.split())}"
        for option, meaning in items
        if f"`{option}` = " in _options(name)
    ]
    return ["\n".join(lines)] if lines else []


def _pool(n: int) -> Pool:
    """n candidates with 20 numbers, five classes and four members."""
    chance = Chance(7)
    keys = chance.keys(map(str, range(n)))
    X = np.stack([chance.uniforms(f"x{j}", keys) for j in range(20)], axis=1)
    raw = np.stack([chance.uniforms(f"p{j}", keys) for j in range(20)], axis=1) ** 3
    members = raw.reshape(n, 4, 5).transpose(1, 0, 2)
    members = members / members.sum(axis=2, keepdims=True)
    return Pool(
        ids=list(map(str, range(n))),
        keys=keys,
        at=np.arange(n, dtype=np.float64),
        X=X,
        is_category=np.zeros(20, dtype=np.bool_),
        probabilities=members.mean(axis=0),
        wanted_n=WANTED_N,
        members=members,
        asked=X[:100],
        labelled=Labelled(X[:100], np.arange(100) % 5),
        reservoir=Sample(X[:RESERVOIR_N], keys[:RESERVOIR_N]),
        costs=1.0 + X[:, 0],
    )


def _cost(name: str) -> str:
    told = []
    for size in SIZES:
        pool, chance = _pool(size), Chance(1)
        seconds = []
        for _ in range(RUNS_N):
            began = time.process_time()
            STRATEGIES[name](pool, chance)
            seconds.append(time.process_time() - began)
        told.append(f"{1e3 * min(seconds):.3g} ms with {size:,}")
    return ", ".join(told[:-1]) + f" and {told[-1]} candidates"


def draw() -> None:
    """A picture of what each strategy picks of one pool of two dimensions."""
    import matplotlib as mpl  # noqa: PLC0415 - only where the picture is made

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    chance, n = Chance(3), 300
    keys = chance.keys(map(str, range(n)))
    a, b, c = (chance.uniforms(name, keys) for name in ("a", "b", "c"))
    radius, turn = np.sqrt(-2.0 * np.log(np.maximum(a, 1e-9))), 2.0 * np.pi * b
    centre = np.where(c < 0.55, -1.6, np.where(c < 0.95, 1.6, 0.0))
    x = centre + 0.7 * radius * np.cos(turn)
    y = 0.9 * radius * np.sin(turn) + np.where(c >= 0.95, 4.5, 0.0)
    steep = np.array([0.7, 1.5, 3.0])[:, None]
    p = 1.0 / (1.0 + np.exp(-steep * (x + np.array([-0.4, 0.0, 0.4])[:, None] * y)))
    members = np.stack([p, 1.0 - p], axis=2)
    pool = Pool(
        ids=list(map(str, range(n))),
        keys=keys,
        at=np.arange(n, dtype=np.float64),
        X=np.stack([x, y], axis=1),
        is_category=np.zeros(2, dtype=np.bool_),
        probabilities=members.mean(axis=0),
        wanted_n=12,
        members=members,
        asked=ASKED,
        labelled=Labelled(ASKED, np.array([1, 0])),
        reservoir=Sample(np.stack([x, y], axis=1), keys),
        # The labels of the small cluster on top are the dearest.
        costs=1.0 + 4.0 * (c >= 0.95),
    )
    names = list(STRATEGIES)
    columns = 6
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.0 * columns, 2.15 * rows), dpi=80)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, name in zip(axes.flat, names, strict=False):
        # Equals, as all are to `random`, go by luck.
        found = STRATEGIES[name](replace(pool), chance)
        chosen = np.lexsort((chance.uniforms("tie", keys), -found))[: pool.wanted_n]
        axis.scatter(x, y, c=pool.probabilities[:, 0], cmap="coolwarm", s=5, alpha=0.6, lw=0)
        axis.scatter(*pool.asked.T, marker="s", s=22, facecolors="none", edgecolors="black")
        axis.scatter(x[chosen], y[chosen], s=26, facecolors="none", edgecolors="black", lw=1.3)
        axis.set_title(name, fontsize=8)
    figure.tight_layout(pad=0.4)
    figure.savefig(PICTURE)


if __name__ == "__main__":
    sys.exit(main())
