"""Pending work of a flow: effects for the driver to carry out, routines that wait for results."""

from __future__ import annotations

from typing import Any

from .effects import Ask, Effect, Note, Routine


class Agenda:
    """Effects in their order, and routines, each waiting for its result or for the next turn."""

    def __init__(self) -> None:
        self._effects: list[Effect] = []
        self._holds_n = 0
        self._asked_n = 0
        self._asking: dict[int, Routine[Any]] = {}
        self._idle: list[Routine[Any]] = []

    # --------------------------------------------------------------------------------- effects

    def add_effects(self, *effects: Effect) -> None:
        """Append effects for the driver to carry out."""
        self._effects += effects

    def note(self, sentence: str) -> None:
        """Report what goes on, in a sentence."""
        self.add_effects(Note(sentence))

    def warn(self, sentence: str) -> None:
        """Report what an operator should look at, in a sentence."""
        self.add_effects(Note(sentence, is_warning=True))

    def take_effects(self) -> list[Effect]:
        """Return the effects appended since the last call, and clear them."""
        effects, self._effects = self._effects, []
        return effects

    # -------------------------------------------------------------------------------- routines

    def hold(self) -> None:
        """Suspend everything but the routines, until each `hold` is matched by a `release`."""
        self._holds_n += 1

    def release(self) -> None:
        """Undo one `hold`."""
        self._holds_n -= 1

    @property
    def is_held(self) -> bool:
        """Whether everything waits for a routine."""
        return self._holds_n > 0

    def start(self, routine: Routine[Any]) -> Routine[Any]:
        """Run a routine up to its first request or pause, and return it."""
        self._resume_routine(routine, None)
        return routine

    def answer(self, number: int, result: Any) -> None:
        """Pass a request's result to the routine that waits for it, if there still is one."""
        routine = self._asking.pop(number, None)
        if routine is not None:
            self._resume_routine(routine, result)

    def wake(self) -> None:
        """Resume every routine that waits for its next turn."""
        idle, self._idle = self._idle, []
        for routine in idle:
            self._resume_routine(routine, None)

    def stop(self, routine: Routine[Any] | None) -> None:
        """End a routine wherever it stands."""
        if routine is not None:
            self._idle = [other for other in self._idle if other is not routine]
            self._asking = {n: other for n, other in self._asking.items() if other is not routine}
            routine.close()

    def _resume_routine(self, routine: Routine[Any], result: Any) -> None:
        try:
            request = routine.send(result)
        except StopIteration:
            return
        if request is None:
            self._idle.append(routine)
            return
        self._asked_n += 1
        self._asking[self._asked_n] = routine
        self.add_effects(Ask(self._asked_n, request))
