"""The desk's page as tests lead it: logging in, waiting for a question."""

from __future__ import annotations

from bridges.chromium import Page
from bridges.desk_server import DeskServer

ASKING = "document.body.dataset.state === 'asking'"


def log_in(page: Page, desk: DeskServer) -> None:
    page.go(f"{desk.url}#token={desk.token}")
    wait_ready(page)


def wait_ready(page: Page) -> None:
    page.wait(f"{ASKING} && document.body.dataset.ready === 'yes'")
