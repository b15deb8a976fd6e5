"""A small schema for tests of learners, and streams over it."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.chance import Chance


class Columns:
    """Numeric columns x0.., categorical columns c0.. whose code v reads `v<code>`."""

    def __init__(self, numeric_n: int, categorical_n: int = 0, classes_n: int = 2) -> None:
        self.names = [f"x{i}" for i in range(numeric_n)]
        self.names += [f"c{i}" for i in range(categorical_n)]
        self.kinds = ["numeric"] * numeric_n + ["categorical"] * categorical_n
        self.classes = [f"class {i}" for i in range(classes_n)]

    @property
    def width(self) -> int:
        return len(self.names)

    def add(self, name: str, kind: str) -> None:
        self.names.append(name)
        self.kinds.append(kind)

    def features(self, row: Any) -> dict[str, Any]:
        columns = zip(self.names, self.kinds, row.tolist(), strict=False)
        return {
            name: value if kind == "numeric" else f"v{int(value)}"
            for name, kind, value in columns
            if value == value
        }


def stream(columns: Columns, n: int, seed: int = 0, missing: float = 0.1) -> tuple[Any, Any]:
    """Rows (n, width), some values missing, and codes (n,) that depend on the first columns."""
    chance = Chance(seed)
    X = np.zeros((n, columns.width))
    for j, kind in enumerate(columns.kinds):
        u = chance.uniforms(f"column {j}", chance.keys(str(i) for i in range(n)))
        X[:, j] = 6.0 * (j + 1) * (u - 0.4) if kind == "numeric" else np.floor(5 * u)
    noise = chance.uniforms("noise", chance.keys(str(i) for i in range(n)))
    first = X[:, 0] / 6.0 if columns.kinds[0] == "numeric" else X[:, 0] / 5.0 - 0.4
    k = len(columns.classes)
    y = np.clip(((first + 0.4) * k + 0.8 * (noise - 0.5)).astype(int), 0, k - 1)
    gone = chance.keys(f"{i} {j}" for i in range(n) for j in range(columns.width))
    X[(chance.uniforms("missing", gone) < missing).reshape(X.shape)] = np.nan
    return X, y
