"""How long a snapshot takes to write and to read, and how large it is: docs/SNAPSHOTS.md.

    python bench/snapshots.py

Engines with the default settings after 3,000 events of 20 features, each request answered; CPU time
of one core, the least of nine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from river import forest, linear_model, preprocessing

from headrace import Answer, Engine, Event, LabelRequested

EVENTS_N, FEATURES_N, PIECE_N = 3_000, 20, 50

MODELS: dict[str, Callable[[], Any]] = {
    "committee (default)": lambda: None,
    "logistic": lambda: preprocessing.StandardScaler() | linear_model.LogisticRegression(),
    "forest of 10 trees": lambda: forest.ARFClassifier(10, seed=1),
}


def fed_engine(model: Any) -> Engine:
    """An engine after the stream."""
    engine = Engine(model, seed=3)
    X = np.random.default_rng(0).normal(size=(EVENTS_N, FEATURES_N))
    names = [f"f{j}" for j in range(FEATURES_N)]
    events = [
        Event(id=f"event-{i}", at=float(i), features=dict(zip(names, row, strict=True)))
        for i, row in enumerate(X.tolist())
    ]
    for start in range(0, EVENTS_N, PIECE_N):
        outputs = engine.feed(events[start : start + PIECE_N])
        requests = [output for output in outputs if isinstance(output, LabelRequested)]
        engine.feed(
            [
                Answer(
                    request_id=request.request_id,
                    label="yes" if request.features["f0"] > 0 else "no",
                    at=float(start + PIECE_N),
                )
                for request in requests
            ]
        )
    return engine


def cpu_ms(action: Callable[[], object]) -> float:
    """The least of nine, milliseconds."""
    taken = []
    for _ in range(9):
        start = time.process_time()
        action()
        taken.append(time.process_time() - start)
    return 1e3 * min(taken)


def main() -> None:
    """Print the table."""
    print("| model | size, MB | write, ms | read, ms |\n|---|---|---|---|")
    for name, build in MODELS.items():
        engine = fed_engine(build())
        blob = engine.snapshot()
        write, read = cpu_ms(engine.snapshot), cpu_ms(partial(engine.restore, blob))
        print(f"| {name} | {len(blob) / 1e6:.2f} | {write:.0f} | {read:.0f} |", flush=True)


if __name__ == "__main__":
    main()
