"""Judging a finished retraining: the entry of the training log that it leads to.

The rule is `retrain.beats_champion`. Nothing is folded here.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..messages import ModelAdopted, ModelKept
from ..settings import COMPARED_MIN
from .retrain import beats_champion


def judge_pairs(
    job_id: int,
    at: float,
    pairs: Sequence[tuple[bool, bool]],
    *,
    margin: float,
    model_version: int,
) -> ModelAdopted | ModelKept:
    """The log entry that adopts a challenger or keeps the champion.

    `at` is in seconds. `pairs` has, for each control label that both predicted, whether the
    champion and whether the challenger was right. `margin` is that of `retrain.beats_champion`;
    `model_version` is the version after an adoption.

    >>> type(judge_pairs(0, 1.0, [(False, True)] * 20, margin=0.01, model_version=9)).__name__
    'ModelAdopted'
    >>> judge_pairs(0, 1.0, [(False, True)] * 2, margin=0.01, model_version=9).reason
    'only 2 control labels to compare on'
    """
    champion = [is_champion_right for is_champion_right, _ in pairs]
    challenger = [is_right for _, is_right in pairs]
    labels_n = len(pairs)
    champion_right = sum(champion) / max(1, labels_n)
    challenger_right = sum(challenger) / max(1, labels_n)
    if labels_n >= COMPARED_MIN and beats_champion(champion, challenger, margin):
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


def keep_unjudged(job_id: int, at: float, reason: str) -> ModelKept:
    """The log entry that keeps the champion because there is no challenger, with the reason."""
    return ModelKept(
        job_id=job_id, at=at, reason=reason, champion_right=0.0, challenger_right=0.0, labels_n=0
    )
