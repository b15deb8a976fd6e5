"""What is to be done: effects that the driver carries out, and routines that wait for results."""

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

    def give(self, *effects: Effect) -> None:
        """These are to be carried out next."""
        self._effects += effects

    def note(self, sentence: str) -> None:
        """Tell what goes on."""
        self.give(Note(sentence))

    def warn(self, sentence: str) -> None:
        """Tell what an operator should look at."""
        self.give(Note(sentence, is_warning=True))

    def take_effects(self) -> list[Effect]:
        """What was given since this was called last."""
        effects, self._effects = self._effects, []
        return effects

    # -------------------------------------------------------------------------------- routines

    def hold(self) -> None:
        """Keep everything waiting but the routines, until as many `release` it."""
        self._holds_n += 1

    def release(self) -> None:
        """One less holds everything up."""
        self._holds_n -= 1

    @property
    def is_held(self) -> bool:
        """Whether everything waits for a routine."""
        return self._holds_n > 0

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
        self.give(Ask(self._asked_n, request))
