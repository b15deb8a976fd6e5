"""Routines under way, each waiting for the result of its request or for the next turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .effects import Ask, Routine


class Routines:
    """Runs routines as far as they go; `ask` is given what they request."""

    def __init__(self, ask: Callable[[Ask], None]) -> None:
        self._ask = ask
        self._asked_n = 0
        self._asking: dict[int, Routine[Any]] = {}
        self._idle: list[Routine[Any]] = []

    def start(self, routine: Routine[Any]) -> Routine[Any]:
        """Start a routine."""
        self._go_on(routine, None)
        return routine

    def answer(self, number: int, result: Any) -> None:
        """The request of this number is carried out; nobody may be waiting for it any more."""
        routine = self._asking.pop(number, None)
        if routine is not None:
            self._go_on(routine, result)

    def wake(self) -> None:
        """Let all go on that wait for a turn."""
        idle, self._idle = self._idle, []
        for routine in idle:
            self._go_on(routine, None)

    def stop(self, routine: Routine[Any] | None) -> None:
        """Let a routine go where it stands."""
        if routine is not None:
            self._idle = [other for other in self._idle if other is not routine]
            self._asking = {n: other for n, other in self._asking.items() if other is not routine}
            routine.close()

    def _go_on(self, routine: Routine[Any], result: Any) -> None:
        try:
            request = routine.send(result)
        except StopIteration:
            return
        if request is None:
            self._idle.append(routine)
            return
        self._asked_n += 1
        self._asking[self._asked_n] = routine
        self._ask(Ask(self._asked_n, request))
