"""`order.py` of the orchestrators' examples: a round ordered over HTTP, waited for, and once."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bridges.programs import Programs, a_run_and_a_desk
from commands.runs import lines_of

PROGRAM = Path(__file__).parents[2] / "examples" / "orchestrators" / "order.py"


@pytest.fixture(scope="module")
def order() -> ModuleType:
    spec = importlib.util.spec_from_file_location("order", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    with a_run_and_a_desk(tmp_path_factory.mktemp("ordered")) as made:
        yield made


def orders(desk: Programs) -> list[dict[str, Any]]:
    return lines_of(desk.places.state / "orders.jsonl")


def test_a_round_is_asked_once_however_often_it_is_ordered(
    order: ModuleType, desk: Programs
) -> None:
    while desk.label():
        pass
    key = "airflow scheduled__2026-11-29T07:00:00+00:00"
    first = order.order_round(desk.url, desk.token, key, labels=2, wait_s=60.0)
    assert first["state"] in ("asked", "refused")
    assert order.order_round(desk.url, desk.token, key, labels=2, wait_s=60.0) == first
    assert [one["key"] for one in orders(desk)].count(key) == 1


def test_the_program_ends_with_what_became_of_it(desk: Programs) -> None:
    def run(token: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(PROGRAM), desk.url, "by hand", "--labels", "1"]
        environment = {**os.environ, "HEADRACE_TOKEN": token}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    done = run(desk.token)
    assert done.returncode in (0, 3), done.stderr
    assert '"state"' in done.stdout
    refused = run("nobody's")
    assert refused.returncode == 2
    assert "the desk refuses: 401" in refused.stderr


def test_what_the_desk_refuses_is_not_tried_again(order: ModuleType, desk: Programs) -> None:
    with pytest.raises(order.RefusedError, match="400"):
        order.order_round(desk.url, desk.token, "too many", labels=-1)
    with pytest.raises(order.RefusedError, match="not https://"):
        order.order_round("http://labels.example.org", desk.token, "k")


def test_a_desk_that_is_away_is_not_done(order: ModuleType, desk: Programs) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(order.NotDoneError, match="does not answer"):
        order.order_round(url, desk.token, "k", wait_s=0.0)
