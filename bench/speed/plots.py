"""The pictures of growth, as SVG: the same rows give the same files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from bench.experiments.plots import OURS, SINGLE, STYLE
from bench.speed.growth import AXES, MODELS
from bench.speed.rows import Made, Row
from matplotlib.ticker import LogLocator, NullLocator

COLOURS = dict(zip(MODELS, (SINGLE, OURS), strict=True))
NAMES = {
    "features": "features",
    "classes": "classes",
    "pool": "candidates of a round",
    "window": "events in the window",
    "reservoir": "events in the reservoir",
    "shards": "partitions",
}
PICTURES: dict[str, tuple[str, Callable[[Row], float | None]]] = {
    "event": ("CPU µs an event, watching", lambda row: row.us),
    "label": ("CPU ms a label", lambda row: row.label_us and row.label_us / 1e3),
    "memory": ("peak memory, MiB", lambda row: row.peak_mib),
}


def points(made: Mapping[str, Made], axis: str, model: str) -> dict[int, Row]:
    """The rows of one axis and model by value."""
    jobs = {value: made.get(f"growth/{axis}/{model}/{value:05d}") for value in AXES[axis]}
    return {value: job.rows[0] for value, job in jobs.items() if job and job.rows[0].us is not None}


def draw(made: Mapping[str, Made], folder: Path) -> None:
    """Write the pictures: a panel an axis, a line a model; none before a point was measured."""
    if not any(points(made, axis, model) for axis in AXES for model in MODELS):
        return
    folder.mkdir(parents=True, exist_ok=True)
    with plt.rc_context(STYLE | {"svg.hashsalt": "speed"}):
        for name, (what, of) in PICTURES.items():
            figure, panels = plt.subplots(2, 3, figsize=(10.0, 5.6), sharey=True)
            for axes, axis in zip(panels.flat, AXES, strict=True):
                for model in MODELS:
                    found = {x: of(row) for x, row in points(made, axis, model).items()}
                    kept = {x: y for x, y in found.items() if y is not None and y > 0.0}
                    axes.plot(
                        list(kept), list(kept.values()), color=COLOURS[model], marker="o", ms=4,
                        lw=2, label=f"{model} (the default)" if model == "committee" else model,
                    )  # fmt: skip
                axes.set_xscale("log")
                axes.set_xticks(AXES[axis], [f"{x:,}" for x in AXES[axis]])
                axes.minorticks_off()
                axes.set_xlabel(NAMES[axis])
                if name != "memory":
                    axes.set_yscale("log")
                    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
                    axes.yaxis.set_major_formatter("{x:g}")
                    axes.yaxis.set_minor_locator(NullLocator())
            figure.suptitle(what, x=0.02, ha="left")
            figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="upper right", ncols=2)
            figure.tight_layout()
            path = folder / f"growth-{name}.svg"
            figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
            plt.close(figure)
