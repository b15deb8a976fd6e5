"""How near is `label.dawid_skene` to the truth, to EM over all answers, to a peer?

    python bench/crowds.py

Answers to 2,000 requests by four annotators who are right with a chance of .9, .75, .6 and .8, else
name any other class, and who skip three in ten. Every consensus is given the same answers: the
majority (ties to the first of the alphabet); ours as it says a label when the request ends, knowing
only those before; ours afterwards, knowing all; EM over the whole table until it moves no more, in
numpy; and the Dawid-Skene of crowd-kit, where that is installed. Shares right, means of ten seeds
with 95 % intervals of the mean. The figures of docs/ANNOTATORS.md are this script's.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from headrace.label.dawid_skene import REFUSED, RIGHT, SHRINKAGE, Reliability, Voice

ACCURACIES = (0.9, 0.75, 0.6, 0.8)
SEEDS = range(10)
NOTHING, REFUSAL = -1, -2

Answers = NDArray[np.int64]
Floats = NDArray[np.float64]


def crowd(
    seed: int,
    classes_n: int,
    *,
    requests_n: int = 2_000,
    skips: float = 0.3,
    refuses: float = 0.0,
    accuracies: tuple[float, ...] = ACCURACIES,
) -> tuple[NDArray[np.int64], Answers]:
    """The truth, shape (n,), and the answers, (n, annotators): a class, `NOTHING` or `REFUSAL`."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes_n, requests_n)
    shape = requests_n, len(accuracies)
    wrong = (truth[:, None] + rng.integers(1, classes_n, shape)) % classes_n
    said = np.where(rng.random(shape) < accuracies, truth[:, None], wrong)
    # Who refuses does so four times as often at class 0: a refusal tells something.
    chance = np.where(truth == 0, 1.6, 0.4)[:, None] * refuses
    said = np.where(rng.random(shape) < chance, REFUSAL, said)
    return truth, np.where(rng.random(shape) < skips, NOTHING, said)


def voices_of(row: Answers) -> list[Voice]:
    """One row of a table, as a desk would give it."""
    return [
        (f"annotator {j}", None if said == REFUSAL else str(said))
        for j, said in enumerate(row.tolist())
        if said != NOTHING
    ]


def batch_em(answers: Answers, classes_n: int, steps_n: int = 500) -> Floats:
    """EM over the whole table by the model of `label.dawid_skene`: posteriors (n, classes).

    Written against the formulas, in arrays, and sharing nothing with the module but its priors.
    """
    usual = np.full((classes_n, classes_n), (1.0 - RIGHT) / (classes_n - 1))
    np.fill_diagonal(usual, RIGHT)
    usual = np.hstack([(1.0 - REFUSED) * usual, np.full((classes_n, 1), REFUSED)])
    said = np.stack([answers == k for k in [*range(classes_n), REFUSAL]], axis=2).astype(float)
    tells = said[:, :, :-1].sum(axis=(1, 2)) >= 2
    posterior = said[:, :, :-1].sum(axis=1) + 0.1
    posterior /= posterior.sum(axis=1, keepdims=True)
    for _ in range(steps_n):
        before = posterior
        share = posterior[tells]
        counts = np.einsum("ik,ijl->jkl", share, said[tells])
        prior = (share.sum(axis=0) + 1.0) / (len(share) + classes_n)
        rows = counts.sum(axis=2, keepdims=True)
        chances = (counts + SHRINKAGE * usual) / (rows + SHRINKAGE)
        posterior = np.log(prior) + np.einsum("ijl,jkl->ik", said, np.log(chances))
        posterior = np.exp(posterior - posterior.max(axis=1, keepdims=True))
        posterior /= posterior.sum(axis=1, keepdims=True)
        if np.abs(posterior - before).max() < 1e-9:
            break
    return posterior


def in_turn(answers: Answers, classes_n: int) -> tuple[NDArray[np.int64], Reliability]:
    """The label of each request as it ends, and what is known after the last one."""
    known = Reliability([str(k) for k in range(classes_n)])
    labels = []
    for i, row in enumerate(answers):
        voices = voices_of(row)
        labels.append(likeliest(known.posterior_of(voices)))
        known.replace_answers(f"request {i}", voices)
    return np.array(labels), known


def likeliest(belief: dict[str, float]) -> int:
    """The class with the highest probability."""
    return int(max(belief, key=lambda k: belief[k]))


def peers(answers: Answers, classes_n: int) -> dict[str, NDArray[np.int64]]:
    """The labels by each consensus; crowd-kit's is missing where it is not installed."""
    votes = np.stack([(answers == k).sum(axis=1) for k in range(classes_n)], axis=1)
    first, known = in_turn(answers, classes_n)
    found = {
        "majority": votes.argmax(axis=1),
        "ours, when the request ends": first,
        "ours, afterwards": np.array(
            [likeliest(known.posterior_of(voices_of(r))) for r in answers]
        ),
        "EM over the table": batch_em(answers, classes_n).argmax(axis=1),
    }
    theirs = crowd_kit(answers)
    return found if theirs is None else {**found, "crowd-kit": theirs}


def crowd_kit(answers: Answers) -> NDArray[np.int64] | None:
    """The labels of crowd-kit's Dawid-Skene; none where crowd-kit is not installed."""
    try:
        import pandas as pd  # noqa: PLC0415 - comes with crowd-kit
        from crowdkit.aggregation import DawidSkene  # noqa: PLC0415
    except ImportError:
        return None
    rows = [
        (i, j, said)
        for i, row in enumerate(answers.tolist())
        for j, said in enumerate(row)
        if said >= 0
    ]
    table = pd.DataFrame(rows, columns=["task", "worker", "label"])
    found = DawidSkene(n_iter=100).fit_predict(table)
    return np.array([found.get(i, 0) for i in range(len(answers))])


def told(values: list[float]) -> str:
    """Mean and 95 % interval of the mean."""
    spread = 2.26 * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.3f} ± {spread:.3f}"


if __name__ == "__main__":
    print("| classes | consensus | right | same label as EM over the table |\n|---|---|---|---|")
    for classes_n in (2, 3, 5):
        right: dict[str, list[float]] = {}
        same: dict[str, list[float]] = {}
        began = time.perf_counter()
        for seed in SEEDS:
            truth, answers = crowd(seed, classes_n)
            answered = (answers >= 0).any(axis=1)
            found = peers(answers, classes_n)
            for name, labels in found.items():
                right.setdefault(name, []).append(float((labels == truth)[answered].mean()))
                is_same = labels == found["EM over the table"]
                same.setdefault(name, []).append(float(is_same[answered].mean()))
        for name, shares in right.items():
            print(f"| {classes_n} | {name} | {told(shares)} | {told(same[name])} |", flush=True)
        print(f"({time.perf_counter() - began:.0f} s)", flush=True)
