"""Writes a run's outputs: requests into the journal, all into the files, then to a callback."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...adapters.journal import Asked, Journal
from ...messages import Output
from .outputs import OutputLogs, describe_differences
from .player import Player


class Outlet:
    """Writes outputs in an order that a kill can't spoil, and again after a kill.

    `on_outputs` is called with all outputs once they are written.
    """

    def __init__(
        self,
        logs: OutputLogs,
        journal: Journal,
        player: Player,
        on_outputs: Callable[[Sequence[Output]], None],
    ) -> None:
        self.logs = logs
        self._journal = journal
        self._player = player
        self._on_outputs = on_outputs
        # How many lines of outputs that were let out again would differ now.
        self._differing_n = 0

    def let_out(self, outputs: Sequence[Output], *, is_journaled: bool = False) -> None:
        """Write into the journal what was asked, then all outputs to where they belong."""
        contents = self.logs.contents_of(outputs)
        if not is_journaled:
            self._journal.append(self._player.collect_asked(*self.logs.ends_of(contents)))
        self.logs.write(contents)
        self._on_outputs(outputs)

    def let_out_again(
        self, outputs: list[Output], asked: Asked | None, *, is_last: bool = False
    ) -> None:
        """Write what a kill kept from the files, of the outputs of a record that was fed again."""
        if asked is not None:
            self._differing_n += self.logs.write_again(outputs, asked)
            return self._on_outputs(outputs)
        # The journal is of an earlier version, or a kill came before anything was let out.
        is_new = is_last and not self.logs.is_behind
        return self.let_out(outputs, is_journaled=not is_new)

    def describe_differences(self) -> str:
        """Describe how outputs that were let out again differ from the record; empty if not."""
        return describe_differences(self._player.differences, self._differing_n)
