"""What one row costs river alone, and Headrace where the model is scored as arrays.

    python bench/scorers.py [--only NAME] [--rows 1000] [--labels 400]

Each model learns 400 labels of 20 numbers, then 1,000 rows are scored twice: by river, row by row,
and by `Learner.probabilities`, all at once. Printed are CPU microseconds a row, the least of three.
`NUMBERS`, `MIXED` and `ENSEMBLES` name the models; those of `MIXED` get two features of five texts
besides, those of `ENSEMBLES` that tell more than two classes apart get labels of five.
"""

from __future__ import annotations

import argparse
import copy
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from river import (
    compose,
    drift,
    ensemble,
    feature_extraction,
    feature_selection,
    imblearn,
    linear_model,
    multiclass,
    naive_bayes,
    preprocessing,
    stats,
    tree,
)

from headrace.chance import Chance
from headrace.learn.learner import Learner
from headrace.learn.models import build

NUMBERS_N, TEXTS_N = 20, 5
SCALER, LOGISTIC = preprocessing.StandardScaler, linear_model.LogisticRegression


def _scaled(model: Any) -> Any:
    return SCALER() | model


def _encoded(model: Any) -> Any:
    numbers = compose.SelectType(float) | preprocessing.MinMaxScaler()
    return numbers + (compose.SelectType(str) | preprocessing.OneHotEncoder()) | model


def _imputed() -> Any:
    names = [f"x{j}" for j in range(NUMBERS_N)]
    means = preprocessing.StatImputer(*((name, stats.Mean()) for name in names))
    return compose.Select(*names) | means | SCALER() | LOGISTIC()


NUMBERS: dict[str, Callable[[], Any]] = {
    "logistic regression": lambda: _scaled(LOGISTIC()),
    "softmax regression": lambda: _scaled(linear_model.SoftmaxRegression()),
    "perceptron": lambda: _scaled(linear_model.Perceptron()),
    "PA": lambda: _scaled(linear_model.PAClassifier()),
    "ALMA": lambda: _scaled(linear_model.ALMAClassifier()),
    "Gaussian naive Bayes": naive_bayes.GaussianNB,
    "Bernoulli naive Bayes": naive_bayes.BernoulliNB,
    "min-max, multinomial": lambda: preprocessing.MinMaxScaler() | naive_bayes.MultinomialNB(),
    "min-max, complement": lambda: preprocessing.MinMaxScaler() | naive_bayes.ComplementNB(),
    "max-abs, logistic": lambda: preprocessing.MaxAbsScaler() | LOGISTIC(),
    "robust, logistic": lambda: preprocessing.RobustScaler() | LOGISTIC(),
    "fading, logistic": lambda: preprocessing.AdaptiveStandardScaler() | LOGISTIC(),
    "window of 100, logistic": lambda: SCALER(window_size=100) | LOGISTIC(),
    "scaled, normalised, logistic": lambda: SCALER() | preprocessing.Normalizer() | LOGISTIC(),
    "binarised, logistic": lambda: preprocessing.Binarizer() | LOGISTIC(),
    "varied, scaled, logistic": lambda: (
        feature_selection.VarianceThreshold() | SCALER() | LOGISTIC()
    ),
    "products, scaled, logistic": lambda: (
        feature_extraction.PolynomialExtender() | SCALER() | LOGISTIC()
    ),
    "mean for missing, logistic": _imputed,
}
"""Models of numbers by name."""

MIXED: dict[str, Callable[[], Any]] = {
    "preset logistic": lambda: build("logistic", 1, 2),
    "preset naive-bayes": lambda: build("naive-bayes", 1, 2),
    "one-hot, PA": lambda: _encoded(linear_model.PAClassifier()),
    "one-hot, multinomial": lambda: _encoded(naive_bayes.MultinomialNB()),
    "one-hot, Bernoulli": lambda: _encoded(naive_bayes.BernoulliNB(true_threshold=0.5)),
    "ordinal, scaled, logistic": lambda: (
        compose.SelectType(str) | preprocessing.OrdinalEncoder() | _scaled(LOGISTIC())
    ),
}
"""Models of numbers and texts by name."""

TREE, GAUSSIAN = tree.HoeffdingTreeClassifier, naive_bayes.GaussianNB


def _members() -> list[Any]:
    return [_scaled(LOGISTIC()), GAUSSIAN(), TREE()]


