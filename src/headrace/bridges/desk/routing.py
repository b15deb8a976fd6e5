"""Which question suits whom: hard ones go to who is right most often, easy ones to the others.

What is known of people is how often they named the label that others named too, as the run tells
it. What is known of a question is how far the model is from being sure of it, and whether people
have differed about it. Of the first few questions that wait, the hardest is for the person who is
right most often of those who are here, the easiest for the one who is so least often, and those
between for those between. The mean chance of a right answer is largest by such pairs where it is
a concave function of skill less difficulty, as a logistic one is above a half: then a step of skill
is worth most where the question is hardest.

A share of the questions is given as they come, by chance: so everybody's answers tell how good they
are on all of them, no question waits for somebody who is away, and who is taken to be worse than
they are is found out. Who is not known yet gets all of theirs as they come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...chance import Chance
from ...messages import LabelRequested
from ...request_ids import is_further

KNOWN_N = 20
"""Compared answers from which somebody is known."""

WAITING_N = 20
"""So many of the questions that wait are looked at."""

HERE_S = 3_600.0
"""Who answered so lately is here."""

PRIOR_RIGHT, PRIOR_N = 0.8, 4
_CHANCE = Chance(0)

Known = Mapping[str, tuple[int, int]]
"""By person: the answers compared with a label that others gave too, and those that named it."""


def place_of(person: str, here: Sequence[str], known: Known) -> float | None:
    """Where this person stands among those here: 0 is right least often, 1 most often.

    None where they are not known, or nobody else is: then there is nothing to go by.

    >>> known = {"ann": (50, 45), "bob": (50, 30), "cyd": (50, 40), "new": (3, 3)}
    >>> [place_of(one, ["ann", "bob", "cyd"], known) for one in ("ann", "bob", "cyd", "new")]
    [1.0, 0.0, 0.5, None]
    """
    right = {
        one: (agreed_n + PRIOR_N * PRIOR_RIGHT) / (compared_n + PRIOR_N)
        for one, (compared_n, agreed_n) in known.items()
        if compared_n >= KNOWN_N and (one == person or one in here)
    }
    if person not in right or len(right) < 2:
        return None
    order = sorted(right, key=lambda one: (right[one], one))
    return order.index(person) / (len(order) - 1)


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


def suited(waiting: Sequence[LabelRequested], place: float) -> int:
    """The number of the question for somebody who stands there; the first of those as hard.

    `waiting` are the questions in the order in which they would be given, at least one.
    """
    order = sorted(range(len(waiting)), key=lambda i: (difficulty_of(waiting[i]), i))
    wanted = difficulty_of(waiting[order[round(place * (len(order) - 1))]])
    return next(i for i in range(len(waiting)) if difficulty_of(waiting[i]) == wanted)
