"""What turns a signal into a number that says how close to an alarm it is: 1 is the firing line.

Two kinds: river's detectors, fed one number at a time (`Feed`), and windowed tests that compare two
samples (`psi`, `ks`). Which signal has which, and what follows from an alarm, is in `drift`.
"""

from __future__ import annotations

import enum
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river import drift
from river.drift import binary

from ..errors import BadSettings

RATIO_MAX = 10.0
ROWS_MIN = 30


class DriftLevel(enum.IntEnum):
    """How sure we are that the world has changed."""

    STABLE = 0
    WARNING = 1
    DRIFT = 2


# ---------------------------------------------------------------------------- river's detectors


class PageHinkley(drift.PageHinkley):
    """River's, without the bound method it keeps: a snapshot must not need `getattr`."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_test_drift"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._test_drift = self._test_increase if self.mode == "up" else self._test_both


class FHDDM(binary.FHDDM):
    """River's, turned round: it looks for a fall of what it is fed, so it is fed what was right.

    Fed errors, as its documentation has it, river 0.26 misses 9 changes for the worse in 10.
    """

    share = 1.0

    def update(self, x: float) -> None:
        is_right = 1.0 - x
        if not self.drift_detected and len(self._sliding_window) == self.sliding_window_size - 1:
            self.share = (self.n_one + is_right) / self.sliding_window_size
        super().update(is_right)  # type: ignore[no-untyped-call]


# Constructor arguments that settings may give. Seeds and directions are not among them: they follow
# from the engine's seed and from the signal.
_RIVER: dict[str, tuple[type, dict[str, type]]] = {
    "adwin": (
        drift.ADWIN,
        {
            "delta": float,
            "clock": int,
            "max_buckets": int,
            "min_window_length": int,
            "grace_period": int,
        },
    ),
    "page_hinkley": (
        PageHinkley,
        {"min_instances": int, "delta": float, "threshold": float, "alpha": float},
    ),
    "kswin": (drift.KSWIN, {"alpha": float, "window_size": int, "stat_size": int}),
    "ddm": (
        binary.DDM,
        {"warm_start": int, "warning_threshold": float, "drift_threshold": float},
    ),
    "eddm": (binary.EDDM, {"warm_start": int, "alpha": float, "beta": float}),
    "hddm_a": (binary.HDDMA, {"drift_confidence": float, "warning_confidence": float}),
    "hddm_w": (
        binary.HDDMW,
        {"drift_confidence": float, "warning_confidence": float, "lambda_val": float},
    ),
    "fhddm": (
        FHDDM,
        {"sliding_window_size": int, "confidence_level": float, "short_window_size": int},
    ),
}
_WINDOWED: dict[str, type] = {"threshold": float}


def check_options(name: str, options: dict[str, float]) -> dict[str, float | int]:
    """The options of a detector in the types it wants.

    Raises `BadSettings` on an unknown option, and on a value that can't be.
    """
    known = _WINDOWED if name in ("psi", "ks") else _RIVER[name][1]
    faults, values = [], {}
    for option, value in options.items():
        if option not in known:
            faults.append(f"{option} is not an option of {name}; known are {', '.join(known)}")
        elif not 0 < value < math.inf:
            faults.append(f"{option} of {name} is {value}; must be above 0")
        elif known[option] is int and value != int(value):
            faults.append(f"{option} of {name} is {value}; must be a whole number")
        else:
            values[option] = known[option](value)
    if faults:
        raise BadSettings(faults)
    return values


class Feed:
    """One of river's detectors, fed one stream of numbers in [0, 1].

    With `is_one_sided` only a rise counts. Most of them look for rises alone; ADWIN and KSWIN look
    both ways, so the mean since their last alarm is kept beside them for comparison. Like river's,
    a feed starts afresh after each alarm.
    """

    __slots__ = ("_detector", "_has_warning", "_n", "_name", "_total", "is_one_sided")

    def __init__(
        self, name: str, options: dict[str, float], *, is_one_sided: bool, seed: int = 0
    ) -> None:
        """Raises `BadSettings` if river does not take the options."""
        arguments: dict[str, Any] = dict(check_options(name, options))
        if name == "kswin":
            arguments["seed"] = seed
        elif name == "page_hinkley":
            arguments["mode"] = "up" if is_one_sided else "both"
        elif name in ("hddm_a", "hddm_w"):
            arguments["two_sided_test"] = not is_one_sided
        try:
            self._detector: Any = _RIVER[name][0](**arguments)
        except ValueError as error:
            raise BadSettings(f"river's {name} does not take {options}: {error}") from error
        self._name = name
        self._has_warning = hasattr(self._detector, "warning_detected")
        self.is_one_sided = is_one_sided
        self._n = 0
        self._total = 0.0

    def step(self, x: float) -> int:
        """Feed one number; the `DriftLevel` of the alarm it sets off, 0 for none."""
        detector = self._detector
        detector.update(x)
        self._n += 1
        self._total += x
        if detector.drift_detected:
            is_alarm = not self.is_one_sided or self._is_rise()
            self._n, self._total = 0, 0.0
            return 2 if is_alarm else 0
        if self._has_warning and detector.warning_detected:
            return 1
        return 0

    def _is_rise(self) -> bool:
        """Whether what is left after an alarm lies above the mean of all since the last one."""
        if self._name == "adwin":
            recent = self._detector.estimation
        elif self._name == "kswin":
            recent = sum(self._detector.window) / len(self._detector.window)
        else:
            return True
        return bool(recent > self._total / self._n)

    def ratio(self) -> float | None:
        """The detector's own statistic divided by its threshold, at most `RATIO_MAX`.

        None for ADWIN, which has hundreds of statistics at once and shows none of them.
        """
        if self._name == "adwin":
            return None
        if self._n == 0 and not self._detector.drift_detected:
            return 0.0
        return max(0.0, min(RATIO_MAX, float(_RATIOS[self._name](self._detector))))


def _over(value: float, threshold: float) -> float:
    if threshold > 0:
        return value / threshold
    return RATIO_MAX if value > 0 else 0.0


def _page_hinkley(d: Any) -> float:
    if d._x_mean.n < d.min_instances:
        return 0.0
    rise = d._sum_increase - d._min_increase
    fall = d._max_decrease - d._sum_decrease
    return _over(rise if d.mode == "up" else max(rise, fall), d.threshold)


def _kswin(d: Any) -> float:
    """Logarithms of p-values are compared; before its window is full KSWIN's p-value is 0."""
    if d.p_value == 0:
        return RATIO_MAX if d.drift_detected else 0.0
    return _over(-math.log(d.p_value), -math.log(d.alpha))


