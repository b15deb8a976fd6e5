"""Three families of errors; the type says whose fault it is, the text what to do.

There are no codes and no retries here: an error that a stream can survive is not raised at all, it
leaves the engine as an `InputRejected`.
"""


class HeadraceError(Exception):
    """Base of all errors that Headrace raises on purpose.

    >>> issubclass(BadSettings, HeadraceError)
    True
    """


class BadSettings(HeadraceError):  # noqa: N818 - the name is a verdict, not a kind of error
    """The settings or the arguments are wrong: the caller has to mend them.

    Args:
        faults: One fault, or a list of all that were found, each a sentence.

    Attributes:
        faults: Every fault found, a list of sentences, so that one run shows them all.

    >>> raise BadSettings(["seed is 'x'; must be a number", "learn.passes is 0; must be above 0"])
    Traceback (most recent call last):
    headrace.errors.BadSettings: 2 faults in the settings:
      - seed is 'x'; must be a number
      - learn.passes is 0; must be above 0
    """

    def __init__(self, faults: str | list[str]) -> None:
        self.faults = [faults] if isinstance(faults, str) else list(faults)
        if len(self.faults) == 1:
            super().__init__(self.faults[0])
        else:
            lines = "".join(f"\n  - {fault}" for fault in self.faults)
            super().__init__(f"{len(self.faults)} faults in the settings:{lines}")


class BadInput(HeadraceError):  # noqa: N818
    """A file, a record or a snapshot from outside is wrong: its producer has to mend it.

    >>> from headrace import Engine
    >>> Engine().restore(b"no snapshot")
    Traceback (most recent call last):
    headrace.errors.BadInput: ...
    """


class BrokenInvariant(HeadraceError):  # noqa: N818
    """Headrace is wrong: please report it, with the text and the journal of the run.

    >>> issubclass(BrokenInvariant, HeadraceError)
    True
    """


class NotSealed(BadInput):
    """A record is not sealed, or its seal does not fit it; the text says which, and quotes none.

    >>> issubclass(NotSealed, BadInput)
    True
    """
