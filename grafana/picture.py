"""Draws a dashboard of the demo's incident with Grafana's own components; for people who change it.

    python -m grafana.picture docs/img/overview.png [--board headrace-overview] [--rows "Drift"]
        [--minutes 85] [--theme dark] [--width 1500]

Needs Prometheus, Node.js and a Chromium, and `npm ci` in grafana/render once. No Grafana server is
involved: the panels are drawn by @grafana/ui, the answers come from a real Prometheus.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .incident import CONFIG, history
from .prometheus import Prometheus
from .view import Json, View, markers_of

HERE = Path(__file__).parent
MINUTES = 85.0
"""So long after the drift does the time in view end, and so long before it does it begin."""


def main() -> int:
    """Play, ask, draw; the exit code of the drawing."""
    args = _arguments()
    board = json.loads((HERE / "dashboards" / f"{args.board}.json").read_text(encoding="utf-8"))
    board["panels"] = chosen(board["panels"], args.rows)
    with tempfile.TemporaryDirectory() as spare:
        folder = Path(spare)
        made = history(folder, time.time() - 60)
        with Prometheus(folder / "blocks", CONFIG) as server:
            span_s = 60 * args.minutes
            start = max(made.drift - 60 * args.before, made.start + 60)
            view = View(server, start, min(made.drift + span_s, made.end))
            page = {"width": args.width, "mode": args.theme, "scale": args.scale}
            page |= answered(board, view)
        (folder / "page.json").write_text(json.dumps(page), encoding="utf-8")
        command = ["node", str(HERE / "render" / "draw.mjs"), str(folder / "page.json"), args.out]
        code = subprocess.run(command, check=False).returncode
    if code == 0:
        _pressed(Path(args.out))
    return code


def _pressed(path: Path) -> None:
    """A third of the size, by 256 colours; left as it is without Pillow."""
    try:
        from PIL import Image  # noqa: PLC0415  # only here, and not everybody has it
    except ImportError:
        return
    with Image.open(path) as drawn:
        few = drawn.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def _arguments() -> Any:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", help="the PNG file to write")
    parser.add_argument("--board", default="headrace-overview", help="uid of the dashboard")
    parser.add_argument("--rows", nargs="*", help="titles of the rows to draw; all")
    parser.add_argument("--before", type=float, default=MINUTES, help="minutes before the drift")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="minutes after the drift")
    parser.add_argument("--theme", default="light", choices=("light", "dark"))
    parser.add_argument("--width", type=int, default=1_500, help="pixels")
    parser.add_argument("--scale", type=float, default=1.0, help="pixels of the file for each")
    return parser.parse_args()


def chosen(panels: Sequence[Json], rows: Sequence[str] | None) -> list[Json]:
    """The panels of these rows, moved together."""
    kept: list[Json] = []
    is_in, taken, shift = False, 0, 0
    for panel in panels:
        place = panel["gridPos"]
        if panel["type"] == "row":
            is_in = not rows or panel["title"] in rows
            shift = place["y"] - taken
        if is_in:
            kept.append({**panel, "gridPos": {**place, "y": place["y"] - shift}})
            taken = max(taken, place["y"] - shift + place["h"])
    return kept


def answered(board: Json, view: View) -> Json:
    """The page as the drawing wants it: panels with their series, and markers."""
    choices = view.choices(board)
    panels = []
    for panel in board["panels"]:
        if "repeat" not in panel:
            panels.append(_asked(panel, view, choices))
            continue
        for i, value in enumerate(choices[panel["repeat"]][: panel["maxPerRow"]]):
            place = {**panel["gridPos"], "x": i * panel["gridPos"]["w"]}
            title = panel["title"].replace(f"${panel['repeat']}", value)
            one = {**panel, "title": title, "gridPos": place, "key": f"{panel['id']}-{i}"}
            panels.append(_asked(one, view, {**choices, panel["repeat"]: [value]}))
    markers = [
        {"at": at, "color": marker["iconColor"], "name": marker["name"]}
        for marker in markers_of(board)
        if marker["enable"]
        for at in view.moments(marker, choices)
    ]
    return {"panels": panels, "markers": markers, "from": view.start, "to": view.end}


def _asked(panel: Json, view: View, choices: dict[str, list[str]]) -> Json:
    series = [one for t in panel.get("targets", []) for one in view.series(t, choices)]
    for one in series:
        one["points"] = [(at, v if math.isfinite(v) else None) for at, v in one["points"]]
    return {**panel, "series": series}


if __name__ == "__main__":
    sys.exit(main())
