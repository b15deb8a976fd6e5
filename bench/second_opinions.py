"""What are second opinions worth against as many random ones, where annotators err?

    python bench/second_opinions.py [--seeds 5] [--wrong 0.1] [--share 0.1] [--events 6000]

Three streams of known truth: a plane in five dimensions with a soft edge (a perfect model is right
92 times in 100), moving centres of four classes, and SEA's concepts, one after the other. A tenth
of the events is asked, five annotators answer, each wrong with the same chance, to any wrong class.
`none` asks nobody twice; `random` asks again about labels drawn by lot, `suspicious` about those
that look wrong; both until `--share` of all answers are opinions, with the same tie-break. Labels
are judged as they stand at the end. The figures of docs/ACCURACY.md are this script's.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterable

import numpy as np
from river.datasets import synth

from headrace import Engine
from headrace.chance import Chance
from headrace.drivers.notebook import run
from headrace.messages import Event, LabelDisputed, LabelRequested, LabelSettled
from headrace.settings import Settings, parse
from headrace.testing.oracles import Crowd

Pairs = Iterable[tuple[dict[str, float], str]]
WAYS = ("none", "random", "suspicious")
RANDOM_RATE = 0.5
"""So likely is any label to be asked about by lot; the share ends it long before."""


def plane(events_n: int, seed: int) -> Pairs:
    rng = np.random.default_rng(seed)
    w = rng.normal(size=5)
    for x in rng.normal(size=(events_n, 5)):
        p = 1.0 / (1.0 + np.exp(-6.0 * float(x @ w) / float(np.linalg.norm(w))))
        yield {f"x{j}": float(v) for j, v in enumerate(x)}, str(int(rng.random() < p))


def centres(events_n: int, seed: int) -> Pairs:
    stream = synth.RandomRBFDrift(
        seed_model=seed, seed_sample=seed, n_classes=4, n_features=10, n_centroids=20,
        change_speed=0.0005, n_drift_centroids=20,
    )  # fmt: skip
    for x, y in stream.take(events_n):
        yield {f"x{j}": v for j, v in x.items()}, str(y)


def sea(events_n: int, seed: int) -> Pairs:
    parts = (synth.SEA(variant=v, seed=seed + v).take(events_n // 3) for v in (0, 2, 1))
    for x, y in itertools.chain.from_iterable(parts):
        yield {f"x{j}": v for j, v in x.items()}, str(int(y))


STREAMS: dict[str, Callable[[int, int], Pairs]] = {"plane": plane, "centres": centres, "sea": sea}


def settings_of(share: float, seed: int) -> Settings:
    return parse(
        {
            "seed": seed,
            "query": {"budget": {"share": 0.1, "reserve": 0}},
            "label": {"second_opinion_share": share, "deadline_s": 500.0},
        }
    )


def by_lot(engine: Engine) -> None:
    """Let this engine suspect labels blindly."""
    chance: Chance = engine.chance
    lot: Callable[[str], bool] = lambda name: chance.uniform("by lot", name) < RANDOM_RATE  # noqa: E731
    engine.trainer.suspects = lot


def played(pairs: Pairs, way: str, share: float, wrong: float, seed: int) -> dict[str, float]:
    """Of one run: answers paid, labels at the end, how many of them are right, the model's share
    of right predictions."""
    engine = Engine(settings=settings_of(0.0 if way == "none" else share, seed))
    if way == "random":
        by_lot(engine)
    events = [(Event(id=str(i), at=float(i), features=x), y) for i, (x, y) in enumerate(pairs)]
    truths = {event.id: y for event, y in events}
    oracle = Crowd(delay_s=5.0, wrong=wrong, unsure=0.0, silent=0.0, seed=seed)
    labels: dict[str, str | None] = {}
    wrong_at_first: dict[str, bool] = {}
    again: list[str] = []
    for output in run(engine, events, oracle=oracle).outputs:
        if isinstance(output, LabelSettled):
            labels[output.event_id] = output.label
            wrong_at_first.setdefault(output.event_id, output.label != truths[output.event_id])
        elif isinstance(output, LabelDisputed):
            labels[output.event_id] = None
        elif isinstance(output, LabelRequested) and output.opinion_n == 2:
            again.append(output.event_id)
    report = engine.report
    standing = {name: label for name, label in labels.items() if label is not None}
    right_n = sum(label == truths[name] for name, label in standing.items())
    return {
        "answers": report.answers.accepted_n,
        "opinions": report.noise.confirmed_n + report.noise.overruled_n + report.noise.undecided_n,
        "labels": len(standing),
        "right_labels": 100.0 * right_n / len(standing),
        "per_answer": 100.0 * right_n / report.answers.accepted_n,
        "wrong_asked": 100.0 * float(np.mean([wrong_at_first[n] for n in again])) if again else 0.0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--wrong", type=float, default=0.1)
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--events", type=int, default=6000)
    chosen = parser.parse_args()
    print(
        "| stream | asked again | answers | opinions | of labels asked about, wrong, % | labels "
        "| right labels, % | against random |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, make in STREAMS.items():
        found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for way, seed in itertools.product(WAYS, range(chosen.seeds)):
            pairs = make(chosen.events, seed)
            found[way].append(played(pairs, way, chosen.share, chosen.wrong, seed))
        for way in WAYS:
            mean = {key: np.mean([one[key] for one in found[way]]) for key in found[way][0]}
            gains = [
                one["right_labels"] - other["right_labels"]
                for one, other in zip(found[way], found["random"], strict=True)
            ]
            half = (
                2.78 * float(np.std(gains, ddof=1)) / np.sqrt(len(gains)) if len(gains) > 1 else 0
            )
            told = "" if way == "random" else f"{np.mean(gains):+.2f} ± {half:.2f}"
            print(
                f"| {name} | {way} | {mean['answers']:.0f} | {mean['opinions']:.0f} "
                f"| {mean['wrong_asked']:.0f} | {mean['labels']:.0f} "
                f"| {mean['right_labels']:.2f} | {told} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
