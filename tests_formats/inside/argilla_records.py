"""Run by the Python that has argilla: takes a file of tasks, and exports records with responses.

    python argilla_records.py FOLDER

Reads FOLDER/tasks.json with Argilla's own reader and writes answers.json and flat.json with its own
writers, as `records.to_json` and `records.to_list(flatten=True)` do; no server is asked. Of each
four records the first gets two responses, the second one that was discarded, the third a draft.
"""

import json
import sys
from pathlib import Path
from uuid import UUID

import argilla as rg
from argilla.records._io import GenericIO, JsonIO

ADA, BOB = UUID(int=1), UUID(int=2)


def main(folder: Path) -> None:
    records = JsonIO._records_from_json(folder / "tasks.json")
    for record in records:
        record.api_model().model_dump_json()  # what its server would be sent
    for i, record in enumerate(records):
        if i % 4 == 0:
            record.responses.add(rg.Response("label", "ham", user_id=ADA, status="submitted"))
            record.responses.add(rg.Response("label", "spam", user_id=BOB, status="submitted"))
        elif i % 4 == 1:
            record.responses.add(rg.Response("label", None, user_id=ADA, status="discarded"))
        elif i % 4 == 2:
            record.responses.add(rg.Response("label", "ham", user_id=ADA, status="draft"))
    JsonIO.to_json(records, folder / "answers.json")
    (folder / "flat.json").write_text(json.dumps(GenericIO.to_list(records, flatten=True)))
    suggested = [record.suggestions.to_dict().get("label") for record in records]
    found = [[record.id, dict(record.fields)["text"]] for record in records]
    print(json.dumps({"found": found, "suggested": suggested}))


main(Path(sys.argv[1]))
