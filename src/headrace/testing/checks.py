"""Contracts of the objects that a user may pass in, as checks to call from your own tests.

Each check raises `AssertionError` with a sentence that says what is broken. A check that passes
shows that the rules are kept in the cases tried here, and proves nothing about other cases; none
says whether a strategy is any good.
"""

from __future__ import annotations

import copy
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..chance import Chance
from ..errors import BadSettings
from ..learn.failures import describe_error
from ..learn.learner import Learner
from ..learn.many import METHOD, answers_many, call_many
from ..learn.models import as_model
from ..learn.models import check_model as check_fitness
from ..learn.presets import RiverClassifier
from ..messages import Event
from ..observe.decode import batch_of
from ..observe.drift.detectors import Detector
from ..observe.drift.detectors import check_detector as check_unfed
from ..observe.schema import Schema
from ..query.accounts import LABEL, AskedLabel, OwnBooks
from ..query.budgets import Account, Budget
from ..query.pool import Pool
from ..query.strategies import Strategy, needs_of
from ..query.strategies.mixed import Mixture
from ..query.strategies.state import Pick, keeps_state, tell_strategy
from ..settings import SchemaSettings
from .claims import claim
from .pools import make_pool, make_pools, with_more
from .spending import check_spending

CLASSES = ["fine", "fraud", "unseen"]


def check_strategy(strategy: Strategy) -> None:
    """Check a query strategy.

    Utilities must be finite, float and one a candidate, for pools of one to sixty candidates with
    no class, one class or several, with missing values and without. The strategy must not change
    the pool; the same pool must give the same bits, and candidates in another order the same
    utilities. Some pools have all parts in `pool.PARTS`, others none, or empty ones; a part that
    `needs` does not name must not be read. There is a pool without candidates, one without
    features, one whose candidates are all alike, one of twins.

    A strategy with state is tried new and after it was notified of questions, labels and drift: a
    copy and a pickled one must behave the same, calling it must not change its state, and after
    `forget_events` no feature of any event may be left.

    Args:
        strategy: A callable `(Pool, Chance) -> utilities`.

    Raises:
        AssertionError: It breaks a rule; the text says which.

    >>> from headrace.query.strategies.uncertainty import margin
    >>> check_strategy(margin)
    >>> check_strategy(lambda pool, chance: pool.probabilities[:, 0] / 0)
    Traceback (most recent call last):
    AssertionError: <lambda> failed on a pool of 1 candidates with 0 classes: IndexError: ...
    """
    name = getattr(strategy, "__name__", type(strategy).__name__)
    _check_utilities(name, strategy)
    if keeps_state(strategy):
        _check_state(name, strategy)


def _check_utilities(name: str, strategy: Strategy) -> None:
    for pool in make_pools():
        size = f"a pool of {len(pool)} candidates with {pool.probabilities.shape[1]} classes"
        before = pickle.dumps(pool)
        try:
            with np.errstate(all="ignore"):
                utilities = np.asarray(strategy(pool, Chance(1)), dtype=np.float64)
                again = np.asarray(strategy(pool, Chance(1)), dtype=np.float64)
        except Exception as error:
            raise AssertionError(
                f"{name} failed on {size}: {type(error).__name__}: {error}"
            ) from error
        claim(utilities.shape == (len(pool),), f"{name} gave shape {utilities.shape} for {size}")
        claim(bool(np.isfinite(utilities).all()), f"{name} gave a utility not finite for {size}")
        claim(pickle.dumps(pool) == before, f"{name} changed {size}")
        claim(utilities.tobytes() == again.tobytes(), f"{name} gave {size} two answers")
        needed = pool.alone(but=needs_of(strategy))
        less = np.asarray(strategy(needed, Chance(1)), dtype=np.float64)
        unsaid = f"{name} reads something of {size} that its needs do not name"
        claim(less.tobytes() == utilities.tobytes(), unsaid)
        turned = np.arange(len(pool))[::-1].copy()
        other = np.asarray(strategy(pool.take(turned), Chance(1)), dtype=np.float64)
        is_same = np.allclose(other, utilities[turned], rtol=0.0, atol=1e-12)
        claim(is_same, f"{name} lets the order of candidates decide, in {size}")


