"""Accounts of a budget where labels are not all alike: by period, by latest events, by price.

They stand beside those of `budgets`, in billionths of a label, and the lowest balance decides. No
label costs more than one whole label, so that an account with one in hand can pay for any request.
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
from ..settings.query import BudgetSettings, dearest_price

LABEL = 1_000_000_000
MILLION = 1_000_000
WINDOW_MAX = 100_000

HELD_MAX = 100_000
"""At most this many labels wait for their price; the oldest beyond that stay at the dearest."""


class Total(NamedTuple):
    """The labels and the money, in millionths, that are spent in all, or may be."""

    labels_n: int = 0
    money: int = 0


NOTHING = Total()


class AskedLabel(NamedTuple):
    """What is known of a label when it is paid for: the class predicted, and the doubt, 0 to 1."""

    request_id: str
    predicted: str
    doubt: float


@runtime_checkable
class OwnBooks(Protocol):
    """The further methods of an `Account` that books each label by itself, at its own price."""

    def charge(self, asked: AskedLabel | None) -> None:
        """Pay for a label that is asked; `asked` is None where nothing is known of it."""

    def settle(self, request_id: str, label: str, by: Sequence[str]) -> None:
        """Note the first label of a request, by these annotators; "" is one without a name."""

    def refund(self, request_id: str, asked_before_n: int | None) -> None:
        """Pay back a request that ended for good without a label, asked so many events ago."""


def keeps_own_books(account: object) -> TypeGuard[OwnBooks]:
    """Whether the account books by itself.

    The type is checked, once: for an object Python would look every method up anew.
    """
    kind: Any = type(account)
    return _are_own_books(kind)


@lru_cache(maxsize=256)
def _are_own_books(kind: type) -> bool:
    return issubclass(kind, OwnBooks)


def require_numbers(**values: object) -> None:
    """Raise `BadSettings` for a value that is not a finite number, with its name.

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
    """A number of labels per period, such as a day; a share of the rest is carried over.

    Periods begin at the epoch and each `period_s` seconds after it. A label is carried over once at
    most: there are never more than `labels * (1 + carry_over)`. Refunds count in the period in
    which they come.

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
            # A clock that was set back repeats a period, whose labels were granted already.
            return
        whole = self.labels * LABEL
        is_next = self._period is not None and period == self._period + 1
        # Before the first event, and in a period that went by without one, nothing was spent.
        rest = min(self.balance, whole) if is_next else whole
        carried = round(self.carry_over * LABEL) * max(0, rest) // LABEL
        self._most = self.balance = whole + carried
        self._period = period

    def set_anew(self, now: float) -> None:
        """Set a wrong clock right, to `now` in seconds: the balance stays.

        Before the first period nothing was granted yet; `time_passed` does that.
        """
        if self._period is not None:
            self._period = math.floor(now / self.period_s)

    def charge(self, asked: AskedLabel | None) -> None:
        self.balance -= LABEL

    def settle(self, request_id: str, label: str, by: Sequence[str]) -> None:
        """All labels cost the same."""

    def refund(self, request_id: str, asked_before_n: int | None) -> None:
        """Give one label back, up to what the period was granted."""
        self.balance = min(self._most, self.balance + LABEL)

    def labels_per_event(self, gap_s: float) -> float:
        return min(1.0, self.labels * gap_s / self.period_s)


class Forgetting:
    """A share of about the `window_n` latest events, by an estimate that forgets.

    With each event u <- u * (w - 1) / w, with each label u <- u + 1, and a label may be asked while
    u / w is below the share (Zliobaite et al., "Active learning with drifting streaming data",
    TNNLS 25(1), 2014, eq. 1). Labels not spent long ago are not saved up, which bounds bursts.
    u / w stays below share + 1 / w; over a long stream the paper's rule spends a few per cent more
    than the share, so set `Share` beside it.

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
        """The highest u with which a label may be asked, plus that label, in billionths."""
        return round(self.share * self.window_n * LABEL) - 1 + LABEL

    def events_passed(self, n: int) -> None:
        # Whole numbers, event by event: the same at any batching. After some time u is 0.
        spent = self._allowed - self.balance
        for _ in range(n):
            if spent <= 0:
                break
            spent = spent * (self.window_n - 1) // self.window_n
        self.balance = self._allowed - spent

    def time_passed(self, now: float) -> None:
        """Time earns nothing here."""

    def charge(self, asked: AskedLabel | None) -> None:
        self.balance -= LABEL

    def settle(self, request_id: str, label: str, by: Sequence[str]) -> None:
        """All labels cost the same."""

    def refund(self, request_id: str, asked_before_n: int | None) -> None:
        """Give back what u still has of a label that was asked so many events ago."""
        if asked_before_n is not None:
            rest = math.floor(LABEL * (1.0 - 1.0 / self.window_n) ** asked_before_n)
            self.balance = min(self._allowed, self.balance + rest)

    def labels_per_event(self, gap_s: float) -> float:
        return self.share


