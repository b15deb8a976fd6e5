"""The log has the probabilities of the model in production: ask by its doubt, judge its accuracy.

Headrace's own model learns beside it, from the same labels. Here the served model was trained once,
on the first 800 events, and half way the world changes under it.
"""

from river import datasets, forest

import headrace as hr
from headrace.settings import EvaluationSettings, QuerySettings

served = forest.ARFClassifier(seed=1)
stream = list(datasets.Bananas())
for features, label in stream[:800]:
    served.learn_one(features, label)

pairs, right = [], []
for i, (features, label) in enumerate(stream[800:]):
    # From event 2,250 on, one of the two sensors is mounted the wrong way round.
    seen = features if i < 2_250 else {**features, "1": -features["1"]}
    probabilities = {hr.class_name(name): p for name, p in served.predict_proba_one(seen).items()}
    event = hr.Event(id=str(i), at=float(i), features=seen, probabilities=probabilities)
    pairs.append((event, label))
    right.append(max(probabilities, key=probabilities.get) == hr.class_name(label))

settings = hr.Settings(
    seed=7,
    query=QuerySettings(uncertainty_from="served"),
    evaluation=EvaluationSettings(judged="served", window_n=1_500),
)
engine = hr.Engine(settings=settings)
result = hr.run(engine, pairs, oracle=hr.oracles.Delayed(delay_s=100))

# The truth of all events is known here, so the estimate can be held against it. The interval is
# right 95 times in 100: one run proves nothing, bench/coverage.py does.
for name, found in (
    ("whole stream", result.report.estimates.accuracy_all),
    ("latest window", result.report.estimates.accuracy),
):
    judged = right[found.from_seq : found.to_seq]
    print(
        f"{name:13} events {found.from_seq:>4} to {found.to_seq}: served model truly right "
        f"{sum(judged) / len(judged):.2f}, estimated {found.accuracy:.2f} "
        f"({found.low:.2f} to {found.high:.2f}) from {found.labels_n} labels"
    )
for output in result.outputs:
    if isinstance(output, hr.DriftChanged):
        print(f"at event {output.at:.0f}: {output.level}, {output.detector} on {output.signal}")
