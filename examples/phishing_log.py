"""A small inference log to try `headrace run` on: river's Phishing data, an event a minute.

python examples/phishing_log.py events > events.jsonl
python examples/phishing_log.py answers requests.jsonl > answers.jsonl

`answers` plays the annotator: it reads the requests and answers each with the true class, an hour
after it was asked.
"""

import sys
from pathlib import Path

import msgspec
from river import datasets

START = 1_767_225_600  # 2026-01-01T00:00:00Z


def main(arguments: list[str]) -> None:
    pairs = list(datasets.Phishing())
    encode = msgspec.json.encode
    if arguments == ["events"]:
        for i, (features, _) in enumerate(pairs):
            event = {"id": f"site-{i}", "at": START + 60 * i, "features": features}
            print(encode(event).decode())
        return
    for line in Path(arguments[1]).read_text().splitlines():
        request = msgspec.json.decode(line)
        is_phishing = pairs[int(request["event_id"].removeprefix("site-"))][1]
        answer = {
            "request_id": request["request_id"],
            "label": "phishing" if is_phishing else "fine",
            "annotator": "ann",
            "at": request["at"] + 3600,
        }
        print(encode(answer).decode())


if __name__ == "__main__":
    main(sys.argv[1:] or ["events"])
