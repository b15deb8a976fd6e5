"""The accuracy of the predictions with a 95 % interval, from labels that were chosen.

Labels bought by doubt are no fair sample: the share right among them is too low. Here each label
weighs 1/p, p being the probability with which its event was asked about at its first chance, and
corrects a guess that is made for every event on arrival:

    accuracy = mean of all guesses + sum(w (right - guess)) / sum(w),   w = 1/p

which is the self-normalised difference estimator of survey sampling (Särndal, Swensson, Wretman,
"Model Assisted Survey Sampling", 1992, ch. 6 and 7), also known as prediction-powered (Zrnic and
Candès, "Active statistical inference", ICML 2024). `bench/coverage.py` measures how well its
intervals cover; docs/ACCURACY.md has the results. Measures by class are in `quality`. Events that
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

# The number of blocks in a window, which moves by one block at a time.
BLOCKS_N = 50
# The most requests kept whose events have left the memory before their label or propensity came; at
# the limit the oldest is dropped for a new one, and counted in `lost_n`.
LATE_MAX = 10_000

_BINS_N = 20  # Bins of confidence, equally wide over [0, 1].
_FADE = 0.995  # The factor of a label's weight in the bins at each further label.
_CONFIDENCE_LABELS = 20.0  # The weight of the confidence itself in a bin, in labels.
_ENDED_SHARE = 0.8  # A stretch is judged once this share of its requests has ended...
_STRETCH_N = 5  # ...a stretch being this many blocks.
_PROPENSITY_MIN = 1e-9
_SHORT_N = 16  # Up to this many events, single numbers are quicker than arrays.


class Evaluation:
    """The state: guesses of the last events in blocks, requests that judge them, and the bins.

    The caller passes only requests of an event's *first* chance (the draw on arrival; with rounds
    also the first round after it) to `note_asked`; a label bought later is for learning and does
    not judge. Two windows of events are remembered, so that labels may be late by a window; later
    ones count in `estimate_all` only, and can't be revised.

    >>> evaluation = Evaluation(window_n=100)
    >>> guesses = evaluation.guess_chances(np.full(200, 0.9))
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
        """`window_n` is the number of events in `estimate`.

        With `anytime_min`, the smallest probability with which any event is asked, the interval of
        `estimate_all` holds at all times; see `anytime`. Raises `BadSettings` if `window_n` is 0.
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

    def guess_chances(self, confidence: NDArray[np.float64]) -> NDArray[np.float64]:
        """The chance that each prediction is right, shape (n,), from confidences of shape (n,).

        A confidence is the probability of the predicted class; NaN counts as 1/2. Nothing is
        changed, and each row is independent of the others.
        """
        return self.bins.guess_chances(confidence)

    @property
    def guessed_by(self) -> NDArray[np.float64]:
        """The basis of the guesses: while it is one object, `guess_chances` does not change."""
        return self.bins.seen

    def reach_events(self, events_n: int) -> None:
        """Open the blocks of all events up to `events_n`; `count_events` may add guesses later.

        They must follow within less than a window, because blocks leave the memory complete.
        """
        for number in range(self.events_n // self.block_n, (events_n - 1) // self.block_n + 1):
            if number not in self.blocks:
                self._open_block(number)

    def count_events(self, guesses: NDArray[np.float64]) -> None:
        """Count events in the order of their numbers, with the result of `guess_chances` for each.

        A guess of NaN marks an event that was predicted before there was a model: it has no
        accuracy.
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
        """Return a block, opened if need be; a block that is then too old joins the past."""
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
        """Note that an event was asked about at its first chance; see `Evaluation`.

        `seq` is the event's number; it was counted before. `guess` and `confidence` are those on
        arrival. A guess of NaN means that the event was not predicted; its label judges nothing.
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
        """Note the propensity of a request, in (0, 1].

        It is known on arrival or, with rounds, in the first round after it, maybe after the label.
        A request with a propensity below 1e-9 or above 1 is forgotten: no budget has such ones.
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
        """Note the label of a request; `right` is whether the prediction on arrival was that class.

        `label` and `predicted`, the class of the label and the predicted one, are for `quality`.
        Another call for the same request revises the judgement. The bins keep what they learnt
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
        """Whether this request is a judge, or may become one."""
        return self._find_request(request_id) is not None

    def guess_of(self, request_id: str) -> float | None:
        """The guess of a request that judges or may judge; None for any other."""
        request = self._find_request(request_id)
        return None if request is None else request.guess

    def end_request(self, request_id: str) -> None:
        """Note that no label will come, or that the one that came is withdrawn."""
        request = self._find_request(request_id)
        if request is None:
            return
        request.is_right = None
        request.is_ended = True
        self.late.pop(request_id, None)

    def _find_request(self, request_id: str) -> _Request | None:
        return self.requests.get(request_id) or self.late.get(request_id)

    def _settle_request(self, request_id: str, request: _Request) -> None:
        """Use a request in the bins, and as a judge, if its label and propensity are known."""
        if not request.is_judge:
            return
        if not request.is_taught:
            request.is_taught = True
            self.bins.learn(request)
        if request_id in self.late:
            self.past.add(self.late.pop(request_id))

    # ---------------------------------------------------------------------------- estimates

    def estimate(self) -> Estimate:
        """The accuracy over the last `window_n` events whose labels are back, in whole blocks.

        While labels are out, the range ends where most earlier requests have ended: to judge newer
        events by the labels of older ones would be wrong whenever the stream drifts.
        """
        first, last = self._find_range()
        return estimate_of(self._sum_blocks(first, last), first * self.block_n, self._end(last))

    def estimate_all(self) -> Estimate:
        """The accuracy from the first event on, up to where labels are back."""
        _, last = self._find_range()
        return estimate_of(self._sums_all(last), 0, self._end(last))

    def quality(self) -> Quality:
        """Measures beyond accuracy, over the same range as `estimate`."""
        return _quality_of(self._sum_blocks(*self._find_range()))

    def _find_range(self) -> tuple[int, int]:
        """The first and last block of `estimate`, inclusive; last < first if there is none."""
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
        sums = self._sum_blocks(min(self.blocks, default=0), last, self._no_sums())
        sums.merge(self.past)
        return sums

    def _sum_blocks(self, first: int, last: int, sums: Sums | None = None) -> Sums:
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
    """The `estimate`, `estimate_all` and `quality` of several shards together.

    The range of events is set only for a single shard. Each shard's `_find_range` is computed once.
    """
    window, whole = Sums(), Sums()
    start = from_seq = to_seq = None
    for evaluation in evaluations:
        first, last = evaluation._find_range()
        window.merge(evaluation._sum_blocks(first, last))
        whole.merge(evaluation._sums_all(last))
        if len(evaluations) == 1:
            start, from_seq, to_seq = 0, first * evaluation.block_n, evaluation._end(last)
    both = estimate_of(window, from_seq, to_seq), estimate_of(whole, start, to_seq)
    return *both, _quality_of(window)


def _quality_of(sums: Sums) -> Quality:
    return quality_of(sums.cells, sums.labels_n / max(sums.asked_n, sums.labels_n, 1))


# ------------------------------------------------------------------------------------- parts


class _Block:
    """`block_n` successive events: the sum of their guesses, and the requests about them."""

    def __init__(self) -> None:
        self.events_n = 0
        self.guess_sum = 0
        self.request_ids: list[str] = []


class _Request:
    """One request about one event; it judges once its label and its propensity are known."""

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
    """Bins that make confidence honest: the share right among labels of similar confidence.

    Each label weighs 1/p, so a bin represents all events of that confidence, not only those asked
    about. In a bin with few labels the guess stays near the confidence itself.
    """

    def __init__(self) -> None:
        self.right = np.zeros(_BINS_N)
        self.seen = np.zeros(_BINS_N)
        self.weight_sum = 0.0
        self.square_sum = 0.0

    def guess_chances(self, confidence: NDArray[np.float64]) -> NDArray[np.float64]:
        if len(confidence) <= _SHORT_N:
            return np.array(self._guess_few(confidence.tolist()))
        trusted = np.clip(np.where(np.isnan(confidence), 0.5, confidence), 0.0, 1.0)
        if self.weight_sum == 0.0:
            return trusted
        # The weight that one blindly drawn label would have among these.
        unit = self.square_sum / self.weight_sum
        prior = _CONFIDENCE_LABELS * unit
        bins = np.minimum((trusted * _BINS_N).astype(np.intp), _BINS_N - 1)
        guesses: NDArray[np.float64] = (self.right[bins] + prior * trusted) / (
            self.seen[bins] + prior
        )
        return guesses

    def _guess_few(self, confidence: list[float]) -> list[float]:
        """`guess_chances` for a few events, with the same bits."""
        # Comparisons take a fifth of the time of min, max and isnan. NaN differs from itself.
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
        # New arrays, so that a holder of the old ones can tell that guesses have changed.
        self.right, self.seen = self.right * _FADE, self.seen * _FADE
        self.right[b] += weight if request.is_right else 0.0
        self.seen[b] += weight
        self.weight_sum = self.weight_sum * _FADE + weight
        self.square_sum = self.square_sum * _FADE + weight * weight
