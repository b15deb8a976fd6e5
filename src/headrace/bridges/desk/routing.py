"""Which question suits whom: hard questions go to people who are right often, easy ones to others.

A person's skill is how often they named the label that others named too, or the known label of a
gold question, as the run reports it: over all classes and by class, so that a question can go to
somebody who is good at the classes that the model finds likely. A question's difficulty is how far
the model is from being sure of it, and whether people have differed about it. Among the first few
waiting questions, the hardest is for the person who is right most often of those who are here, the
easiest for the one who is right least often, and those between for the people between. Such pairs
give the largest mean chance of a right answer where this chance is a concave function of skill less
difficulty, as a logistic function is above a half: then a step of skill is worth most where the
question is hardest.

A random share of the questions is given in the order of waiting. So everybody's answers show how
good they are on all questions, no question waits for somebody who is away, and a person who was
underrated is found out. People who are not known yet get all their questions in that order.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ...chance import Chance
from ...messages import DRAWN_AT_RANDOM, LabelRequested
from ...messages.request_ids import is_further

KNOWN_N = 20
"""How many compared answers it takes until a person is known."""

RANDOM_FIRST = 1e12

WAITING_N = 20
"""How many of the waiting questions are considered."""

HERE_S = 3_600.0
"""A person who answered within so many seconds is here."""

PRIOR_RIGHT, PRIOR_N = 0.8, 4
CLASS_PRIOR_N = 10
"""A person's rate over all classes weighs as much as this many comparisons at one class."""

_CHANCE = Chance(0)


class Comparisons(NamedTuple):
    """How often somebody named the label that others named too, or the truth of a gold question.

    They named it in `right_n` of `n` comparisons; `by_class` has both numbers, n first, for each
    such label or truth.
    """

    n: int
    right_n: int
    by_class: Mapping[str, tuple[int, int]] = {}


Known = Mapping[str, Comparisons]
"""The comparisons of each person, by name."""


class Rates(NamedTuple):
    """The chance that somebody is right: over all classes, and at each class with comparisons."""

    overall: float
    by_class: Mapping[str, float]


def rates_of(person: Comparisons) -> Rates:
    """Estimate from comparisons how often somebody is right, from 0 to 1.

    The rate at each class is shrunken to the person's rate over all, r: with n comparisons at the
    class, s of them right, it is (s + m r) / (n + m), m = `CLASS_PRIOR_N`. That is the mean of the
    posterior of a binomial rate whose prior is a beta distribution with mean r and the weight of m
    comparisons (Gelman et al., Bayesian Data Analysis, 3rd ed., section 2.4); r is shrunken to
    `PRIOR_RIGHT` alike.

    >>> rates = rates_of(Comparisons(40, 30, {"ham": (20, 20), "spam": (20, 10)}))
    >>> round(rates.overall, 2), {label: round(rate, 2) for label, rate in rates.by_class.items()}
    (0.75, {'ham': 0.92, 'spam': 0.58})
    """
    overall = (person.right_n + PRIOR_N * PRIOR_RIGHT) / (person.n + PRIOR_N)
    by_class = {
        label: (right_n + CLASS_PRIOR_N * overall) / (n + CLASS_PRIOR_N)
        for label, (n, right_n) in person.by_class.items()
    }
    return Rates(overall, by_class)


def reliability_of(rates: Rates, guess: Mapping[str, float]) -> float:
    """Estimate how likely somebody is right about a question, from 0 to 1.

    It is the mean of their rates by class, weighted by `guess`, the model's probabilities; without
    a guess it is their rate over all classes.

    >>> rates = Rates(0.75, {"ham": 0.9, "spam": 0.6})
    >>> guesses = {}, {"ham": 1.0}, {"ham": 0.5, "spam": 0.5}
    >>> [round(reliability_of(rates, guess), 2) for guess in guesses]
    [0.75, 0.9, 0.75]
    """
    total = sum(guess.values())
    if not total:
        return rates.overall
    shares = (p * rates.by_class.get(label, rates.overall) for label, p in guess.items())
    return sum(shares) / total


def difficulty_of(request: LabelRequested) -> float:
    """Rate how hard a question is, from 0 to 1: 1 where people have differed about it.

    Otherwise it is 1 less the model's largest probability; 1 without a prediction.
    """
    if is_further(request.request_id) or request.opinion_n > 1 or not request.prediction:
        return 1.0
    return 1.0 - max(request.prediction.values())


def is_as_they_come(person: str, turn: int, share: float) -> bool:
    """Whether this person gets the first waiting question, by chance, and not the one that suits.

    `share` is the share of questions given by expertise; each `turn` has its own random number.
    """
    return _CHANCE.uniform("routing", f"{turn} {person}") >= share


def choose_suited(
    person: str, waiting: Sequence[LabelRequested], here: Sequence[str], known: Known
) -> int | None:
    """Return the index in `waiting` of the question that suits a person, the first of equal ones.

    Its rank by difficulty among `waiting` is that of the person by skill among those `here`.

    - `waiting`: the questions in the order in which they would be given, at least one.
    - `here`: the names of people who answered lately.
    - `known`: the comparisons of people.

    None if the person is not known, or no other known person is here.
    """
    people = {
        question: rates_of(known[question])
        for question in sorted({person, *here})
        if question in known and known[question].n >= KNOWN_N
    }
    if person not in people or len(people) < 2:
        return None
    difficulties = [difficulty_of(question) for question in waiting]
    order, last = sorted(difficulties), max(1, len(waiting) - 1)
    best, nearest = 0, math.inf
    for i, (question, difficulty) in enumerate(zip(waiting, difficulties, strict=True)):
        place = _place_of(person, people, question.prediction) * last
        # Questions of the same difficulty share a stretch of ranks.
        easier_n = bisect_left(order, difficulty)
        harder = bisect_right(order, difficulty) - 1
        distance = max(easier_n - place, place - harder, 0.0)
        if distance < nearest - 1e-9:
            best, nearest = i, distance
    return best


def _place_of(person: str, people: Mapping[str, Rates], guess: Mapping[str, float]) -> float:
    """Return a person's rank by skill among at least two: 0 is least often right, 1 most often."""
    order = sorted((reliability_of(rates, guess), one) for one, rates in people.items())
    return order.index((reliability_of(people[person], guess), person)) / (len(order) - 1)


def rank_of(request: LabelRequested) -> float:
    """Return the rank of a question; those of higher rank are asked first.

    Questions drawn at random come first, in their order: the accuracy is estimated from them, as
    far as all earlier ones are answered. The others follow by utility, or by priority where open
    questions are scored again.
    """
    if request.reason not in DRAWN_AT_RANDOM and (request.priority or not request.judges):
        return request.priority
    return RANDOM_FIRST if request.reason in DRAWN_AT_RANDOM else min(request.utility, RANDOM_FIRST)
