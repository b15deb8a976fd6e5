"""Quotas: the least number of labels that each class and slice is to have among the latest ones.

While a class or a slice is short of its quota, a part of what doubt would choose is chosen by
*need* instead: how far the class or slice of an event is short, times how surely the event belongs
to it. To a slice an event belongs surely. To a class it belongs as far as the model's probability p
of the class is above the class's usual share s:

    (p - s) / (p + s), at least 0

so that an event whose probability of a rare class is higher than usual is needed long before that
class is the likeliest. The share s is counted among the labels that were drawn blindly. While a
class has few labels, n of them, the model weighs n / (n + 5); the rest is the event's likeness to
examples of the class, or its distance to all examples (`examples`).

Needs are ranked as doubts are, so that each event's propensity is known, and the blind draw stays
as it is. A quota is an aim: it can't find a class that the model has no idea of.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..observe.seen import widen_classes
from ..settings.query import QuotaSettings
from ..state.stored_parts import OfParts, Parts
from .examples import Examples
from .online import FEW_LABELS, ONE, Lean, RankChances
from .recent import RecentValues
from .slices import Features, parse_slice

REASON = "quota"
"""The reason of requests that were chosen by need."""

SHARPNESS = 60.0
"""How sharply the most needed are preferred: the first in a hundred has some 45 times the rate."""

IN_HAND_MAX = 10_000
"""Questions whose slices are remembered until they end; the oldest is forgotten first."""

Needs = NDArray[np.float64]


class Quotas:
    """The classes and slices of the latest labels, and how much each event is needed.

    A label counts for its class; a question about an event of a slice counts for the slice as soon
    as it is asked. Labels of other shards count for the classes.
    """

    def __init__(self, settings: QuotaSettings, slices: Mapping[str, str]) -> None:
        self.settings = settings
        self.slices = dict(slices)
        # Label, slices as bits, and whether the event was drawn blindly; the latest last.
        self._latest: deque[tuple[str, int, bool]] = deque()
        self._by_class: dict[str, int] = {}
        self._blind_by_class: dict[str, int] = {}
        self._blind_n = 0
        self._by_slice = [0] * len(self.slices)
        # Slices and row of the event of each open question, by its hashed id.
        self._in_hand: dict[int, tuple[int, NDArray[np.float64] | None]] = {}
        self._examples = Examples()

    @property
    def is_set(self) -> bool:
        """Whether there is any quota."""
        return self.settings.is_set

    # --------------------------------------------------------------------------------- labels

    def count_asked(self, key: int, row: NDArray[np.float64], features: Features) -> None:
        """Count a question about the event of this hashed id and row, shape (d,)."""
        if not self.is_set:
            return
        bits = 0
        for i, is_in in enumerate(self._rows_by_slice(row[np.newaxis], features)):
            bits |= int(is_in[0]) << i
        self._count_slices(bits, 1)
        self._in_hand[key] = bits, row.copy()
        if len(self._in_hand) > IN_HAND_MAX:
            self.drop_question(next(iter(self._in_hand)))

    def drop_question(self, key: int) -> None:
        """Drop an event whose label will not come, or came and is counted."""
        bits, _ = self._in_hand.pop(key, (0, None))
        self._count_slices(bits, -1)

    def count_label(self, key: int, label: str, reason: str) -> None:
        """Count the first label of this event; `reason` is why it was asked."""
        if not self.is_set:
            return
        is_blind = reason in ("control", "cold start")
        bits, row = self._in_hand.pop(key, (0, None))
        if row is not None and self.settings.per_class_n:
            self._examples.add(label, row)
        self._latest.append((label, bits, is_blind))
        self._tally_label(label, is_blind, 1)
        if len(self._latest) > self.settings.over_n:
            old, old_bits, was_blind = self._latest.popleft()
            self._tally_label(old, was_blind, -1)
            self._count_slices(old_bits, -1)

    def forget_events(self) -> None:
        """Forget the rows of all events, as a person is erased; classes and slices still count."""
        self._examples = Examples()
        self._in_hand = {key: (bits, None) for key, (bits, _) in self._in_hand.items()}

    def _tally_label(self, label: str, is_blind: bool, n: int) -> None:
        counts = [self._by_class, self._blind_by_class] if is_blind else [self._by_class]
        self._blind_n += n * is_blind
        for by_class in counts:
            by_class[label] = by_class.get(label, 0) + n
            if not by_class[label]:
                del by_class[label]

    def _count_slices(self, bits: int, n: int) -> None:
        for i in range(len(self.slices)):
            self._by_slice[i] += n * (bits >> i & 1)

    def count_missing(self, classes: Sequence[str]) -> dict[str, int]:
        """Return how many labels each quota lacks, by `class NAME` and `slice NAME`.

        >>> quotas = Quotas(QuotaSettings(per_class_n=2), {})
        >>> quotas.count_label(1, "fraud", "control")
        >>> quotas.count_missing(["fine", "fraud"])
        {'class fine': 2, 'class fraud': 1}
        """
        settings = self.settings
        missing = {}
        if settings.per_class_n:
            of_class = {name: self._by_class.get(name, 0) for name in classes}
            missing = {f"class {c}": max(0, settings.per_class_n - n) for c, n in of_class.items()}
        for name, n in zip(self.slices, self._by_slice, strict=True):
            missing[f"slice {name}"] = max(0, settings.per_slice_n - n)
        return missing

    # ---------------------------------------------------------------------------------- needs

    def measure_needs(
        self,
        rows: NDArray[np.float64],
        probabilities: NDArray[np.float64],
        classes: Sequence[str],
        features: Features,
    ) -> Needs | None:
        """Return how much each event is needed, 0 to 1, shape (n,); None without any quota.

        `rows` have shape (n, d), the model's `probabilities` (n, k) over the first k classes;
        `features` describes the columns. Each row is independent of the others.
        """
        if not self.is_set:
            return None
        needs = self._needs_of_classes(rows, probabilities, classes, features)
        least_n = self.settings.per_slice_n
        if any(n < least_n for n in self._by_slice):
            members = self._rows_by_slice(rows, features)
            for n, is_in in zip(self._by_slice, members, strict=True):
                needs = np.maximum(needs, is_in * (max(0, least_n - n) / least_n))
        return needs

    def _needs_of_classes(
        self,
        rows: NDArray[np.float64],
        probabilities: NDArray[np.float64],
        classes: Sequence[str],
        features: Features,
    ) -> Needs:
        needs, least_n, k = np.zeros(len(rows)), self.settings.per_class_n, len(classes)
        labels_n = {name: self._by_class.get(name, 0) for name in classes}
        short = [name for name in classes if labels_n[name] < least_n] if k > 1 else []
        if not short:
            return needs
        model = np.nan_to_num(widen_classes(probabilities, k))
        is_category = np.array([name in features.categories for name in features.names])
        likeness = self._examples.rate_likeness(rows, short, is_category[: rows.shape[1]])
        for name in short:
            n, p = labels_n[name], model[:, classes.index(name)]
            share = (self._blind_by_class.get(name, 0) + 1) / (self._blind_n + k)
            likelier = np.maximum(p - share, 0.0) / (p + share)
            belongs = (n * likelier + FEW_LABELS * likeness[name]) / (n + FEW_LABELS)
            needs = np.maximum(needs, belongs * ((least_n - n) / least_n))
        return needs

    def _rows_by_slice(
        self, rows: NDArray[np.float64], features: Features
    ) -> list[NDArray[np.bool_]]:
        return [parse_slice(text).holds(rows, features) for text in self.slices.values()]


_PARTS: Parts = {
    "_needs": (RecentValues, {"_known": "values", "_known_n": "n", "_ordered": "ordered"})
}


class NeedChances(OfParts):
    """The draw by need among arriving events, which gets the part `share` of the rate.

    Needs are ranked among those of the latest 1,024 events, which are put in order at counted
    events.
    """

    PARTS: ClassVar[Parts] = _PARTS

    def __init__(self, share: float) -> None:
        self.share = share
        self._needs = RecentValues()
        self._chances = RankChances(self._needs.ordered, 0.0, Lean(1.0, 1.0))

    def add_needs(self, needs: Needs, *, is_counted: bool) -> None:
        """Append the needs of events, shape (n,); with `is_counted` put all needs in order."""
        self._needs.add(needs)
        if is_counted:
            self._needs.put_in_order()

    def aim_draw(self, rate: float, blind_share: float) -> None:
        """Set the rate, and the share of it that is drawn blindly."""
        self._chances = RankChances(self._needs.ordered, rate, Lean(blind_share, SHARPNESS))

    def of(self, needs: Needs) -> NDArray[np.float64]:
        """Return the probability by need alone, shape (n,); NaN if no recent event is needed."""
        chances = self._chances.of(needs) / ONE
        return np.where((needs > 0.0) | self.is_any, chances, np.nan)

    @property
    def is_any(self) -> bool:
        """Whether any of the latest events was needed."""
        known = self._chances.ordered
        return bool(len(known)) and bool(known[-1] > 0.0)

    def mix_in_needs(self, chances: NDArray[np.int64], needs: Needs) -> NDArray[np.int64]:
        """Return these probabilities, in billionths, shape (n,), with a part replaced by need."""
        by_need = np.rint(self._chance_by_need(needs) * ONE).astype(np.int64)
        replaced = chances * round(self.share * ONE) // ONE
        return np.where(by_need < 0, chances, chances - replaced + by_need)

    def _chance_by_need(self, needs: Needs) -> NDArray[np.float64]:
        return np.nan_to_num(self.share * self.of(needs), nan=-1.0)

    def is_for_quota(self, need: float, chance: int, blind: float, luck: float) -> bool:
        """Whether need drew an event that was not drawn blindly.

        `chance`, in billionths, is its probability, of which the share `blind` is blind; `luck`,
        0 to 1, is the event's own.
        """
        if need <= 0.0:
            return False
        p = chance / ONE
        by_need = float(self._chance_by_need(np.array([need]))[0]) - self.share * blind * p
        return luck * (1.0 - blind) * p < by_need
