"""What does it buy to give hard questions to whom gets them right?

    python bench/routing.py

The desk's rule gives 500 questions, thirty open at once, to a crowd of eight who take turns at
random; two answers are wanted of each and a third where they differ, by majority of the core.
What is known of people is what the core tells of how they agreed, nothing at first. "As they come"
is random: chance alone says who gets which. Told are answers per request, the share of requests
that got the right label, and right labels per answer; means of ten seeds with 95 % intervals of the
mean, and the difference from questions as they come, of the same crowd and questions.

The first table: a person of skill s is right about a question of difficulty d with the chance
1/2 + 1/2 * logistic(s - d), of two classes; skills lie evenly between -1 and 4, difficulties are
normal around 0 with a deviation of 2. The model knows a difficulty as far as its doubt goes along
with it: their correlation is a column.

The second table: five classes, of which the model's guess gives one or two most of the chance, as
far as it is sure; the truth is drawn by that guess. A person's skill is another one at each class,
normal around their own, which lies evenly between 0 and 3, with a deviation that is a column. They
are right with the chance 1/5 + 4/5 * logistic(s - d), else name any other class. Doubt goes along
with difficulty by 0.5. "By class" goes by what is known of people at each class, "over all" by one
figure a person. The figures of docs/ANNOTATORS.md are this script's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.bridges.desk.routing import (
    WAITING_N,
    Comparisons,
    Known,
    choose_suited,
    is_as_they_come,
)
from headrace.label.annotators import Annotator
from headrace.label.desk import Desk
from headrace.messages import Answer, LabelRequested, LabelSettled, QuestionChanged
from headrace.settings import parse

REQUESTS_N = 500
OPEN_N = 30
PEOPLE_N = 8
SEEDS = range(10)
SKILLS = (-1.0, 4.0)
SPREAD = 2.0
CORRELATIONS = (0.0, 0.5, 0.9)
CLASSES_N = 5
CLASS_SPREADS = (0.0, 1.5, 3.0)


@dataclass
class Crowd:
    """Questions and what everybody would say, drawn before anybody is asked.

    `guesses` (n, classes) are the model's, `truth` (n,) and `said` (n, people) classes by number;
    `turns` says who is next.
    """

    guesses: NDArray[np.float64]
    truth: NDArray[np.int64]
    said: NDArray[np.int64]
    turns: np.random.Generator


def equal_at_classes(seed: int, correlation: float) -> Crowd:
    """Two classes; each person has one skill."""
    rng = np.random.default_rng(seed)
    skill = rng.permutation(np.linspace(*SKILLS, PEOPLE_N))
    seen, unseen = rng.normal(size=(2, REQUESTS_N))
    difficulty = SPREAD * (correlation * seen + np.sqrt(1.0 - correlation**2) * unseen)
    right = 0.5 + 0.5 * logistic(skill - difficulty[:, None])
    is_right = rng.random((REQUESTS_N, PEOPLE_N)) < right
    truth = rng.integers(0, 2, REQUESTS_N)
    doubt = 0.5 * logistic(2.0 * seen)
    said = np.where(is_right, truth[:, None], 1 - truth[:, None])
    return Crowd(np.stack([1.0 - doubt, doubt], axis=1), truth, said, rng)


def unequal_at_classes(seed: int, spread: float) -> Crowd:
    """Five classes; each person has a skill at each."""
    rng = np.random.default_rng([seed, 2])
    own = rng.permutation(np.linspace(0.0, 3.0, PEOPLE_N))
    skill = own[:, None] + spread * rng.normal(size=(PEOPLE_N, CLASSES_N))
    seen, unseen = rng.normal(size=(2, REQUESTS_N))
    difficulty = SPREAD * (0.5 * seen + np.sqrt(0.75) * unseen)
    doubt = 0.7 * logistic(2.0 * seen)
    guesses = np.repeat(0.1 * doubt[:, None], CLASSES_N, axis=1)
    order = np.argsort(rng.random((REQUESTS_N, CLASSES_N)), axis=1)
    rows = np.arange(REQUESTS_N)
    guesses[rows, order[:, 0]] = 1.0 - doubt
    guesses[rows, order[:, 1]] = 0.7 * doubt
    truth = (rng.random(REQUESTS_N)[:, None] > np.cumsum(guesses, axis=1)).sum(axis=1)
    truth = np.minimum(truth, CLASSES_N - 1)
    chance = 1.0 / CLASSES_N
    right = chance + (1.0 - chance) * logistic(skill[:, truth].T - difficulty[:, None])
    shape = REQUESTS_N, PEOPLE_N
    wrong = (truth[:, None] + rng.integers(1, CLASSES_N, shape)) % CLASSES_N
    said = np.where(rng.random(shape) < right, truth[:, None], wrong)
    return Crowd(guesses, truth, said, rng)


def request(i: int, guess: NDArray[np.float64]) -> LabelRequested:
    """A question about which the model guesses so; asked in their order."""
    return LabelRequested(
        request_id=f"r{i}", event_id=f"e{i}", at=0.0, event_at=0.0, deadline=1e9, features={},
        reason="round", strategy="random", utility=float(-i), threshold=0.0, propensity=0.1,
        model_version=0, prediction={str(k): p for k, p in enumerate(guess.tolist())}, round_n=0,
        seq=i, answers_wanted=2,
    )  # fmt: skip


def logistic(x: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-x))


def known_of(people: Mapping[str, Annotator], *, by_class: bool) -> dict[str, Comparisons]:
    """What a run tells of people."""
    return {
        name: Comparisons(one.compared_n, one.agreed_n, one.by_class if by_class else {})
        for name, one in people.items()
    }


class Queue:
    """The questions that wait, as the desk's store has them, in memory: the first asked first.

    Nobody gets two questions about one event, and an answer is given at once, so that there are no
    leases. `share` of the questions go by who is how good, as at the desk.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._waiting: dict[str, LabelRequested] = {}
        self._answered_n: dict[str, int] = {}
        self._met: dict[int, set[str]] = {}
        self._here: dict[str, None] = {}
        self.answers_n = 0

    def take(self, question: LabelRequested) -> None:
        self._waiting[question.request_id] = question

    def drop(self, request_id: str) -> None:
        self._waiting.pop(request_id, None)

    def next(self, person: str, known: Known) -> LabelRequested | None:
        """The question that somebody gets."""
        waiting = sorted(self._waiting.values(), key=lambda one: one.seq)
        free = [q for q in waiting if person not in self._met.get(q.seq, ())][:WAITING_N]
        if not free:
            return None
        if not self._share or is_as_they_come(person, self.answers_n, self._share):
            return free[0]
        return free[choose_suited(person, free, [*self._here], known) or 0]

    def answer(self, person: str, question: LabelRequested) -> None:
        """Somebody has answered: a question with as many answers as it wants leaves."""
        name = question.request_id
        self.answers_n += 1
        self._here[person] = None
        self._met.setdefault(question.seq, set()).add(person)
        self._answered_n[name] = self._answered_n.get(name, 0) + 1
        if self._answered_n[name] >= question.answers_wanted:
            self.drop(name)


