"""How a worker stands with its brokers and with its group."""

from __future__ import annotations

FENCED_S_MAX = 15.0
"""How long a fenced partition waits for the group to be reassigned: longer than a session, after
which the brokers do so if they miss one of us."""

SILENT_S_MAX = 20.0
"""After so long without an answer from the brokers a worker is not ready."""


class Membership:
    """`turn` changes whenever other parts are read, or from other places: records read in an
    earlier turn are read again. Moments are by the clock that never jumps, but for `rebalanced_at`.
    """

    def __init__(self, elapsed: float) -> None:
        self.turn = 0
        self.rebalances_n = 0
        self.rebalanced_at: float | None = None
        self._heard_at = elapsed
        self._fenced_at: float | None = None

    def end_turn(self) -> None:
        """Begin another turn: records that were read before are no longer accepted."""
        self.turn += 1

    def note_rebalance(self, wall: float) -> None:
        """Note that the group reassigned its partitions, at this time of day."""
        self.end_turn()
        self.rebalances_n += 1
        self.rebalanced_at = wall

    def hear_brokers(self, elapsed: float) -> None:
        """Note that the brokers have answered."""
        self._heard_at = elapsed

    def describe_silence(self, elapsed: float) -> str:
        """Describe for how long the brokers have not answered; empty unless that is too long."""
        silent_s = elapsed - self._heard_at
        is_long = silent_s > SILENT_S_MAX
        return f"the brokers have not answered for {silent_s:.0f} s" if is_long else ""

    def note_fenced(self, elapsed: float) -> None:
        """Note that another worker took a partition of ours; the first time counts."""
        self._fenced_at = elapsed if self._fenced_at is None else self._fenced_at

    def forget_fence(self) -> None:
        """Forget what was taken: the group has assigned its partitions since."""
        self._fenced_at = None

    def is_fenced_long(self, elapsed: float) -> bool:
        """Whether a partition was taken long ago and the group has not assigned any since."""
        return self._fenced_at is not None and elapsed - self._fenced_at >= FENCED_S_MAX
