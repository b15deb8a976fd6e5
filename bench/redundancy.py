"""How many answers does a label cost when one more is asked for only while its class is unsure?

    python bench/redundancy.py

1,500 requests at a desk, answered one after the other by whoever of a crowd is free, until the
request ends: three that name a class each, by majority, against as many as it takes, from one, two
or three on, at several confidences; five are heard at most. A crowd has ten annotators, each right
with a chance of their own between two bounds, who name any other class when wrong and cannot tell
in one of thirty. Told are answers per request, the share of requests that got the right label, and
answers per right label; means of ten seeds with 95 % intervals of the mean, and the difference from
three answers by majority on the same crowd. The figures of docs/ANNOTATORS.md are this script's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.label.desk import Desk
from headrace.messages import Answer, LabelRequested, LabelSettled, QuestionChanged
from headrace.settings import parse

REQUESTS_N = 1_500
ANNOTATORS_N = 10
SEEDS = range(10)
REFUSES = 1 / 30
CROWDS = {"0.6 to 0.95": (0.6, 0.95), "0.8 to 0.98": (0.8, 0.98)}
THREE = "three, majority"

WAYS: dict[str, dict[str, Any]] = {
    THREE: {"answers_wanted": 3, "answers_max": 5},
    "two, a third if they differ, majority": {"answers_wanted": 2, "answers_max": 5},
} | {
    f"{few} to five, dawid_skene, {confidence}": {
        "answers_wanted": n,
        "answers_max": 5,
        "consensus": "dawid_skene",
        "confidence": confidence,
    }
    for few, n, confidences in (
        ("one", 1, (0.85, 0.9, 0.95)),
        ("two", 2, (0.85, 0.9, 0.95)),
        ("three", 3, (0.9,)),
    )
    for confidence in confidences
}


def request(i: int, wanted_n: int) -> LabelRequested:
    """A question; nothing of it matters here but how many answers it wants."""
    return LabelRequested(
        request_id=f"r{i}", event_id=f"e{i}", at=0.0, event_at=0.0, deadline=10.0, features={},
        reason="round", strategy="random", utility=0.0, threshold=0.0, propensity=0.1,
        model_version=0, prediction={}, round_n=0, seq=i, answers_wanted=wanted_n,
    )  # fmt: skip


def played(label: dict[str, Any], seed: int, bounds: tuple[float, float], classes_n: int) -> Any:
    """Answers, and right labels, per request; of one crowd, alike for every way of the same seed.

    What an annotator says to a request is drawn before anybody is asked.
    """
    rng = np.random.default_rng(seed)
    right = rng.uniform(*bounds, ANNOTATORS_N)
    truth = rng.integers(0, classes_n, REQUESTS_N)
    shape = REQUESTS_N, ANNOTATORS_N
    wrong = (truth[:, None] + rng.integers(1, classes_n, shape)) % classes_n
    said = np.where(rng.random(shape) < right, truth[:, None], wrong)
    refuses = rng.random(shape) < REFUSES
    order = rng.permuted(np.tile(np.arange(ANNOTATORS_N), (REQUESTS_N, 1)), axis=1)

    settings = parse({"label": label}).label
    desk = Desk(settings, [str(k) for k in range(classes_n)], classes_n)
    answers_n = right_n = 0
    for i in range(REQUESTS_N):
        desk.open_request(request(i, settings.answers_wanted))
        for turn, who in enumerate(order[i].tolist()):
            label_given = None if refuses[i, who] else str(said[i, who])
            answer = Answer(
                request_id=f"r{i}", label=label_given, at=float(turn), annotator=f"a{who}"
            )
            ends = desk.take_answer(answer, float(turn))
            answers_n += 1
            ends = [end for end in ends if not isinstance(end, QuestionChanged)]
            if ends:
                break
        else:
            raise AssertionError("a request was not settled by all")
        [end] = ends
        right_n += isinstance(end, LabelSettled) and end.label == str(truth[i])
    return answers_n / REQUESTS_N, right_n / REQUESTS_N


def told(values: Any, digits: int) -> str:
    """Mean and 95 % interval of the mean."""
    spread = 2.26 * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.{digits}f} ± {spread:.{digits}f}"


def table(bounds: tuple[float, float], classes_n: int, seeds: range) -> dict[str, Any]:
    """By way: answers per request and share right, shape (seeds, 2)."""
    return {
        name: np.array([played(label, seed, bounds, classes_n) for seed in seeds])
        for name, label in WAYS.items()
    }


if __name__ == "__main__":
    print("| crowd | classes | answers | per request | right, % | per right label | fewer, % |")
    print("|---|---|---|---|---|---|---|")
    for crowd, bounds in CROWDS.items():
        for classes_n in (2, 5):
            found = table(bounds, classes_n, SEEDS)
            before = found[THREE][:, 0] / found[THREE][:, 1]
            for name, runs in found.items():
                cost = runs[:, 0] / runs[:, 1]
                fewer = "" if name == THREE else told(100.0 * (1.0 - cost / before), 0)
                row = (told(runs[:, 0], 2), told(100.0 * runs[:, 1], 1), told(cost, 2), fewer)
                print(f"| {crowd} | {classes_n} | {name} | {' | '.join(row)} |", flush=True)
