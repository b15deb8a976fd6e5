"""One watch: a signal, its detector, and for how long its alarm holds.

It knows nothing of other watches; `monitor` derives one level from all of them.
"""

from __future__ import annotations

import math

from ...settings.drift import DETECTORS, WatchSettings
from .detectors import RATIO_MAX, Detector, DriftLevel, Feed, check_options, own_detector
from .glr import RISE, Glr
from .lines import Lines

NEVER = 1 << 62
_THRESHOLDS = {"psi": 0.25, "ks": 0.2, "welch": 0.1, "domain_classifier": 0.6}
_WARNING_BELOW = math.log(4.0)
"""A `threshold` set by the user is the drift line; the warning line is this much lower, nats."""

_STABLE, _WARNING, _DRIFT = DriftLevel


class Watch:
    """One signal and its detector; an alarm holds for `hold_n` events after its last firing.

    A windowed test that crosses its line raises a warning. After `confirm_n` events above the line
    it raises a drift: by then a window that shares no event with the first one agrees.
    """

    __slots__ = (
        "_ceiling",
        "_crossed_seq",
        "_last_seq",
        "_line",
        "_lines",
        "_seed",
        "confirm_n",
        "detector",
        "feeds",
        "hold_n",
        "options",
        "signal",
        "since",
        "statistic",
        "unfed",
    )

    def __init__(
        self,
        settings: WatchSettings,
        lines: Lines,
        *,
        hold_n: int,
        confirm_n: int,
        seed: int,
        unfed: Detector | None = None,
    ) -> None:
        """Make a watch with its detector.

        - `lines`: computes the lines that the statistic is compared with.
        - `hold_n`: events for which an alarm holds. `confirm_n`: see above.
        - `seed`: for detectors of river that draw at random.
        - `unfed`: your own detector, without data; copies of it are used.

        Raises `BadSettings` for options that the detector does not have.
        """
        self.signal: str = settings.signal
        self.detector: str = settings.detector
        self.options = dict(settings.options)
        check_options(self.detector, self.options)
        if unfed is None and self.detector not in DETECTORS:
            unfed = own_detector(self.detector, self.options)
        self.unfed = unfed
        self._lines = lines
        if self.detector == "adwin" and "delta" not in self.options:
            self.options["delta"] = lines.adwin_delta
        # The alarm of a windowed test holds at least until its next check.
        self.hold_n = max(hold_n, lines.check_every_n) if self.is_windowed else hold_n
        self.confirm_n = confirm_n
        self.statistic = 0.0
        # Since when its finding has lasted, seconds; None if unknown.
        self.since: float | None = None
        self.feeds: list[Feed | Glr] = []
        self._seed = seed
        self._ceiling = DriftLevel[settings.level.upper()]
        self.restart()

    @property
    def is_windowed(self) -> bool:
        """Whether the detector compares samples, instead of taking one number at a time."""
        return self.detector in _THRESHOLDS

    @property
    def is_one_sided(self) -> bool:
        """Whether only a rise (of errors, of doubt) is an alarm: recovery is no drift."""
        return self.signal in ("error", "surprise", "recall", "confidence")

    def restart(self) -> None:
        """Forget all data and the alarm."""
        # Number of the event at which the watch last fired at WARNING, and at DRIFT.
        self._last_seq = {_WARNING: -NEVER, _DRIFT: -NEVER}
        self._crossed_seq = NEVER
        self._line = math.inf
        self.statistic = 0.0
        self.since = None
        self.feeds.clear()
        if not self.is_windowed:
            # class_mix and recall have a feed a class; further ones are added at first sight.
            self._add_feed()

    def _add_feed(self) -> None:
        if self.detector == "glr":
            self.feeds.append(Glr(self.options.get("rise", RISE)))
            return
        self.feeds.append(
            Feed(
                self.detector,
                self.options,
                is_one_sided=self.is_one_sided,
                seed=self._seed,
                unfed=self.unfed,
            )
        )

    # ------------------------------------------------------------------------ one by one

    def feed_number(self, x: float) -> int:
        """Feed one number; return the level of the alarm, 0 for none."""
        feed = self.feeds[0]
        assert isinstance(feed, Feed)
        return feed.feed_number(x)

    def step_many(self, values: list[float]) -> tuple[int, int]:
        """Feed numbers until one sets off an alarm; return how many, and its level, 0 for none.

        It may stop early without an alarm.
        """
        feed = self.feeds[0]
        assert isinstance(feed, Feed)
        return feed.step_many(values)

    def step_class(self, predicted: int) -> int:
        """Feed 1 to the predicted class's detector, 0 to the others; return the highest level."""
        while len(self.feeds) <= predicted:
            self._add_feed()
        return max(
            [
                feed.feed_number(float(c == predicted))
                for c, feed in enumerate(self.feeds)
                if isinstance(feed, Feed)
            ]
        )

    def step_label(
        self,
        is_hit: bool,
        *,
        expected: float | None = None,
        at: float,
        labels_per_event: float,
        feed_n: int = 0,
    ) -> int:
        """Feed one label, a yes or no; return the level of the alarm, 0 for none.

        - `is_hit`: whether what is watched for has happened, such as an error.
        - `expected`: the chance of a yes that was guessed; None: the share before is compared.
        - `at`: the time of the label's event, seconds.
        - `labels_per_event`: how often labels come; the lines depend on it.
        - `feed_n`: the number of the class, where each has its own feed; else 0.
        """
        while len(self.feeds) <= feed_n:
            self._add_feed()
        feed = self.feeds[feed_n]
        if isinstance(feed, Feed):
            # Mapped to [0, 1]; the mean is one half as long as expectations are right.
            return feed.feed_number(
                float(is_hit) if expected is None else (is_hit + 1.0 - expected) / 2.0
            )
        feed.add_outcome(is_hit, expected, at)
        self._line = self._lines.glr_drift(labels_per_event)
        warning = min(self._line, self._lines.glr_warning(labels_per_event))
        if "threshold" in self.options:
            self._line = self.options["threshold"]
            warning = max(self._line - _WARNING_BELOW, self._line / 2.0)
        if feed.statistic < warning:
            return 0
        self.since = feed.since
        if feed.statistic < self._line:
            return 1
        # Like river's detectors it starts afresh after an alarm, and must find the rise again.
        feed.restart()
        return 2

    # -------------------------------------------------------------------------- windowed

    @property
    def warning_p(self) -> float:
        """The probability with which one test of a window may cross its line by chance."""
        return self._lines.warning_p

    @property
    def threshold(self) -> float:
        """A windowed test's statistic above this is an alarm, unless chance explains it."""
        return self.options.get("threshold", _THRESHOLDS[self.detector])

    def over_threshold(self, statistic: float, noise: float) -> float:
        """Return a windowed test's statistic over its line: the threshold or, if higher, `noise`.

        `noise` is what chance alone exceeds with probability `warning_p`. An AUC and its threshold
        count from one half, which means no difference.
        """
        threshold = self.threshold
        if self.detector == "domain_classifier":
            statistic, threshold = statistic - 0.5, threshold - 0.5
        return statistic / max(threshold, noise)

    def note_ratio(self, ratio: float) -> None:
        """Note a windowed test's ratio from `over_threshold`; the highest of a check counts."""
        self.statistic = max(self.statistic, ratio)

    def judge_check(self, seq: int) -> int:
        """Return the level of the alarm after all tests of the check at event `seq`."""
        if self.statistic < 1.0:
            self._crossed_seq = NEVER
            return 0
        self._crossed_seq = min(self._crossed_seq, seq)
        return 2 if seq - self._crossed_seq >= self.confirm_n else 1

    # ------------------------------------------------------------------------------ alarms

    def note_alarm(self, level: int, seq: int) -> DriftLevel | None:
        """Note an alarm at event `seq`; return its level unless the watch held that already."""
        raised = min(DriftLevel(level), self._ceiling)
        is_new = self.level_at(seq) < raised
        self._last_seq[raised] = seq
        return raised if is_new else None

    def level_at(self, seq: int) -> DriftLevel:
        """Return the level held at event `seq`, which is not before its last alarm."""
        if seq - self._last_seq[_DRIFT] <= self.hold_n:
            return _DRIFT
        return _WARNING if seq - self._last_seq[_WARNING] <= self.hold_n else _STABLE

    def falls_at(self, seq: int) -> int:
        """Return the first event after `seq` at which the level falls unless an alarm follows."""
        falls = NEVER
        # Called for every watch after every label: a loop costs half as much as a generator.
        for last in self._last_seq.values():
            end = last + self.hold_n + 1
            if seq < end < falls:
                falls = end
        return falls

    def ratio_at(self, seq: int) -> float:
        """Return statistic over threshold; without a statistic, 1 while an alarm holds, else 0."""
        if self.is_windowed:
            return self.statistic
        held = float(self.level_at(seq) > _STABLE)
        ratios = [self._ratio_of(feed) for feed in self.feeds]
        return max([held if ratio is None else ratio for ratio in ratios])

    def _ratio_of(self, feed: Feed | Glr) -> float | None:
        if isinstance(feed, Feed):
            return feed.ratio()
        return min(RATIO_MAX, feed.statistic / self._line)
