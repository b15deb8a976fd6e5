"""How right are the predictions? An accuracy with a 95 % interval, from labels that were chosen.

Labels bought by doubt are no fair sample: the share right among them is too low. Each label here
counts 1/p, p being the probability with which its event was asked about at its first chance, and
corrects a guess that is made for every event on arrival:

    accuracy = mean of all guesses + sum(w (right - guess)) / sum(w),   w = 1/p

which is the self-normalised difference estimator of survey sampling (Särndal, Swensson, Wretman,
"Model Assisted Survey Sampling", 1992, ch. 6 and 7), also known as prediction-powered (Zrnic and
Candès, "Active statistical inference", ICML 2024). How well its intervals cover is measured by
`bench/coverage.py` and told in docs/ACCURACY.md. Measures by class are in `quality`. Events that
were predicted before there was a model are left out. This is no drift detector.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import BadSettings
from .anytime import Bets
from .estimate import ONE, Estimate, Sums, estimate_of
from .quality import Quality, quality_of

__all__ = ["Estimate", "Evaluation", "Quality", "join_evaluations"]

# A window is so many blocks, and moves by one block at a time.
BLOCKS_N = 50
# Requests whose events have left the memory and whose label or chance is still to come, at most;
# the oldest is given up for a new one, and counted in `lost_n`.
LATE_MAX = 10_000

_BINS_N = 20  # Bins of confidence, equally wide over [0, 1].
_FADE = 0.995  # What is left of a label's weight in the bins when the next label comes.
_CONFIDENCE_LABELS = 20.0  # A bin trusts the confidence itself as much as so many labels.
_ENDED_SHARE = 0.8  # A stretch is judged once so many of its requests have ended...
_STRETCH_N = 5  # ...a stretch being so many blocks.
_PROPENSITY_MIN = 1e-9
_SHORT_N = 16  # Events up to which numbers one by one are quicker than arrays.


class Evaluation:
    """The state: guesses of the last events in blocks, requests that judge them, and the bins.

    Only requests of an event's *first* chance (the draw on arrival; with rounds the first round
    after it too) are announced by `note_asked`; a label bought later teaches, it does not judge.
    Two windows of events are remembered, so that labels may be late by a window; later ones count
    in `estimate_all` only, and can't be revised.

    >>> evaluation = Evaluation(window_n=100)
    >>> guesses = evaluation.guess(np.full(200, 0.9))
    >>> evaluation.count_events(guesses)
    >>> for seq in range(0, 200, 10):
    ...     evaluation.note_asked(seq, f"r{seq}", guesses[seq], 0.9)
    ...     evaluation.note_chance(f"r{seq}", 0.1)
    ...     evaluation.note_label(f"r{seq}", seq % 40 != 0)
    >>> found = evaluation.estimate()
    >>> found.from_seq, found.to_seq, found.labels_n, round(found.accuracy, 3)
    (100, 200, 10, 0.8)
    >>> round(found.low, 2), round(found.high, 2)
    (0.46, 0.95)
    """

    def __init__(self, window_n: int, anytime_min: float | None = None) -> None:
        """`anytime_min`: the interval of `estimate_all` holds at all times; see `anytime`.

        No event may be asked with a smaller probability.
        """
        if window_n < 1:
            raise BadSettings(f"evaluation.window_n is {window_n}; must be at least 1 (events)")
        self.window_n = window_n
        self.block_n = max(1, window_n // BLOCKS_N)
        self.window_blocks_n = window_n // self.block_n
        self.events_n = 0
        self.unpredicted_n = 0
        self.lost_n = 0
        self.bins = _Bins()
        # Block b holds the events from b * block_n on. In order of number, the oldest first.
        self.blocks: dict[int, _Block] = {}
        self.anytime_min = anytime_min
        self.past = self._no_sums()
        self.requests: dict[str, _Request] = {}
        self.late: dict[str, _Request] = {}

    # ------------------------------------------------------------------------------- events

    def guess(self, confidence: NDArray[np.float64]) -> NDArray[np.float64]:
        """The chance that each prediction is right, shape (n,), from confidences of shape (n,).

        A confidence is the probability of the predicted class; one that is not a number is taken
        as 1/2. Pure, and each row is independent of the others.
        """
        return self.bins.guess(confidence)

    @property
    def guessed_by(self) -> NDArray[np.float64]:
        """What guesses rest on: as long as it is the same object, so is what `guess` gives."""
        return self.bins.seen

    def reach_events(self, events_n: int) -> None:
        """So many events arrived; their guesses may follow later, by `count_events`.

        Later by less than a window: blocks that leave the memory have all theirs.
        """
        for number in range(self.events_n // self.block_n, (events_n - 1) // self.block_n + 1):
            if number not in self.blocks:
                self._open_block(number)

    def count_events(self, guesses: NDArray[np.float64]) -> None:
        """So many events arrived, in the order of their numbers; `guesses` is what `guess` gave.

        NaN instead for an event that was predicted before there was a model: it has no accuracy.
        """
        is_predicted = ~np.isnan(guesses)
        units = np.rint(np.where(is_predicted, guesses, 0.0) * ONE).astype(np.int64)
        start = 0
        while start < len(units):
            end = min(len(units), start + self.block_n - self.events_n % self.block_n)
            block = self._open_block(self.events_n // self.block_n)
            predicted_n = int(np.count_nonzero(is_predicted[start:end]))
            block.guess_sum += int(units[start:end].sum())
            block.events_n += predicted_n
            self.unpredicted_n += end - start - predicted_n
            self.events_n += end - start
            start = end

    def _open_block(self, number: int) -> _Block:
        """The newest block, opened if need be; the one that is too old then joins the past."""
        if number not in self.blocks:
            self.blocks[number] = _Block()
            if len(self.blocks) > 2 * self.window_blocks_n:
                self._forget_block(next(iter(self.blocks)))
        return self.blocks[number]

    def _forget_block(self, number: int) -> None:
        block = self.blocks.pop(number)
        self.past.events_n += block.events_n
        self.past.guess_sum += block.guess_sum
        self.past.asked_n += len(block.request_ids)
        for request_id in block.request_ids:
            request = self.requests.pop(request_id)
            if request.is_judge:
                self.past.add(request)
            elif not request.is_over:
                self._keep_late(request_id, request)

    def _keep_late(self, request_id: str, request: _Request) -> None:
        self.late[request_id] = request
        if len(self.late) > LATE_MAX:
            del self.late[next(iter(self.late))]
            self.lost_n += 1

    # ----------------------------------------------------------------------------- requests

    def note_asked(self, seq: int, request_id: str, guess: float, confidence: float) -> None:
        """The event of this number, already counted, was asked about at its first chance.

        With a guess of NaN the event was not predicted, and its label judges nothing.
        """
        if math.isnan(guess) or request_id in self.requests or request_id in self.late:
            return
        request = _Request(seq, float(guess), float(confidence))
        block = self.blocks.get(seq // self.block_n)
        if block is not None:
            block.request_ids.append(request_id)
            self.requests[request_id] = request
        else:
            self.past.asked_n += 1
            self._keep_late(request_id, request)

    def note_chance(self, request_id: str, propensity: float) -> None:
        """The probability, in (0, 1], with which a first chance asks about this event.

        It is known on arrival, or, with rounds, in the first one after, maybe after the label.
        A request with one below 1e-9 or above 1 is forgotten: no budget has such chances.
        """
        request = self._find_request(request_id)
        if request is None or request.propensity is not None:
            return
        if not _PROPENSITY_MIN <= propensity <= 1.0:
            if self.requests.pop(request_id, None) is not None:
                self.blocks[request.seq // self.block_n].request_ids.remove(request_id)
            self.late.pop(request_id, None)
            return
        request.propensity = float(propensity)
        self._settle_request(request_id, request)

    def note_label(
        self, request_id: str, right: bool, label: str = "", predicted: str = ""
    ) -> None:
        """The label came; `right` tells whether the prediction made on arrival is that label.

        `label` and `predicted`, its class and the one that was predicted, are for `quality`.
        Called again for the same request it revises the judgement. The bins keep what they learnt
        first: it fades anyway.
        """
        request = self._find_request(request_id)
        if request is None:
            return
        request.is_right = bool(right)
        request.label, request.predicted = label, predicted
        request.is_ended = False
        self._settle_request(request_id, request)

    def remembers(self, request_id: str) -> bool:
        """Whether this request judges, or may yet."""
        return self._find_request(request_id) is not None

    def guess_of(self, request_id: str) -> float | None:
        """The chance of being right that a judging request was given; None when not known."""
        request = self._find_request(request_id)
        return None if request is None else request.guess

    def end_request(self, request_id: str) -> None:
        """No label will come, or the one that came is withdrawn."""
        request = self._find_request(request_id)
        if request is None:
            return
        request.is_right = None
        request.is_ended = True
        self.late.pop(request_id, None)

    def _find_request(self, request_id: str) -> _Request | None:
        return self.requests.get(request_id) or self.late.get(request_id)

    def _settle_request(self, request_id: str, request: _Request) -> None:
        """Label and chance are both known, perhaps: then the label is fit to judge and to teach."""
        if not request.is_judge:
            return
        if not request.is_taught:
            request.is_taught = True
            self.bins.learn(request)
        if request_id in self.late:
            self.past.add(self.late.pop(request_id))

    # ---------------------------------------------------------------------------- estimates

    def estimate(self) -> Estimate:
        """Accuracy over the last `window_n` events whose labels are back, in whole blocks.

        While labels are out, the range ends where most requests before have ended: to speak of
        newer events from the labels of older ones would be wrong whenever the world drifts.
        """
        first, last = self._range()
        return self._estimate(self._sums(first, last), first, last)

    def _estimate(self, sums: Sums, first: int, last: int) -> Estimate:
        return estimate_of(sums, first * self.block_n, self._end(last))

    def estimate_all(self) -> Estimate:
        """The same from the first event on, up to where labels are back."""
        _, last = self._range()
        return self._estimate_all(last)

    def _estimate_all(self, last: int) -> Estimate:
        return estimate_of(self._sums_all(last), 0, self._end(last))

    def quality(self) -> Quality:
        """Measures beyond accuracy, over the same range as `estimate`."""
        return _quality_of(self._sums(*self._range()))

    def _range(self) -> tuple[int, int]:
        """The blocks, first to last inclusive, that `estimate` speaks of; last < first: none."""
        numbers = list(self.blocks)
        asked_n = [len(block.request_ids) for block in self.blocks.values()]
        over_n = [
            sum(self.requests[request_id].is_over for request_id in block.request_ids)
            for block in self.blocks.values()
        ]
        for i in range(len(numbers) - 1, -1, -1):
            stretch = slice(max(0, i + 1 - _STRETCH_N), i + 1)
            if sum(over_n[stretch]) >= max(1.0, _ENDED_SHARE * sum(asked_n[stretch])):
                return numbers[max(0, i + 1 - self.window_blocks_n)], numbers[i]
        oldest = numbers[0] if numbers else 0
        return oldest, oldest - 1

    def _end(self, last: int) -> int:
        return min((last + 1) * self.block_n, self.events_n)

    def _no_sums(self) -> Sums:
        return Sums(None if self.anytime_min is None else Bets(self.anytime_min))

    def _sums_all(self, last: int) -> Sums:
        sums = self._sums(min(self.blocks, default=0), last, self._no_sums())
        sums.merge(self.past)
        return sums

    def _sums(self, first: int, last: int, sums: Sums | None = None) -> Sums:
        sums = Sums() if sums is None else sums
        for number in range(first, last + 1):
            block = self.blocks[number]
            sums.events_n += block.events_n
            sums.guess_sum += block.guess_sum
            sums.asked_n += len(block.request_ids)
            for request_id in block.request_ids:
                if self.requests[request_id].is_judge:
                    sums.add(self.requests[request_id])
        return sums


def join_evaluations(evaluations: Sequence[Evaluation]) -> tuple[Estimate, Estimate, Quality]:
    """Of several shards together: `estimate`, `estimate_all` and `quality`, from one look at each.

    Only the estimates of a single one say of which of its events they speak.
    """
    looked = [(one, *one._range()) for one in evaluations]
    windows = [one._sums(first, last) for one, first, last in looked]
    window, whole = Sums(), Sums()
    for sums in windows:
        window.merge(sums)
    if len(looked) == 1:
        [(one, first, last)], [sums] = looked, windows
        return one._estimate(sums, first, last), one._estimate_all(last), _quality_of(window)
    for one, _, last in looked:
        whole.merge(one._sums_all(last))
    both = estimate_of(window, None, None), estimate_of(whole, None, None)
    return *both, _quality_of(window)


def _quality_of(sums: Sums) -> Quality:
    return quality_of(sums.cells, sums.labels_n / max(sums.asked_n, sums.labels_n, 1))


# ------------------------------------------------------------------------------------- parts


class _Block:
    """`block_n` successive events: their guesses as one sum, and who was asked about."""

    def __init__(self) -> None:
        self.events_n = 0
        self.guess_sum = 0
        self.request_ids: list[str] = []


class _Request:
    """One question about one event; it judges once its label and its chance are known."""

    def __init__(self, seq: int, guess: float, confidence: float) -> None:
        self.seq = seq
        self.guess = guess
        self.confidence = confidence
        trusted = 0.5 if math.isnan(confidence) else min(1.0, max(0.0, confidence))
        self.bin = min(int(trusted * _BINS_N), _BINS_N - 1)
        self.label = self.predicted = ""
        self.propensity: float | None = None
        self.is_right: bool | None = None
        self.is_ended = False
        self.is_taught = False

    @property
    def is_judge(self) -> bool:
        return self.is_right is not None and self.propensity is not None

    @property
    def is_over(self) -> bool:
        return self.is_ended or self.is_judge


class _Bins:
    """Confidence made honest: the share right among labels of like confidence.

    Each label weighs 1/p, so a bin speaks of all events of that confidence, not of those bought.
    A bin with few labels stays near the confidence itself.
    """

    def __init__(self) -> None:
        self.right = np.zeros(_BINS_N)
        self.seen = np.zeros(_BINS_N)
        self.weight_sum = 0.0
        self.square_sum = 0.0

    def guess(self, confidence: NDArray[np.float64]) -> NDArray[np.float64]:
        if len(confidence) <= _SHORT_N:
            return np.array(self._guess_few(confidence.tolist()))
        trusted = np.clip(np.where(np.isnan(confidence), 0.5, confidence), 0.0, 1.0)
        if self.weight_sum == 0.0:
            return trusted
        # What one blindly drawn label would weigh among these.
        unit = self.square_sum / self.weight_sum
        prior = _CONFIDENCE_LABELS * unit
        bins = np.minimum((trusted * _BINS_N).astype(np.intp), _BINS_N - 1)
        found: NDArray[np.float64] = (self.right[bins] + prior * trusted) / (
            self.seen[bins] + prior
        )
        return found

    def _guess_few(self, confidence: list[float]) -> list[float]:
        """The same of a few events, with the same bits."""
        # Comparisons cost a fifth of what min, max and isnan do. NaN differs from itself.
        trusted = [
            (x if x < 1.0 else 1.0) if x > 0.0 else 0.0 if x == x else 0.5  # noqa: FURB136, PLR0124
            for x in confidence
        ]
        if self.weight_sum == 0.0:
            return trusted
        prior = _CONFIDENCE_LABELS * (self.square_sum / self.weight_sum)
        right, seen = self.right.tolist(), self.seen.tolist()
        bins = [b if (b := int(x * _BINS_N)) < _BINS_N else _BINS_N - 1 for x in trusted]
        return [
            (right[b] + prior * x) / (seen[b] + prior) for b, x in zip(bins, trusted, strict=True)
        ]

    def learn(self, request: _Request) -> None:
        assert request.propensity is not None
        weight = 1.0 / request.propensity
        b = request.bin
        # New arrays: whoever holds the old ones sees that guesses have moved.
        self.right, self.seen = self.right * _FADE, self.seen * _FADE
        self.right[b] += weight if request.is_right else 0.0
        self.seen[b] += weight
        self.weight_sum = self.weight_sum * _FADE + weight
        self.square_sum = self.square_sum * _FADE + weight * weight
