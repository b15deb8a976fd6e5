"""The plots of the page, as SVG: the same rows give the same files."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from bench.experiments.plan import BUDGETS, OLD_MODELS, OLD_STRATEGIES
from bench.experiments.references import best_all_labels
from bench.experiments.runs import BLOCK_N
from bench.experiments.streams import STREAMS
from bench.experiments.tables import Pick, Results, over, percent
from numpy.typing import NDArray

OURS, RANDOM, SINGLE, INK = "#0b6e99", "#9a9a9a", "#d08a2e", "#333333"
BEFORE_N, AFTER_N = 500, 1000

STYLE = {
    "svg.hashsalt": "results",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.facecolor": "white",
}


def draw(results: Results, folder: Path, name: str) -> dict[str, str]:
    """Draw what there are rows for; names of the files by what they show."""
    folder.mkdir(parents=True, exist_ok=True)
    files = named(results, name)
    with plt.rc_context(STYLE):
        for what, file in files.items():
            figure = PLOTS[what](results)
            figure.savefig(folder / file, metadata={"Date": None}, bbox_inches="tight")
            plt.close(figure)
    return files


def named(results: Results, name: str) -> dict[str, str]:
    """The files of the plots that there are rows for, by what they show; nothing is written."""
    files = {}
    with plt.rc_context(STYLE):
        for what, figure_of in PLOTS.items():
            figure = figure_of(results)
            if figure is not None:
                files[what] = f"{name}-{what}.svg"
                plt.close(figure)
    return files


def curves(results: Results) -> Any:
    """Mean accuracy over the streams by share of labels."""
    single = [(model, strategy) for model in OLD_MODELS for strategy in OLD_STRATEGIES]
    lines = [
        (f"{model}, {strategy}", [Pick(b, strategy, model) for b in BUDGETS], SINGLE)
        for model, strategy in single
    ]
    lines.append(("random, same model", [Pick(b, "random") for b in BUDGETS], RANDOM))
    lines.append(("default", [Pick(b) for b in BUDGETS], OURS))
    drawn = []
    for label, picks, colour in lines:
        points = [(p.budget, found) for p in picks if (found := over(results.overall(p)))]
        if len(points) > 1:
            drawn.append((label, points, colour))
    if not drawn:
        return None
    figure, axes = plt.subplots(figsize=(7.2, 4.2))
    ends = []
    for label, points, colour in drawn:
        xs = np.array([100 * budget for budget, _ in points])
        ys = np.array([found.mean for _, found in points])
        is_single = colour == SINGLE
        axes.plot(xs, ys, color=colour, lw=1.0 if is_single else 2.2, marker="o", ms=3, zorder=3)
        halves = np.array([0.0 if math.isnan(found.half) else found.half for _, found in points])
        axes.fill_between(xs, ys - halves, ys + halves, color=colour, alpha=0.2, lw=0)
        ends.append([float(ys[-1]), label, colour, float(xs[-1])])
    known = [best[1] for name in results.names if (best := best_all_labels(name))]
    if known:
        mean = sum(known) / len(known)
        axes.axhline(mean, color=INK, lw=1.2, ls=":")
        axes.text(1.0, mean + 0.4, "all labels, best learner of each stream", color=INK, fontsize=9)
    _label_ends(axes, ends)
    axes.set_xscale("log")
    axes.set_xticks([100 * b for b in BUDGETS], [percent(b) for b in BUDGETS])
    axes.minorticks_off()
    axes.set_xlabel("share of the events that are labelled")
    axes.set_ylabel("accuracy, %, mean of the streams")
    return figure


def _label_ends(axes: Any, ends: list[list[Any]]) -> None:
    """A name at the right end of each line, none over another."""
    low, high = axes.get_ylim()
    gap = (high - low) / 22
    ends.sort(key=lambda end: end[0])
    last = -math.inf
    for y, label, colour, x in ends:
        at = max(y, last + gap)
        last = at
        axes.annotate(
            label, (x, y), xytext=(x * 1.08, at), textcoords="data", color=colour, va="center",
            fontsize=9, annotation_clip=False,
        )  # fmt: skip


def differences(results: Results) -> Any:
    """Default minus random by stream, with intervals, a panel a budget."""
    found = {
        budget: {
            name: one
            for name in results.names
            if (one := results.difference(name, Pick(budget), Pick(budget, "random")))
        }
        for budget in BUDGETS
    }
    found = {budget: by_name for budget, by_name in found.items() if by_name}
    if not found:
        return None
    figure, panels = plt.subplots(
        1, len(found), figsize=(2.2 + 2.6 * len(found), 0.9 + 0.32 * len(results.names)),
        sharey=True, squeeze=False,
    )  # fmt: skip
    names = list(reversed(results.names))
    for axes, (budget, by_name) in zip(panels[0], found.items(), strict=True):
        axes.axvline(0, color=INK, lw=1)
        for y, name in enumerate(names):
            if name not in by_name:
                continue
            one = by_name[name]
            colour = OURS if one.mean >= 0 else "#b3402a"
            if not math.isnan(one.half):
                axes.plot([one.low, one.high], [y, y], color=colour, lw=2, alpha=0.5)
            axes.plot(one.mean, y, "o", color=colour, ms=5)
        axes.set_yticks(range(len(names)), names)
        axes.set_title(f"{percent(budget)} of the labels", fontsize=10)
        axes.set_xlabel("points")
    return figure


def change(results: Results) -> Any:
    """Accuracy in blocks around the known changes, mean over changes and seeds."""
    names = [
        name
        for name, stream in STREAMS.items()
        if stream.changes and results.rows(name, Pick(0.05))
    ]
    if not names:
        return None
    columns_n = 2 if len(names) > 1 else 1
    rows_n = -(-len(names) // columns_n)
    figure, panels = plt.subplots(
        rows_n, columns_n, figsize=(4.2 * columns_n, 2.6 * rows_n), squeeze=False
    )
    for axes in panels.flat[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(panels.flat, names, strict=False):
        for label, pick, colour, style in (
            ("all labels, logistic", Pick(1.0, "all labels", "logistic"), INK, ":"),
            ("random", Pick(0.05, "random"), RANDOM, "-"),
            ("default", Pick(0.05), OURS, "-"),
        ):
            line = _around(results, name, pick)
            if line is not None:
                axes.plot(*line, color=colour, ls=style, lw=2, label=label)
        axes.axvline(0, color=INK, lw=1)
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("events since the change")
        axes.set_ylabel("accuracy, %")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=3, bbox_to_anchor=(0.5, -0.09))
    figure.tight_layout()
    return figure


def _around(
    results: Results, name: str, pick: Pick
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Events since the change, at the middle of each block, and percent right there."""
    changes = STREAMS[name].changes
    reach = min(b - a for a, b in zip((0, *changes), changes, strict=False))
    before, after = (min(n, reach) // BLOCK_N for n in (BEFORE_N, AFTER_N))
    found = []
    for row in results.rows(name, pick).values():
        for at in changes:
            middle = at // BLOCK_N
            blocks = row.right_n[middle - before : middle + after]
            if len(blocks) == before + after:
                found.append(blocks)
    if not found:
        return None
    xs = (np.arange(-before, after) + 0.5) * BLOCK_N
    return xs, 100.0 * np.array(found).mean(axis=0) / BLOCK_N


PLOTS: dict[str, Callable[[Results], Any]] = {
    "curves": curves,
    "differences": differences,
    "change": change,
}