ENSEMBLES: dict[str, Callable[[], Any]] = {
    "voting, soft: logistic, naive Bayes, tree": lambda: ensemble.VotingClassifier(_members()),
    "voting, hard: logistic, naive Bayes, tree": lambda: ensemble.VotingClassifier(
        _members(), use_probabilities=False
    ),
    "AdaBoost of ten logistic": lambda: ensemble.AdaBoostClassifier(
        _scaled(LOGISTIC()), 10, seed=1
    ),
    "AdaBoost of ten trees": lambda: ensemble.AdaBoostClassifier(TREE(), 10, seed=1),
    "ADWIN boosting of ten naive Bayes": lambda: ensemble.ADWINBoostingClassifier(
        GAUSSIAN(), 10, seed=1
    ),
    "BOLE of ten trees": lambda: ensemble.BOLEClassifier(TREE(), 10, seed=1),
    "scaled, bagging of ten logistic": lambda: _scaled(
        ensemble.BaggingClassifier(LOGISTIC(), 10, seed=1)
    ),
    "ADWIN bagging of ten scaled, logistic": lambda: ensemble.ADWINBaggingClassifier(
        _scaled(LOGISTIC()), 10, seed=1
    ),
    "leveraging bagging of ten naive Bayes": lambda: ensemble.LeveragingBaggingClassifier(
        GAUSSIAN(), 10, seed=1
    ),
    "SRP of ten scaled, logistic": lambda: ensemble.SRPClassifier(_scaled(LOGISTIC()), 10, seed=1),
    "scaled, stacking of logistic and naive Bayes": lambda: _scaled(
        ensemble.StackingClassifier([LOGISTIC(), GAUSSIAN()], LOGISTIC())
    ),
    "DriftRetraining of a tree": lambda: drift.DriftRetrainingClassifier(
        TREE(), drift.binary.DDM()
    ),
    "sampler of scaled, logistic": lambda: imblearn.RandomSampler(
        _scaled(LOGISTIC()), None, 0.7, seed=1
    ),
    "scaled, one against the rest of logistic": lambda: _scaled(
        multiclass.OneVsRestClassifier(LOGISTIC())
    ),
    "scaled, one against one of logistic": lambda: _scaled(
        multiclass.OneVsOneClassifier(LOGISTIC())
    ),
    "scaled, output codes of ten logistic": lambda: _scaled(
        multiclass.OutputCodeClassifier(LOGISTIC(), 10, seed=1)
    ),
}
"""Models made of other models by name; they get numbers."""


class Table:
    """A schema of `NUMBERS_N` numbers and, if asked, two features of texts."""

    def __init__(self, texts_n: int, classes_n: int) -> None:
        self.names = [f"x{j}" for j in range(NUMBERS_N)] + [f"c{j}" for j in range(texts_n)]
        self.kinds = ["numeric"] * NUMBERS_N + ["categorical"] * texts_n
        self.classes = [f"class {code}" for code in range(classes_n)]
        self.width = len(self.names)

    def features(self, row: Any, original: Any = None) -> dict[str, Any]:
        columns = zip(self.names, self.kinds, row.tolist(), strict=False)
        return {
            name: x if kind == "numeric" else f"v{int(x)}" for name, kind, x in columns if x == x
        }


def measure(make: Callable[[], Any], texts_n: int, rows_n: int, labels_n: int) -> tuple[Any, ...]:
    """CPU us a row by river and as arrays, and the largest difference; None if not compiled."""
    model, chance = make(), Chance(7)
    is_multiclass = make in ENSEMBLES.values() and model._multiclass
    schema = Table(texts_n, 5 if is_multiclass else 2)
    n = rows_n + labels_n
    keys = chance.keys(str(i) for i in range(n * schema.width))
    X = chance.uniforms("x", keys).reshape(n, schema.width)
    X[:, NUMBERS_N:] = np.floor(TEXTS_N * X[:, NUMBERS_N:])
    X[:, :NUMBERS_N] *= 3.0
    learner = Learner(model, schema)
    for row in X[:labels_n]:
        learner.learn(row, int(len(schema.classes) * (row[0] + row[1]) / 6.0))
    if learner.row_by_row:
        return None, None, None
    river = copy.copy(learner)
    river._scorer = None
    asked = X[labels_n:]
    difference = np.abs(learner.probabilities(asked) - river.probabilities(asked)).max()
    return _cost(river, asked), _cost(learner, asked), difference


def _cost(learner: Learner, X: Any) -> float:
    costs = []
    for _ in range(3):
        if learner._scorer is not None:
            learner._scorer.is_stale = True  # as after a label
        begun = time.process_time()
        learner.probabilities(X)
        costs.append((time.process_time() - begun) / len(X) * 1e6)
    return min(costs)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="models whose name has this text")
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--labels", type=int, default=400)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| model | river, µs a row | as arrays, µs a row | times | largest difference |")
    print("|---|---|---|---|---|")
    for models, texts_n in ((NUMBERS, 0), (MIXED, 2), (ENSEMBLES, 0)):
        for name, make in models.items():
            if args.only in name:
                river, arrays, difference = measure(make, texts_n, args.rows, args.labels)
                if river is None:
                    print(f"| {name} | – | row by row | – | – |")
                    continue
                print(
                    f"| {name} | {river:.1f} | {arrays:.2f} | {river / arrays:.0f} "
                    f"| {difference:.0e} |"
                )


if __name__ == "__main__":
    main()
