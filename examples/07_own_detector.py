"""A detector of drift of your own: an object like river's, with `update(x)` and `drift_detected`.

It is fed numbers from 0 to 1 of which more is worse, such as the errors of labels drawn at random.
That only a rise counts, how long an alarm holds and what follows from it is Headrace's to see to.
"""

from river import datasets

import headrace as hr
from headrace.testing import check_detector


class Streak:
    """So many wrong in a row are too many: crude, and quick where errors are rare."""

    def __init__(self, too_many: int = 4) -> None:
        self.too_many = too_many
        self.in_a_row = 0

    @property
    def drift_detected(self) -> bool:
        """Whether the number that came last completed such a row."""
        return self.in_a_row == self.too_many

    def update(self, x: float) -> None:
        """Take in one number; after an alarm the count begins anew."""
        self.in_a_row = 0 if x < 0.5 or self.drift_detected else self.in_a_row + 1


# Does it keep the rules that every detector has to keep? Put this line into a test of yours.
check_detector(Streak)

# The stream comes sorted by class; from the middle on, each feature holds its neighbour's values.
events = list(datasets.ImageSegments())
events = [events[(i * 1_009) % len(events)] for i in range(len(events))]
names = list(events[0][0])
for i in range(len(events) // 2, len(events)):
    features, label = events[i]
    events[i] = ({a: features[b] for a, b in zip(names, names[1:] + names[:1], strict=True)}, label)

# A quick model: with so many labels the default one would take half a minute.
model = hr.models.build("logistic", seed=7, classes_n=7)
engine = hr.Engine(model, budget=hr.budgets.Share(0.5), detectors={"error": Streak()}, seed=7)
# Told in the settings it would be: [[drift.watch]] signal = "error", detector = "your_module:name".
outputs = hr.run(engine, events).outputs
for output in outputs:
    if isinstance(output, hr.DriftChanged):
        print(f"event {output.at:5.0f}  {output.level:8} by {output.signal}/{output.detector}")
for watch, alarms_n in engine.report.drift.alarms_n.items():
    print(f"{alarms_n} alarms of {watch}")