def _ddm(d: Any) -> float:
    n = d._p.n
    if n <= d.warm_start:
        return 0.0
    p = d._p.get()
    above = p + math.sqrt(p * (1 - p) / n) - d._p_min
    return _over(above, d.drift_threshold * d._s_min)


def _eddm(d: Any) -> float:
    if d._n_errors <= d.warm_start or d._p2s_prime_max <= 0:
        return 0.0
    distance = d._error_distances.mean.get() + 2 * d._error_distances.get() ** 0.5
    return _over(1 - distance / d._p2s_prime_max, 1 - d.beta)


def _hddm_a(d: Any) -> float:
    def change(cut: Any, sign: int) -> float:
        if cut.n in (0, d._z.n):
            return 0.0
        m = (d._z.n - cut.n) / cut.n / d._z.n
        bound = math.sqrt(m / 2 * math.log(2.0 / d.drift_confidence))
        return _over(sign * (d._z.get() - cut.get()), bound)

    rise = change(d._x_min, 1)
    return max(rise, change(d._x_max, -1)) if d.two_sided_test else rise


def _hddm_w(d: Any) -> float:
    def change(lower: Any, upper: Any) -> float:
        if not (lower.is_init and upper.is_init):
            return 0.0
        bound = d._mcdiarmid_bound(lower.ibc + upper.ibc, d.drift_confidence)
        return _over(upper.ewma - lower.ewma, bound)

    rise = change(d._s1_incr, d._s2_incr)
    return max(rise, change(d._s2_decr, d._s1_decr)) if d.two_sided_test else rise


def _fhddm(d: Any) -> float:
    return _over(d._u_max - d.share, d._epsilon) if d._u_max else 0.0


_RATIOS = {
    "page_hinkley": _page_hinkley,
    "kswin": _kswin,
    "ddm": _ddm,
    "eddm": _eddm,
    "hddm_a": _hddm_a,
    "hddm_w": _hddm_w,
    "fhddm": _fhddm,
}


# ------------------------------------------------------------------------------- windowed tests


def psi(past: NDArray[np.int64], recent: NDArray[np.int64]) -> float:
    """Population stability index of two histograms, shapes (b,), one half added to each bin.

    The sum over bins of (p - q) * ln(p / q), which is 0 for equal shares.

    >>> round(psi(np.array([50, 50]), np.array([90, 10])), 2)
    0.85
    """
    p = (past + 0.5) / (past.sum() + 0.5 * past.size)
    q = (recent + 0.5) / (recent.sum() + 0.5 * recent.size)
    return float(((p - q) * np.log(p / q)).sum())


def psi_noise(past: NDArray[np.int64], recent: NDArray[np.int64]) -> float:
    """What the index of two samples of one source exceeds once in a million times.

    There it is (1/n + 1/m) times a chi-square with b - 1 degrees of freedom (Yurdakul, "Statistical
    properties of population stability index", 2018), whose quantile is Wilson and Hilferty's.
    """
    freedom = max(past.size - 1, 1)
    spread = 2.0 / (9.0 * freedom)
    quantile = freedom * (1.0 - spread + 4.75 * math.sqrt(spread)) ** 3
    return float(quantile * (1.0 / past.sum() + 1.0 / recent.sum()))


def ks(
    past: NDArray[np.float64], recent: NDArray[np.float64], *, is_one_sided: bool = False
) -> float:
    """Largest distance between the distribution functions of two sorted samples without NaN.

    One-sided it counts only where the recent values lie above those of the past.

    >>> ks(np.array([0.0, 1.0]), np.array([1.0, 2.0])), ks(np.array([1.0]), np.array([1.0]))
    (0.5, 0.0)
    """
    n, m = past.size, recent.size
    both = np.concatenate([past, recent])
    order = np.argsort(both, kind="stable")
    # In whole numbers of 1 / (n * m), so that equal samples are exactly 0 apart.
    apart = np.cumsum(np.where(order < n, m, -n))
    ordered = both[order]
    apart = apart[np.append(ordered[1:] != ordered[:-1], True)]
    return float((apart if is_one_sided else np.abs(apart)).max() / (n * m))


def ks_noise(n: int, m: int, tests_n: int) -> float:
    """What `ks` of two samples of one source exceeds once in 1,000 rounds of `tests_n` tests.

    Smirnov's c(alpha) * sqrt((n + m) / (n * m)) with c(alpha) = sqrt(-ln(alpha / 2) / 2).
    """
    alpha = 1e-3 / max(tests_n, 1)
    return math.sqrt(-math.log(alpha / 2.0) / 2.0) * math.sqrt((n + m) / (n * m))