def played(share: float, crowd: Crowd, *, by_class: bool = True) -> tuple[float, float]:
    """Answers, and right labels, per request."""
    requests_n, classes_n = crowd.guesses.shape
    names = [str(k) for k in range(classes_n)]
    settings = parse({"label": {"answers_wanted": 2, "answers_max": 3}}).label
    desk, queue = Desk(settings, names, classes_n), Queue(share)
    now, asked_n, right_n = 0.0, 0, 0
    while True:
        while asked_n < requests_n and desk.open_n < OPEN_N:
            question = request(asked_n, crowd.guesses[asked_n])
            desk.open_request(question)
            queue.take(question)
            asked_n += 1
        if not desk.open_n:
            return queue.answers_n / requests_n, right_n / requests_n
        now += 1.0
        who = int(crowd.turns.integers(PEOPLE_N))
        given = queue.next(f"a{who}", known_of(desk.annotators.by_name, by_class=by_class))
        if given is None:
            continue
        queue.answer(f"a{who}", given)
        label = str(crowd.said[given.seq, who])
        answer = Answer(request_id=given.request_id, label=label, at=now, annotator=f"a{who}")
        for end in desk.take_answer(answer, now):
            if isinstance(end, LabelSettled):
                right_n += end.label == str(crowd.truth[given.seq])
            elif isinstance(end, QuestionChanged):
                if isinstance(end.record, LabelRequested):
                    queue.take(end.record)
                else:
                    queue.drop(end.record.request_id)


def told(values: Any, digits: int) -> str:
    """Mean and 95 % interval of the mean."""
    spread = 2.26 * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.{digits}f} ± {spread:.{digits}f}"


def print_rows(
    worlds: Sequence[tuple[str, Callable[[int], Crowd]]], ways: Sequence[tuple[str, float, bool]]
) -> None:
    """A row for each world and way, by its name, share, and whether it goes by class."""
    for world, crowd_of in worlds:
        before = None
        for way, share, by_class in ways:
            runs = np.array([played(share, crowd_of(seed), by_class=by_class) for seed in SEEDS])
            worth = runs[:, 1] / runs[:, 0]
            before = worth if before is None else before
            more = told(100.0 * (worth / before - 1.0), 1) if share else ""
            row = (told(runs[:, 0], 2), told(100.0 * runs[:, 1], 1), told(worth, 3), more)
            print(f"| {world} | {way} | {' | '.join(row)} |", flush=True)


TOLD = "answers per request | right, % | right labels per answer | against as they come, %"


if __name__ == "__main__":
    rule = "|---|---|---|---|---|---|"
    print(f"| doubt goes along with difficulty | by expertise | {TOLD} |\n{rule}")
    correlated = [(str(c), partial(equal_at_classes, correlation=c)) for c in CORRELATIONS]
    print_rows(correlated, [("0%", 0.0, True), ("80%", 0.8, True)])
    print(f"\n| skills at classes differ by | by expertise | {TOLD} |\n{rule}")
    unequal = [(str(s), partial(unequal_at_classes, spread=s)) for s in CLASS_SPREADS]
    ways = [("as they come", 0.0, False), ("over all", 0.8, False), ("by class", 0.8, True)]
    print_rows(unequal, ways)