class Money:
    """A total of money, ever, where labels have prices.

    - `money`: all that may be spent;
    - `price`: the price of a label, `by_class`: that of a label of some class;
    - `by_annotator`: the factor for a label by this annotator; several annotators share the price,
      and the factor is the mean of theirs;
    - `doubt_factor`: the factor for the event that the model doubts most, as hard ones take longer;
      for an event that it does not doubt it is 1.

    When a label is asked neither its class nor its annotators are known: the highest price is held
    back, and the difference comes back with the label. So no more is spent than there is, however
    late an answer comes. Money is counted in whole millionths: `limit` is the total, `spent` what
    is paid or held back. Raises `BadSettings` for prices that can't be used.

    >>> account = Money(100.0, price=2.0, by_class={"fraud": 5.0})
    >>> account.balance // LABEL
    20
    >>> account.charge(AskedLabel("r1", "fine", 0.0)); account.left
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
        for name, value in prices.items():
            if not value > 0:
                raise BadSettings(f"{name} is {value}; must be above 0")
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
        # By request without a label: the money held back, and the factor of its doubt.
        self._held: dict[str, tuple[int, float]] = {}
        self.set_total(in_millionths(money), 0)

    STATE_VERSION: ClassVar[int] = 3

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before 2 all annotators had one price; before 3 it counted parts of the dearest label."""
        dearest = fields["dearest"]
        held = {
            name: (math.ceil(labels / LABEL * dearest * MILLION), factor)
            for name, (labels, factor) in fields["_held"].items()
        }
        rest = math.floor(fields["balance"] / LABEL * dearest * MILLION)
        now = {"dearest": in_millionths(dearest), "limit": rest, "spent": 0, "_held": held}
        return {"by_annotator": {}} | fields | now

    def set_total(self, limit: int, spent: int) -> None:
        """Set the total, and how much of it is spent, in millionths."""
        self.limit, self.spent = limit, spent
        self._spend_money(0)

    def _spend_money(self, money: int) -> None:
        self.spent += money
        self.balance = (self.limit - self.spent) * LABEL // self.dearest

    @property
    def _dearest_price(self) -> float:
        """The price of a label of the dearest class by the dearest annotator."""
        return dearest_price(self.default, self.by_class, self.by_annotator)

    @property
    def left(self) -> float:
        """The money that may still be spent."""
        return (self.limit - self.spent) / MILLION

    def events_passed(self, n: int) -> None:
        """A total does not grow."""

    def time_passed(self, now: float) -> None:
        """A total does not grow."""

    def labels_per_event(self, gap_s: float) -> None:
        return None

    def charge(self, asked: AskedLabel | None) -> None:
        if asked is None:
            self._spend_money(self.dearest)
            return
        factor = 1.0 + (self.doubt_factor - 1.0) * min(1.0, max(0.0, asked.doubt))
        held = self._cost_of(self._dearest_price, factor)
        self._spend_money(held)
        self._held[asked.request_id] = (held, factor)
        if len(self._held) > HELD_MAX:
            del self._held[next(iter(self._held))]

    def settle(self, request_id: str, label: str, by: Sequence[str]) -> None:
        """Give back by how much the label costs less than the price that was held back."""
        if request_id in self._held:
            held, factor = self._held.pop(request_id)
            price = self.by_class.get(label, self.default) * self._factor_of(by)
            self._spend_money(self._cost_of(price, factor) - held)

    def expect_costs(
        self, probabilities: NDArray[np.float64], classes: Sequence[str]
    ) -> NDArray[np.float64]:
        """Return the expected price of a label of each of n events, in money, shape (n,).

        It follows from the probabilities of the classes, shape (n, k), and from the doubt, as when
        the label is asked; factors of annotators are left out, as nobody knows who will answer.
        Each row is independent of the others.

        >>> account = Money(100.0, price=2.0, by_class={"fraud": 5.0}, doubt_factor=2.0)
        >>> account.expect_costs(np.array([[1.0, 0.0], [0.5, 0.5]]), ["fine", "fraud"]).tolist()
        [2.0, 7.0]
        """
        n, k = probabilities.shape
        if not k:
            return np.full(n, self.default * self.doubt_factor)
        price, rest = np.zeros(n), np.ones(n)
        for i, name in enumerate(classes[:k]):
            price += probabilities[:, i] * self.by_class.get(name, self.default)
            rest -= probabilities[:, i]
        # What the probabilities lack to 1 may be any class.
        price += np.maximum(rest, 0.0) * self.default
        best = probabilities.max(axis=1)
        doubt = (1.0 - best) / (1.0 - 1.0 / k) if k > 1 else np.ones(n)
        return np.asarray(price * (1.0 + (self.doubt_factor - 1.0) * np.clip(doubt, 0.0, 1.0)))

    def _factor_of(self, by: Sequence[str]) -> float:
        """Return the mean factor of these annotators; one without a name counts as the dearest."""
        known = {"": max([1.0, *self.by_annotator.values()]), **self.by_annotator}
        return math.fsum(known.get(who, 1.0) for who in by or ("",)) / max(1, len(by))

    def refund(self, request_id: str, asked_before_n: int | None) -> None:
        """Give back all that was held for the request; nothing if it is no longer known."""
        self._spend_money(-self._held.pop(request_id, (0, 1.0))[0])

    def _cost_of(self, price: float, factor: float) -> int:
        return min(self.dearest, in_millionths(price * factor))


def in_millionths(money: float) -> int:
    """Return money in whole millionths, at least one if it is above 0.

    >>> in_millionths(0.29), in_millionths(1e-9), in_millionths(0.0)
    (290000, 1, 0)
    """
    return max(round(money * MILLION), 1 if money > 0 else 0)


def money_of(settings: BudgetSettings, money: float) -> Money:
    """Return an account of this much money, with the prices that the settings give."""
    return Money(
        money,
        price=settings.price,
        by_class=settings.price_by_class,
        by_annotator=settings.price_by_annotator,
        doubt_factor=settings.price_doubt,
    )
