"""The contract of rules that ask on arrival, as a check to call from your own tests."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..chance import Chance
from ..errors import BadSettings
from ..query.budgets import Budget, Share
from ..query.online import ONE
from ..query.pool import Pool
from ..query.ruled import RuledArrivals
from ..query.rules.rule import Arriving, Draw, Rule
from .claims import claim

SHARE = 0.25
CONTROL_SHARE = 0.25
SEEDS_N = 400
STANDARD_ERRORS = 5.0


def check_online(make: Callable[[], Rule]) -> None:
    """Check a rule that asks on arrival.

    Its probabilities must be from 0 to 1 for events with no class, one class or several, with
    missing values, sure and doubted, at rates from 0 to 1; it must not change the event. The same
    events in batches of any size must give the same draws, in a copy too, and after pickling it
    must go on where it was. Over many seeds each event must be asked as often as its propensity,
    which is never 0, and no stretch may cost more than was earned plus the four labels of debt that
    a draw may make.

    Args:
        make: Returns a new rule on each call.

    Raises:
        AssertionError: It breaks a rule; the text says which.

    >>> from headrace.query.rules import make_rule
    >>> check_online(lambda: make_rule("split", {}))
    >>> class Doubtful:
    ...     def chance(self, event): return 2.0 * event.doubt
    ...     def passed(self, event, draw): pass
    >>> check_online(Doubtful)
    Traceback (most recent call last):
    AssertionError: Doubtful gave an event the probability 1.6; must be from 0 to 1
    """
    name = type(make()).__name__
    claim(make() is not make(), f"{name} has to be made anew on each call")
    _check_odd_events(name, make)
    events = _make_pool(300)
    for k in (1, 2, 4):
        _check_batches(name, make, _with_classes(events, k))
    _check_frequencies(name, make, _with_classes(_make_pool(48), 3))


# ------------------------------------------------------------------------------ event by event


def _check_odd_events(name: str, make: Callable[[], Rule]) -> None:
    """Check events as they come at the start, and with probabilities of an overconfident model."""
    rule = make()
    for turn, rate in enumerate([0.0, 0.05, 1.0, 0.0, 0.3, 0.01] * 8):
        for k in (0, 1, 2, 5):
            event = _make_arrival(turn, k, rate)
            before = pickle.dumps(event)
            luck = Chance(2).uniform("luck", f"{turn}/{k}")
            try:
                with np.errstate(all="ignore"):
                    p = rule.chance(event)
                is_number = isinstance(p, int | float) and 0.0 <= p <= 1.0
                fault = f"{name} gave an event the probability {p!r}; must be from 0 to 1"
                claim(is_number, fault)
                rule.passed(event, Draw(luck, luck < p, luck < p))
            except AssertionError:
                raise
            except Exception as error:
                raise AssertionError(
                    f"{name} failed on an event of {k} classes: {type(error).__name__}: {error}"
                ) from error
            claim(pickle.dumps(event) == before, f"{name} changed an event of {k} classes")


def _make_arrival(turn: int, k: int, rate: float) -> Arriving:
    p = np.zeros(k)
    if k:
        kinds = [np.full(k, 1.0 / k), np.eye(k)[0], np.linspace(1.0, 2.0, k)]
        p = kinds[turn % 3] / kinds[turn % 3].sum()
    x = np.array([float(turn % 2), np.nan, 3.0, 1.0 if turn % 5 else np.nan])
    doubt = float(1.0 - p.max()) if k else 0.0
    # A feature that was unknown before appears in the middle.
    width = 4 if turn > 20 else 3
    is_category = np.array([False, False, False, True])[:width]
    members = np.stack([p, p[::-1]]) if turn % 2 else None
    return Arriving(doubt, p, x[:width], is_category, rate, members)


# ------------------------------------------------------------------------------- whole streams


@dataclass
class _Played:
    """The outcome of a stream: each event's propensity and whether it was asked, shapes (n,).

    `most_over` is by how many labels more was spent than earned, at most.
    """

    propensities: NDArray[np.float64]
    is_asked: NDArray[np.bool_]
    arrivals: RuledArrivals
    most_over: float

    def to_bytes(self) -> bytes:
        return self.propensities.tobytes() + self.is_asked.tobytes()


def _check_batches(name: str, make: Callable[[], Rule], events: Pool) -> None:
    k = events.probabilities.shape[1]
    subject = f"{name}, events of {k} classes:"
    whole = _play_rule(name, make(), events, sizes=[300])
    for sizes in ([1], [7, 1, 40], [64]):
        other = _play_rule(name, make(), events, sizes=sizes)
        claim(
            other.to_bytes() == whole.to_bytes(), f"{subject} batches of {sizes} decide otherwise"
        )
    copied = _play_rule(name, copy.deepcopy(make()), events, sizes=[300])
    claim(copied.to_bytes() == whole.to_bytes(), f"{subject} a copy decides otherwise")
    half = _play_rule(name, make(), events.take(np.arange(150)), sizes=[300])
    try:
        revived = pickle.loads(pickle.dumps(half.arrivals.rule))
    except Exception as error:
        raise AssertionError(f"{name} can't be pickled: {error}") from error
    rest = events.take(np.arange(150, 300))
    ends = [_play_rule(name, rule, rest, sizes=[150]) for rule in (half.arrivals.rule, revived)]
    claim(
        ends[0].to_bytes() == ends[1].to_bytes(),
        f"{subject} it forgets something when it is pickled",
    )
    over = f"{subject} it asked {whole.most_over:.1f} labels more than were earned"
    claim(whole.most_over <= 5.0, over)
    if k > 1:
        positive = bool((whole.propensities > 0.0).all())
        claim(positive, f"{subject} an event had no chance to be asked")


def _check_frequencies(name: str, make: Callable[[], Rule], events: Pool) -> None:
    """Check that each event's asked (0 or 1) less propensity is 0 on average over the seeds."""
    n = len(events)
    surprise, variance = np.zeros(n), np.zeros(n)
    for seed in range(SEEDS_N):
        played = _play_rule(name, make(), events, sizes=[n], seed=seed)
        p = played.propensities
        surprise += played.is_asked - p
        variance += p * (1.0 - p)
    is_off = np.abs(surprise) > STANDARD_ERRORS * np.sqrt(variance) + 1e-6 * SEEDS_N
    claim(
        not is_off.any(),
        f"{name} asks {int(is_off.sum())} of {n} events more or less often than it says",
    )


