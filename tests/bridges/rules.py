"""Labelling functions as people write them, good and bad."""

from __future__ import annotations

from enum import Enum, IntEnum, StrEnum

import numpy as np


class Class(IntEnum):
    """As Snorkel's users number their classes."""

    ABSTAIN = -1
    HAM = 0
    SPAM = 1


class Name(StrEnum):
    HAM = "ham"


class Mixed(str, Enum):  # noqa: UP042 - as programs before 3.11 have it
    SPAM = "spam"


def shouts(features):
    return "spam" if features["text"].isupper() else None


def long(x):
    return Class.SPAM if len(x.text) > 10 else Class.ABSTAIN


def short(x):
    return np.int64(0) if len(x.text) < 5 else np.int64(-1)


def polite(x):
    return Name.HAM if "please" in x.text else None


def greedy(x):
    x.clear()
    return Mixed.SPAM


def certain(x):
    return x.get("n", 0) > 1


def broken(x):
    raise ValueError(f"no such thing as {x.text}")


def vague(x):
    return 0.5


def far(x):
    return 7


def chatty(x):
    return "x" * 300


class Rule:
    """A callable with a name, as Snorkel's are."""

    def __init__(self, name):
        self.name = name

    def __call__(self, x):
        return 1


named = Rule("mine")
again = Rule("mine")
nameless = Rule(None)
constant = 3
