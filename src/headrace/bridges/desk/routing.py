"""Which question suits whom: hard ones go to who is right most often, easy ones to the others.

What is known of people is how often they named the label that others named too, or the known one of
a gold question, as the run tells it: over all, and by class, so that of each question it is known
who is good at the classes that the model takes for likely. What is known of a question is how far
the model is from being sure of it, and whether people have differed about it. Of the first few
questions that wait, the hardest is for the person who is right most often of those who are here,
the easiest for the one who is so least often, and those between for those between. The mean chance
of a right answer is largest by such pairs where it is a concave function of skill less difficulty,
as a logistic one is above a half: then a step of skill is worth most where the question is hardest.

A share of the questions is given as they come, by chance: so everybody's answers tell how good they
are on all of them, no question waits for somebody who is away, and who is taken to be worse than
they are is found out. Who is not known yet gets all of theirs as they come.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ...chance import Chance
from ...messages import DRAWN_AT_RANDOM, LabelRequested
from ...request_ids import is_further

KNOWN_N = 20
"""Compared answers from which somebody is known."""

RANDOM_FIRST = 1e12

WAITING_N = 20
"""So many of the questions that wait are looked at."""

HERE_S = 3_600.0
"""Who answered so lately is here."""

PRIOR_RIGHT, PRIOR_N = 0.8, 4
CLASS_PRIOR_N = 10
"""A person's rate over all classes weighs as much as so many comparisons at one class."""

_CHANCE = Chance(0)


class Comparisons(NamedTuple):
    """How often somebody named the label that others named too, or the truth of a gold question.

    Of `n` comparisons, and by that label or truth; each the number, and how many they named.
    """

    n: int
    right_n: int
    by_class: Mapping[str, tuple[int, int]] = {}


Known = Mapping[str, Comparisons]
"""By person, what is known of how good they are."""


class Rates(NamedTuple):
    """How often somebody is likely to be right: over all classes, and at each that is known."""

    overall: float
    by_class: Mapping[str, float]


def rates_of(person: Comparisons) -> Rates:
    """What comparisons tell of how often somebody is right, from 0 to 1.

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
    """How likely somebody is right about a question whose classes are so likely, from 0 to 1.

    The rates are averaged by the model's guess; without one it is that over all.

    >>> rates = Rates(0.75, {"ham": 0.9, "spam": 0.6})
    >>> guesses = {}, {"ham": 1.0}, {"ham": 0.5, "spam": 0.5}
    >>> [round(reliability_of(rates, guess), 2) for guess in guesses]
    [0.75, 0.9, 0.75]
    """
    total = sum(guess.values())
    if not total:
        return rates.overall
    found = (p * rates.by_class.get(label, rates.overall) for label, p in guess.items())
    return sum(found) / total


def difficulty_of(request: LabelRequested) -> float:
    """How hard a question is taken to be, from 0 to 1: 1 where people have differed about it.

    Else what the model's guess lacks to being sure; without a guess the most.
    """
    if is_further(request.request_id) or request.opinion_n > 1 or not request.prediction:
        return 1.0
    return 1.0 - max(request.prediction.values())


def is_as_they_come(person: str, turn: int, share: float) -> bool:
    """Whether chance gives this person the first question that waits, and not the one for them.

    `share` is that of the questions given by expertise; each `turn` has luck of its own.
    """
    return _CHANCE.uniform("routing", f"{turn} {person}") >= share


def choose_suited(
    person: str, waiting: Sequence[LabelRequested], here: Sequence[str], known: Known
) -> int | None:
    """The number of the question for this person: as far up among the hard ones as they are among
    those `here`; of several the first.

    `waiting` are the questions in the order in which they would be given, at least one. None where
    the person is not known, or nobody else who is here: then there is nothing to go by.
    """
    people = {
        one: rates_of(known[one])
        for one in sorted({person, *here})
        if one in known and known[one].n >= KNOWN_N
    }
    if person not in people or len(people) < 2:
        return None
    difficulties = [difficulty_of(one) for one in waiting]
    order, last = sorted(difficulties), max(1, len(waiting) - 1)
    best, nearest = 0, math.inf
    for i, (one, difficulty) in enumerate(zip(waiting, difficulties, strict=True)):
        place = _place_of(person, people, one.prediction) * last
        # Questions that are as hard stand in several places.
        easier_n = bisect_left(order, difficulty)
        harder = bisect_right(order, difficulty) - 1
        distance = max(easier_n - place, place - harder, 0.0)
        if distance < nearest - 1e-9:
            best, nearest = i, distance
    return best


def _place_of(person: str, people: Mapping[str, Rates], guess: Mapping[str, float]) -> float:
    """Where this person stands among at least two: 0 is right least often, 1 most often."""
    order = sorted((reliability_of(rates, guess), one) for one, rates in people.items())
    return order.index((reliability_of(people[person], guess), person)) / (len(order) - 1)


def rank_of(request: LabelRequested) -> float:
    """What is asked first: draws at random in their order, then the others by their utility.

    Or by their priority, where open questions are scored again. By draws at random the accuracy is
    told, as far as all that came before are answered.
    """
    if request.reason not in DRAWN_AT_RANDOM and (request.priority or not request.judges):
        return request.priority
    return RANDOM_FIRST if request.reason in DRAWN_AT_RANDOM else min(request.utility, RANDOM_FIRST)
