"""The accuracy with its 95 % interval, computed from sums over labels.

`evaluation` decides which predictions are judged, and when; here is only the arithmetic, which
docs/ACCURACY.md explains.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Protocol

import msgspec

from .anytime import Bets
from .intervals import Z, interval_of, raised_squares, variance_of, wilson
from .quality import Cells

ONE = 1 << 40
"""Guesses are added as integers of this unit, so that the order of addition does not matter."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Accuracy over the events numbered `from_seq` to `to_seq`, the latter not included.

    `low` and `high` are a 95 % interval. `naive` is the share right among the same labels as if
    they had been drawn blindly: for comparison, not to be trusted. `effective_n` is the number of
    blindly drawn labels that would weigh as much. Accuracies and bounds are `None` without a label;
    `from_seq` and `to_seq` are `None` for several streams together.
    """

    accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    labels_n: int = 0
    events_n: int = 0
    effective_n: float = 0.0
    naive: float | None = None
    naive_low: float | None = None
    naive_high: float | None = None
    from_seq: int | None = None
    to_seq: int | None = None


class Judged(Protocol):
    """A request whose label and propensity are both known."""

    guess: float
    confidence: float
    propensity: float | None
    is_right: bool | None
    label: str
    predicted: str


class Sums:
    """The sums over events and labels that an estimate is made of; two can be merged.

    The names of the sums are products of the letters `w`, the weight 1/p; `d`, the difference
    right - guess; and `v`, the expected square of d, guess (1 - guess). `cells` are for the
    measures by class, `bets` for an interval that holds at all times.
    """

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before version 2 expected squares were not summed: the observed ones replace them."""
        return fields | {"wv": fields["wdd"], "wwv": fields["wwdd"]}

    def __init__(self, bets: Bets | None = None) -> None:
        self.events_n = 0
        self.guess_sum = 0
        self.asked_n = 0
        self.labels_n = 0
        self.right_n = 0
        self.w = self.ww = 0.0
        self.wd = self.wdd = 0.0
        self.wwd = self.wwdd = 0.0
        self.wv = self.wwv = 0.0
        self.cells = Cells()
        self.bets = bets

    def add(self, request: Judged) -> None:
        assert request.propensity is not None
        w = 1.0 / request.propensity
        d = (1.0 if request.is_right else 0.0) - request.guess
        self.labels_n += 1
        self.right_n += bool(request.is_right)
        self.w += w
        self.ww += w * w
        self.wd += w * d
        self.wdd += w * d * d
        self.wwd += w * w * d
        self.wwdd += w * w * d * d
        v = request.guess * (1.0 - request.guess)
        self.wv += w * v
        self.wwv += w * w * v
        if self.bets is not None:
            self.bets.add(request.propensity, d)
        self.cells.add(request.label, request.predicted, w, request.confidence)

    def merge(self, other: Sums) -> None:
        for name, value in vars(other).items():
            if value is not None:
                own = getattr(self, name)
                setattr(self, name, value if own is None else own + value)


def estimate_of(sums: Sums, from_seq: int | None, to_seq: int | None) -> Estimate:
    """The estimate from the sums, for the events numbered `from_seq` to before `to_seq`."""
    if sums.labels_n == 0 or sums.events_n == 0:
        return Estimate(events_n=sums.events_n, from_seq=from_seq, to_seq=to_seq)
    shift = sums.wd / sums.w
    accuracy = min(1.0, max(0.0, sums.guess_sum / ONE / sums.events_n + shift))
    effective_n = sums.w * sums.w / sums.ww
    # A Poisson sample with inclusion p * q, q being the share of requests that have a label: the
    # variance is the sum of w (w - q) (d - shift)^2 over the labels, divided by the weights'
    # sum squared. Rounds choose a fixed number, which makes this a little too wide, never too
    # narrow (Särndal et al., result 3.5 and ch. 7).
    q = sums.labels_n / max(sums.asked_n, sums.labels_n)
    squares = (
        (sums.wwdd - q * sums.wdd)
        - 2.0 * shift * (sums.wwd - q * sums.wd)
        + shift * shift * (sums.ww - q * sums.w)
    )
    variance = variance_of(
        accuracy,
        raised_squares(squares, expected=sums.wwv - q * sums.wv),
        sums.w,
        sums.ww,
        q=q,
        rarer_n=min(sums.right_n, sums.labels_n - sums.right_n),
    )
    low, high = interval_of(accuracy, variance, effective_n, effective_n - 1.0)
    # Guesses are never quite 0 or 1, so the estimate and its bounds are not either. If no label was
    # wrong, there is no evidence against 1 (as in the exact interval of a coin); if none was right,
    # none against 0.
    if sums.right_n == sums.labels_n:
        high = 1.0
    elif sums.right_n == 0:
        low = 0.0
    if sums.bets is not None:
        # The bets were on the labels that came, which are a share q of the requests.
        sums_low, sums_high = (bound / q / sums.events_n for bound in sums.bets.bounds())
        guessed = sums.guess_sum / ONE / sums.events_n
        low = max(0.0, min(accuracy, guessed + sums_low))
        high = min(1.0, max(accuracy, guessed + sums_high))
    naive = sums.right_n / sums.labels_n
    naive_low, naive_high = wilson(naive, sums.labels_n, Z)
    return Estimate(
        accuracy=accuracy,
        low=low,
        high=high,
        labels_n=sums.labels_n,
        events_n=sums.events_n,
        effective_n=effective_n,
        naive=naive,
        naive_low=naive_low,
        naive_high=naive_high,
        from_seq=from_seq,
        to_seq=to_seq,
    )


def blind_labels(estimate: Estimate) -> float | None:
    """How many blindly drawn labels would make as narrow an interval; None without an interval.

    Wilson's interval is solved for the number of draws. The result, compared with `labels_n`, shows
    what the choice of events costs or saves the estimate; it does not show what the model gains.

    >>> round(blind_labels(Estimate(accuracy=0.9, low=0.833, high=0.942, labels_n=100)))
    119
    """
    p, low, high = estimate.accuracy, estimate.low, estimate.high
    if p is None or low is None or high is None or high <= low:
        return None
    # With z = quantile^2 / n the width W satisfies W^2 (1 + z)^2 = 4 z p (1 - p) + z^2.
    square, linear = 1.0 - (high - low) ** 2, 2.0 * p * (1.0 - p) - (high - low) ** 2
    if square <= 0.0:
        return 0.0
    z = (math.sqrt(linear * linear + square * (1.0 - square)) - linear) / square
    return Z * Z / z
