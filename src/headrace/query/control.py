"""The control draw of rounds: a small probability on arrival, and what it leaves open.

Where events are asked in rounds, each has two first chances: the control draw when it arrives,
which looks at nothing, and the first round after it. `settle_first_chances` joins both into the
propensity once the round has been held.
"""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .rounds import Decision, FirstChance, either

CONTROL_MIN = 1e-4
"""Floor of the control draw's probability, while the pace of events is not known yet."""

PACES_MAX = 1_000
"""Changes of the control draw's probability that are remembered; a window holds fewer."""


class ControlDraw:
    """The probability of the draw at every event, and the events it fell on that await a round.

    `share` is the part of the labels earned that it spends.

    >>> draw = ControlDraw(0.25, labels_per_event=0.1)
    >>> draw.follow(0.2, seq=100)
    >>> draw.p_of(99), draw.p_of(100)
    (0.025, 0.05)
    """

    def __init__(self, share: float, labels_per_event: float) -> None:
        self.share = share
        self.p = max(CONTROL_MIN, share * labels_per_event)
        # From which event on which probability held, oldest first.
        self._paces: deque[tuple[int, float]] = deque([(0, self.p)], maxlen=PACES_MAX)
        # Number, request and probability of each event drawn whose first round is to come.
        self._unweighted: deque[tuple[int, str, float]] = deque()

    def follow(self, labels_per_event: float, seq: int) -> None:
        """Adjust the draw to what is earned, from event `seq` on; at counted points."""
        p = max(CONTROL_MIN, self.share * labels_per_event)
        if p != self.p:
            self.p = p
            self._paces.append((seq, p))

    def p_of(self, seq: int) -> float:
        """The probability when event `seq` arrived."""
        later = bisect.bisect_right(self._paces, seq, key=lambda pace: pace[0])
        return self._paces[max(0, later - 1)][1]

    def note_draw(self, seq: int, request_id: str) -> float:
        """The draw fell on this event, whose first round is to come; its probability."""
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
        """Propensities that a round settles: of those it asked, and of those control had asked.

        `seq_of_row`, shape (n,), are the event numbers of the pool, ascending; `request_id_of`
        gives the id of a row. Events before number `fresh_from` had their first chance in an
        earlier round. Where the round is not counted, those it asked don't judge, and of those that
        control asked that draw alone was the chance.
        """
        found = []
        last = int(seq_of_row[-1])
        while self._unweighted and self._unweighted[0][0] <= last:
            seq, request_id, control_p = self._unweighted.popleft()
            chance, row = 0.0, int(np.searchsorted(seq_of_row, seq))
            if is_counted and seq_of_row[row] == seq:
                chance = float(decision.inclusion[row])
            found.append(FirstChance(request_id, either(control_p, chance)))
        if not is_counted:
            return found
        for row in decision.chosen[seq_of_row[decision.chosen] >= fresh_from].tolist():
            chance, control_p = float(decision.inclusion[row]), self.p_of(int(seq_of_row[row]))
            found.append(FirstChance(request_id_of(row), either(control_p, chance)))
        return found

    def settle_gone(self, first_seq: int) -> list[FirstChance]:
        """Propensities of those that left the window before any round: control was all they had."""
        found = []
        while self._unweighted and self._unweighted[0][0] < first_seq:
            _, request_id, control_p = self._unweighted.popleft()
            found.append(FirstChance(request_id, control_p))
        return found
