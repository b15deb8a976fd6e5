"""A run over the demo's pictures whose requests are mostly answered, the same each time it is made.

One run asks at random; what it asked is answered five seconds later by the clock of the events, and
every run after it takes these answers. What it asks beside them stays open.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from headrace.commands.demo.duel import make_stream

SEED = 7
ANSWERED_AFTER_S = 5.0
SETTINGS = """
stream = "pictures"
seed = 7
[schema]
classes = ["brickface", "cement", "foliage", "grass", "path", "sky", "window"]
[query]
strategy = "random"
[query.budget]
share = 0.1
[learn]
version_every_n = 50
retrain_every_n = 150
[run]
snapshot_every_n = 500
"""


@dataclass
class DemoRun:
    """Files of one run in a folder; `write` makes events and answers, `command` runs over them."""

    folder: Path

    def command(self, state: Path, versions_kept: int) -> list[str]:
        settings = self.folder / f"keeping-{versions_kept}.toml"
        kept = f"[learn]\nversions_kept = {versions_kept}"
        settings.write_text(SETTINGS.replace("[learn]", kept))
        named = {name: self.folder / f"{name}.jsonl" for name in ("events", "answers")}
        named |= {"requests": state.with_suffix(".jsonl"), "state": state, "settings": settings}
        words = [word for name, path in named.items() for word in (f"--{name}", str(path))]
        return [sys.executable, "-m", "headrace", "run", *words]

    def write(self, events_n: int) -> None:
        truth: dict[str, str] = {}
        with (self.folder / "events.jsonl").open("w") as file:
            for batch, labels in make_stream(events_n, SEED):
                for i, label in enumerate(labels):
                    event = batch.row(i)
                    truth[event.id] = label
                    line = {"id": event.id, "at": float(event.at), "features": event.features}
                    file.write(json.dumps(line) + "\n")
        answers = self.folder / "answers.jsonl"
        answers.touch()
        asking = self.folder / "asking"
        subprocess.run(self.command(asking, 0), check=True, capture_output=True)
        with answers.open("w") as file:
            for line in asking.with_suffix(".jsonl").read_text().splitlines():
                asked = json.loads(line)
                if asked["type"] == "LabelRequested":
                    at = asked["at"] + ANSWERED_AFTER_S
                    label = truth[asked["event_id"]]
                    given = {"request_id": asked["request_id"], "label": label, "at": at}
                    file.write(json.dumps(given | {"annotator": "ann"}) + "\n")
