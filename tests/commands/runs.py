"""A small stream in files, people who answer it, and runs over it in this or another process."""

import json
import multiprocessing
import random
import re
import shutil
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

from headrace import cli
from headrace.drivers.files.places import RunFiles
from headrace.drivers.files.run import run_files
from headrace.settings import parse

SETTINGS = {
    "seed": 5,
    "model": {"name": "logistic"},
    "schema": {"classes": ["no", "yes"]},
    "observe": {"window_n": 200, "reservoir_n": 100},
    "query": {
        "budget": {"share": 0.2},
        "rounds": {"every_n": 20},
        "cold_start": {"per_class_n": 3},
    },
    "learn": {"retrain_every_n": 40},
    "drift": {"check_every_n": 100},
    "evaluation": {"window_n": 200},
    "run": {"snapshot_every_n": 300},
}
TOML = """
seed = 5
[model]
name = "logistic"
[schema]
classes = ["no", "yes"]
[observe]
window_n = 200
reservoir_n = 100
[query]
budget.share = 0.2
rounds.every_n = 20
cold_start.per_class_n = 3
[learn]
retrain_every_n = 40
[drift]
check_every_n = 100
[evaluation]
window_n = 200
[run]
snapshot_every_n = 300
"""
START_AT = 1_700_000_000.0


@dataclass
class Stream:
    """The files of one run in a folder."""

    folder: Path

    @property
    def places(self) -> RunFiles:
        return RunFiles(
            events=self.folder / "events.jsonl",
            answers=self.folder / "answers.jsonl",
            requests=self.folder / "requests.jsonl",
            state=self.folder / "state",
        )

    @property
    def argv(self):
        (self.folder / "settings.toml").write_text(TOML)
        return [
            "run",
            *("--events", str(self.places.events)),
            *("--answers", str(self.places.answers)),
            *("--requests", str(self.places.requests)),
            *("--state", str(self.places.state)),
            *("--settings", str(self.folder / "settings.toml")),
        ]

    def write_events(self, start, stop, *, bad=()):
        """Events [start, stop), ten seconds apart; the lines numbered in `bad` are no JSON."""
        with self.places.events.open("a") as file:
            for i in range(start, stop):
                file.write("{nonsense\n" if i in bad else json.dumps(event(i)) + "\n")

    def run(self, **options):
        return run_files(self.places, options.pop("settings", None) or parse(SETTINGS), **options)

    def answer(self, delay_s=60.0):
        """Answer every request that has no answer yet, truthfully."""
        answered = {line["request_id"] for line in lines_of(self.places.answers)}
        with self.places.answers.open("a") as file:
            for request in self.requests():
                if request["request_id"] not in answered:
                    file.write(json.dumps(answer_to(request, delay_s)) + "\n")

    def requests(self):
        return [r for r in lines_of(self.places.requests) if r["type"] == "LabelRequested"]

    def decisions(self, kind):
        found = lines_of(self.places.state / "decisions.jsonl")
        return [output for output in found if output["type"] == kind]

    def written(self):
        """What a run has let out, byte for byte."""
        state = self.places.state
        paths = (self.places.requests, state / "decisions.jsonl", state / "rejects.jsonl")
        return [path.read_bytes().replace(bytes(self.folder), b"") for path in paths]


class Kept:
    """A stream as it stands now, played once: each test has it anew where it was.

    A run knows its files by their places, so a copy elsewhere would be another run.
    """

    def __init__(self, stream):
        self.stream, self._kept = stream, stream.folder.with_name(f"{stream.folder.name} kept")
        shutil.copytree(stream.folder, self._kept)

    def put_back(self):
        shutil.rmtree(self.stream.folder)
        shutil.copytree(self._kept, self.stream.folder)
        return self.stream


def copy_of(past, folder):
    """Its events and answers in another folder, and no run of them yet."""
    folder.mkdir()
    stream = Stream(folder)
    stream.places.events.write_bytes(past.places.events.read_bytes())
    stream.places.answers.write_bytes(past.places.answers.read_bytes())
    return stream


def event(i):
    luck = random.Random(i)
    features = {"x": luck.gauss(0, 1), "y": luck.gauss(0, 1)}
    return {"id": f"e{i}", "at": START_AT + 10 * i, "features": features}


def answer_to(request, delay_s=60.0):
    features = request["features"]
    label = "yes" if features["x"] + features["y"] > 0 else "no"
    at = request["at"] + delay_s
    return {"request_id": request["request_id"], "label": label, "annotator": "eva", "at": at}


def lines_of(path):
    """The whole lines of a file; what is being written just now is left out, and wiped ones."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1] if line.strip()]


_FORKS = multiprocessing.get_context("forkserver")
# The import of river takes a second: the processes to be killed are forked after it.
_FORKS.set_forkserver_preload(["headrace.drivers.files.run", "headrace.cli"])


def child(argv, output):
    """Another process that runs `headrace` with these arguments."""
    process = _FORKS.Process(target=_main, args=(argv, str(output)), daemon=True)
    process.start()
    return process


def _main(argv, output):
    with Path(output).open("a") as file:
        sys.stdout = sys.stderr = file
        try:
            code = cli.main(argv)
        except Exception:
            # What multiprocessing prints comes too late for this file.
            traceback.print_exc()
            raise
    sys.exit(code)


def accidents(notes: list[str]) -> list[str]:
    """What was told, but for what every run tells when it begins and when it has caught up."""
    usual = re.compile(r"read as |[\d,]+ events read, ")
    return [note for note in notes if not usual.match(note)]
