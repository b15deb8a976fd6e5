"""The peers: a bare river loop, Vowpal Wabbit, scikit-activeml, and the engine; one stream for all.

Every event is predicted before it is decided about, and what is asked is learned before the next.
Each family is a function as `bench.engine_plugin.peers` is. Vowpal Wabbit and river's sampler have
no budget; of Vowpal Wabbit the mellowness is sought on the first fifth that asks what was wanted.
"""

from __future__ import annotations

import math
import re
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from bench.engine_plugin import Arrays, Asked, Found, Linear, Run, Task, bare_loop, plain_model
from bench.engine_plugin import peers as ours
from bench.speed.rows import Row, Scale, measure
from river import active

HOW_TO_GET = "not installed: pip install -r bench/requirements.txt"
BUDGET, SEED, FEATURES_N = 0.1, 7, 20
SLOW = 8
"""A peer of milliseconds an event plays one in so many."""

Peer = tuple[str, Found, Run]


def river_peers(stream: Arrays, cfg: Task) -> Iterator[Peer]:
    """The bare loop, and river's own sampler as it comes."""
    yield "river:labels at random (the bare loop)", {}, bare_loop(stream, cfg)
    rows = [{f"f{j:03d}": x for j, x in enumerate(row)} for row in stream.X.tolist()]
    truths = stream.y.tolist()

    def sampled() -> Found:
        sampler = active.EntropySampler(plain_model(cfg.seed), seed=cfg.seed)
        right, labels_n = [], 0
        for x, y in zip(rows, truths, strict=True):
            said, is_asked = sampler.predict_one(x)
            right.append(bool(said) == y)
            if is_asked:
                labels_n += 1
                sampler.learn_one(x, y)
        return {"events": len(rows), "labels": labels_n, "correct": right}

    note = "has no budget; discount_factor as it comes"
    yield "river:EntropySampler", {"note": note}, clocked(sampled)


def vw_peers(stream: Arrays, cfg: Task) -> Iterator[Peer]:
    """Vowpal Wabbit's `--active`, event by event from Python, and over a file by itself."""
    from vowpalwabbit import Workspace  # noqa: PLC0415  may not be there

    bodies = [
        "|f " + " ".join(f"{j}:{x:.6f}" for j, x in enumerate(row)) for row in stream.X.tolist()
    ]
    signs = np.where(stream.y > 0, 1, -1).tolist()
    usual = "--active --loss_function=logistic --mellowness "

    def asked(mellowness: float, n: int) -> Found:
        workspace = Workspace(f"{usual}{mellowness} --direct --quiet")
        right, labels_n = [], 0
        for body, sign in zip(bodies[:n], signs[:n], strict=True):
            # The tag asks for a decision instead of a score: a weight, or -1 for no.
            example = workspace.example("'query? " + body)
            weight = workspace.predict(example)
            right.append((example.get_partial_prediction() > 0.0) == (sign > 0))
            workspace.finish_example(example)
            if weight > 0.0:
                labels_n += 1
                workspace.learn(f"{sign} {weight} {body}")
        workspace.finish()
        return {"events": n, "labels": labels_n, "correct": right}

    def tuned() -> float:
        low, high, n = -12.0, 1.0, len(bodies) // 5
        for _ in range(12):
            middle = (low + high) / 2.0
            is_below = asked(10.0**middle, n)["labels"] < cfg.budget * n
            low, high = (middle, high) if is_below else (low, middle)
        return 10.0**low

    def file_run() -> Found:
        with tempfile.TemporaryDirectory() as folder:
            events, said = Path(folder, "events.vw"), Path(folder, "said.txt")
            lines = (f"{sign} {body}\n" for sign, body in zip(signs, bodies, strict=True))
            events.write_text("".join(lines))
            where = f"--simulation -d {events} -p {said} -P 1000000000"

            def play() -> Found:
                workspace = Workspace(f"{usual}{mellowness} {where}", enable_logging=True)
                workspace.finish()
                return {"log": " ".join(workspace.get_log())}

            found, scores = clocked(play)(), np.loadtxt(said, usecols=0)
        queries = re.search(r"total queries = (\d+)", found.pop("log"))
        right = (scores > 0.0) == (np.array(signs) > 0)
        return found | {
            "events": len(right),
            "labels": int(queries[1]) if queries else None,
            "correct": right,
        }

    mellowness = tuned()
    note = f"mellowness {mellowness:.1e}, sought on the first fifth"
    yield (
        "vw:--active, from Python",
        {"note": note},
        clocked(partial(asked, mellowness, len(bodies))),
    )
    yield "vw:--active --simulation, a file", {"note": note + "; no answer can be late"}, file_run