def _check_state(name: str, strategy: Strategy) -> None:
    """Check that only notifications change the state, that copies have it, and that it forgets."""
    pool = with_more(Chance(11), make_pool(Chance(11), 60, 3, 5))
    notified = copy.deepcopy(strategy)
    _tell_all(notified, pool, range(20))
    before = pickle.dumps(notified)
    _check_utilities(name, notified)
    claim(pickle.dumps(notified) == before, f"{name} changes when it is called")
    others = [copy.deepcopy(notified), pickle.loads(before)]
    for each in (notified, *others):
        _tell_all(each, pool, range(20, 40))
    utilities = np.asarray(notified(pool, Chance(1)))
    for other in others:
        is_same = np.asarray(other(pool, Chance(1))).tobytes() == utilities.tobytes()
        claim(is_same, f"{name} forgets something when it is copied or pickled")
    tell_strategy(notified, "forget_events")
    state_left = pickle.dumps(notified)
    numbers = pool.X[:40][~np.isnan(pool.X[:40])]
    # Whole numbers, such as codes of categories, may be in the pickle for other reasons.
    features = np.unique(numbers[numbers % 1.0 != 0.0]).tolist()
    # Arrays and plain numbers are pickled with different byte orders.
    is_left = any(struct.pack(order, x) in state_left for x in features for order in ("<d", ">d"))
    claim(not is_left, f"{name} still has features of events after forget_events")
    left_with = np.asarray(notified(pool, Chance(1)))
    claim(bool(np.isfinite(left_with).all()), f"{name} gave a utility not finite once it forgot")


def _tell_all(strategy: Strategy, pool: Pool, rows: range) -> None:
    """Notify a strategy that these rows were asked, and of most outcomes, in another order."""
    utilities = np.asarray(strategy(pool, Chance(1)))
    arms_n = len(strategy.shares) if isinstance(strategy, Mixture) else 0
    for row in rows:
        by_arm = tuple(0.1 * (1 + (row + arm) % 3) for arm in range(arms_n))
        of_row = int(pool.keys[row]), pool.X[row].copy(), float(utilities[row])
        tell_strategy(strategy, "asked", Pick(*of_row, 0.2, by_arm))
    for row in reversed(rows[::2]):
        tell_strategy(strategy, "labelled", int(pool.keys[row]), 0.25 * (row % 5))
    tell_strategy(strategy, "unanswered", int(pool.keys[rows[1]]))
    # An event that the strategy itself had not asked about.
    tell_strategy(strategy, "labelled", 7, 1.0)
    if rows.start:
        tell_strategy(strategy, "drifted")


def check_budget(make: Callable[[], Account]) -> None:
    """Check that a budget's account keeps exact books.

    Balances must be whole numbers of billionths of a label; events and time must earn the same in
    one call or in many; nothing earned may be lost; a label charged and refunded must leave no
    trace, and where labels cost different amounts none may cost more than one label, whenever its
    answer comes; a pickled account must go on as the original; its rate must be from 0 to 1.

    Then engines spend by the account, on arrival and in rounds, with people who answer in time,
    late or never, and with late answers taken and refused: at no time may more be spent than
    allowed or less be charged than may have to be paid, and control draw, rare class, drift and
    audits must each get their part (`spending`).

    Args:
        make: Returns a new account on each call.

    Raises:
        AssertionError: It breaks a rule; the text says which.

    >>> from headrace.query.budgets import Share
    >>> check_budget(lambda: Share(0.05))
    """
    name = type(make()).__name__
    claim(make() is not make(), f"{name} has to be made anew on each call")
    once, often = make(), make()
    for account in (once, often):
        account.time_passed(1_000.0)
    once.events_passed(60)
    once.time_passed(1_600.0)
    before = often.balance
    for i in range(60):
        often.events_passed(1)
        often.time_passed(1_000.0 + 10.0 * (i + 1))
        claim(type(often.balance) is int, f"{name} has a balance that is no whole number")
        claim(often.balance >= before, f"{name} lost money while events and time passed")
        before = often.balance
    claim(once.balance == often.balance, f"{name} earns by the number of calls")
    often.time_passed(1_600.0)
    claim(once.balance == often.balance, f"{name} earns for the same moment twice")
    rates = [once.labels_per_event(gap_s) for gap_s in (0.0, 1e-3, 1.0, 1e6)]
    fair = all(rate is None or 0.0 <= rate <= 1.0 for rate in rates)
    claim(fair, f"{name} has a rate of labels per event that is not from 0 to 1: {rates}")
    _check_books(name, once, often)
    check_spending(name, make)


def _check_books(name: str, account: Account, twin: Account) -> None:
    budget = Budget([account, _Plenty()], reserve=0)
    before = account.balance
    if isinstance(account, OwnBooks):
        for books in (account, twin):
            _check_own_books(name, books)
    else:
        budget.charge(3)
        claim(account.balance == before - 3 * LABEL, f"{name} does not pay what it is charged")
        budget.refund(3)
        claim(account.balance == before, f"{name} does not take back what is refunded")
    claim(budget.spent_n == 0, f"{name} upsets the count of what is spent")
    revived = pickle.loads(pickle.dumps(account))
    for each in (account, revived, twin):
        each.events_passed(7)
        each.time_passed(2_345.0)
    claim(revived.balance == account.balance, f"{name} forgets something when it is pickled")
    claim(twin.balance == account.balance, f"{name} remembers a refund")


