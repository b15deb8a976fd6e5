"""The examples of inference logs are true: their settings are right, and their records are read."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from headrace import cli
from headrace.observe.decode import Decoded, Decoder
from headrace.settings import InputSettings, load
from repo.tree import ROOT

FOLDER = ROOT / "examples" / "formats"
IRIS = {"sepal_length": 6.8, "sepal_width": 2.8, "petal_length": 4.8, "petal_width": 1.4}


@pytest.fixture(autouse=True)
def _on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)


def lines_of(name: str) -> list[bytes]:
    return (FOLDER / name).read_bytes().splitlines()


def decoded(settings: str, lines: list[bytes], headers: Any = ()) -> Decoded:
    found = Decoder(load(FOLDER / settings).input).decode(lines, headers=headers)
    assert found.rejected == []
    return found


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.name)
def test_check_finds_no_fault(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", str(path)]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "events"),
    [
        ("plain.toml", "plain.jsonl"),
        ("kserve.toml", "kserve_structured.jsonl"),
        ("mlflow.toml", "mlflow.jsonl"),
    ],
)
def test_run_takes_them_from_a_file(
    settings: str, events: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--settings", str(FOLDER / settings), "--events", str(FOLDER / events)]
    words += ["--requests", str(tmp_path / "requests.jsonl"), "--state", str(tmp_path / "state")]
    assert cli.main(["run", *words]) == 0
    told = capsys.readouterr().out
    assert "rejected: none" in told
    assert "events: 0" not in told


def test_plain_json() -> None:
    batch = decoded("plain.toml", lines_of("plain.jsonl")).batch
    event = batch.row(0)
    assert (event.id, event.at, event.key) == ("p-1001", 1714564800.125, "a-77")
    assert event.features == {
        "amount": 12.5,
        "country": "CH",
        "basket.items": 3.0,
        "basket.gifts": 0.0,
    }
    assert (event.predicted, event.model_version) == ("fine", "2024-04-17")
    assert event.probabilities == {"fine": 0.97, "fraud": 0.03}
    assert len(batch) == 3


def test_kserve_gives_the_same_in_both_modes() -> None:
    structured = decoded("kserve.toml", lines_of("kserve_structured.jsonl"))
    records = [json.loads(line) for line in lines_of("kserve_binary.jsonl")]
    headers = [{k: v.encode() for k, v in record["headers"].items()} for record in records]
    values = [json.dumps(record["value"]).encode() for record in records]
    binary = decoded("kserve.toml", values, headers)
    assert structured.events_n == binary.events_n == [2, 0, 1]
    assert [structured.batch.row(i) for i in range(3)] == [binary.batch.row(i) for i in range(3)]
    event = binary.batch.row(0)
    assert (event.id, event.key) == ("e58f1edd-43bc-42f6-a10a-d1adb5cab831/0", "sklearn-iris")
    assert event.at == pytest.approx(1714564800.501753)
    assert event.features == IRIS


def test_mlflow() -> None:
    found = decoded("mlflow.toml", lines_of("mlflow.jsonl"))
    assert found.events_n == [2, 3, 0]
    event = found.batch.row(3)
    assert (event.id, event.at, event.predicted) == ("order-7781/1", 1714564801.25, "stays")
    assert event.features == {"months": 60.0, "plan": "basic"}


def test_a_binary_layout() -> None:
    layout = importlib.import_module("binary_hook").LAYOUT
    good = layout.pack(bytes(range(16)), 5.0, 1.0, 2.0, 3.0, 4.0)
    found = Decoder(InputSettings(decoder="binary_hook:read")).decode([good, good[:-1]])
    assert found.batch.row(0).id == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert found.batch.row(0).features == {"amount": 1.0, "hour": 2.0, "distance": 3.0, "age": 4.0}
    (rejected,) = found.rejected
    assert (rejected.reason, rejected.detail[:13]) == ("not_decoded", "error: unpack")


def test_the_page_names_every_file() -> None:
    text = (FOLDER / "README.md").read_text()
    listed = [path for path in FOLDER.iterdir() if path.is_file() and path.name != "README.md"]
    assert [path.name for path in listed if f"({path.name})" not in text] == []
