"""A query strategy of your own is a function: candidates in, one number a candidate out.

Higher is better, and only the order counts. No class to inherit, no state; luck, where it is
needed, comes from the `chance` that is handed in.
"""

from river import datasets

import headrace as hr
from headrace.testing import check_strategy


def doubt_about_rare_classes(pool, chance):
    """Doubt, and more of it for what may belong to a class that the model seldom predicts.

    `pool.probabilities` has shape (n, k): n candidates, k classes.
    """
    p = pool.probabilities
    common = p.mean(axis=0) if len(pool) else p
    # The row sum, not a matrix product: its bits don't depend on how many candidates there are.
    rarity = (p * (1.0 - common)).sum(axis=1)
    return hr.strategies.STRATEGIES["margin"](pool, chance) * rarity


def right_on_held_out(strategy, seed):
    """The share right on the last events of the stream, which nobody asks about."""
    events = list(datasets.ImageSegments())
    # The stream comes sorted by class, so it is dealt out like cards.
    events = [events[(i * 1_009) % len(events)] for i in range(len(events))]
    # A quick model, since nine engines are to run.
    model = hr.models.build("logistic", seed=7, classes_n=7)
    engine = hr.Engine(model, strategy=strategy, budget=hr.budgets.Share(0.1), seed=seed)
    hr.run(engine, events[:-400])
    right = 0
    for features, label in events[-400:]:
        probabilities = engine.predict(features)
        right += max(probabilities, key=probabilities.get) == label
    return right / 400


# Does it keep the rules that every strategy has to keep? Put this line into a test of yours.
check_strategy(doubt_about_rare_classes)

# Three seeds are enough to see that it runs, and far too few to see which is best: for that there
# is `headrace pilot`, with its intervals.
for strategy in ("random", "margin", doubt_about_rare_classes):
    shares = [right_on_held_out(strategy, seed) for seed in (1, 2, 3)]
    name = strategy if isinstance(strategy, str) else strategy.__name__
    print(f"{name:26} {' '.join(f'{share:.2f}' for share in shares)} right on held-out events")
