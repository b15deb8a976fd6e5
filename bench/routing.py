"""What does it buy to give hard questions to whom gets them right?

    python bench/routing.py

The desk's own store gives 500 questions, thirty open at once, to a crowd of eight who take turns
at random; two answers are wanted of each and a third where they differ, by majority of the core.
What is known of people is what the core tells of how they agreed, nothing at first. A person of
skill s is right about a question of difficulty d with the chance 1/2 + 1/2 * logistic(s - d), of
two classes; skills lie evenly between -1 and 4, difficulties are normal around 0 with a deviation
of 2. The model knows a difficulty as far as its doubt goes along with it: their correlation is a
column. Told are answers per request, the share of requests that got the right label, and right
labels per answer; means of ten seeds with 95 % intervals of the mean, and the difference from
questions as they come, of the same crowd and questions. The figures of docs/ANNOTATORS.md are this
script's.
"""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from headrace.bridges.bridge import Delivery
from headrace.bridges.desk.store import Store
from headrace.label.desk import Desk
from headrace.messages import Answer, LabelRequested, LabelSettled, QuestionChanged
from headrace.settings import parse

REQUESTS_N = 500
OPEN_N = 30
PEOPLE_N = 8
SEEDS = range(10)
SKILLS = (-1.0, 4.0)
SPREAD = 2.0
SHARES = (0.0, 0.8)
CORRELATIONS = (0.0, 0.5, 0.9)


def request(i: int, doubt: float) -> LabelRequested:
    """A question about which the model doubts so much, from 0 to 1/2; asked in their order."""
    return LabelRequested(
        request_id=f"r{i}", event_id=f"e{i}", at=0.0, event_at=0.0, deadline=1e9, features={},
        reason="round", strategy="random", utility=float(-i), threshold=0.0, propensity=0.1,
        model_version=0, prediction={"0": 1.0 - doubt, "1": doubt}, round_n=0, seq=i,
        answers_wanted=2,
    )  # fmt: skip


def logistic(x: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-x))


def played(share: float, correlation: float, seed: int, requests_n: int = REQUESTS_N) -> Any:
    """Answers, and right labels, per request."""
    rng = np.random.default_rng(seed)
    skill = rng.permutation(np.linspace(*SKILLS, PEOPLE_N))
    seen, unseen = rng.normal(size=(2, requests_n))
    difficulty = SPREAD * (correlation * seen + np.sqrt(1.0 - correlation**2) * unseen)
    # What everybody would say is drawn before anybody is asked.
    right = 0.5 + 0.5 * logistic(skill - difficulty[:, None])
    is_right = rng.random((requests_n, PEOPLE_N)) < right
    truth = rng.integers(0, 2, requests_n)
    desk = Desk(parse({"label": {"answers_wanted": 2, "answers_max": 3}}).label, ["0", "1"], 2)
    now, asked_n, answers_n, right_n = 0.0, 0, 0, 0

    with (
        tempfile.TemporaryDirectory() as folder,
        closing(
            Store(
                Path(folder) / "desk.sqlite",
                lease_s=60.0,
                expertise_share=share,
                outlives_power=False,
                clock=lambda: now,
            )
        ) as store,
    ):

        def told(questions: list[LabelRequested]) -> None:
            store.take([Delivery(one.request_id, one) for one in questions])

        while True:
            while asked_n < requests_n and desk.open_n < OPEN_N:
                question = request(asked_n, float(0.5 * logistic(2.0 * seen[asked_n])))
                desk.requested(question)
                told([question])
                asked_n += 1
            if not desk.open_n:
                return answers_n / requests_n, right_n / requests_n
            now += 1.0
            who = int(rng.integers(PEOPLE_N))
            people = desk.annotators.by_name
            known = {name: (one.compared_n, one.agreed_n) for name, one in people.items()}
            leased = store.next(f"a{who}", known)
            if leased is None:
                continue
            request_id = leased.request.request_id
            i = leased.request.seq
            label = str(truth[i] if is_right[i, who] else 1 - truth[i])
            store.answer(f"a{who}", request_id, label)
            answers_n += 1
            answer = Answer(request_id=request_id, label=label, at=now, annotator=f"a{who}")
            for end in desk.answered(answer, now):
                if isinstance(end, LabelSettled):
                    right_n += end.label == str(truth[i])
                elif isinstance(end, QuestionChanged):
                    record = end.record
                    if isinstance(record, LabelRequested):
                        told([record])
                    else:
                        store.take([Delivery(record.request_id, None, record.reason)])


def told(values: Any, digits: int) -> str:
    """Mean and 95 % interval of the mean."""
    spread = 2.26 * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.{digits}f} ± {spread:.{digits}f}"


if __name__ == "__main__":
    print(
        "| doubt goes along with difficulty | by expertise | answers per request | right, % "
        "| right labels per answer | against as they come, % |"
    )
    print("|---|---|---|---|---|---|")
    for correlation in CORRELATIONS:
        before = None
        for share in SHARES:
            runs = np.array([played(share, correlation, seed) for seed in SEEDS])
            worth = runs[:, 1] / runs[:, 0]
            before = worth if before is None else before
            more = told(100.0 * (worth / before - 1.0), 1) if share else ""
            row = (told(runs[:, 0], 2), told(100.0 * runs[:, 1], 1), told(worth, 3), more)
            print(f"| {correlation} | {share:.0%} | {' | '.join(row)} |", flush=True)
