"""A bridge to Label Studio as a process of its own, killed before an act of its carrier.

    python -m tests_label_studio.carry FOLDER URL TITLE [ACT NUMBER]

Carries between FOLDER/requests.jsonl and FOLDER/answers.jsonl until nothing moves, or, with an act,
until it comes to that act for the numberth time.
"""

import os
import signal
import sys
from pathlib import Path

from headrace.bridges import make_bridge
from headrace.bridges.carrier import BridgeCarrier
from headrace.bridges.folder import FolderEnd
from headrace.bridges.outbox import BridgeOutbox


def main(folder: Path, url: str, title: str, act: str, number: int) -> None:
    settings = {
        "url": url,
        "project": title,
        "classes": ["fine", "fraud"],
        "token_file": str(folder / "token"),
        "poll_s": 0.0,
    }
    bridge = make_bridge("label-studio", {"label-studio": settings}, folder)
    left = number

    def before(now: str) -> None:
        nonlocal left
        if now == act:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    end = FolderEnd(folder / "requests.jsonl", folder / "answers.jsonl")
    carrier = BridgeCarrier(
        bridge,
        end,
        BridgeOutbox(folder / "outbox.sqlite"),
        note=lambda sentence: print(sentence, flush=True),
        on_act=before,
    )
    while carrier.step():
        pass


if __name__ == "__main__":
    FOLDER, URL, TITLE, *WHEN = sys.argv[1:]
    main(Path(FOLDER), URL, TITLE, WHEN[0] if WHEN else "", int(WHEN[1]) if WHEN else 0)
