"""What a run says is let out: into its journal what was asked, then into its files, then to you."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...adapters.journal import Asked, Journal
from ...messages import Output
from .outputs import OutputLogs, describe_differences
from .player import Player


class Outlet:
    """The order in which outputs are written, once and again after a kill.

    `on_outputs` gets everything that is let out.
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
        # Lines that would be others now, of outputs that were let out again.
        self._differing_n = 0

    def let_out(self, outputs: Sequence[Output], *, is_journaled: bool = False) -> None:
        """Into the journal what was asked, then all of it to where it belongs."""
        contents = self.logs.contents_of(outputs)
        if not is_journaled:
            self._journal.append(self._player.asked(*self.logs.ends_of(contents)))
        self.logs.write(contents)
        self._on_outputs(outputs)

    def let_out_again(
        self, outputs: list[Output], asked: Asked | None, *, is_last: bool = False
    ) -> None:
        """What the journal had, fed again: the files hold it, up to where a kill cut them short."""
        if asked is not None:
            self._differing_n += self.logs.write_again(outputs, asked)
            return self._on_outputs(outputs)
        # Of an earlier version, or a kill came before anything of it was let out.
        is_new = is_last and not self.logs.is_behind
        return self.let_out(outputs, is_journaled=not is_new)

    def describe_differences(self) -> str:
        """By how much what was let out again differed from the record; empty if it did not."""
        return describe_differences(self._player.differences, self._differing_n)
