"""Run by a Python that has doccano's files: imports a file of tasks, and exports labelled examples.

    python doccano_examples.py FOLDER

Reads FOLDER/tasks.jsonl with doccano's own parser, example maker and label maker, and writes
all.jsonl, all.json and all.csv with its own formatters and writers. Its database is not there:
modules that only name its tables are stood for by empty ones. Of each four examples the first is
ham, the second has no label, the third is spam, the fourth both.
"""

import json
import sys
import types
from pathlib import Path

TABLES = {
    "examples.models": ["Example", "Comment"],
    "projects.models": ["Project"],
    "label_types.models": ["CategoryType", "LabelType", "RelationType", "SpanType"],
    "labels.models": ["Category", "Label", "Relation", "Span", "TextLabel"],
    "data_export.models": [],
}
for path, names in TABLES.items():
    package = path.partition(".")[0]
    module = types.ModuleType(path)
    vars(module).update({name: type(name, (), {}) for name in names})
    if package != "data_export":
        sys.modules[package] = types.ModuleType(package)
    sys.modules[path] = module
sys.modules["data_export.models"].DATA = "data"

import pandas as pd  # noqa: E402
from data_export.pipeline import writers  # noqa: E402
from data_export.pipeline.formatters import (  # noqa: E402
    JoinedCategoryFormatter,
    ListedCategoryFormatter,
    RenameFormatter,
)
from data_import.pipeline.data import TextData  # noqa: E402
from data_import.pipeline.label import CategoryLabel  # noqa: E402
from data_import.pipeline.makers import ExampleMaker, LabelMaker  # noqa: E402
from data_import.pipeline.parsers import JSONLParser  # noqa: E402
from data_import.pipeline.readers import FileName, Reader  # noqa: E402

GIVEN = (["ham"], [], ["spam"], ["ham", "spam"])


class Kept(TextData):
    """An example that stays in memory."""

    def create(self, project: object) -> "Kept":
        return self


class Named:
    """A label as an export has it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def to_string(self) -> str:
        return self.text


def imported(folder: Path) -> dict:
    parser = JSONLParser(encoding="Auto")
    name = FileName(str(folder / "tasks.jsonl"), "tasks.jsonl", "tasks.jsonl")
    examples, labels, faults = [], [], []
    for frame in Reader([name], parser).batch(1_000):
        example_maker = ExampleMaker(None, Kept, column_data="text", exclude_columns=["label"])
        label_maker = LabelMaker(column="label", label_class=CategoryLabel)
        examples += example_maker.make(frame)
        labels += label_maker.make(frame)
        faults += [str(fault) for fault in (*example_maker.errors, *label_maker.errors)]
    faults += [str(fault) for fault in parser.errors]
    return {"examples": examples, "labels": labels, "faults": faults}


def export(examples: list, folder: Path) -> None:
    listed, joined = ListedCategoryFormatter, JoinedCategoryFormatter
    for suffix, writer, formatter in (
        ("jsonl", writers.JsonlWriter, listed),
        ("json", writers.JsonWriter, listed),
        ("csv", writers.CsvWriter, joined),
    ):
        frame = pd.DataFrame(
            [
                {"id": i, "data": one.text, **one.meta, "Comments": []}
                | {"categories": [Named(text) for text in GIVEN[i % 4]]}
                for i, one in enumerate(examples)
            ]
        )
        for step in (
            formatter("categories"),
            formatter("Comments"),
            RenameFormatter(data="text", categories="label"),
        ):
            frame = step.format(frame)
        writer.write(str(folder / f"all.{suffix}"), frame)


def main(folder: Path) -> None:
    found = imported(folder)
    export(found["examples"], folder)
    texts = [[one.meta["request_id"], one.text] for one in found["examples"]]
    print(json.dumps({"found": texts, "labels": len(found["labels"]), "faults": found["faults"]}))


main(Path(sys.argv[1]))
