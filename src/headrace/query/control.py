"""The control draw of rounds: a small probability on arrival, and the events that await a round.

Where events are asked in rounds, each has two first chances: the control draw when it arrives,
which is blind, and the first round after that. `settle_first_chances` combines both into the
propensity once the round was held.
"""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .rounds import Decision, FirstChance, combine_chances

CONTROL_MIN = 1e-4
"""Floor of the control draw's probability, while the pace of events is not known yet."""

PACES_MAX = 1_000
"""Changes of the control draw's probability that are remembered; a window holds fewer."""


class ControlDraw:
    """The probability of the draw at each event, and the drawn events that await their round.

    `share` is the part of the labels earned that the draw spends.

    >>> draw = ControlDraw(0.25, labels_per_event=0.1)
    >>> draw.adjust_rate(0.2, seq=100)
    >>> draw.p_of(99), draw.p_of(100)
    (0.025, 0.05)
    """

    def __init__(self, share: float, labels_per_event: float) -> None:
        self.share = share
        self.p = max(CONTROL_MIN, share * labels_per_event)
        # Pairs of an event number and the probability from there on, oldest first.
        self._paces: deque[tuple[int, float]] = deque([(0, self.p)], maxlen=PACES_MAX)
        # Number, request id and probability of each drawn event whose first round is to come.
        self._unweighted: deque[tuple[int, str, float]] = deque()

    @classmethod
    def of_state(
        cls,
        *,
        share: float,
        p: float,
        paces: deque[tuple[int, float]],
        unweighted: deque[tuple[int, str, float]],
    ) -> ControlDraw:
        """Return the draw of a state in which it was no object of its own."""
        draw = cls(share, 0.0)
        draw.p, draw._paces, draw._unweighted = p, paces, unweighted
        return draw

    def adjust_rate(self, labels_per_event: float, seq: int) -> None:
        """Adjust the draw to the rate of earning, from event `seq` on; at counted points."""
        p = max(CONTROL_MIN, self.share * labels_per_event)
        if p != self.p:
            self.p = p
            self._paces.append((seq, p))

    def p_of(self, seq: int) -> float:
        """Return the probability that the draw had when event `seq` arrived."""
        later = bisect.bisect_right(self._paces, seq, key=lambda pace: pace[0])
        return self._paces[max(0, later - 1)][1]

    def note_draw(self, seq: int, request_id: str) -> float:
        """Note that the draw fell on event `seq`, and return its probability."""
        p = self.p_of(seq)
        self._unweighted.append((seq, request_id, p))
        return p

    def settle_first_chances(
        self,
        decision: Decision,
        seq_of_row: NDArray[np.int64],
        request_id_of: Callable[[int], str],
        fresh_from: int,
        *,
        is_counted: bool = True,
    ) -> list[FirstChance]:
        """Return the propensities that a round settles: of its events and of control's.

        `seq_of_row`, shape (n,), are the event numbers of the pool, ascending; `request_id_of`
        returns the request id of a row. Events before number `fresh_from` had their first chance in
        an earlier round. Where `is_counted` is false, events that the round asked don't judge, and
        events that control asked had no chance but that draw.
        """
        settled = []
        last = int(seq_of_row[-1])
        while self._unweighted and self._unweighted[0][0] <= last:
            seq, request_id, control_p = self._unweighted.popleft()
            chance, row = 0.0, int(np.searchsorted(seq_of_row, seq))
            if is_counted and seq_of_row[row] == seq:
                chance = float(decision.inclusion[row])
            settled.append(FirstChance(request_id, combine_chances(control_p, chance)))
        if not is_counted:
            return settled
        for row in decision.chosen[seq_of_row[decision.chosen] >= fresh_from].tolist():
            chance, control_p = float(decision.inclusion[row]), self.p_of(int(seq_of_row[row]))
            settled.append(FirstChance(request_id_of(row), combine_chances(control_p, chance)))
        return settled

    def settle_gone(self, first_seq: int) -> list[FirstChance]:
        """Return the propensities of control's events that left the window before any round.

        They had no chance but the control draw. `first_seq` is the first event of the window.
        """
        settled = []
        while self._unweighted and self._unweighted[0][0] < first_seq:
            _, request_id, control_p = self._unweighted.popleft()
            settled.append(FirstChance(request_id, control_p))
        return settled
