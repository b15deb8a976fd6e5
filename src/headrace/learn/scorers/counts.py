"""Scorers of the naive Bayes models that count: multinomial, complement and Bernoulli."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..schema_view import Floats
from .block import Block, values_of
from .pipeline import PipelineScorer, share_out
from .scaling import add_up
from .scorer import code_of

BERNOULLI_FLOOR = 1e-9
"""The constant that river's BernoulliNB adds to every chance before the logarithm."""


class _FrequencyScorer(PipelineScorer):
    """Base of the models that add up frequency x log chance over all features of a row.

    A feature that the model has not learned counts too, by `_unknown` for each class. A text or
    None raises, as do a chance of 0 and one below.
    """

    def _read_chances(self, labels: list[Any]) -> tuple[list[list[float]], list[float]]:
        """The log chances of the chosen features, and of others, for each class; NaN if none."""
        raise NotImplementedError

    def _refresh(self) -> None:
        self._read_steps()
        self._choose(self._final.feature_counts)
        labels = list(self._final.class_counts)
        self._codes = [code_of(label) for label in labels]
        logs, unknown = self._read_chances(labels)
        self._logs = np.array(logs).reshape(len(labels), len(self._names))
        self._unknown = np.array(unknown)
        self._priors = self._read_priors()

    def _read_priors(self) -> Floats:
        return _log_shares(self._final.class_counts)

    def _answer_block(self, block: Block) -> tuple[Floats, Block]:
        if block.is_none is not None:
            block = block.fail(block.is_none)
        block = self._refuse_texts(block)
        known = self._chosen(block)
        terms = known.numbers[:, np.newaxis, :] * self._logs
        if known.is_absent.any():
            terms = np.where(known.is_absent[:, np.newaxis, :], 0.0, terms)
        joint = terms.sum(axis=2) + self._priors
        if len(self._others):
            others = block.take(self._others)
            frequencies = add_up(np.where(others.is_absent, 0.0, others.numbers))
            more = frequencies[:, np.newaxis] * self._unknown
            has_others = ~others.is_absent.all(axis=1, keepdims=True)
            joint += np.where(has_others, more, 0.0)
        return share_out(joint), block


class MultinomialScorer(_FrequencyScorer):
    """river's MultinomialNB."""

    def _read_chances(self, labels: list[Any]) -> tuple[list[list[float]], list[float]]:
        final = self._final
        smoothing = final.alpha * final.n_terms
        of_features = [final.feature_counts[name] for name in self._names]
        logs, unknown = [], []
        for label, total in zip(labels, _read(final.class_totals, labels), strict=True):
            whole = total + smoothing
            counts = values_of(counts.get(label, 0.0) for counts in of_features).tolist()
            logs.append([_log_ratio(count + final.alpha, whole) for count in counts])
            unknown.append(_log_ratio(0.0 + final.alpha, whole))
        return logs, unknown


class ComplementScorer(_FrequencyScorer):
    """river's ComplementNB: chances in the other classes, negative, and no priors."""

    def _read_chances(self, labels: list[Any]) -> tuple[list[list[float]], list[float]]:
        final, logs, unknown = self._final, [], []
        features = final.feature_counts
        totals = _read(final.feature_totals, features)
        # River reads all counts for any row, so a text among them makes it raise for each.
        read = [final.feature_totals, *features.values()]
        self._is_broken = any(isinstance(x, str) for counts in read for x in counts.values())
        for label in labels:
            counts = values_of(counts.get(label, 0.0) for counts in features.values()).tolist()
            others = [
                total + final.alpha - count for total, count in zip(totals, counts, strict=True)
            ]
            whole, of_name = sum(others), dict(zip(features, others, strict=True))
            logs.append([-_log_ratio(of_name[name], whole) for name in self._names])
            unknown.append(-_log_ratio(final.alpha, whole))
        return logs, unknown

    def _read_priors(self) -> Floats:
        return np.zeros(len(self._codes))

    def _answer_block(self, block: Block) -> tuple[Floats, Block]:
        answers, block = super()._answer_block(block)
        return answers, block.fail_all() if self._is_broken else block


class BernoulliScorer(PipelineScorer):
    """river's BernoulliNB: each feature that it learned is above the threshold or not."""

    def _refresh(self) -> None:
        self._read_steps()
        final = self._final
        labels, features = list(final.class_counts), final.feature_counts
        self._codes = [code_of(label) for label in labels]
        names, d = {name: j for j, name in enumerate(self._behind.names)}, len(self._behind.names)
        # The column behind the last one is absent from all rows.
        self._of_features = np.array([names.get(name, d) for name in features], dtype=np.intp)
        # Its length splits long batches.
        self._columns = self._of_features
        above, below = [], []
        for label in labels:
            chances = [final.p_feature_given_class(name, label) for name in features]
            above.append([_log(BERNOULLI_FLOOR + p) for p in chances])
            below.append([_log(BERNOULLI_FLOOR + (1.0 - p)) for p in chances])
        shape = (len(labels), len(features))
        self._above, self._below = np.array(above).reshape(shape), np.array(below).reshape(shape)
        self._priors = _log_shares(final.class_counts)

    def _answer_block(self, block: Block) -> tuple[Floats, Block]:
        features = self._of_features
        is_above = np.zeros((len(block.numbers), len(self._behind.names) + 1), np.bool_)
        is_above[:, :-1] = (block.numbers > self._final.true_threshold) & ~block.is_absent
        is_true = is_above.take(features, axis=1)[:, np.newaxis, :]
        joint = np.where(is_true, self._above, self._below).sum(axis=2) + self._priors
        if block.is_none is not None:
            known = features[features < block.is_none.shape[1]]
            block = block.fail(block.is_none.take(known, axis=1))
        return share_out(joint), self._refuse_texts(block, self._final.feature_counts)


def _log(x: float) -> float:
    """The logarithm; NaN where there is none, and river raises."""
    return math.log(x) if x > 0.0 else math.nan


def _log_ratio(part: float, whole: float) -> float:
    return _log(part / whole) if whole else math.nan


def _log_shares(counts: Any) -> Floats:
    total = sum(counts.values())
    return np.array([math.log(n / total) for n in counts.values()])


def _read(counts: Any, names: Iterable[Any]) -> list[float]:
    """These counts, NaN where a text has got among them: river raises when it reads that."""
    found: list[float] = values_of(counts.get(name, 0.0) for name in names).tolist()
    return found