def _play_rule(name: str, rule: Rule, events: Pool, *, sizes: list[int], seed: int = 1) -> _Played:
    """Run the rule over the events as a shard does, in batches of these sizes in turn."""
    budget, chance = Budget([Share(SHARE)], reserve=0), Chance(seed)
    arrivals = RuledArrivals(name, rule, CONTROL_SHARE, chance)
    events = replace(events, keys=chance.keys(events.ids))
    n, k = events.probabilities.shape
    played = _Played(np.zeros(n), np.zeros(n, dtype=np.bool_), arrivals, 0.0)
    doubts = 1.0 - events.probabilities.max(axis=1, initial=0.0)
    start = turn = 0
    _aim_draw(arrivals, budget, k)
    while start < n:
        end = min(n, start + sizes[turn % len(sizes)])
        turn += 1
        while start < end:
            stop = min(end, start + arrivals.counted_n, start + budget.next_gap_n)
            part = events.take(np.arange(start, stop))
            try:
                look = arrivals.look_ahead(doubts[start:stop], part.keys, part)
            except BadSettings as error:
                raise AssertionError(str(error).removeprefix("query.arrival.rule ")) from error
            stop = start + look.n
            budget.events_passed(look.n, float(stop))
            drawn = arrivals.take_arrived(look, part.keys[: look.n])
            if look.walk is not None:
                played.propensities[start:stop] = look.walk.propensities
            if drawn is not None:
                played.is_asked[stop - 1] = True
                budget.charge()
            played.most_over = max(played.most_over, -budget.balance / ONE)
            if arrivals.is_due:
                _aim_draw(arrivals, budget, k)
            start = stop
    return played


def _aim_draw(arrivals: RuledArrivals, budget: Budget, k: int) -> None:
    known = {"labels_n": 100, "classes_n": k}
    arrivals.aim_draw(budget, open_n=0, room_n=10_000, waiting_n=0, **known)


def _make_pool(n: int) -> Pool:
    """Return events with numbers, a category and gaps; some are twins of the one before."""
    chance = Chance(11)
    ids = [f"event {i}" for i in range(n)]
    keys = chance.keys(ids)
    X = np.stack([chance.uniforms(f"x{j}", keys) for j in range(4)], axis=1)
    X[:, 3] = np.floor(3.0 * X[:, 3])
    X[::7, 0] = np.nan
    X[5::11] = X[4::11][: len(X[5::11])]
    is_category = np.array([False, False, False, True])
    return Pool(ids, keys, np.arange(n, dtype=np.float64), X, is_category, np.empty((n, 0)), 1)


def _with_classes(events: Pool, k: int) -> Pool:
    """Return the events with probabilities of k classes, and those by three members."""
    chance = Chance(12)
    draws = [chance.uniforms(f"p{j}", events.keys) for j in range(3 * k)]
    members = np.stack(draws, axis=1).reshape(len(events), 3, k).transpose(1, 0, 2) ** 3 + 1e-9
    members = members / members.sum(axis=2, keepdims=True)
    return replace(events, probabilities=members.mean(axis=0), members=members)
