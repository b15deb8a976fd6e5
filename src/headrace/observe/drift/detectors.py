"""Detectors that take one number at a time: river's, and your own.

`Detector` is the interface, which river's detectors have; a `Feed` runs one of them, one-sided
where a fall is no alarm. Headrace's own detector for labels is in `glr`, windowed tests are in
`comparisons`; `monitor` handles alarms.
"""

from __future__ import annotations

import copy
import enum
import math
from collections import deque
from importlib.metadata import entry_points
from typing import Any, Protocol

from river import drift
from river.drift import binary

from ...errors import BadSettings
from ...importing import import_function
from ...settings.drift import DETECTORS, DriftSettings

RATIO_MAX = 10.0

RECENT_N = 30
"""One-sided, an alarm of your own detector counts if the mean of this many numbers is a rise."""


class DriftLevel(enum.IntEnum):
    """How sure it is that the world has changed."""

    STABLE = 0
    WARNING = 1
    DRIFT = 2


class Detector(Protocol):
    """The interface of your own detectors: an object like those of `river.drift`.

    An attribute `warning_detected`, if there is one, says that the newest numbers may differ. After
    an alarm the detector must start afresh by itself. It must use no clock and no random numbers
    except from a seed of its own, and be picklable, since it is part of the state;
    `headrace.testing.check_detector` checks this.

    >>> class ThreeInRow:
    ...     def __init__(self): self.n, self.drift_detected = 0, False
    ...     def update(self, x):
    ...         self.n = self.n + 1 if x > 0.5 else 0
    ...         self.drift_detected, self.n = self.n >= 3, self.n % 3
    >>> detector = ThreeInRow()
    >>> for x in (0.0, 1.0, 1.0, 1.0): detector.update(x)
    >>> detector.drift_detected
    True
    """

    @property
    def drift_detected(self) -> bool:
        """Whether the newest numbers differ from those before."""

    def update(self, x: float) -> Any:
        """Take the next number.

        Args:
            x: A number from 0 to 1; a higher one is worse.

        Returns:
            Anything; it is not used.
        """


# ---------------------------------------------------------------------------- river's detectors


class PageHinkley(drift.PageHinkley):
    """River's detector without the bound method it stores: a snapshot must not need `getattr`."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_test_drift"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._test_drift = self._test_increase if self.mode == "up" else self._test_both


class FHDDM(binary.FHDDM):
    """River's detector fed with 1 - x: it looks for a fall, so it needs successes, not errors.

    Fed with errors, as its documentation says, river 0.26 misses 9 changes for the worse in 10.
    """

    share = 1.0

    def update(self, x: float) -> None:
        is_right = 1.0 - x
        if not self.drift_detected and len(self._sliding_window) == self.sliding_window_size - 1:
            self.share = (self.n_one + is_right) / self.sliding_window_size
        super().update(is_right)  # type: ignore[no-untyped-call]


# Constructor arguments that settings may set. Seeds and directions are not among them: they follow
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
_OF_OURS: dict[str, dict[str, type]] = {
    "glr": {"rise": float, "threshold": float},
    "psi": {"threshold": float},
    "ks": {"threshold": float},
    "welch": {"threshold": float},
    "domain_classifier": {"threshold": float},
}


def check_options(name: str, options: dict[str, float]) -> dict[str, float | int]:
    """Return a detector's options in the types that it expects; your own detector checks its own.

    Raises `BadSettings` for an unknown option, and for a value that is not allowed.
    """
    if name not in DETECTORS:
        return dict(options)
    known = _OF_OURS[name] if name in _OF_OURS else _RIVER[name][1]
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


def own_detector(name: str, options: dict[str, float]) -> Detector:
    """Return your own detector, made with `options`; raises `BadSettings`.

    `name` is `module:attribute`, or the name of an entry point in `headrace.detectors`.

    >>> type(own_detector("river.drift:ADWIN", {"delta": 0.1})).__name__
    'ADWIN'
    >>> own_detector("river.drift:Adwin", {})
    Traceback (most recent call last):
    headrace.errors.BadSettings: detector is 'river.drift:Adwin'; river.drift has no such \
