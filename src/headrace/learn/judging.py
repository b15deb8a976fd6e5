"""A finished retraining judged: the entry of the training log that it leads to; nothing is folded.

The rule is `retrain.compare`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..messages import ModelAdopted, ModelKept
from ..settings import COMPARED_MIN
from .retrain import compare


def verdict(
    job_id: int,
    at: float,
    pairs: Sequence[tuple[bool, bool]],
    *,
    margin: float,
    model_version: int,
) -> ModelAdopted | ModelKept:
    """What becomes of a challenger; `pairs` are whether champion and challenger were right on each
    control label that both were asked. `model_version` is that of an adoption.

    >>> type(verdict(0, 1.0, [(False, True)] * 20, margin=0.01, model_version=9)).__name__
    'ModelAdopted'
    >>> verdict(0, 1.0, [(False, True)] * 2, margin=0.01, model_version=9).reason
    'only 2 control labels to compare on'
    """
    champion = [mine for mine, _ in pairs]
    challenger = [theirs for _, theirs in pairs]
    labels_n = len(pairs)
    champion_right = sum(champion) / max(1, labels_n)
    challenger_right = sum(challenger) / max(1, labels_n)
    if labels_n >= COMPARED_MIN and compare(champion, challenger, margin):
        return ModelAdopted(
            job_id=job_id,
            at=at,
            model_version=model_version,
            champion_right=champion_right,
            challenger_right=challenger_right,
            labels_n=labels_n,
        )
    few = f"only {labels_n} control labels to compare on"
    same = "no better on the latest control labels"
    return ModelKept(
        job_id=job_id,
        at=at,
        reason=few if labels_n < COMPARED_MIN else same,
        champion_right=champion_right,
        challenger_right=challenger_right,
        labels_n=labels_n,
    )


def unjudged(job_id: int, at: float, reason: str) -> ModelKept:
    """The champion stays, since there is no challenger to compare it with."""
    return ModelKept(
        job_id=job_id, at=at, reason=reason, champion_right=0.0, challenger_right=0.0, labels_n=0
    )
