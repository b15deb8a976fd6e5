"""What the tools do with a file of tasks, as their documentation and exports have it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from headrace.bridges.formats import FORMATS, FilesSettings, Format
from headrace.messages import Features, LabelRequested


class Said(NamedTuple):
    """What somebody says of a task; a label of None: they cannot tell."""

    label: str | None
    annotator: str
    at: float = 1_000.0


Answers = Mapping[str, Said]


def request(name: str, features: Features | None = None, **others: Any) -> LabelRequested:
    values: dict[str, Any] = {
        "event_id": f"of {name}", "at": 0.0, "event_at": 0.0, "deadline": 1e9,
        "features": {"text": "hello", "n": 1.5} if features is None else features,
        "reason": "doubt", "strategy": "margin", "utility": 0.5, "threshold": 0.0,
        "propensity": 0.5, "model_version": 3, "prediction": {"ham": 0.75, "spam": 0.25},
        "round_n": 0, "seq": 0,
    }  # fmt: skip
    return LabelRequested(request_id=name, **(values | others))


def format_of(name: str, **settings: Any) -> Format:
    return FORMATS[name](FilesSettings(format=name, **settings))


def spreadsheet(tasks: bytes, answers: Answers) -> bytes:
    """A person types into the cells and saves; the cells of the tool's own stay as they are."""
    head, *rows = csv.reader(io.StringIO(tasks.decode("utf-8-sig"), newline=""))
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([*head, "at"])
    for row in rows:
        # Nobody can see whether a cell has an apostrophe for us.
        said = answers.get(row[0].removeprefix("'"))
        if said is not None:
            row[1:3] = ["?" if said.label is None else said.label, said.annotator]
        writer.writerow([*row, "" if said is None else repr(said.at)])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def prodigy(tasks: bytes, answers: Answers) -> bytes:
    """`db-out` of a data set: only what was answered."""
    lines = []
    for task in map(json.loads, tasks.splitlines()):
        said = answers.get(task["request_id"])
        if said is not None:
            task |= {
                "_input_hash": 17, "_task_hash": -4, "_view_id": "choice", "_timestamp": said.at,
                "accept": [] if said.label is None else [said.label],
                "answer": "ignore" if said.label is None else "accept",
                "_annotator_id": said.annotator, "_session_id": f"set-{said.annotator}",
                "config": {"choice_style": "single"},
            }  # fmt: skip
            lines.append(json.dumps(task, ensure_ascii=False))
    return "".join(f"{line}\n" for line in lines).encode()


def ground_truth(tasks: bytes, answers: Answers) -> bytes:
    """The output manifest of a job; there is no way to say that one cannot tell but a class."""
    lines = []
    for task in map(json.loads, tasks.splitlines()):
        said = answers.get(task["request_id"])
        if said is not None:
            at = datetime.fromtimestamp(said.at, UTC).replace(tzinfo=None).isoformat()
            task["kind"] = 0
            task["kind-metadata"] = {
                "class-name": "?" if said.label is None else said.label,
                "job-name": said.annotator, "confidence": 0.9, "human-annotated": "yes",
                "creation-date": at,
                "type": "groundtruth/text-classification",
            }  # fmt: skip
        lines.append(json.dumps(task))
    return "\n".join(lines).encode()


def argilla(tasks: bytes, answers: Answers) -> bytes:
    """`records.to_json`; it has no times."""
    records = json.loads(tasks)
    for record in records:
        said = answers.get(record["id"])
        if said is not None:
            response = {"value": said.label, "user_id": said.annotator}
            record["responses"] = {"label": [response]}
        record["_server_id"] = "5f9c"
    return json.dumps(records).encode()


def doccano(tasks: bytes, answers: Answers) -> bytes:
    """The JSONL that an export of a project of document classification has."""
    lines = []
    for i, task in enumerate(map(json.loads, tasks.splitlines())):
        said = answers.get(task["request_id"])
        label = [] if said is None else ["?" if said.label is None else said.label]
        found = {"id": i, "text": task["text"], "request_id": task["request_id"]}
        found |= {"label": label, "Comments": []}
        if said is not None:
            found |= {"annotator": said.annotator, "at": said.at}
        lines.append(json.dumps(found, ensure_ascii=False).replace("/", "\\/"))
    return "\n".join(lines).encode()


TOOLS: dict[str, Callable[[bytes, Answers], bytes]] = {
    "csv": spreadsheet,
    "prodigy": prodigy,
    "ground-truth": ground_truth,
    "argilla": argilla,
    "doccano": doccano,
}
NAMES: Sequence[str] = tuple(TOOLS)
