"""Accounts of a budget where labels are not all alike: by period, by latest events, by price.

Each stands beside those of `budgets`, in billionths of a label, and the poorest decides. A label
counts for one at most, so that whoever has a whole one in hand can pay whatever is asked.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, Protocol, TypeGuard, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..errors import BadSettings
from ..settings.query import dearest_price

LABEL = 1_000_000_000
MILLION = 1_000_000
WINDOW_MAX = 100_000

HELD_MAX = 100_000
"""Labels whose price waits for their class at most; the oldest then stays at the dearest."""


class Total(NamedTuple):
    """Labels and money, in millionths, that are spent in all, or may be."""

    labels_n: int = 0
    money: int = 0


NOTHING = Total()


class Asked(NamedTuple):
    """What is known of a label when it is paid: the class predicted, and the doubt, 0 to 1."""

    request_id: str
    predicted: str
    doubt: float


@runtime_checkable
class OwnBooks(Protocol):
    """An account that books labels by itself, because they are not all alike; beside `Account`."""

    def charge(self, asked: Asked | None) -> None:
        """A label was asked; None where nothing is known of it."""

    def settle(self, request_id: str, label: str, by: Sequence[str]) -> None:
        """The first label of a request came, by these annotators; "" is one without a name."""

    def refund(self, request_id: str, asked_before_n: int | None) -> None:
        """A request, asked so many events ago, ended for good without a label."""


def keeps_own_books(account: object) -> TypeGuard[OwnBooks]:
    """Whether the account books by itself.

    Its type is asked, once: of an object Python looks every method up anew.
    """
    kind: Any = type(account)
    return _are_own_books(kind)


@lru_cache(maxsize=256)
def _are_own_books(kind: type) -> bool:
    return issubclass(kind, OwnBooks)


def require_numbers(**values: object) -> None:
    """Raise `BadSettings` for a value that is no finite number, by its name.

    >>> require_numbers(share="5 %")
    Traceback (most recent call last):
    headrace.errors.BadSettings: share is '5 %'; must be a number
    """
    for name, value in values.items():
        if (
            isinstance(value, bool)
            or not isinstance(value, numbers.Real)
            or not math.isfinite(float(value))
        ):
            raise BadSettings(f"{name} is {value!r}; must be a number")


class PerPeriod:
    """So many labels a period, such as a day; of what is left a share goes over to the next.

    Periods begin at the epoch and each `period_s` seconds after it. What went over never goes over
    again: no more than `labels * (1 + carry_over)` are there at once. What is paid back counts in
    the period in which it comes back.

    >>> account = PerPeriod(10, period_s=86_400, carry_over=0.5)
    >>> account.time_passed(0.0); account.balance / 1e9
    15.0
    >>> for _ in range(4): account.charge(None)
    >>> account.time_passed(86_400.0); account.balance / 1e9
    15.0
    >>> for _ in range(12): account.charge(None)
    >>> account.time_passed(172_800.0); account.balance / 1e9
    11.5
    """

    def __init__(self, labels: int, *, period_s: float, carry_over: float = 0.0) -> None:
        require_numbers(labels=labels, period_s=period_s, carry_over=carry_over)
        if labels < 0:
            raise BadSettings(f"the labels of a period are {labels}; must be at least 0")
        if not period_s > 0:
            raise BadSettings(f"a period is {period_s} s; must be above 0")
        if not 0 <= carry_over <= 1:
            raise BadSettings(f"the share that goes over is {carry_over}; must be from 0 to 1")
        self.labels = labels
        self.period_s = period_s
        self.carry_over = carry_over
        self.balance = 0
        self._most = labels * LABEL
        self._period: int | None = None

    def events_passed(self, n: int) -> None:
        """Events earn nothing here."""

    def time_passed(self, now: float) -> None:
        period = math.floor(now / self.period_s)
        if self._period is not None and period <= self._period:
            # A clock that was set back repeats a period, whose labels were given out already.
            return
        whole = self.labels * LABEL
        is_next = self._period is not None and period == self._period + 1
        # Before the first event, and in a period that went by without one, nothing was spent.
        left = min(self.balance, whole) if is_next else whole
        over = round(self.carry_over * LABEL) * max(0, left) // LABEL
        self._most = self.balance = whole + over
        self._period = period

    def set_anew(self, now: float) -> None:
        """It is `now`, and was never what was said before: what is left is left.

        Before the first period has begun nothing was given out yet, and `time_passed` does.
        """
        if self._period is not None:
            self._period = math.floor(now / self.period_s)

    def charge(self, asked: Asked | None) -> None:
        self.balance -= LABEL

    def settle(self, request_id: str, label: str, by: Sequence[str]) -> None:
        """All labels cost the same."""

    def refund(self, request_id: str, asked_before_n: int | None) -> None:
        """One label comes back, up to what the period was given."""
        self.balance = min(self._most, self.balance + LABEL)

    def labels_per_event(self, gap_s: float) -> float:
        return min(1.0, self.labels * gap_s / self.period_s)


class Forgetting:
    """A share of about the `window_n` latest events, by an estimate that forgets.

    With each event u <- u * (w - 1) / w, with each label u <- u + 1, and one may be asked while
    u / w is below the share (Zliobaite et al., "Active learning with drifting streaming data",
    TNNLS 25(1), 2014, eq. 1). What was not spent long ago is not saved up: it bounds bursts. The
    estimate ends below share + 1 / w; over a long stream the paper's rule spends a few per cent
    more than the share, so set `Share` beside it.

    >>> account = Forgetting(0.05, window_n=100)
    >>> account.events_passed(1); account.balance // LABEL
    5
    """

    def __init__(self, share: float, *, window_n: int = 100) -> None:
        require_numbers(share=share, window_n=window_n)
        if not 0 < share <= 1:
            raise BadSettings(f"the share is {share}; must be above 0 and at most 1")
        if not 1 <= window_n <= WINDOW_MAX:
            raise BadSettings(f"the window is {window_n} events; must be 1 to {WINDOW_MAX}")
        self.share = share
        self.window_n = window_n
        self.balance = self._allowed

    @property
    def _allowed(self) -> int:
        """The highest u, in billionths, with which one more label may be asked, and that label."""
        return round(self.share * self.window_n * LABEL) - 1 + LABEL

    def events_passed(self, n: int) -> None:
        # Whole numbers, event by event: the same at any batching. Nothing is left after some time.
        spent = self._allowed - self.balance
        for _ in range(n):
            if spent <= 0:
                break
            spent = spent * (self.window_n - 1) // self.window_n
        self.balance = self._allowed - spent

    def time_passed(self, now: float) -> None:
        """Time earns nothing here."""

    def charge(self, asked: Asked | None) -> None:
        self.balance -= LABEL

    def settle(self, request_id: str, label: str, by: Sequence[str]) -> None:
        """All labels cost the same."""

    def refund(self, request_id: str, asked_before_n: int | None) -> None:
        """What is left of a label that was asked so many events ago comes back."""
        if asked_before_n is not None:
            left = math.floor(LABEL * (1.0 - 1.0 / self.window_n) ** asked_before_n)
            self.balance = min(self._allowed, self.balance + left)

    def labels_per_event(self, gap_s: float) -> float:
        return self.share


class Money:
    """A total of money, ever, where labels have prices.

    `price` is that of a label, `by_class` that of a label of a class, and the price of an event is
    up to `doubt_factor` times that for the event that the model doubts most: what is hard takes
    longer. A label by somebody `by_annotator` costs so many times as much; one by several is shared
    between them alike, which is the mean of theirs. When a label is asked neither its class nor its
    annotators are known: the dearest is held back, and what was too much comes back with the label.
    So what is spent is never more than there is, whoever answers late.

    Money is counted in whole millionths: `limit` is what there is in all, `spent` what is paid or
    held back.

    >>> account = Money(100.0, price=2.0, by_class={"fraud": 5.0})
    >>> account.balance // LABEL
    20
    >>> account.charge(Asked("r1", "fine", 0.0)); account.left
    95.0
    >>> account.settle("r1", "fine", ["ada"]); account.left
    98.0
    """

    def __init__(
        self,
        money: float,
        *,
        price: float,
        by_class: Mapping[str, float] | None = None,
        by_annotator: Mapping[str, float] | None = None,
        doubt_factor: float = 1.0,
    ) -> None:
        prices = {"price": price, **{f"the price of {c!r}": p for c, p in (by_class or {}).items()}}
        prices |= {f"the factor of {who!r}": f for who, f in (by_annotator or {}).items()}
        require_numbers(money=money, doubt_factor=doubt_factor, **prices)
        for name, one in prices.items():
            if not one > 0:
                raise BadSettings(f"{name} is {one}; must be above 0")
        if not money >= 0 or not doubt_factor >= 1:
            raise BadSettings(
                f"the money is {money} and the factor of doubt {doubt_factor}; must be at least 0 "
                "and at least 1"
            )
        self.default = price
        self.by_class = dict(by_class or {})
        self.by_annotator = dict(by_annotator or {})
        self.doubt_factor = doubt_factor
        self.dearest = in_millionths(self._dearest_price * doubt_factor)
        # What is held for requests whose label has not come, and how hard each is.
        self._held: dict[str, tuple[int, float]] = {}
        self.set_total(in_millionths(money), 0)

    STATE_VERSION: ClassVar[int] = 3

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before 2 all annotators had one price; before 3 it counted parts of the dearest label."""
        dearest = fields["dearest"]
        held = {
            name: (math.ceil(one / LABEL * dearest * MILLION), factor)
            for name, (one, factor) in fields["_held"].items()
        }
        left = math.floor(fields["balance"] / LABEL * dearest * MILLION)
        now = {"dearest": in_millionths(dearest), "limit": left, "spent": 0, "_held": held}
        return {"by_annotator": {}} | fields | now

    def set_total(self, limit: int, spent: int) -> None:
        """So much there is in all, and so much of it is spent; in millionths."""
        self.limit, self.spent = limit, spent
        self._spend_money(0)

    def _spend_money(self, money: int) -> None:
        self.spent += money
        self.balance = (self.limit - self.spent) * LABEL // self.dearest

    @property
    def _dearest_price(self) -> float:
        """What a label costs of the dearest class, by the dearest annotator."""
        return dearest_price(self.default, self.by_class, self.by_annotator)

    @property
    def _dearest_factor(self) -> float:
        return max([1.0, *self.by_annotator.values()])

    @property
    def left(self) -> float:
        """What is there to spend, in money."""
        return (self.limit - self.spent) / MILLION

    def events_passed(self, n: int) -> None:
        """A total does not grow."""

    def time_passed(self, now: float) -> None:
        """A total does not grow."""

    def labels_per_event(self, gap_s: float) -> None:
        return None

    def charge(self, asked: Asked | None) -> None:
        if asked is None:
            self._spend_money(self.dearest)
            return
        factor = 1.0 + (self.doubt_factor - 1.0) * min(1.0, max(0.0, asked.doubt))
        held = self._cost(self._dearest_price, factor)
        self._spend_money(held)
        self._held[asked.request_id] = (held, factor)
        if len(self._held) > HELD_MAX:
            del self._held[next(iter(self._held))]

    def settle(self, request_id: str, label: str, by: Sequence[str]) -> None:
        """What the label costs less than the dearest, by its class and annotators, comes back."""
        if request_id in self._held:
            held, factor = self._held.pop(request_id)
            price = self.by_class.get(label, self.default) * self._factor_of(by)
            self._spend_money(self._cost(price, factor) - held)

    def expected(
        self, probabilities: NDArray[np.float64], classes: Sequence[str]
    ) -> NDArray[np.float64]:
        """What a label of each of n events is expected to cost, in money, shape (n,).

        By the probability (n, k) of each class and by the doubt, the same as when it is asked; who
        will answer is not known, and a price by annotator is left out. Each row is by itself.

        >>> account = Money(100.0, price=2.0, by_class={"fraud": 5.0}, doubt_factor=2.0)
        >>> account.expected(np.array([[1.0, 0.0], [0.5, 0.5]]), ["fine", "fraud"]).tolist()
        [2.0, 7.0]
        """
        n, k = probabilities.shape
        if not k:
            return np.full(n, self.default * self.doubt_factor)
        price, rest = np.zeros(n), np.ones(n)
        for i, name in enumerate(classes[:k]):
            price += probabilities[:, i] * self.by_class.get(name, self.default)
            rest -= probabilities[:, i]
        # Where no class was known yet it may be any.
        price += np.maximum(rest, 0.0) * self.default
        best = probabilities.max(axis=1)
        doubt = (1.0 - best) / (1.0 - 1.0 / k) if k > 1 else np.ones(n)
        return np.asarray(price * (1.0 + (self.doubt_factor - 1.0) * np.clip(doubt, 0.0, 1.0)))

    def _factor_of(self, by: Sequence[str]) -> float:
        """The mean over those who answered; one without a name may have been the dearest."""
        known = {"": self._dearest_factor, **self.by_annotator}
        return math.fsum(known.get(who, 1.0) for who in by or ("",)) / max(1, len(by))

    def refund(self, request_id: str, asked_before_n: int | None) -> None:
        """All that was held comes back; of what is not known any more, nothing."""
        self._spend_money(-self._held.pop(request_id, (0, 1.0))[0])

    def _cost(self, price: float, factor: float) -> int:
        return min(self.dearest, in_millionths(price * factor))


def in_millionths(money: float) -> int:
    """Money in whole millionths, at least one of what is not nothing.

    >>> in_millionths(0.29), in_millionths(1e-9), in_millionths(0.0)
    (290000, 1, 0)
    """
    return max(round(money * MILLION), 1 if money > 0 else 0)
