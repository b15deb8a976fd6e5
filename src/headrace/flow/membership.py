"""How a worker stands with its brokers and with its group."""

from __future__ import annotations

FENCED_S_MAX = 15.0
"""So long a partition that was fenced waits for the group to share out anew: longer than a session,
after which the brokers do so if they miss one of us."""

SILENT_S_MAX = 20.0
"""After so long without an answer from the brokers a worker is not ready."""


class Membership:
    """`turn` is another after each change of what is read, and of where: what was read in an
    earlier one is read again. Moments are by the clock that never jumps, but for `rebalanced_at`.
    """

    def __init__(self, elapsed: float) -> None:
        self.turn = 0
        self.rebalances_n = 0
        self.rebalanced_at: float | None = None
        self._heard_at = elapsed
        self._fenced_at: float | None = None

    def end_turn(self) -> None:
        """What was read before is not taken any more."""
        self.turn += 1

    def note_rebalance(self, wall: float) -> None:
        """The group shares out anew, at this time of day."""
        self.end_turn()
        self.rebalances_n += 1
        self.rebalanced_at = wall

    def hear_brokers(self, elapsed: float) -> None:
        """The brokers have answered."""
        self._heard_at = elapsed

    def describe_silence(self, elapsed: float) -> str:
        """For how long the brokers have not answered, if that is too long."""
        silent_s = elapsed - self._heard_at
        is_long = silent_s > SILENT_S_MAX
        return f"the brokers have not answered for {silent_s:.0f} s" if is_long else ""

    def fence(self, elapsed: float) -> None:
        """Another worker took a partition of ours; the first one counts."""
        self._fenced_at = elapsed if self._fenced_at is None else self._fenced_at

    def forget_fence(self) -> None:
        """The group has said who has what."""
        self._fenced_at = None

    def is_fenced_long(self, elapsed: float) -> bool:
        """Whether the group does not say who has what another worker took."""
        return self._fenced_at is not None and elapsed - self._fenced_at >= FENCED_S_MAX
