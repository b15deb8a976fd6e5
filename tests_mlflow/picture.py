"""The picture of docs/MLFLOW.md, taken anew from a real server where `make mlflow` put one:

    PYTHONPATH=src:.:tests .mlflow/bin/python tests_mlflow/picture.py

It needs aiohttp and Pillow there, and Chromium.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mlflow
from tests_mlflow.demo_run import DemoRun
from tests_mlflow.server import Server

from bridges.chromium import Chromium, Page
from bridges.picture import shoot_small
from repo.tree import ROOT

EVENTS_N = 6_000
SHOWN = "^accuracy$|^window_accuracy$|^kappa$|labels_learned|budget_available|drift_level"
STYLE = ".modebar {display: none}"
"""Without the tools that MLflow lays over a chart."""

WAIT_S, DRAWN_S = 120.0, 20.0
CHARTS = "document.body?.innerText.includes('Add chart')"
DRAWN = "document.querySelectorAll('.js-plotly-plot .trace').length > 5"
SEARCH = "document.querySelector('input[placeholder=\"Search metric charts\"]')"
ASSISTANT = "[...document.querySelectorAll('button')].find((b) => b.ariaLabel === 'Close')"
NEW = "document.createElement('style')"


def show(page: Page, url: str) -> None:
    """The charts of a run that are about what people look at first."""
    page.send("Page.navigate", {"url": url})
    page.wait(CHARTS, WAIT_S)
    page.run(f"{ASSISTANT}?.click()")
    page.run(f"{SEARCH}.focus()")
    page.write(SHOWN)
    page.run(f"document.head.append(Object.assign({NEW}, {json.dumps({'textContent': STYLE})}))")
    page.wait(DRAWN, WAIT_S)
    # The lines move into their place.
    time.sleep(DRAWN_S)


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="headrace-picture-"))
    run, state = DemoRun(folder), folder / "state"
    run.write(EVENTS_N)
    subprocess.run(run.command(state, 5), check=True)
    track = [sys.executable, "-m", "headrace", "mlflow", str(state), "--once", "--server"]
    try:
        with Server(folder / "server") as server:
            subprocess.run([*track, server.url], check=True)
            client = mlflow.MlflowClient(tracking_uri=server.url, registry_uri=server.url)
            experiment = client.get_experiment_by_name("headrace").experiment_id
            [found] = client.search_runs([experiment])
            place = f"#/experiments/{experiment}/runs/{found.info.run_id}/model-metrics"
            chromium = Chromium(folder / "chromium")
            try:
                page = chromium.open_page(1280, 900)
                show(page, f"{server.url}/{place}")
                shoot_small(page, ROOT / "docs" / "img" / "mlflow.png")
            finally:
                chromium.close()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
