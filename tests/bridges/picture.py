"""The pictures of docs/DESK.md, taken anew: `PYTHONPATH=src:tests python tests/bridges/picture.py`.

`headrace desk --demo` is labelled in Chromium by keys, with the labels that are known to be right;
then it is looked at, light on a desk and dark on a phone.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bridges.chromium import Chromium, Page
from headrace.commands.demo.duel import make_stream
from headrace.commands.desk_demo import EVENTS_N, SEED
from repo.tree import ROOT

ANSWERS_N = 80
WAIT_S = 120.0
COLOURS_N = 128
SHOWN = "document.body.dataset.state === 'asking' && document.body.dataset.ready === 'yes'"
ESTIMATED = "document.querySelector('#curve svg') !== null"
ME = "fetch('/v1/me')"
NEXT = "fetch('/v1/questions/next', {method: 'POST', headers: {'X-Headrace': '1'}, body: '{}'})"


def truths() -> dict[str, str]:
    """By event, the label that is right."""
    return {
        event_id: label
        for batch, labels in make_stream(EVENTS_N, SEED)
        for event_id, label in zip(batch.ids, labels, strict=True)
    }


def answer(page: Page, requests: Path, truth: dict[str, str], answers_n: int) -> None:
    """By keys, the label that is right."""
    keys = {name: key for key, name in page.run(f"{ME}.then((r) => r.json())")["keys"].items()}
    for _ in range(answers_n):
        page.wait(SHOWN, WAIT_S)
        asked = page.run(f"{NEXT}.then((r) => r.json())")["request_id"]
        lines = requests.read_text("utf-8").splitlines()
        event = next(r["event_id"] for r in map(json.loads, lines) if r["request_id"] == asked)
        page.press(keys[truth[event]])
        page.wait(f"!({SHOWN})")


def shoot(chromium: Chromium, link: str, path: Path, **kind: Any) -> None:
    page = chromium.open_page(**kind)
    page.go(link)
    page.wait(f"{SHOWN} && {ESTIMATED}", WAIT_S)
    shoot_small(page, path)
    page.close()


def shoot_small(page: Page, path: Path) -> None:
    """Few colours are enough for a page, and make a small file."""
    from PIL import Image  # noqa: PLC0415 - comes with the plots

    page.shoot(path)
    Image.open(path).convert("RGB").quantize(COLOURS_N, dither=Image.Dither.NONE).save(
        path, optimize=True
    )


@contextmanager
def demo(folder: Path) -> Iterator[str]:
    """`headrace desk --demo` in this folder; its operator's link."""
    command = [sys.executable, "-m", "headrace", "desk", "--demo", "--port", "0"]
    desk = subprocess.Popen(
        [*command, "--state", str(folder)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert desk.stderr is not None
        yield next(found[0] for line in desk.stderr if (found := re.search(r"http\S+", line)))
    finally:
        desk.terminate()
        desk.communicate()


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="headrace-picture-"))
    chromium = Chromium(folder / "chromium")
    try:
        with demo(folder / "run") as link:
            page = chromium.open_page()
            page.go(link)
            answer(page, folder / "run" / "requests.jsonl", truths(), ANSWERS_N)
            page.wait(f"{SHOWN} && {ESTIMATED}", WAIT_S)
            images = ROOT / "docs" / "img"
            shoot_small(page, images / "desk.png")
            phone = {"width": 360, "height": 740, "dark": True, "touch": True}
            shoot(chromium, link, images / "desk-phone.png", **phone)
    finally:
        chromium.close()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
