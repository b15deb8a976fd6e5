"""One watch: a signal, what watches it, and for how long its alarm holds.

It knows nothing of the other watches; the level they make together is made in `monitor`.
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
"""A line of likelihood of the user's own is for a drift; a warning's lies so much lower, nats."""

_STABLE, _WARNING, _DRIFT = DriftLevel


class Watch:
    """One signal and what watches it; an alarm holds for `hold_n` events after its last firing.

    A windowed test that crosses its line makes a warning; when it has stood above the line for
    `confirm_n` events, a window that shares no event with the first one says the same: a drift.
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
        """`unfed` is a detector of your own. Raises `BadSettings` on options not to be taken."""
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
        # A windowed test speaks every so often; until it has spoken again its alarm holds.
        self.hold_n = max(hold_n, lines.check_every_n) if self.is_windowed else hold_n
        self.confirm_n = confirm_n
        self.statistic = 0.0
        # When what it found began, seconds; none where it can't tell.
        self.since: float | None = None
        self.feeds: list[Feed | Glr] = []
        self._seed = seed
        self._ceiling = DriftLevel[settings.level.upper()]
        self.restart()

    @property
    def is_windowed(self) -> bool:
        """Whether it compares samples, instead of being fed one number at a time."""
        return self.detector in _THRESHOLDS

    @property
    def is_one_sided(self) -> bool:
        """Whether only a rise (of errors, of doubt) is an alarm: recovery is no drift."""
        return self.signal in ("error", "surprise", "recall", "confidence")

    def restart(self) -> None:
        """Forget what was watched, and the alarm."""
        # Number of the event at which it last fired at WARNING and at DRIFT.
        self._last_seq = {_WARNING: -NEVER, _DRIFT: -NEVER}
        self._crossed_seq = NEVER
        self._line = math.inf
        self.statistic = 0.0
        self.since = None
        self.feeds.clear()
        if not self.is_windowed:
            # For class_mix and recall one a class; the others are added when first seen.
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

    def step(self, x: float) -> int:
        """Feed one number; the level of the alarm, 0 for none."""
        feed = self.feeds[0]
        assert isinstance(feed, Feed)
        return feed.step(x)

    def step_many(self, values: list[float]) -> tuple[int, int]:
        """Feed numbers until one sets off an alarm, or all: how many, and its level, 0 for none.

        May stop early without an alarm.
        """
        feed = self.feeds[0]
        assert isinstance(feed, Feed)
        return feed.step_many(values)

    def step_class(self, predicted: int) -> int:
        """Feed one predicted class: 1 to its own detector, 0 to the others."""
        while len(self.feeds) <= predicted:
            self._add_feed()
        return max(
            [
                feed.step(float(c == predicted))
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
        """Feed one label's yes or no, dated `at`; the level of the alarm.

        `expected` is the chance of a yes that was guessed, where there is one; `feed_n` is the
        number of the class, where each has a feed of its own.
        """
        while len(self.feeds) <= feed_n:
            self._add_feed()
        feed = self.feeds[feed_n]
        if isinstance(feed, Feed):
            # Moved to [0, 1], its mean is one half as long as what was expected comes.
            return feed.step(float(is_hit) if expected is None else (is_hit + 1.0 - expected) / 2.0)
        feed.step(is_hit, expected, at)
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
        # Like river's it starts afresh after an alarm: what is still worse has to show it again.
        feed.restart()
        return 2

    # -------------------------------------------------------------------------- windowed

    @property
    def warning_p(self) -> float:
        """The chance with which one test of a window may cross the line."""
        return self._lines.warning_p

    @property
    def threshold(self) -> float:
        """The size from which on a windowed test's statistic is an alarm, if chance is excluded."""
        return self.options.get("threshold", _THRESHOLDS[self.detector])

    def over_threshold(self, statistic: float, noise: float) -> float:
        """A windowed test's; alarms must be above chance as well as above the threshold.

        An AUC and its threshold are taken from one half on, where there is nothing to tell.
        """
        threshold = self.threshold
        if self.detector == "domain_classifier":
            statistic, threshold = statistic - 0.5, threshold - 0.5
        return statistic / max(threshold, noise)

    def compare(self, ratio: float) -> None:
        """Take in a windowed test, a statistic over its threshold; the highest counts."""
        self.statistic = max(self.statistic, ratio)

    def judge(self, seq: int) -> int:
        """The level of the alarm after all tests of the check at event `seq`."""
        if self.statistic < 1.0:
            self._crossed_seq = NEVER
            return 0
        self._crossed_seq = min(self._crossed_seq, seq)
        return 2 if seq - self._crossed_seq >= self.confirm_n else 1

    # ------------------------------------------------------------------------------ alarms

    def fire(self, level: int, seq: int) -> DriftLevel | None:
        """Note an alarm at event `seq`; its level, if the watch did not hold that one already."""
        raised = min(DriftLevel(level), self._ceiling)
        is_new = self.level_at(seq) < raised
        self._last_seq[raised] = seq
        return raised if is_new else None

    def level_at(self, seq: int) -> DriftLevel:
        """The level it holds at event `seq`, not earlier than its last alarm."""
        if seq - self._last_seq[_DRIFT] <= self.hold_n:
            return _DRIFT
        return _WARNING if seq - self._last_seq[_WARNING] <= self.hold_n else _STABLE

    def falls_at(self, seq: int) -> int:
        """Number of the first event after `seq` at which its level falls if nothing happens."""
        falls = NEVER
        # Asked of every watch after every label: a loop costs half of a generator's.
        for last in self._last_seq.values():
            end = last + self.hold_n + 1
            if seq < end < falls:
                falls = end
        return falls

    def ratio_at(self, seq: int) -> float:
        """Statistic over threshold; a detector that shows none: 1 while its alarm holds, else 0."""
        if self.is_windowed:
            return self.statistic
        held = float(self.level_at(seq) > _STABLE)
        ratios = [self._ratio(feed) for feed in self.feeds]
        return max([held if ratio is None else ratio for ratio in ratios])

    def _ratio(self, feed: Feed | Glr) -> float | None:
        if isinstance(feed, Feed):
            return feed.ratio()
        return min(RATIO_MAX, feed.statistic / self._line)
