"""Several annotators a request: they are late, wrong now and then, unsure or silent.

Two answers are wanted for each event and up to three are paid for; a majority settles it. What
stays without a majority is disputed, and what nobody answers in time expires and is paid back.
"""

from river import datasets

import headrace as hr
from headrace.settings import BudgetSettings, LabelSettings, QuerySettings

settings = hr.Settings(
    seed=7,
    query=QuerySettings(budget=BudgetSettings(share=0.2)),
    label=LabelSettings(answers_wanted=2, answers_max=3, deadline_s=600.0),
)
crowd = hr.oracles.Crowd(
    annotators_n=5, answers_n=3, delay_s=60.0, wrong=0.15, unsure=0.1, silent=0.1, seed=3
)
engine = hr.Engine(settings=settings)
result = hr.run(engine, datasets.Phishing(), oracle=crowd)
report = result.report

labels = report.labels
print(
    f"{report.asking.requests_n} asked: {labels.settled_n} settled, {labels.disputed_n} disputed, "
    f"{labels.expired_n} expired, {report.budget.refunded_n} paid back"
)
print(f"agreement beyond chance (Krippendorff's alpha): {report.annotators.agreement:.2f}")
for annotator in report.annotators.most_active:
    agreed = annotator.agreed_n / annotator.compared_n
    print(
        f"  {annotator.name}: {annotator.answers_n} answers, {annotator.refused_n} times unsure, "
        f"{agreed:.2f} with the label, {annotator.mean_latency_s:.0f} s on average"
    )

disputes = [output for output in result.outputs if isinstance(output, hr.LabelDisputed)]
for dispute in disputes[:3]:
    print(f"dispute: event {dispute.event_id}, {dispute.reason}, answers {dispute.answers}")