def skactiveml_peers(stream: Arrays, cfg: Task) -> Iterator[Peer]:
    """scikit-activeml's variable uncertainty around scikit-learn's linear model."""
    from skactiveml.classifier import SklearnClassifier  # noqa: PLC0415  may not be there
    from skactiveml.stream import VariableUncertainty  # noqa: PLC0415  may not be there
    from sklearn.linear_model import SGDClassifier  # noqa: PLC0415  may not be there

    # What it says of a model without labels, it says at every event.
    warnings.simplefilter("ignore")

    def asked(chunk_n: int) -> Found:
        linear = SGDClassifier(
            loss="log_loss", learning_rate="constant", eta0=0.05, random_state=cfg.seed
        )
        classifier = SklearnClassifier(linear, classes=[0, 1], random_state=cfg.seed)
        # One that was never fitted can't be asked: it is fitted to an event without a label.
        classifier.fit(np.zeros((1, stream.X.shape[1])), np.array([np.nan]))
        strategy = VariableUncertainty(budget=cfg.budget, random_state=cfg.seed)
        right, labels_n = [], 0
        for start in range(0, len(stream.y), chunk_n):
            X, y = stream.X[start : start + chunk_n], stream.y[start : start + chunk_n]
            right += (classifier.predict(X) == y).tolist()
            chosen, utilities = strategy.query(candidates=X, clf=classifier, return_utilities=True)
            strategy.update(X, chosen, budget_manager_param_dict={"utilities": utilities})
            if len(chosen):
                labels_n += len(chosen)
                classifier.partial_fit(X[chosen], y[chosen])
        return {"events": len(stream.y), "labels": labels_n, "correct": right}

    yield "skactiveml:VariableUncertainty, one at a time", {}, clocked(partial(asked, 1))
    yield "skactiveml:VariableUncertainty, 100 at a time", {}, clocked(partial(asked, 100))


def clocked(play: Callable[[], Found]) -> Run:
    """The run of what does not look at the clock itself."""

    def run() -> Found:
        wall, cpu = time.perf_counter(), time.process_time()
        found = play()
        spent = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        return found | spent

    return run


FAMILIES: dict[str, tuple[str, Callable[[Arrays, Task], Iterator[Peer]]]] = {
    "river:labels at random (the bare loop)": ("river", river_peers),
    "river:EntropySampler": ("river", river_peers),
    "vw:--active, from Python": ("Vowpal Wabbit", vw_peers),
    "vw:--active --simulation, a file": ("Vowpal Wabbit", vw_peers),
    "skactiveml:VariableUncertainty, one at a time": ("scikit-activeml", skactiveml_peers),
    "skactiveml:VariableUncertainty, 100 at a time": ("scikit-activeml", skactiveml_peers),
    "headrace:batches": ("**headrace**, linear", ours),
    "headrace:one at a time": ("**headrace**, linear", ours),
    "headrace:scaled, batches": ("**headrace**, linear", ours),
    "headrace:committee, batches": ("**headrace**", ours),
}


def jobs() -> dict[str, Callable[[Scale], list[Row]]]:
    """A job a peer, since each has the memory of its own libraries."""
    return {f"peers/{name}": partial(_play, name) for name in FAMILIES}


def _play(name: str, scale: Scale) -> list[Row]:
    family, peers_of = FAMILIES[name]
    said = f"{family}: {name.partition(':')[2]}"
    is_slow = name.endswith("one at a time") and name.startswith("skactiveml")
    stream = Linear.of(scale.events_n // (SLOW if is_slow else 1), FEATURES_N, SEED)
    task = Asked(BUDGET, SEED, math.inf)
    bare = bare_loop(Linear.of(scale.events_n, FEATURES_N, SEED), task)
    try:
        found: dict[str, Any] = {one: (facts, run) for one, facts, run in peers_of(stream, task)}
    except ImportError:
        return [Row(name=said, note=HOW_TO_GET)]
    facts, run = found[name]
    row = measure(said, run, bare, scale.repeats_n)
    return [msgspec.structs.replace(row, note=facts.get("note", ""))]