function
    """
    if ":" in name:
        make = import_function("detector", name)
    else:
        try:
            [point] = entry_points(group="headrace.detectors", name=name)
            make = point.load()
        except (ImportError, AttributeError, ValueError) as error:
            raise BadSettings(f"detector {name!r} can't be imported: {error}") from error
    try:
        detector = make(**options)
    except Exception as error:
        raise BadSettings(
            f"detector {name!r} can't be made with {options}: {type(error).__name__}: {error}"
        ) from error
    check_detector(detector, name)
    return detector  # type: ignore[no-any-return]


def own_detectors(settings: DriftSettings) -> list[Detector]:
    """Return your own detectors that the settings name, without data."""
    own = [watch for watch in settings.watch if watch.detector not in DETECTORS]
    return [own_detector(watch.detector, watch.options) for watch in own]


def check_detector(detector: Any, name: str) -> None:
    """Raise `BadSettings` unless the detector has the interface of `Detector`."""
    if isinstance(detector, type):
        raise BadSettings(f"detector {name!r} is a class; pass {name}() instead")
    if not callable(getattr(detector, "update", None)) or not hasattr(detector, "drift_detected"):
        raise BadSettings(
            f"detector {name!r} is {type(detector).__name__}, which has not both update(x) and "
            "drift_detected"
        )


class Feed:
    """A detector of river, or your own, that is fed one stream of numbers in [0, 1].

    With `is_one_sided` only a rise counts. Most detectors of river look for rises alone; ADWIN,
    KSWIN and perhaps yours look both ways, so the mean of all numbers since the last alarm is kept
    for comparison. Like river's detectors, a feed starts afresh after each alarm.
    """

    __slots__ = ("_detector", "_has_warning", "_n", "_name", "_recent", "_total", "is_one_sided")

    def __init__(
        self,
        name: str,
        options: dict[str, float],
        *,
        is_one_sided: bool,
        seed: int = 0,
        unfed: Detector | None = None,
    ) -> None:
        """`name` and `options` are river's; `unfed` is your own detector, of which a copy is used.

        Raises `BadSettings` if river does not accept the options.
        """
        self._recent: deque[float] = deque(maxlen=RECENT_N)
        if unfed is not None:
            self._detector: Any = copy.deepcopy(unfed)
        else:
            self._detector = _river_detector(name, options, is_one_sided, seed)
        self._name = name
        self._has_warning = hasattr(self._detector, "warning_detected")
        self.is_one_sided = is_one_sided
        self._n = 0
        self._total = 0.0

    def feed_number(self, x: float) -> int:
        """Feed one number; return the `DriftLevel` of the alarm that it sets off, 0 for none."""
        detector = self._detector
        detector.update(x)
        self._n += 1
        self._total += x
        if self._name not in _RIVER:
            self._recent.append(x)
        if detector.drift_detected:
            return self._raise_alarm()
        if self._has_warning and detector.warning_detected:
            return 1
        return 0

    def step_many(self, values: list[float]) -> tuple[int, int]:
        """Feed numbers until one sets off an alarm; return how many, and its level, 0 for none.

        ADWIN is fed without its wrapper, which costs three times as much as ADWIN itself. It may
        stop early without an alarm.
        """
        detector = self._detector
        if self._name != "adwin" or detector.drift_detected:
            return 1, self.feed_number(values[0])
        update, total, fed_n = detector._helper.update, self._total, 0
        is_found = False
        for x in values:
            fed_n += 1
            total += x
            if update(x):
                # The wrapper would set this too, to start afresh at the next number.
                detector._drift_detected = is_found = True
                break
        self._n, self._total = self._n + fed_n, total
        return fed_n, self._raise_alarm() if is_found else 0

    def _raise_alarm(self) -> int:
        """Return the level of the alarm for a detected change, and begin the mean afresh."""
        is_alarm = not self.is_one_sided or self._is_rise()
        self._n, self._total = 0, 0.0
        return 2 if is_alarm else 0

    def _is_rise(self) -> bool:
        """Whether the mean of the newest numbers is above that of all since the last alarm."""
        if self._name == "adwin":
            recent = self._detector.estimation
        elif self._name == "kswin":
            recent = sum(self._detector.window) / len(self._detector.window)
        elif self._name not in _RIVER:
            recent = sum(self._recent) / len(self._recent)
        else:
            return True
        return bool(recent > self._total / self._n)

    def ratio(self) -> float | None:
        """Return the detector's statistic divided by its threshold, at most `RATIO_MAX`.

        It is None for ADWIN, which has hundreds of statistics at once and shows none of them, and
        for your own detector.
        """
        if self._name == "adwin" or self._name not in _RIVER:
            return None
        if self._n == 0 and not self._detector.drift_detected:
            return 0.0
        return max(0.0, min(RATIO_MAX, float(_RATIOS[self._name](self._detector))))


def _river_detector(name: str, options: dict[str, float], is_one_sided: bool, seed: int) -> Any:
    arguments: dict[str, Any] = dict(check_options(name, options))
    if name == "kswin":
        arguments["seed"] = seed
    elif name == "page_hinkley":
        arguments["mode"] = "up" if is_one_sided else "both"
    elif name in ("hddm_a", "hddm_w"):
        arguments["two_sided_test"] = not is_one_sided
    try:
        return _RIVER[name][0](**arguments)
    except ValueError as error:
        raise BadSettings(f"river's {name} does not take {options}: {error}") from error


def _divide_capped(value: float, threshold: float) -> float:
    if threshold > 0:
        return value / threshold
    return RATIO_MAX if value > 0 else 0.0


def _page_hinkley(d: Any) -> float:
    if d._x_mean.n < d.min_instances:
        return 0.0
    rise = d._sum_increase - d._min_increase
    fall = d._max_decrease - d._sum_decrease
    return _divide_capped(rise if d.mode == "up" else max(rise, fall), d.threshold)


def _kswin(d: Any) -> float:
    """Compare logarithms of p-values; before its window is full KSWIN's p-value is 0."""
    if d.p_value == 0:
        return RATIO_MAX if d.drift_detected else 0.0
    return _divide_capped(-math.log(d.p_value), -math.log(d.alpha))