def _check_own_books(name: str, account: Account) -> None:
    """Check an account whose labels cost different amounts: none may cost more than a whole one."""
    assert isinstance(account, OwnBooks)
    before = account.balance
    asked = [AskedLabel(f"r{i}", CLASSES[i % 3], i / 6) for i in range(7)]
    for label in asked:
        held = account.balance
        account.charge(label)
        claim(0 < held - account.balance <= LABEL, f"{name} takes no label, or more than one")
    for i, label in enumerate(asked[:3]):
        held = account.balance
        account.settle(label.request_id, label.predicted, ["ada", "ben"][:i])
        claim(0 <= account.balance - held < LABEL, f"{name} asks for more when a label comes")
    for label in asked[3:]:
        account.refund(label.request_id, 0)
    claim(account.balance < before, f"{name} gives back what was paid for")
    balance_left = account.balance
    account.settle("never asked", "fine", [])
    claim(account.balance == balance_left, f"{name} books a label that nobody asked for")


def check_detector(make: Callable[[], Detector]) -> None:
    """Check a drift detector.

    It must accept numbers from 0 to 1, with 0 and 1 among them; `drift_detected` must be true or
    false after each. The same numbers must give the same alarms, in a copy too, and after pickling
    it must go on where it was. On steady numbers it must be silent most of the time, and it must
    find a rise from one error in ten to nine in ten within 1,000 numbers.

    Args:
        make: Returns a new detector, without data, on each call.

    Raises:
        AssertionError: It breaks a rule; the text says which.

    >>> from river import drift
    >>> check_detector(drift.ADWIN)
    """
    name = type(make()).__name__
    claim(make() is not make(), f"{name} has to be made anew on each call")
    try:
        check_unfed(make(), name)
    except BadSettings as error:
        raise AssertionError(str(error)) from error
    steady = [float(Chance(3).uniform("steady", str(i)) < 0.1) for i in range(1_000)]
    risen = [float(Chance(3).uniform("risen", str(i)) < 0.9) for i in range(1_000)]
    between = [Chance(3).uniform("between", str(i)) for i in range(200)]
    alarms = _list_alarms(name, make(), between + steady)
    claim(sum(alarms) <= 60, f"{name} alarms {sum(alarms)} times in 1,200 steady numbers")
    first, unfed = make(), make()
    steady_alarms = _list_alarms(name, first, steady)
    claim(
        steady_alarms == _list_alarms(name, make(), steady),
        f"{name} finds another thing the second time",
    )
    claim(
        steady_alarms == _list_alarms(name, copy.deepcopy(unfed), steady),
        f"{name} is another when copied",
    )
    revived = pickle.loads(pickle.dumps(first))
    later = _list_alarms(name, first, risen)
    claim(
        later == _list_alarms(name, revived, risen), f"{name} forgets something when it is pickled"
    )
    claim(any(later), f"{name} does not find a rise of the errors from 0.1 to 0.9")


def _list_alarms(name: str, detector: Detector, numbers: list[float]) -> list[bool]:
    alarms = []
    for x in numbers:
        try:
            detector.update(x)
            is_drift = detector.drift_detected
        except Exception as error:
            raise AssertionError(
                f"{name} failed on {x}: {type(error).__name__}: {error}"
            ) from error
        is_yes_or_no = isinstance(is_drift, bool | np.bool_)
        claim(is_yes_or_no, f"{name}.drift_detected is {is_drift!r}; must be True or False")
        alarms.append(bool(is_drift))
    return alarms


class _Plenty:
    """An account with a rate, and more money than is ever spent."""

    def __init__(self) -> None:
        self.balance = 1 << 80

    def events_passed(self, n: int) -> None:
        """It has enough."""

    def time_passed(self, now: float) -> None:
        """It has enough."""

    def labels_per_event(self, gap_s: float) -> float:
        return 1.0


