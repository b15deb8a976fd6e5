"""Builds the request about one event: its id, the event's data, the decision behind it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from ..messages import Context, Features, LabelRequested
from .accounts import AskedLabel


@lru_cache(maxsize=1024)
def request_id(stream: str, event_id: str) -> str:
    """Return the id of the one request that there can be about an event: 32 hexadecimal digits.

    >>> request_id("payments", "e-1")
    '8a04c3416f459c72de7412b5dd1ee580'
    """
    text = f"{len(stream)}:{stream}{event_id}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One event, with the data that a request has of it; the fields are those of the request."""

    seq: int
    id: str
    at: float
    features: Features
    prediction: dict[str, float]
    served: dict[str, float] | None
    served_model: str | None
    key: str | None
    context: Context | None = None


AUDIT = "audit"
"""The reason of requests drawn blindly to check the model, because a person ordered it."""

BLIND = "random"
"""The strategy that requests name whose events were drawn without looking at them."""


@dataclass(frozen=True, slots=True)
class Why:
    """What a request says about the decision behind it; the fields are those of the request."""

    reason: str
    propensity: float
    control_p: float = 0.0
    strategy: str = BLIND
    utility: float = 0.0
    threshold: float = 0.0
    round_n: int = -1
    priority: float = 0.0


def asked_of(request: LabelRequested) -> AskedLabel:
    """Return what a budget learns about a label that is asked: its likely class and the doubt.

    The doubt is 0 for a sure prediction, and 1 where all classes are equally likely or fewer than
    two are known.
    """
    chances = request.prediction
    even = 1.0 / len(chances) if len(chances) > 1 else 0.0
    best = max(chances, key=chances.__getitem__, default="")
    doubt = (1.0 - chances[best]) / (1.0 - even) if len(chances) > 1 else 1.0
    return AskedLabel(request.request_id, best, doubt)


def request_of(
    stream: str, candidate: Candidate, why: Why, model_version: int, answers_wanted: int
) -> LabelRequested:
    """Return the request about an event; its time and deadline are set when it is paid."""
    return LabelRequested(
        request_id=request_id(stream, candidate.id),
        event_id=candidate.id,
        at=candidate.at,
        event_at=candidate.at,
        deadline=candidate.at,
        features=candidate.features,
        reason=why.reason,
        strategy=why.strategy,
        utility=why.utility,
        threshold=why.threshold,
        propensity=why.propensity,
        control_p=why.control_p,
        model_version=model_version,
        prediction=candidate.prediction,
        round_n=why.round_n,
        seq=candidate.seq,
        answers_wanted=answers_wanted,
        served=candidate.served,
        served_model=candidate.served_model,
        key=candidate.key,
        context=candidate.context,
    )