def _ddm(d: Any) -> float:
    n = d._p.n
    if n <= d.warm_start:
        return 0.0
    p = d._p.get()
    above = p + math.sqrt(p * (1 - p) / n) - d._p_min
    return _divide_capped(above, d.drift_threshold * d._s_min)


def _eddm(d: Any) -> float:
    if d._n_errors <= d.warm_start or d._p2s_prime_max <= 0:
        return 0.0
    distance = d._error_distances.mean.get() + 2 * d._error_distances.get() ** 0.5
    return _divide_capped(1 - distance / d._p2s_prime_max, 1 - d.beta)


def _hddm_a(d: Any) -> float:
    def measure_change(cut: Any, sign: int) -> float:
        if cut.n in (0, d._z.n):
            return 0.0
        m = (d._z.n - cut.n) / cut.n / d._z.n
        bound = math.sqrt(m / 2 * math.log(2.0 / d.drift_confidence))
        return _divide_capped(sign * (d._z.get() - cut.get()), bound)

    rise = measure_change(d._x_min, 1)
    return max(rise, measure_change(d._x_max, -1)) if d.two_sided_test else rise


def _hddm_w(d: Any) -> float:
    def measure_change(lower: Any, upper: Any) -> float:
        if not (lower.is_init and upper.is_init):
            return 0.0
        bound = d._mcdiarmid_bound(lower.ibc + upper.ibc, d.drift_confidence)
        return _divide_capped(upper.ewma - lower.ewma, bound)

    rise = measure_change(d._s1_incr, d._s2_incr)
    return max(rise, measure_change(d._s2_decr, d._s1_decr)) if d.two_sided_test else rise


def _fhddm(d: Any) -> float:
    return _divide_capped(d._u_max - d.share, d._epsilon) if d._u_max else 0.0


_RATIOS = {
    "page_hinkley": _page_hinkley,
    "kswin": _kswin,
    "ddm": _ddm,
    "eddm": _eddm,
    "hddm_a": _hddm_a,
    "hddm_w": _hddm_w,
    "fhddm": _fhddm,
}