def check_model(make: Callable[[], RiverClassifier], *, in_two_processes: bool = True) -> None:
    """Check that a classifier can be used.

    It must be a classifier of river or scikit-learn with every seed set that can be cloned and
    pickled. Probabilities over three classes must sum to 1, whatever is missing or new; one row
    must give the same bits in any batch; the same examples must give the same model, here, after
    pickling and in two processes with different hash seeds. A `predict_proba_many` of the model's
    own must agree with its `predict_proba_one` to 1e-9.

    Args:
        make: Returns a new, unlearned model on each call.
        in_two_processes: Whether two processes are tried. For that `make` must be importable by its
            name from its module, and Python is started twice.

    Raises:
        AssertionError: It breaks a rule; the text says which.

    >>> from river import naive_bayes
    >>> check_model(naive_bayes.GaussianNB, in_two_processes=False)
    """
    model = as_model(make())
    try:
        check_fitness(model)
    except BadSettings as error:
        raise AssertionError(str(error)) from error
    name = type(model).__name__
    first, second = _teach_learner(make), _teach_learner(make)
    schema: Any = first.schema
    X = _make_rows(schema)
    scores = first.probabilities(X)
    claim(scores.shape == (len(X), 3), f"{name} gave probabilities of shape {scores.shape}")
    claim(bool(np.allclose(scores.sum(axis=1), 1.0)), f"{name}'s probabilities do not sum to 1")
    if answers_many(model):
        _check_many(name, first, X)
    singly = np.vstack([first.probabilities(X[i : i + 1]) for i in range(len(X))])
    claim(singly.tobytes() == scores.tobytes(), f"{name} answers by the size of the batch")
    claim(
        second.probabilities(X).tobytes() == scores.tobytes(),
        f"{name} learned the same examples to another model",
    )
    revived = pickle.loads(pickle.dumps(first))
    claim(
        revived.probabilities(X).tobytes() == scores.tobytes(), f"{name} is another after pickling"
    )
    unlearned = first.make_unlearned().probabilities(X)
    fresh = Learner(as_model(make()), schema).probabilities(X)
    claim(unlearned.tobytes() == fresh.tobytes(), f"{name}'s clone remembers what was learned")
    if in_two_processes:
        digests = [_run_elsewhere(make, hash_seed) for hash_seed in ("1", "2")]
        claim(digests[0] == digests[1], f"{name} depends on the hash seed of the process")


def _check_many(name: str, learner: Learner, X: NDArray[np.float64]) -> None:
    """Check that one call for many events answers each as `predict_proba_one` does."""
    schema, model = learner.schema, learner.model
    try:
        together = call_many(model, [schema.features(row) for row in X])
    except Exception as error:
        raise AssertionError(f"{name}'s {METHOD} failed: {describe_error(error)}") from error
    for row, answer in zip(X, together, strict=True):
        alone = model.predict_proba_one(schema.features(row)) or {}
        labels = {**alone, **answer}
        pairs = [(alone.get(label, 0.0), answer.get(label, 0.0)) for label in labels]
        is_same = all(abs(a - b) <= 1e-9 for a, b in pairs)
        claim(is_same, f"{METHOD} and predict_proba_one of {name} differ: {answer} and {alone}")


def fingerprint(make: Callable[[], RiverClassifier]) -> str:
    """Return a model's probabilities after the examples of `check_model`, as hexadecimal text."""
    learner = _teach_learner(make)
    schema: Any = learner.schema
    return learner.probabilities(_make_rows(schema)).tobytes().hex()


def _run_elsewhere(make: Callable[[], RiverClassifier], hash_seed: str) -> str:
    module, name = make.__module__, make.__qualname__
    code = (
        "import functools, importlib; from headrace.testing.checks import fingerprint; "
        f"module = importlib.import_module({module!r}); "
        f"print(fingerprint(functools.reduce(getattr, {name.split('.')!r}, module)))"
    )
    environment = {
        **os.environ,
        "PYTHONHASHSEED": hash_seed,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    command = [sys.executable, "-W", "ignore", "-c", code]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    claim(ended.returncode == 0, f"{module}:{name} failed in another process: {ended.stderr}")
    return ended.stdout


# ------------------------------------------------------------------------------- what is tried


def _make_events(n: int) -> list[Event]:
    chance = Chance(13)
    events = []
    for i in range(n):
        u, v = chance.uniform("u", str(i)), chance.uniform("v", str(i))
        features: dict[str, Any] = {"amount": 10.0 * u, "hour": float(int(24.0 * v))}
        features["place"] = ("here", "there", "elsewhere")[int(3.0 * u)]
        if i % 7 == 3:
            del features["amount"]
        if i > n // 2:
            features["new"] = u - v
        events.append(Event(id=str(i), at=float(i), features=features))
    return events


def _make_rows(schema: Schema, n: int = 40) -> NDArray[np.float64]:
    return schema.rows(batch_of(_make_events(n)))


def _teach_learner(make: Callable[[], RiverClassifier]) -> Learner:
    """Return a learner after eighty examples of two of three classes; the third is never seen.

    A model that can't learn texts gets numbers alone.
    """
    numbers = SchemaSettings(classes=CLASSES, features={"amount": "numeric", "hour": "numeric"})
    for settings in (SchemaSettings(classes=CLASSES), numbers):
        schema = Schema(settings)
        learner = Learner(as_model(make()), schema)
        for i, row in enumerate(_make_rows(schema, 80)):
            learner.learn(row, int(Chance(13).uniform("u", str(i)) > 0.6))
        if learner.unlearnable_n == 0:
            return learner
    name = type(learner.model).__name__
    raise AssertionError(f"{name} failed to learn {learner.unlearnable_n} of 80 plain examples")
