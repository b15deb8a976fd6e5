"""What each member of a committee says, as one picture: docs/img/committee.png.

python bench/committee_picture.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt

from headrace.models import Committee

LABELS_N, GRID_N, SPAN = 400, 90, 3.0
TITLES = {
    "GaussianProcess": "Gaussian process",
    "Discriminant": "discriminant",
    "Pipeline": "softmax regression",
    "MixedNB": "naive Bayes",
}


def labelled(seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Points of two classes on either side of a curve, whose sides change half way."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(LABELS_N, 2)) * 1.2
    above = points[:, 1] > np.sin(2.0 * points[:, 0])
    return points, np.where(np.arange(LABELS_N) < LABELS_N // 2, ~above, above).astype(int)


def main() -> None:
    points, classes = labelled()
    model = Committee()
    for (x, y), code in zip(points, classes, strict=True):
        model.learn_one({"x": x, "y": y}, int(code))
    axis = np.linspace(-SPAN, SPAN, GRID_N)
    grid = [{"x": float(x), "y": float(y)} for y in axis for x in axis]
    rows = model._rows_of(grid, model.now)
    opinions = model.opinions(rows)
    one = model.classes.index(1)
    panels = [
        (TITLES.get(name, name), said[:, one])
        for name, said in zip(model.member_names(), opinions, strict=True)
    ]
    panels.append(("the pool", model.pool_opinions(opinions)[:, one]))
    figure, axes = plt.subplots(1, len(panels), figsize=(13, 3.1), sharex=True, sharey=True)
    for ax, (title, p) in zip(axes, panels, strict=True):
        ax.pcolormesh(axis, axis, p.reshape(GRID_N, GRID_N), cmap="RdBu_r", vmin=0, vmax=1)
        recent = slice(LABELS_N - 120, None)
        ax.scatter(
            *points[recent].T,
            c=classes[recent],
            cmap="RdBu_r",
            s=9,
            edgecolors="white",
            linewidths=0.4,
        )
        ax.set(title=title, xticks=[], yticks=[], xlim=(-SPAN, SPAN), ylim=(-SPAN, SPAN))
    weights = ", ".join(f"{a:.2f}" for a in model.stacker.exponents)
    figure.text(0.5, 0.02, f"exponents of the members in the pool: {weights}", ha="center")
    figure.tight_layout(rect=(0.0, 0.08, 1.0, 1.0))
    figure.savefig(Path(__file__).parents[1] / "docs" / "img" / "committee.png", dpi=90)


if __name__ == "__main__":
    main()
