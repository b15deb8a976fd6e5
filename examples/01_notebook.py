"""The five lines: a stream, a budget, an annotator who answers a minute late."""

from river import datasets

import headrace as hr

engine = hr.Engine(budget=hr.budgets.Share(0.05), seed=7)
result = hr.run(engine, datasets.Phishing(), oracle=hr.oracles.Delayed(delay_s=60))
report = result.report

# The accuracy is estimated from the labels that were bought, and from nothing else. They were
# chosen by doubt, so the share right among them (`naive`) would be too low. A few dozen labels are
# few, and the interval says so.
found = report.estimates.accuracy_all
asking = report.asking
print(f"{report.events.observed_n} events, {asking.requests_n} labels asked: {asking.by_reason}")
print(f"accuracy {found.accuracy:.2f}, 95 % interval {found.low:.2f} to {found.high:.2f}")
print(f"naive    {found.naive:.2f}, of the {found.labels_n} labels that judge")

# Every request says why it was asked, and with what probability.
request = next(output for output in result.outputs if isinstance(output, hr.LabelRequested))
print(f"first request: {request.reason}, propensity {request.propensity:.3f}")
