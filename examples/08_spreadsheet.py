"""Labels from a spreadsheet: a table of tasks goes out, and comes back with a column filled in.

`headrace bridge files` does this beside a run, and for the files of other tools (docs/FORMATS.md).
"""

import csv
from pathlib import Path

from river import datasets

import headrace as hr
from headrace.embedding import Delivery, Files, FilesSettings

engine = hr.Engine(budget=hr.budgets.Share(0.05), seed=7)
truth, requests = {}, []
for i, (features, label) in enumerate(datasets.Phishing().take(400)):
    truth[f"e{i}"] = str(label).lower()
    outputs = engine.feed([hr.Event(id=f"e{i}", at=float(i), features=features)])
    requests += [output for output in outputs if isinstance(output, hr.LabelRequested)]

# Nothing is waited for here: neither for more tasks, nor for a file to be saved whole.
settings = FilesSettings(format="csv", classes=["false", "true"], gather_s=0, quiet_s=0)
bridge = Files(settings, Path("labelling"))
bridge.send([Delivery(one.request_id, one) for one in requests])
(tasks,) = bridge.tasks.iterdir()
print(f"{len(requests)} tasks in {tasks.name}")

# Somebody fills in the labels and saves the table among the answers; one is mistyped.
event_of = {one.request_id: one.event_id for one in requests}
with tasks.open(encoding="utf-8-sig", newline="") as file:
    rows = list(csv.DictReader(file))
for row in rows:
    row["label"] = truth[event_of[row["request_id"].removeprefix("'")]].upper()
rows[0]["label"] = "ture"
with (bridge.answers / "ada.csv").open("w", encoding="utf-8", newline="") as file:
    table = csv.DictWriter(file, fieldnames=list(rows[0]))
    table.writeheader()
    table.writerows(rows)

receipt = bridge.receive(mark="")
print(*receipt.faults, sep="\n")
answers = [
    hr.Answer(request_id=one.request_id, label=one.label, at=one.at) for one in receipt.replies
]
outputs = engine.feed(answers)
settled = [output for output in outputs if isinstance(output, hr.LabelSettled)]
print(f"{len(receipt.replies)} answers, {len(settled)} labels")
bridge.close()
